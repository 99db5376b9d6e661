"""Incoming webhooks go on to the app: as they came, signed by us, once, until they arrive."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import standardwebhooks
from tests.integration.outbound.conftest import ENGINES, LOOPBACK, Receiver

from custodes import Custodes
from custodes.asgi.ingress import Ingress
from custodes.errors import ConfigurationError, Conflict, InvalidInput, NotFound, StorageUnavailable
from custodes.kernel.clock import HOUR
from custodes.planes.inbound.model import EventFilter, Status
from custodes.planes.outbound.customer import Customer
from custodes.planes.outbound.forwarding import endpoint_of
from custodes.planes.outbound.model import DeliveryStatus, EndpointState, RetryPolicy
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.testing.clock import FakeClock
from custodes.testing.webhooks import signed_webhook

SECRET = "secret of the source"

#: What senders send, and what they do not: each must arrive as it is.
BODIES = (
    b'{ "zeta" : 1.0,\r\n "alpha": "\\u00e9" }',
    b"payload=%7B%22a%22%3A1%7D&x=+",
    b"\xff\xfe\x00 no text at all",
    b"",
    b"x" * 1_500_000,
)


@contextlib.asynccontextmanager
async def served(custodes: Custodes) -> AsyncIterator[httpx2.AsyncClient]:
    """The door of webhooks, with nothing running behind it."""
    transport = httpx2.ASGITransport(Ingress(custodes))
    async with httpx2.AsyncClient(transport=transport, base_url="http://hooks.test") as client:
        yield client


async def post(client: httpx2.AsyncClient, custodes: Custodes, body: bytes, **headers: str) -> httpx2.Response:
    signed = signed_webhook("github", body, SECRET, now=custodes.clock.now())
    merged = {name.lower(): value for name, value in signed.headers.items()} | headers
    sent = {name.encode(): value.encode() for name, value in merged.items()}
    return await client.post("/hooks/github", content=signed.body, headers=sent)


async def run(custodes: Custodes) -> None:
    """Let both workers do what is due."""
    await custodes.inbound.worker.run_due()
    await custodes.outbound.worker.run_due()


async def forwarded(custodes: Custodes, receiver: Receiver) -> None:
    custodes.source("github", [SECRET], forward_to=f"{receiver.url}/app", max_body=2**21)
    await custodes.forwarding.start()


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_came_goes_on_byte_for_byte(custodes: Custodes, receiver: Receiver) -> None:
    """Given a source that is forwarded, when webhooks come, then the app gets the same bytes and the sender's headers,
    and a signature of ours that the public library verifies."""
    await forwarded(custodes, receiver)
    async with served(custodes) as client:
        for body in BODIES:
            answer = await post(
                client, custodes, body, **{"content-type": "application/x-odd; v=1", "cookie": "custodes_session=s",
                                           "authorization": "Bearer t", "x-forwarded-for": "203.0.113.1",
                                           "user-agent": "GitHub-Hookshot/1", "x-accent": "caf\u00e9"}
            )  # fmt: skip
            assert answer.status_code == 200, answer.text
    await run(custodes)

    assert sorted(got.body for got in receiver.got) == sorted(BODIES)
    [secret] = await custodes.outbound.signing_secrets(endpoint_of("default", "github"))
    verifier = standardwebhooks.Webhook(secret)
    for got in receiver.got:
        assert got.path == "/app"
        told = {name: got.headers.get(name) for name in ("content-type", "user-agent", "x-accent", "custodes-source")}
        assert told == {
            "content-type": "application/x-odd; v=1",
            "user-agent": "GitHub-Hookshot/1",
            "x-accent": "caf\u00e9",
            "custodes-source": "github",
        }
        assert got.headers["x-hub-signature-256"].startswith("sha256=")
        assert got.headers["content-length"] == str(len(got.body))
        assert "transfer-encoding" not in got.headers
        assert not {"cookie", "authorization", "x-forwarded-for"} & set(got.headers)
        assert got.headers["host"] == receiver.url.removeprefix("http://")
        signature = verifier.sign(
            got.headers["webhook-id"], _moment(got.headers["webhook-timestamp"]), got.body.decode("latin-1")
        )
        if got.body.isascii():
            assert signature in got.headers["webhook-signature"].split()
    [event, *_] = (await custodes.inbound.list_events(EventFilter())).items
    assert event.status is Status.SUCCEEDED
    assert event.id in {got.headers["custodes-event"] for got in receiver.got}


def _moment(timestamp: str) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(timestamp), tz=UTC)


async def test_headers_of_the_same_name_as_ours_go_on_under_another(custodes: Custodes, receiver: Receiver) -> None:
    """A sender that signs as we do: what it signed can still be verified, and so can ours."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    custodes.source("partner", [secret], kind="standard-webhooks", forward_to=receiver.url)
    await custodes.forwarding.start()
    signed = signed_webhook("standard-webhooks", {"type": "a.b"}, secret, now=custodes.clock.now())
    async with served(custodes) as client:
        answer = await client.post("/hooks/partner", content=signed.body, headers=signed.headers)
        assert answer.status_code == 200, answer.text
    await run(custodes)

    [got] = receiver.got
    theirs = {
        name: got.headers[f"original-{name}"] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    }
    assert theirs == {name.lower(): value for name, value in dict(signed.headers).items() if "webhook" in name.lower()}
    assert got.headers["webhook-id"] != theirs["webhook-id"]


