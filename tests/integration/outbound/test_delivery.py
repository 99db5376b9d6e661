"""From ``emit`` to the receiver and back: what arrives, and what follows from each answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import event
from tests.integration.outbound.conftest import ENGINES, Receiver, opened

from custodes import Custodes
from custodes.errors import Conflict
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.health import Health
from custodes.kernel.redact import MASK
from custodes.kernel.signals import FailureSignal
from custodes.kernel.trace import open_trace
from custodes.planes.outbound.headers import MAX_ANSWERED_SHOWN
from custodes.planes.outbound.model import (
    SCHEDULE,
    AuthKind,
    Delivery,
    DeliveryStatus,
    EndpointHealth,
    EndpointState,
    Options,
    RetryPolicy,
)
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.runtime.current import serving
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.outbound import SqlEndpointStore
from custodes.testing.clock import FakeClock

ONCE = RetryPolicy(())

both_engines = pytest.mark.parametrize("engine", ENGINES)


async def deliveries(custodes: Custodes, **wanted: object) -> list[Delivery]:
    found = await custodes.outbound.list_deliveries(DeliveryFilter(**wanted))  # type: ignore[arg-type]
    return list(found.items)


async def deliver(custodes: Custodes) -> int:
    return await custodes.outbound.worker.run_due()


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("trace_id", ["order-42", "0" * 32, "A" * 32, "a" * 31, "a" * 31 + "-"])
async def test_an_id_that_is_no_trace_of_w3c_is_not_sent_as_one(
    custodes: Custodes, receiver: Receiver, trace_id: str
) -> None:
    """Given an event with an id of another kind, when it is delivered, then no malformed ``traceparent`` goes out."""
    await custodes.outbound.create_endpoint(f"{receiver.url}/hooks", tenant="acme")
    await custodes.outbound.emit("order.shipped", {}, tenant="acme", trace_id=trace_id)
    assert await deliver(custodes) == 1

    [got] = receiver.got
    assert "traceparent" not in got.headers
    [_] = await deliveries(custodes, trace_id=trace_id)


@both_engines
async def test_an_event_arrives_with_what_it_took(custodes: Custodes, receiver: Receiver) -> None:
    """Given an endpoint, when an event is emitted, then it arrives, and the attempt tells of it."""
    made = await custodes.outbound.create_endpoint(f"{receiver.url}/hooks", tenant="acme")
    receiver.status = 200
    message = await custodes.outbound.emit("order.shipped", {"order": 7}, tenant="acme", trace_id="a" * 32)
    assert await deliver(custodes) == 1

    [got] = receiver.got
    body = json.loads(got.body)
    assert (body["type"], body["data"]) == ("order.shipped", {"order": 7})
    assert got.headers["webhook-id"] == message.id
    assert got.headers["traceparent"].startswith("00-" + "a" * 32)
    [delivery] = await deliveries(custodes)
    assert (delivery.status, delivery.attempts, delivery.last_status) == (DeliveryStatus.SUCCEEDED, 1, 200)
    _, [attempt] = await custodes.outbound.get_delivery(delivery.id)
    assert (attempt.succeeded, attempt.excerpt, attempt.number) == (True, "thanks", 1)
    assert attempt.timing.connect > 0
    await custodes.outbound.flush()
    assert (await custodes.outbound.get_endpoint(made.endpoint.id)).success_count == 1


@both_engines
async def test_an_attempt_keeps_what_headers_were_answered_bounded_and_without_secrets(
    custodes: Custodes, receiver: Receiver
) -> None:
    """Given an answer with secrets and a header too long, then it is shown without them."""
    await custodes.outbound.create_endpoint(receiver.url)
    receiver.status = 500
    receiver.headers = {
        "X-Request-Id": "req_1",
        "Set-Cookie": "sid=hunter1",
        "X-Api-Key": "hunter2",
        "X-Long": "x" * 2_000,
        "X-Debug": "token=hunter3-is-secret",
    }
    await custodes.outbound.emit("order.shipped", {})
    await deliver(custodes)

    [delivery] = await deliveries(custodes)
    _, [attempt] = await custodes.outbound.get_delivery(delivery.id)
    kept = dict(attempt.answer_headers)
    assert (kept["x-request-id"], kept["set-cookie"], kept["x-api-key"]) == ("req_1", MASK, MASK)
    assert (kept["x-long"], "hunter" in str(kept)) == (f"{'x' * 500}… [2000 characters]", False)

    # And of a flood of headers the first ones are kept, and how many there were more.
    receiver.headers = {f"X-{number}": "y" * 200 for number in range(50)}
    await custodes.outbound.resend(delivery.id)
    await deliver(custodes)
    _, [second, _first] = await custodes.outbound.get_delivery(delivery.id)
    assert sum(len(name) + len(value) for name, value in second.answer_headers) <= MAX_ANSWERED_SHOWN + 20
    assert second.answer_headers[-1][0] == "…"
    assert second.answer_headers[-1][1].endswith(" more")


async def test_an_attempt_keeps_the_headers_that_were_sent_without_their_secrets(
    custodes: Custodes, receiver: Receiver
) -> None:
    """Given custom headers and authentication, then what was sent is there, and what is secret is masked."""
    options = Options(headers={"X-Api-Key": "hunter2", "X-Acme": "hunter3"}, auth=AuthKind.BEARER)
    await custodes.outbound.create_endpoint(receiver.url, options=options, credentials={"token": "hunter6"})
    await custodes.outbound.emit("order.shipped", {"order": 7})
    await deliver(custodes)

    [delivery] = await deliveries(custodes)
    _, [attempt] = await custodes.outbound.get_delivery(delivery.id)
    sent = receiver.got[0].headers
    kept = dict(attempt.headers)
    masked = dict.fromkeys(("x-api-key", "x-acme", "authorization"), MASK)
    assert kept == {name: masked.get(name, sent[name]) for name in kept}
    assert set(sent) - set(kept) == {"host", "content-length", "accept", "accept-encoding"}
    assert "hunter" not in repr(attempt)


@both_engines
async def test_each_failure_waits_longer_until_the_message_is_exhausted(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    """Given a receiver that fails, then the waits are those of the schedule, give or take 20 %, and the last attempt
    ends the delivery and says so."""
    signals: list[FailureSignal] = []
    custodes.bus.subscribe(FailureSignal, signals.append)
    await custodes.outbound.create_endpoint(receiver.url, options=Options(disable_after=0))
    receiver.status = 500
    message = await custodes.outbound.emit("order.shipped", {})
    attempted_at: list[int] = []
    for number, wait in enumerate(SCHEDULE, 1):
        attempted_at.append(clock.now() // SECOND)
        assert await deliver(custodes) == 1
        [delivery] = await deliveries(custodes)
        assert (delivery.status, delivery.attempts) == (DeliveryStatus.PENDING, number)
        planned = (delivery.next_attempt_at or 0) - clock.now()
        assert wait * 0.8 <= planned <= wait * 1.2
        assert await deliver(custodes) == 0
        clock.advance(max(planned, 11 * MINUTE))
    attempted_at.append(clock.now() // SECOND)
    assert await deliver(custodes) == 1
    [delivery] = await deliveries(custodes)
    assert (delivery.status, delivery.attempts, delivery.error) == (DeliveryStatus.FAILED, 10, "It answered 500")
    # The event and its bytes stay the same; the time is that of the attempt.
    assert {(got.headers["webhook-id"], got.body) for got in receiver.got} == {(message.id, receiver.got[0].body)}
    assert [int(got.headers["webhook-timestamp"]) for got in receiver.got] == attempted_at
    assert [signal.name for signal in signals] == ["message.exhausted"]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 418])
async def test_whatever_is_not_2xx_is_a_failure(custodes: Custodes, receiver: Receiver, status: int) -> None:
    await custodes.outbound.create_endpoint(receiver.url)
    receiver.status, receiver.headers = status, {"location": f"{receiver.url}/elsewhere"}
    await custodes.outbound.emit("order.shipped", {})
    await deliver(custodes)
    [delivery] = await deliveries(custodes)
    assert (delivery.status, delivery.last_status) == (DeliveryStatus.PENDING, status)
    assert [got.path for got in receiver.got] == ["/"]


@both_engines
async def test_410_disables_the_endpoint_and_holds_what_comes(custodes: Custodes, receiver: Receiver) -> None:
    """Given an endpoint that says 410, then it is disabled with the reason, its owner is told, and what is emitted
    afterwards is held; when it is resumed and recovered, everything that was missed arrives."""
    await custodes.outbound.create_endpoint(f"{receiver.url}/ops", event_types=["custodes.*"])
    made = await custodes.outbound.create_endpoint(f"{receiver.url}/gone", event_types=["order.*"], tenant="acme")
    receiver.status = 410
    await custodes.outbound.emit("order.shipped", {"n": 1}, tenant="acme")
    await deliver(custodes)
    endpoint = await custodes.outbound.get_endpoint(made.endpoint.id)
    assert endpoint.state is EndpointState.DISABLED
    assert "410" in endpoint.state_reason

    receiver.status = 204
    await custodes.outbound.emit("order.shipped", {"n": 2}, tenant="acme")
    await deliver(custodes)
    news = [json.loads(got.body) for got in receiver.got if got.path == "/ops"]
    assert [one["type"] for one in news] == ["custodes.endpoint.disabled", "custodes.message.exhausted"] or len(
        news
    ) < 2
    with pytest.raises(Conflict):
        await custodes.outbound.recover(endpoint.id)
    assert (await deliveries(custodes, statuses=(DeliveryStatus.HELD,)))[0].message_id

    await custodes.outbound.resume_endpoint(endpoint.id)
    await deliver(custodes)
    assert len([got for got in receiver.got if got.path == "/gone"]) == 1
    assert await custodes.outbound.recover(endpoint.id) == 2
    await deliver(custodes)
    sent = [json.loads(got.body)["data"]["n"] for got in receiver.got if got.path == "/gone"]
    assert sorted(sent) == [1, 1, 2]


async def test_an_operator_hears_of_a_tenants_endpoint(custodes: Custodes, receiver: Receiver) -> None:
    """Given subscribers of our own events, then both the operator's and the tenant's hear, and ``*`` does not."""
    for path, types, tenant in (("ops", ["custodes.*"], None), ("own", ["custodes.*"], "acme"), ("all", ["*"], None)):
        await custodes.outbound.create_endpoint(f"{receiver.url}/{path}", event_types=types, tenant=tenant)
    bad = await custodes.outbound.create_endpoint(f"{receiver.url}/bad", event_types=["x"], retry=ONCE, tenant="acme")

    async def answer(_receiver: Receiver, request):
        from aiohttp import web

        return web.Response(status=500 if request.path == "/bad" else 204)

    receiver.answer = answer
    await custodes.outbound.emit("x", {}, tenant="acme")
    while await deliver(custodes):
        pass
    news = [(got.path, json.loads(got.body)) for got in receiver.got if got.path != "/bad"]
    assert sorted((path, body["type"]) for path, body in news) == [
        ("/ops", "custodes.message.exhausted"),
        ("/own", "custodes.message.exhausted"),
    ]
    assert news[0][1]["data"]["endpoint_id"] == bad.endpoint.id


@pytest.mark.parametrize(("status", "header", "least"), [(429, "7200", 2 * HOUR), (503, "90", 90 * SECOND)])
async def test_retry_after_is_honoured(
    custodes: Custodes, receiver: Receiver, clock: FakeClock, status: int, header: str, least: int
) -> None:
    """Given a receiver that names a time, then neither this delivery nor another goes to it before."""
    # All the time there is: a machine that stands still for seconds must not make an answer one that came too late.
    await custodes.outbound.create_endpoint(receiver.url, retry=RetryPolicy(timeout=MINUTE))
    receiver.status, receiver.headers = status, {"retry-after": header}
    await custodes.outbound.emit("order.shipped", {})
    await deliver(custodes)
    [delivery] = await deliveries(custodes)
    assert (delivery.next_attempt_at or 0) - clock.now() >= least
    await custodes.outbound.emit("order.shipped", {})
    clock.advance(least - SECOND)
    assert await deliver(custodes) == 0
    receiver.status = 204
    clock.advance(10 * MINUTE)
    assert await deliver(custodes) >= 1


async def test_no_receiver_can_have_us_wait_for_ever(custodes: Custodes, receiver: Receiver, clock: FakeClock) -> None:
    await custodes.outbound.create_endpoint(receiver.url)
    receiver.status, receiver.headers = 429, {"retry-after": "99999999999"}
    await custodes.outbound.emit("order.shipped", {})
    await deliver(custodes)
    [delivery] = await deliveries(custodes)
    assert (delivery.next_attempt_at or 0) - clock.now() <= DAY + 5 * HOUR


@both_engines
async def test_the_breaker_opens_and_one_probe_closes_it(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    """Given five failures in a row, then nothing more is sent for a while, then one delivery at a time; when one goes
    well, all go."""
    made = await custodes.outbound.create_endpoint(receiver.url)
    receiver.status = 500
    for _ in range(20):
        await custodes.outbound.emit("order.shipped", {})
    await deliver(custodes)
    assert len(receiver.got) == 5
    health = await custodes.outbound.get_endpoint_health(made.endpoint.id)
    assert (health.failures, health.open_until - clock.now()) == (5, 30 * SECOND)

    clock.advance(31 * SECOND)
    await deliver(custodes)
    assert len(receiver.got) == 6
    receiver.status = 204
    clock.advance(61 * SECOND)
    await deliver(custodes)
    assert (await custodes.outbound.get_endpoint_health(made.endpoint.id)).failures == 0
    done = await deliveries(custodes, statuses=(DeliveryStatus.SUCCEEDED,))
    assert len(done) >= 15


async def test_an_endpoint_that_fails_for_days_is_disabled_after_notices(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    """Given an endpoint that fails for the time that it is given, then its owner is told at 50, 70, 90 and 100 %."""
    signals: list[FailureSignal] = []
    custodes.bus.subscribe(FailureSignal, signals.append)
    made = await custodes.outbound.create_endpoint(receiver.url, options=Options(disable_after=10 * HOUR))
    receiver.status = 500
    for _ in range(30):
        await custodes.outbound.emit("order.shipped", {})
    for _ in range(60):
        await deliver(custodes)
        clock.advance(11 * MINUTE)
    told = [signal.summary for signal in signals if signal.name.startswith("endpoint.")]
    assert [text.partition(" have failed for ")[2].partition(" %")[0] for text in told] == ["50", "70", "90", ""]
    assert "were disabled: " in told[-1]
    endpoint = await custodes.outbound.get_endpoint(made.endpoint.id)
    assert (endpoint.state, endpoint.state_reason) == (EndpointState.DISABLED, "Every attempt failed for 10 h")
    assert not await deliveries(custodes, statuses=(DeliveryStatus.PENDING,))


@both_engines
async def test_a_pause_holds_and_a_resume_sends(custodes: Custodes, receiver: Receiver) -> None:
    made = await custodes.outbound.create_endpoint(receiver.url)
    await custodes.outbound.emit("order.shipped", {})
    await custodes.outbound.pause_endpoint(made.endpoint.id, reason="maintenance")
    await custodes.outbound.emit("order.shipped", {})
    assert await deliver(custodes) == 0
    assert {each.status for each in await deliveries(custodes)} == {DeliveryStatus.HELD}

    await custodes.outbound.resume_endpoint(made.endpoint.id)
    assert await deliver(custodes) == 2


async def test_a_deleted_endpoint_gets_nothing_more(custodes: Custodes, receiver: Receiver) -> None:
    made = await custodes.outbound.create_endpoint(receiver.url)
    await custodes.outbound.emit("order.shipped", {})
    await custodes.outbound.delete_endpoint(made.endpoint.id)
    await custodes.outbound.emit("order.shipped", {})
    assert await deliver(custodes) == 0
    assert receiver.got == []
    assert [each.status for each in await deliveries(custodes)] == [DeliveryStatus.HELD]


@both_engines
async def test_order_is_kept_by_key_and_a_failure_holds_only_its_own_key(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    """Given an endpoint that keeps order and a receiver that refuses one event of key a once, then b overtakes, and a's
    events arrive in the order they were emitted."""
    from aiohttp import web

    refused: list[str] = []

    async def answer(each: Receiver, _request: web.Request) -> web.StreamResponse:
        data = json.loads(each.got[-1].body)["data"]
        if data == {"key": "a", "n": 0} and not refused:
            refused.append("once")
            return web.Response(status=500)
        return web.Response(status=204)

    receiver.answer = answer
    await custodes.outbound.create_endpoint(receiver.url, options=Options(ordered=True))
    for number in range(4):
        for key in ("a", "b"):
            await custodes.outbound.emit("x", {"key": key, "n": number}, order_key=key)
    for _ in range(12):
        await deliver(custodes)
        clock.advance(10 * SECOND)
    arrived = [json.loads(got.body)["data"] for got in receiver.got]
    assert [one["n"] for one in arrived if one["key"] == "a"] == [0, 0, 1, 2, 3]
    assert [one["n"] for one in arrived if one["key"] == "b"] == [0, 1, 2, 3]
    assert arrived.index({"key": "b", "n": 1}) < arrived.index({"key": "a", "n": 1})


async def test_what_follows_from_an_end_is_begun_with_it_and_not_at_a_later_look(
    database_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a worker that looks only when it has a reason to, an endpoint that keeps order and one that answers with an
    error; then the next in line goes out when the one before has ended, and so does the news of what was given up."""
    from aiohttp import web

    async def answer(_receiver: Receiver, request: web.Request) -> web.StreamResponse:
        return web.Response(status=500 if request.path == "/bad" else 204)

    receiver.answer = answer
    monkeypatch.setattr("custodes.runtime.looks.BUSY_SECONDS", HOUR / SECOND)
    async with opened(database_url) as custodes:
        custodes.outbound.worker._looks.poll_seconds = HOUR / SECOND
        await custodes.outbound.create_endpoint(
            f"{receiver.url}/line", event_types=["x"], options=Options(ordered=True)
        )
        await custodes.outbound.create_endpoint(f"{receiver.url}/bad", event_types=["y"], retry=ONCE)
        await custodes.outbound.create_endpoint(f"{receiver.url}/news", event_types=["custodes.*"])
        await custodes.outbound.worker.start()
        for number in range(5):
            await custodes.outbound.emit("x", {"n": number}, order_key="k")
        await custodes.outbound.emit("y", {})
        async with asyncio.timeout(60):
            while len(receiver.got) < 7:
                receiver.arrived.clear()
                await receiver.arrived.wait()
        await custodes.outbound.worker.stop()
    assert [json.loads(got.body)["data"]["n"] for got in receiver.got if got.path == "/line"] == [0, 1, 2, 3, 4]
    assert [got.path for got in receiver.got if got.path != "/line"] == ["/bad", "/news"]


async def test_a_pause_does_not_break_the_order(custodes: Custodes, receiver: Receiver) -> None:
    made = await custodes.outbound.create_endpoint(receiver.url, options=Options(ordered=True))
    for number in range(3):
        await custodes.outbound.emit("x", {"n": number}, order_key="k")
    await custodes.outbound.pause_endpoint(made.endpoint.id)
    for number in range(3, 6):
        await custodes.outbound.emit("x", {"n": number}, order_key="k")
    await custodes.outbound.resume_endpoint(made.endpoint.id)
    await custodes.outbound.emit("x", {"n": 6}, order_key="k")
    while await deliver(custodes):
        pass
    assert [json.loads(got.body)["data"]["n"] for got in receiver.got] == [0, 1, 2, 3, 4, 5, 6]


@both_engines
@pytest.mark.parametrize("by", ["410", "time"])
async def test_a_disable_holds_the_line_and_a_recovery_sends_it_in_order(
    custodes: Custodes, receiver: Receiver, clock: FakeClock, by: str
) -> None:
    """Given an endpoint that keeps order and is disabled with a line waiting, when it is resumed and recovered, then
    the line arrives in the order it was emitted, what was emitted meanwhile at its end."""
    options = Options(ordered=True, disable_after=HOUR)
    made = await custodes.outbound.create_endpoint(receiver.url, options=options, retry=RetryPolicy((MINUTE,) * 30))
    receiver.status = 410 if by == "410" else 500
    for number in range(3):
        await custodes.outbound.emit("x", {"n": number}, order_key="k")
    for _ in range(1 if by == "410" else 25):
        await deliver(custodes)
        clock.advance(11 * MINUTE)
    assert (await custodes.outbound.get_endpoint(made.endpoint.id)).state is EndpointState.DISABLED
    await custodes.outbound.emit("x", {"n": 3}, order_key="k")
    assert await deliver(custodes) == 0
    assert {each.status for each in await deliveries(custodes)} <= {DeliveryStatus.HELD, DeliveryStatus.FAILED}
    with pytest.raises(Conflict):
        await custodes.outbound.recover(made.endpoint.id)

    receiver.status = 204
    receiver.got.clear()
    await custodes.outbound.resume_endpoint(made.endpoint.id)
    assert await deliver(custodes) == 0
    assert await custodes.outbound.recover(made.endpoint.id) == 4
    await custodes.outbound.emit("x", {"n": 4}, order_key="k")
    while await deliver(custodes):
        pass
    assert [json.loads(got.body)["data"]["n"] for got in receiver.got] == [0, 1, 2, 3, 4]