async def test_what_is_not_verified_goes_nowhere(custodes: Custodes, receiver: Receiver) -> None:
    await forwarded(custodes, receiver)
    async with served(custodes) as client:
        answer = await client.post("/hooks/github", content=b"{}", headers={"x-hub-signature-256": "sha256=00"})
        assert answer.status_code == 401
    logged = await custodes.inbound.log_webhook_event("github", "push", b"{}")
    await custodes.inbound.replay_event(logged.id)
    await run(custodes)

    assert receiver.got == []
    assert (await custodes.outbound.list_messages()).items == []
    event = await custodes.inbound.get_event(logged.id)
    assert (event.status, "not forwarded" in (event.error or "")) == (Status.DEAD, True)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_handler_that_is_tried_again_neither_loses_nor_doubles(
    custodes: Custodes, receiver: Receiver, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Given a store that fails before or after it has taken the event, then the event is forwarded once."""
    await forwarded(custodes, receiver)
    put, failing = custodes.outbound.forward, [True]

    async def forward(given: Any) -> Any:
        if failing and when == "before":
            failing.clear()
            raise StorageUnavailable("gone")
        message = await put(given)
        if failing:
            failing.clear()
            raise StorageUnavailable("gone")
        return message

    monkeypatch.setattr(custodes.outbound, "forward", forward)
    async with served(custodes) as client:
        await post(client, custodes, b'{"a":1}')
    await run(custodes)
    [event] = (await custodes.inbound.list_events(EventFilter())).items
    assert event.status is Status.FAILED
    clock.advance(HOUR)
    await run(custodes)

    [event] = (await custodes.inbound.list_events(EventFilter())).items
    assert (event.status, event.attempts, len(receiver.got)) == (Status.SUCCEEDED, 2, 1)


async def test_a_replay_forwards_again_on_purpose_once_each_time(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    await forwarded(custodes, receiver)
    failing = [True, True]

    @custodes.webhook("github", max_attempts=2)
    async def other(event: object) -> None:
        if failing:
            failing.pop()
            raise RuntimeError("the next attempt is not a replay")

    async with served(custodes) as client:
        await post(client, custodes, b'{"a":1}')
        for _ in range(3):
            await run(custodes)
            clock.advance(HOUR)
        [event] = (await custodes.inbound.list_events(EventFilter())).items
        assert (event.status, len(receiver.got)) == (Status.DEAD, 1)
        for expected in (2, 3):
            await custodes.inbound.replay_event(event.id)
            await run(custodes)
            assert len(receiver.got) == expected
        repeated = await post(client, custodes, b'{"a":1}')  # the sender, once more
    await run(custodes)

    assert repeated.json()["status"] == "duplicate"
    assert len(receiver.got) == 3
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 3
    assert {got.headers["custodes-event"] for got in receiver.got} == {event.id}


async def test_the_app_may_be_down_for_long(custodes: Custodes, receiver: Receiver, clock: FakeClock) -> None:
    """Given an app that answers 500, then what came is tried again by the schedule, and nothing is disabled."""
    await forwarded(custodes, receiver)
    receiver.status = 500
    async with served(custodes) as client:
        await post(client, custodes, b'{"a":1}')
    await run(custodes)
    for _ in range(60):
        clock.advance(HOUR)
        await run(custodes)
    receiver.status = 200
    for _ in range(30):
        clock.advance(HOUR)
        await run(custodes)
    [delivery] = (await custodes.outbound.list_deliveries()).items
    assert delivery.status is DeliveryStatus.SUCCEEDED
    assert delivery.attempts > 5
    endpoint = await custodes.outbound.get_endpoint(delivery.endpoint_id)
    assert endpoint.state is EndpointState.ENABLED


async def test_the_endpoint_belongs_to_its_source(custodes: Custodes, receiver: Receiver) -> None:
    """It is among the others, and can be paused and tuned; what follows from the source is refused with a reason."""
    await forwarded(custodes, receiver)
    [endpoint] = (await custodes.outbound.list_endpoints()).items
    assert (endpoint.source, endpoint.url, endpoint.event_types) == ("github", f"{receiver.url}/app", ("github/*",))
    for change in ({"url": "https://elsewhere.example"}, {"event_types": ["*"]}, {"options": {"ordered": True}}):
        with pytest.raises(Conflict, match="github"):
            await custodes.outbound.update_endpoint(endpoint.id, **change)
    with pytest.raises(Conflict, match="forwarded"):
        await custodes.outbound.delete_endpoint(endpoint.id)
    tuned = await custodes.outbound.update_endpoint(
        endpoint.id, url=endpoint.url, event_types=endpoint.event_types, retry=RetryPolicy((HOUR,)),
        options={"rate": 5.0},
    )  # fmt: skip
    assert (tuned.retry.schedule, tuned.options.rate) == ((HOUR,), 5.0)
    await custodes.forwarding.start()
    assert (await custodes.outbound.get_endpoint(endpoint.id)).retry.schedule == (HOUR,)

    await custodes.outbound.pause_endpoint(endpoint.id)
    async with served(custodes) as client:
        await post(client, custodes, b"{}")
    await run(custodes)
    assert receiver.got == []
    await custodes.outbound.resume_endpoint(endpoint.id)
    await run(custodes)
    assert len(receiver.got) == 1


async def test_a_customer_sees_nothing_of_what_is_forwarded(custodes: Custodes, receiver: Receiver) -> None:
    await forwarded(custodes, receiver)
    async with served(custodes) as client:
        await post(client, custodes, b"{}")
    await run(custodes)
    made = await custodes.portal.create_link("default")
    customer = Customer(custodes.outbound, made.link)
    [delivery] = (await custodes.outbound.list_deliveries()).items
    assert await customer.endpoints() == []
    with pytest.raises(NotFound):
        await customer.delivery(delivery.id)


async def test_what_the_host_emits_is_not_for_it(custodes: Custodes, receiver: Receiver) -> None:
    await forwarded(custodes, receiver)
    await custodes.outbound.emit("push", {"a": 1})
    await custodes.outbound.emit("github.push", {"a": 1})
    await run(custodes)
    assert receiver.got == []


async def test_an_endpoint_that_another_process_deleted_is_made_again(
    custodes: Custodes, receiver: Receiver, database_url: str, clock: FakeClock
) -> None:
    """A process that does not forward (the command line) may delete it; the next event finds it again."""
    await forwarded(custodes, receiver)
    other = Custodes(database_url, clock=clock, **LOOPBACK)
    await other.open()
    await other.outbound.delete_endpoint(endpoint_of("default", "github"))
    await other.close()
    async with served(custodes) as client:
        await post(client, custodes, b'{"a":1}')
    await run(custodes)
    assert len(receiver.got) == 1
    assert len((await custodes.outbound.list_endpoints()).items) == 1


async def test_the_settings_are_enough(sqlite_url: str, receiver: Receiver, clock: FakeClock) -> None:
    """Given nothing but settings, whatever the kind of the source, then its webhooks are forwarded; and where they go
    can be changed later."""
    given = {"hub": {"kind": "github", "secrets": [SECRET], "forward_to": f"{receiver.url}/hub"}}
    settings = {**LOOPBACK, "webhook_sources": given, "outbound_allow_http": False}
    github = {"github_webhook_secret": SECRET, "forward_to": f"github={receiver.url}/old"}
    first = Custodes(sqlite_url, clock=clock, **settings, **github)
    await first.open()
    await first.forwarding.start()
    async with served(first) as client:
        await post(client, first, b'{"old":1}')
    await first.inbound.worker.run_due()
    await first.close()

    second = Custodes(sqlite_url, clock=clock, **settings, **github | {"forward_to": f"github={receiver.url}/new"})
    await second.open()
    await second.forwarding.start()
    signed = signed_webhook("github", b"{}", SECRET, now=clock.now())
    async with served(second) as client:
        answer = await client.post("/hooks/hub", content=signed.body, headers=signed.headers)
        assert answer.status_code == 200
    await run(second)
    await second.outgoing.close()
    await second.close()
    assert sorted(got.path for got in receiver.got) == ["/hub", "/new"]


@pytest.mark.parametrize("target", ["stripe", "=https://a.example", "stripe="])
async def test_a_target_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(ConfigurationError, match="source=url"):
        _ = Custodes("sqlite://", forward_to=target).forwarding


async def test_a_source_that_is_not_there_is_not_forwarded_in_silence(custodes: Custodes) -> None:
    custodes.forwarding.add("strpe", "https://app.example")
    with pytest.raises(ConfigurationError, match="strpe"):
        await custodes.forwarding.start()
    with pytest.raises(InvalidInput, match="webhooks of stripe go on to is neither an https nor an http") as refused:
        custodes.forwarding.add("stripe", "ftp://app.example")
    assert "CUSTODES_OUTBOUND_ALLOW_HTTP" not in refused.value.remedy


async def test_a_process_that_does_not_forward_knows_what_others_do(
    custodes: Custodes, receiver: Receiver, database_url: str, clock: FakeClock
) -> None:
    """It would be done with their webhooks without forwarding them: so it is said, until the endpoint is deleted."""
    await forwarded(custodes, receiver)
    assert await custodes.forwarding.unknown_here() == []
    other = Custodes(database_url, clock=clock, **LOOPBACK)
    await other.open()
    [unknown] = await other.forwarding.unknown_here()
    assert (unknown.source, unknown.id) == ("github", endpoint_of("default", "github"))
    await other.outbound.delete_endpoint(unknown.id)
    assert await other.forwarding.unknown_here() == []
    await other.close()


async def test_where_it_may_go_is_guarded_as_ever(sqlite_url: str, receiver: Receiver, clock: FakeClock) -> None:
    """Without a named exception no private address is called: the attempt says so, and the event waits."""
    install = Custodes(sqlite_url, clock=clock)
    await install.open()
    install.source("github", [SECRET], forward_to=receiver.url)
    await install.forwarding.start()
    async with served(install) as client:
        await post(client, install, b"{}")
    await run(install)
    [delivery] = (await install.outbound.list_deliveries(DeliveryFilter())).items
    assert (delivery.status, "not allowed" in delivery.error, receiver.got) == (DeliveryStatus.PENDING, True, [])
    await install.outgoing.close()
    await install.close()


PARENT = f"00-{'c0ffee00' * 4}-{'b7' * 8}-"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
async def test_the_senders_trace_goes_on_as_it_came(custodes: Custodes, receiver: Receiver, flags: str) -> None:
    """Given a webhook of a trace, sampled or not, then the app gets that decision and the tracestate with it, and so do
    those who get what a handler emits."""
    await forwarded(custodes, receiver)
    await custodes.outbound.create_endpoint(f"{receiver.url}/customer")

    @custodes.inbound.webhook("github")
    async def handler(_event: object) -> None:
        await custodes.outbound.emit("push.seen", {})

    async with served(custodes) as client:
        trace = {"traceparent": f"{PARENT}{flags}", "tracestate": "rojo=00f0,  congo=t61"}
        assert (await post(client, custodes, b"{}", **trace)).status_code == 200
    await run(custodes)

    assert sorted(got.path for got in receiver.got) == ["/app", "/customer"]
    for got in receiver.got:
        assert (got.headers["traceparent"][:36], got.headers["traceparent"][52:]) == (PARENT[:36], f"-{flags}")
        assert got.headers["tracestate"] == "rojo=00f0,congo=t61"


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_belongs_to_no_trace_of_the_sender_is_not_carried_on(custodes: Custodes, receiver: Receiver) -> None:
    """Given a traceparent that is none, then the trace is the event's own, and the tracestate stays behind."""
    await forwarded(custodes, receiver)
    async with served(custodes) as client:
        await post(client, custodes, b"{}", traceparent="rubbish", tracestate="rojo=00f0")
    await run(custodes)

    [got] = receiver.got
    assert got.headers["traceparent"].endswith("-03")
    assert "tracestate" not in got.headers