@both_engines
async def test_the_system_says_how_it_is(custodes: Custodes, receiver: Receiver, clock: FakeClock) -> None:
    """Given a backlog that nobody works off, deliveries given up and a disabled endpoint, then each is a reason; what
    waits for a failing endpoint is none."""
    made = await custodes.outbound.create_endpoint(receiver.url, retry=ONCE)
    receiver.status = 410
    assert (await custodes.outbound.get_health_status()).state is Health.HEALTHY
    await custodes.outbound.emit("x", {})
    clock.advance(61 * SECOND)
    late = await custodes.outbound.get_health_status()
    assert (late.state, late.figures["backlog"], late.figures["oldest_due_seconds"]) == (Health.DEGRADED, 1, 61)
    await deliver(custodes)
    gone = await custodes.outbound.get_health_status()
    assert [reason.split(" ")[0] for reason in gone.reasons] == ["Deliveries", "Endpoints"]
    assert (gone.figures["exhausted_last_hour"], gone.figures["disabled_endpoints"]) == (1, 1)
    own = await custodes.outbound.get_health_status(tenant=made.endpoint.tenant)
    assert (own.state, own.figures) == (gone.state, gone.figures)
    other = await custodes.outbound.get_health_status(tenant="other")
    assert (other.state, other.figures["exhausted_last_hour"]) == (Health.HEALTHY, 0)

    receiver.status = 500
    await custodes.outbound.resume_endpoint(made.endpoint.id)
    for _ in range(2):  # one that fails among others is none of the system's failures
        await custodes.outbound.create_endpoint(receiver.url, event_types=["y"])
    for _ in range(6):
        await custodes.outbound.emit("x", {})
    await deliver(custodes)
    clock.advance(2 * HOUR)
    await custodes.outbound.emit("x", {})
    failing = await custodes.outbound.get_health_status()
    assert (failing.state, failing.figures["oldest_due_seconds"]) == (Health.HEALTHY, 0)
    assert failing.figures["backlog"] > 0
    report = await custodes.health.check(60)
    assert "outgoing_webhooks" in {system.system for system in report.systems}


@both_engines
async def test_the_rate_of_an_endpoint_is_kept(custodes: Custodes, receiver: Receiver, clock: FakeClock) -> None:
    await custodes.outbound.create_endpoint(receiver.url, options=Options(rate=5))
    for _ in range(30):
        await custodes.outbound.emit("x", {})
    counts: list[int] = []
    for _ in range(4):
        counts.append(await deliver(custodes))
        clock.advance(SECOND)
    assert counts[0] <= 6
    assert all(4 <= count <= 6 for count in counts[1:])


@both_engines
async def test_slow_answers_take_nothing_off_the_rate_of_an_endpoint(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    """Given an endpoint of 5 a second that has proven itself, when it takes long to answer, then each second 5 more
    begin, and the worker knows when."""
    await custodes.outbound.create_endpoint(receiver.url, options=Options(rate=5, concurrency=50))
    worker = custodes.outbound.worker
    for _ in range(5):
        await custodes.outbound.emit("x", {})
    assert await deliver(custodes) == 5
    clock.advance(2 * SECOND)
    answered = asyncio.Event()

    async def late(_receiver: Receiver, _request: web.Request) -> web.StreamResponse:
        await answered.wait()
        return web.Response(status=204)

    receiver.answer = late
    for _ in range(20):
        await custodes.outbound.emit("x", {})
    begun = list[int]()
    for _ in range(3):
        begun.append(await worker.claim())
        assert worker.gates.opens_at(clock.now()) == clock.now() + SECOND // 5
        clock.advance(SECOND)
    assert begun == [5, 5, 5]
    assert worker.running == 15
    answered.set()
    await deliver(custodes)


@pytest.mark.parametrize("rate", [0.7, 1.5, 300])
async def test_a_rate_is_used_up(custodes: Custodes, receiver: Receiver, clock: FakeClock, rate: float) -> None:
    """Given more than a rate allows, when the worker looks at each moment that it is told, then what is sent comes to
    the rate, whatever fraction that is, and one look at such a moment is never in vain."""
    await custodes.outbound.create_endpoint(receiver.url, options=Options(rate=rate, concurrency=100))
    looks = 20
    for _ in range(int(rate) + looks + 2):
        await custodes.outbound.emit("x", {})
    began, sent = clock.now(), await deliver(custodes)
    for _ in range(looks):
        opens_at = custodes.outbound.worker.gates.opens_at(clock.now())
        assert opens_at is not None
        clock.advance(opens_at - clock.now())
        found = await deliver(custodes)
        assert found
        sent += found
    assert sent == pytest.approx(max(rate, 1) + rate * (clock.now() - began) / SECOND, abs=1)


@both_engines
async def test_resending_one_a_selection_and_a_test(custodes: Custodes, receiver: Receiver, clock: FakeClock) -> None:
    """Given deliveries that ended, then one, or a selection, is sent again with the same id; a dry run only counts."""
    made = await custodes.outbound.create_endpoint(receiver.url, retry=ONCE, event_types=["x"])
    receiver.status = 500
    for _ in range(3):
        await custodes.outbound.emit("x", {})
        await deliver(custodes)
        clock.advance(HOUR)
    receiver.status = 204
    failed = DeliveryFilter(endpoint_id=made.endpoint.id, until=clock.now() - HOUR)
    assert await custodes.outbound.resend_many(failed, dry_run=True) == 2
    assert await custodes.outbound.resend_many(failed) == 2
    await deliver(custodes)
    clock.advance(HOUR)
    [left] = await deliveries(custodes, statuses=(DeliveryStatus.FAILED,))
    again = await custodes.outbound.resend(left.id)
    assert again.status is DeliveryStatus.PENDING
    await deliver(custodes)
    assert {each.status for each in await deliveries(custodes)} == {DeliveryStatus.SUCCEEDED}
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 3
    delivery, attempts = await custodes.outbound.get_delivery(left.id)
    assert (delivery.attempts, [attempt.number for attempt in attempts]) == (2, [2, 1])

    message = await custodes.outbound.send_test(made.endpoint.id)
    await deliver(custodes)
    assert (receiver.got[-1].headers["webhook-id"], json.loads(receiver.got[-1].body)["type"]) == (
        message.id, "custodes.test",
    )  # fmt: skip


async def test_an_address_that_may_not_be_reached_is_a_failure_that_tells_nothing(custodes: Custodes) -> None:
    await custodes.outbound.create_endpoint("https://10.1.2.3/hooks")
    await custodes.outbound.emit("x", {})
    await deliver(custodes)
    [delivery] = await deliveries(custodes)
    assert delivery.error == "refused: the address is not allowed"


@both_engines
async def test_what_is_old_and_ended_is_purged_with_all_that_is_its_own(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    await custodes.outbound.create_endpoint(receiver.url, event_types=["x"])
    paused = (await custodes.outbound.create_endpoint(receiver.url, event_types=["held"])).endpoint
    await custodes.outbound.pause_endpoint(paused.id)
    old = await custodes.outbound.emit("x", {})
    held = await custodes.outbound.emit("held", {})
    await deliver(custodes)
    receiver.status = 500
    still_open = await custodes.outbound.emit("x", {})
    await deliver(custodes)
    clock.advance(40 * DAY)
    assert await asyncio.wait_for(custodes.outbound.purge(clock.now() - 30 * DAY, 0), 10) == 0  # it looked for ever
    assert await custodes.outbound.purge(clock.now() - 30 * DAY, 100) == 1
    left = (await custodes.outbound.list_messages()).items
    assert {message.id for message in left} == {still_open.id, held.id}
    assert not await deliveries(custodes, message_id=old.id)


@pytest.mark.parametrize("engine", ENGINES)
async def test_failures_that_end_together_are_written_together(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    """Given failed attempts at several endpoints, one of them twice, and a lease that was lost, When they are settled,
    Then five statements write all of them, each counts, and what was lost is left to who has it now."""
    statements: list[tuple[Any, str]] = []
    made = [await custodes.outbound.create_endpoint(f"{receiver.url}/{n}", event_types=["y"]) for n in range(6)]
    await custodes.outbound.emit("y", {})
    await custodes.outbound.worker.run_due()  # each is proven, and may get more at once
    receiver.status = 500
    for _ in range(2):
        await custodes.outbound.emit("y", {})
    worker: Any = custodes.outbound.worker
    database: Any = custodes.database
    leases = await database.write(lambda tx: worker._take(tx, clock.now(), clock.now(), 16, []))
    assert len(leases) >= 8
    done = [(lease, await worker._doer.do(lease)) for lease in leases]
    lost = replace(leases[0], token=leases[0].token + 7)

    event.listen(
        database._writer_engine, "before_cursor_execute", lambda *given: statements.append((given[0], given[2]))
    )
    settled = await worker._settle([*done[1:], (lost, done[0][1])])

    # Beside it, other processes are told of what was emitted.
    (settling,) = {connection for connection, one in statements if "custodes_jobs" in one}
    told = [one for connection, one in statements if connection is settling and "SAVEPOINT" not in one]
    assert len(told) <= 5, told
    assert settled == [*[True] * (len(leases) - 1), False]
    deliveries = (await custodes.outbound.list_deliveries(limit=50)).items
    failed = {one.id: (one.attempts, one.last_status, one.status) for one in deliveries if one.last_status == 500}
    assert failed == {lease.ref: (1, 500, DeliveryStatus.PENDING) for lease in leases[1:]}
    healths = await custodes.outbound.list_endpoint_healths([one.endpoint.id for one in made])
    assert sum(health.failures for health in healths.values()) == len(leases) - 1
    clock.advance(48 * HOUR)
    receiver.status = 204
    await worker.run_due()
    assert {one.status for one in (await custodes.outbound.list_deliveries(limit=50)).items} == {
        DeliveryStatus.SUCCEEDED
    }


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_failures_that_end_in_two_processes_at_once_all_count_and_are_told_of_once(
    custodes: Custodes, database_url: str, receiver: Receiver, clock: FakeClock
) -> None:
    """Given an endpoint that has failed for half of the time after which it is disabled, of which nobody was told, and
    two processes with a failed attempt each, When one settles while the other has read how the endpoint is doing and
    not written yet, Then both count, and its owner is told once."""
    options = Options(disable_after=10 * HOUR)
    made = await custodes.outbound.create_endpoint(receiver.url, event_types=["y"], options=options)
    watching = await custodes.outbound.create_endpoint(receiver.url, event_types=["custodes.*"])
    database: Any = custodes.database
    failing = EndpointHealth(failures=20, failing_since=clock.now() - 5 * HOUR)
    await database.write(lambda tx: SqlEndpointStore().put_healths(tx, [(made.endpoint, failing)]))
    receiver.status = 500
    async with opened(database_url, clock) as other:
        settled = []
        for one in (custodes, other):
            await custodes.outbound.emit("y", {})
            worker: Any = one.outbound.worker
            [lease] = await database.write(lambda tx, worker=worker: worker._take(tx, clock.now(), clock.now(), 1, []))
            settled.append((worker, [(lease, await worker._doer.do(lease))]))
        (first, ended), (second, ended_too) = settled
        endpoints, before_put = first._doer._endpoints, asyncio.Event()
        loop, put = asyncio.get_running_loop(), endpoints.put_healths

        def put_late(tx: Transaction, found: Any) -> None:
            loop.call_soon_threadsafe(before_put.set)
            until_waited_for(tx, lambda: overtaking is not None and overtaking.done())
            put(tx, found)

        overtaking: asyncio.Task[Any] | None = None
        endpoints.put_healths = put_late
        settling = asyncio.create_task(first._settle(ended))
        await before_put.wait()
        overtaking = asyncio.create_task(second._settle(ended_too))

        assert [await settling, await overtaking] == [[True], [True]]
    health = await custodes.outbound.get_endpoint_health(made.endpoint.id)
    assert (health.failures, health.noticed) == (22, 50)
    assert len(await deliveries(custodes, endpoint_id=watching.endpoint.id)) == 1


def until_waited_for(tx: Transaction, otherwise: Callable[[], bool]) -> None:
    """Hold a transaction until another waits for it, or something else happens."""
    mine = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    while not (otherwise() or connection_of(tx).exec_driver_sql(mine).scalar_one()):
        pass


@both_engines
async def test_a_request_that_emits_passes_its_trace_on(custodes: Custodes, receiver: Receiver) -> None:
    """Given a request that is not sampled, with a tracestate, when it emits, then each delivery says so; an id that is
    told is no part of it, and an endpoint's own tracestate stays."""
    await custodes.outbound.create_endpoint(f"{receiver.url}/hooks", tenant="acme")
    own = Options(headers={"tracestate": "own=1"})
    await custodes.outbound.create_endpoint(f"{receiver.url}/own", tenant="beta", options=own)
    trace = open_trace(f"00-{'c0ffee00' * 4}-{'b7' * 8}-00".encode(), (b"rojo=1",), custodes.random_bits)
    mark = serving.set(SimpleNamespace(trace=trace))  # type: ignore[arg-type]
    try:
        await custodes.outbound.emit("order.shipped", {}, tenant="acme")
        await custodes.outbound.emit("order.shipped", {}, tenant="beta")
        await custodes.outbound.emit("order.told", {}, tenant="acme", trace_id="a" * 32)
    finally:
        serving.reset(mark)
    assert await deliver(custodes) == 3

    told = {json.loads(got.body)["type"] + got.path: got.headers for got in receiver.got}
    assert told["order.shipped/hooks"]["traceparent"].startswith(f"00-{trace.trace_id}-")
    assert told["order.shipped/hooks"]["traceparent"].endswith("-00")
    assert told["order.shipped/hooks"]["tracestate"] == "rojo=1"
    assert told["order.shipped/own"]["tracestate"] == "own=1"
    assert told["order.told/hooks"]["traceparent"].endswith("-01")
    assert "tracestate" not in told["order.told/hooks"]
