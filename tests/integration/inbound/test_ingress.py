"""The door for webhooks, spoken to in ASGI: what is accepted, what is refused, and what a refusal costs."""

import asyncio
import json
import threading
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from custodes import Custodes
from custodes.asgi.bodies import Bodies
from custodes.asgi.ingress import BODY_SECONDS, MAX_HEADER_BYTES, MAX_HEADERS, STRIPE_ENHANCED, Ingress
from custodes.errors import StorageUnavailable
from custodes.kernel.clock import MINUTE, SECOND
from custodes.kernel.health import Health
from custodes.kernel.json_bounds import JsonBounds, parse_json
from custodes.kernel.signals import SecuritySignal
from custodes.planes.inbound.model import EventFilter, Status
from custodes.planes.inbound.sources.base import Source, Verified
from custodes.runtime import writer
from custodes.runtime.current import current_client_ip, current_trace
from custodes.storage.sql.database import connection_of
from custodes.testing.asgi import body, converse, http_scope
from custodes.testing.clock import FakeClock
from custodes.testing.webhooks import signed_webhook

SECRET = "whsec_of_the_ingress"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def custodes(sqlite_url: str, clock: FakeClock, random_bits) -> AsyncIterator[Custodes]:
    made = Custodes(sqlite_url, clock=clock, random_bits=random_bits, webhook_ip_limit="60/minute")
    made.source("stripe", secrets=[SECRET], max_body=100_000)
    made.source("slack", secrets=["slack-secret"])
    await made.database.open()
    yield made
    await made.inbound.stop()
    await made.database.close()


@pytest.fixture
def ingress(custodes: Custodes) -> Ingress:
    return Ingress(custodes)


def stripe(clock: FakeClock, event_id: str = "evt_1", *, secret: str = SECRET, padding: int = 0):
    text = json.dumps({"id": event_id, "type": "invoice.paid", "padding": "x" * padding})
    return signed_webhook("stripe", text, secret, now=clock.now())


async def post(ingress: Ingress, path: str, *chunks: bytes, method: str = "POST", headers=None, client="203.0.113.7"):
    scope = http_scope(path, method, headers=headers or {}, client=(client, 4711))
    return await converse(ingress, scope, body(*chunks))


async def count(custodes: Custodes, table: str) -> int:
    return await custodes.database.read(
        lambda tx: connection_of(tx).exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
    )


@pytest.mark.parametrize("path", ["/hooks/stripe", STRIPE_ENHANCED])
async def test_a_signed_delivery_is_on_the_disk_before_the_2xx(custodes, ingress, clock, path: str):
    signed = stripe(clock)

    answer = await post(ingress, path, signed.body, headers={**signed.headers, "traceparent": TRACEPARENT})

    assert answer.status == 200
    told = json.loads(answer.body)
    assert told["status"] == "accepted"
    record = await custodes.inbound.get_event(told["id"])
    assert (record.source, record.event_id, record.status) == ("stripe", "evt_1", Status.RECEIVED)
    assert (record.trace_id, record.client_ip) == (TRACEPARENT[3:35], "203.0.113.7")
    payload = await custodes.inbound.get_payload(told["id"])
    assert payload.body == signed.body


@pytest.mark.parametrize("path", ["/ops/hooks/twilio", "/hooks/twilio"])
async def test_a_signed_url_is_the_public_one_whether_or_not_a_proxy_takes_its_path_away(
    sqlite_url: str, clock: FakeClock, path: str
):
    """Given a public URL with a path; then Twilio's signature of it holds, mounted there or behind a proxy."""
    made = Custodes(sqlite_url, clock=clock, public_url="https://app.example.com/ops")
    made.source("twilio", secrets=["token"])
    await made.database.open()
    called = "https://app.example.com/ops/hooks/twilio?a=1"
    signed = signed_webhook("twilio", b"MessageSid=SM1&MessageStatus=sent", "token", url=called)
    scope = http_scope(f"{path}?a=1", "POST", headers=signed.headers)
    if path.startswith("/ops"):
        scope["root_path"] = "/ops"

    answer = await converse(Ingress(made), scope, body(signed.body))

    assert answer.status == 200, answer.body
    await made.inbound.stop()
    await made.database.close()


async def test_a_delivery_without_a_trace_begins_one_that_is_numbered_as_its_event(custodes, ingress, clock):
    signed = stripe(clock)
    two_parents = [(name.lower().encode(), value.encode()) for name, value in signed.headers.items()]
    two_parents += [(b"traceparent", TRACEPARENT.encode())] * 2

    first = await post(ingress, "/hooks/stripe", signed.body, headers=signed.headers)
    clock.advance(SECOND)
    other = stripe(clock, "evt_2")
    second = await post(ingress, "/hooks/stripe", other.body, headers=other.headers)
    repeated = await post(ingress, "/hooks/stripe", signed.body, headers=two_parents)

    ids = [json.loads(answer.body)["id"] for answer in (first, second)]
    traces = [(await custodes.inbound.get_event(event_id)).trace_id for event_id in ids]
    assert traces == [event_id.replace("-", "") for event_id in ids]
    assert traces == sorted(traces)
    assert json.loads(repeated.body) == {"status": "duplicate", "id": ids[0]}


async def test_a_source_of_the_hosts_own_finds_trace_and_address(custodes, ingress):
    seen = []

    class Asking(Source):
        name = "asking"

        def verify(self, request, now) -> Verified:
            seen.append((current_trace().trace_id, current_trace().parent_id, current_client_ip(), request.url))
            return Verified(event_id="1", event_type="", dedupe_key="1")

    custodes.inbound.add_source(Asking(["secret"]))

    answer = await post(ingress, "/hooks/asking?a=1", b"{}", headers={"traceparent": TRACEPARENT})

    assert answer.status == 200
    assert seen == [(TRACEPARENT[3:35], TRACEPARENT[36:52], "203.0.113.7", "http://testserver/hooks/asking?a=1")]
    assert current_trace() is None


async def test_deliveries_and_repeats_in_one_group_are_told_apart(custodes, ingress, clock):
    """Given first deliveries and repeats under way together, then each event is kept once, with one payload and job."""
    signed = [stripe(clock, f"evt_{number % 20}") for number in range(60)]

    answers = await asyncio.gather(
        *(post(ingress, "/hooks/stripe", one.body, headers=one.headers) for one in signed[:60])
    )

    told = [json.loads(answer.body) for answer in answers]
    assert [one["status"] for one in told].count("accepted") == 20
    assert len({one["id"] for one in told}) == 20
    assert [await count(custodes, table) for table in ("webhook_events", "webhook_payloads", "custodes_jobs")] == [
        20
    ] * 3


async def test_credentials_in_headers_are_masked_and_signatures_are_kept(custodes, ingress, clock):
    signed = stripe(clock)
    secrets = {"authorization": "Bearer abc", "cookie": "session=abc", "x-api-key": "abc", "x-gitlab-token": "abc"}

    answer = await post(ingress, "/hooks/stripe", signed.body, headers={**signed.headers, **secrets})

    headers = dict((await custodes.inbound.get_payload(json.loads(answer.body)["id"])).headers)
    assert {headers[name] for name in secrets} == {"[redacted]"}
    assert headers["stripe-signature"] == signed.headers["stripe-signature"]


async def test_a_repeat_is_answered_2xx_with_the_same_id(custodes, ingress, clock):
    signed = stripe(clock)

    first = await post(ingress, "/hooks/stripe", signed.body, headers=signed.headers)
    second = await post(ingress, "/hooks/stripe", signed.body, headers=signed.headers)

    assert (first.status, second.status) == (200, 200)
    assert json.loads(second.body) == {"status": "duplicate", "id": json.loads(first.body)["id"]}
    assert await count(custodes, "webhook_events") == 1


async def test_a_body_in_many_parts_is_put_together(custodes, ingress, clock):
    signed = stripe(clock, padding=5_000)
    parts = [signed.body[at : at + 100] for at in range(0, len(signed.body), 100)]

    answer = await post(ingress, "/hooks/stripe", *parts, headers=signed.headers)

    assert answer.status == 200
    assert (await custodes.inbound.get_payload(json.loads(answer.body)["id"])).body == signed.body


async def test_a_wrong_signature_is_refused_without_a_word_why(custodes, ingress, clock):
    forged, honest = stripe(clock, secret="whsec_wrong"), stripe(clock)
    for signed, sent in ((forged, forged.body), (honest, honest.body + b" ")):
        answer = await post(ingress, "/hooks/stripe", sent, headers=signed.headers)

        assert answer.status == 401
        assert answer.headers[b"content-type"] == b"application/problem+json"
        problem = json.loads(answer.body)
        assert (problem["status"], problem["code"]) == (401, "signature-refused")
        assert "secret" not in answer.body.decode()
    missing = await post(ingress, "/hooks/stripe", b"{}")
    assert (missing.status, missing.body) == (401, answer.body)


async def test_a_flood_of_refused_deliveries_writes_next_to_nothing(custodes, clock):
    """Given 2,000 forged deliveries, then nothing is written by them but a few samples and counts, at the flush."""
    told: list[SecuritySignal] = []
    custodes.bus.subscribe(SecuritySignal, told.append)
    ingress = Ingress(custodes)
    before = custodes.database._writer.payloads
    for number in range(2_000):
        await post(
            ingress, "/hooks/stripe", b"{}", headers={"stripe-signature": "t=1,v1=00"}, client=f"2001:db8:{number:x}::1"
        )
    assert custodes.database._writer.payloads == before

    await custodes.inbound.flush()

    assert custodes.database._writer.payloads == before + 1
    assert await count(custodes, "webhook_events") == 0
    assert await count(custodes, "webhook_refusals") == 3
    [reason] = (await custodes.inbound.get_webhook_analytics()).refused
    assert reason.count == 2_000
    refused = [signal for signal in told if signal.action == "webhook.signature_refused"]
    assert len(refused) == 20
    clock.advance(11 * SECOND)
    await custodes.inbound.flush()
    summed = [signal for signal in told if signal.action == "webhook.signature_refused"][-1]
    assert summed.context["count"] == 1_980


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-length": "100001"}, 413),
        ({"content-length": "9" * 30}, 413),
        ({"content-length": "-5"}, 413),
        ({"content-encoding": "gzip"}, 415),
        ({"content-encoding": "identity"}, 401),
        ({f"x-{number}": "1" for number in range(MAX_HEADERS + 1)}, 431),
        ({"x-big": "1" * MAX_HEADER_BYTES}, 431),
    ],
)
async def test_limits_on_headers(ingress, headers, status: int):
    answer = await post(ingress, "/hooks/stripe", b"{}", headers=headers)

    assert answer.status == status
    assert answer.headers[b"content-type"] == b"application/problem+json"
    assert json.loads(answer.body)["status"] == status


async def test_headers_of_megabytes_cost_next_to_nothing_and_none_is_kept(ingress, custodes):
    """Given names of headers of 1 MB and queries of 60 kB, as servers take them, then refusals keep none of them."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(30):
            headers = {f"x-{number}-{'y' * 1_000_000}": "1"} if number % 2 else {f"x-{number}-{'y' * 30_000}": "1"}
            scope = http_scope("/hooks/stripe", "POST", headers=headers, client=("203.0.113.7", 4711))
            scope["query_string"] = b"%d" % number + b"q" * 60_000
            answer = await converse(ingress, scope, body(b"{}"))
            assert answer.status == (431 if number % 2 else 401)
        del headers, scope, answer
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert after - before < 500_000
    refusals = (await custodes.inbound.list_refusals()).items
    assert {refusal.reason for refusal in refusals} == {"missing-signature", "invalid-input"}


async def test_an_endless_body_is_cut_off_at_the_limit(ingress):
    read = 0

    async def receive():
        nonlocal read
        read += 10_000
        return {"type": "http.request", "body": b"x" * 10_000, "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    await ingress(http_scope("/hooks/stripe", "POST"), receive, send)

    assert sent[0]["status"] == 413
    assert read <= 100_000 + 10_000


@pytest.mark.parametrize("begun", [[], [{"type": "http.request", "body": b"{", "more_body": True}]])
async def test_a_body_that_does_not_come_is_not_waited_for(ingress, monkeypatch, begun):
    """Given a sender that stops, before the first byte of the body or after it, then it is told so in time."""
    monkeypatch.setattr("custodes.asgi.ingress.BODY_SECONDS", 0.01)
    parts, sent = list(begun), []

    async def receive():
        if parts:
            return parts.pop(0)
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await ingress(http_scope("/hooks/stripe", "POST"), receive, send)

    assert sent[0]["status"] == 408


async def test_unfinished_bodies_fill_no_memory_and_the_largest_gives_way(custodes, ingress, clock, monkeypatch):
    """Given senders that begin bodies and do not end them, then an honest delivery in parts finds room among them."""
    ingress._bodies = Bodies(most=100_000)
    signed = stripe(clock)
    statuses: dict[str, int] = {}

    def delivery(name: str, parts: list[bytes], *, ends: bool):
        more = asyncio.Event()

        async def receive():
            if parts:
                part = parts.pop(0)
                return {"type": "http.request", "body": part, "more_body": bool(parts) or not ends}
            await more.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            statuses.setdefault(name, message.get("status", 0))
            if message["type"] == "http.response.start" and message["status"] == 503:
                assert dict(message["headers"])[b"retry-after"]

        scope = http_scope("/hooks/stripe", "POST", headers=signed.headers)
        return asyncio.ensure_future(ingress(scope, receive, send)), more

    held = [delivery(f"large {number}", [b"x" * 10_000] * 4, ends=False) for number in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert ingress._bodies.held <= 100_000
    half = len(signed.body) // 2
    honest, _ = delivery("honest", [signed.body[:half], signed.body[half:]], ends=True)
    await honest

    assert statuses["honest"] == 200
    for task, more in held:
        more.set()
        await task
    assert sorted(status for name, status in statuses.items() if name != "honest") == [401, 401, 503]
    assert (ingress._bodies.held, ingress._bodies.gave_way) == (0, 1)


async def test_a_body_that_has_come_already_sets_no_timer(ingress, clock, monkeypatch):
    """To set a timer for each delivery and to take it back would cost as much as its signature."""
    loop, delays = asyncio.get_running_loop(), []
    set_timer = loop.call_at

    def call_at(when, *rest, **more):
        delays.append(when - loop.time())
        return set_timer(when, *rest, **more)

    monkeypatch.setattr(loop, "call_at", call_at)
    signed = stripe(clock)

    assert (await post(ingress, "/hooks/stripe", signed.body, headers=signed.headers)).status == 200
    assert all(delay < BODY_SECONDS / 2 for delay in delays)


async def test_a_sender_that_leaves_in_the_middle_leaves_nothing_behind(custodes, ingress, clock):
    scope = http_scope("/hooks/stripe", "POST", headers=stripe(clock).headers)
    answer = await converse(
        ingress,
        scope,
        [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}],
    )

    assert answer.sent == []
    assert await count(custodes, "webhook_events") == 0


async def test_other_methods_and_other_paths(ingress):
    assert (await post(ingress, "/hooks/nobody", b"{}")).status == 404
    assert (await post(ingress, "/hooks/stripe/more", b"{}")).status == 404
    answer = await post(ingress, "/hooks/stripe", method="GET")
    assert (answer.status, answer.headers[b"allow"]) == (405, b"POST")
    assert ingress.handles("/hooks/stripe")
    assert ingress.handles(STRIPE_ENHANCED)
    assert not ingress.handles("/hooks/nobody")


async def test_slacks_handshake_is_answered(custodes, ingress, clock):
    signed = signed_webhook(
        "slack", {"type": "url_verification", "challenge": "3eZbrw1a"}, "slack-secret", now=clock.now()
    )

    told: list[SecuritySignal] = []
    custodes.bus.subscribe(SecuritySignal, told.append)

    answer = await post(ingress, "/hooks/slack", signed.body, headers=signed.headers)

    assert (answer.status, b"3eZbrw1a" in answer.body) == (200, True)
    assert await count(custodes, "webhook_events") == 0
    assert [(signal.action, signal.target) for signal in told] == [
        ("webhook.signature_verified", "webhook_source:slack")
    ]


async def test_one_address_may_not_send_without_end(ingress, clock):
    statuses = [(await post(ingress, "/hooks/stripe", b"{}")).status for _ in range(61)]
    refused = await post(ingress, "/hooks/stripe", b"{}")
    other = await post(ingress, "/hooks/stripe", b"{}", client="198.51.100.1")

    assert statuses[:60] == [401] * 60
    assert refused.status == 429
    assert b"retry-after" in refused.headers
    assert other.status == 401
    clock.advance(2 * MINUTE)
    assert (await post(ingress, "/hooks/stripe", b"{}")).status == 401


async def test_what_the_limit_of_an_address_turns_away_is_counted_sampled_and_seen_in_health(custodes, ingress, clock):
    """Given a sender that is over its limit, then the board says so: a sender may never deliver those again."""
    verdicts: list[SecuritySignal] = []
    custodes.bus.subscribe(SecuritySignal, verdicts.append)
    for number in range(60):
        signed = stripe(clock, f"evt_{number}")
        assert (await post(ingress, "/hooks/stripe", signed.body, headers=signed.headers)).status == 200
    late = stripe(clock, "evt_late")

    statuses = {(await post(ingress, "/hooks/stripe", late.body, headers=late.headers)).status for _ in range(40)}

    assert statuses == {429}
    assert not [one for one in verdicts if one.action in ("webhook.signature_refused", "webhook.suspicious")]
    assert [await count(custodes, f"webhook_refusal{end}") for end in ("s", "_counts")] == [
        0,
        0,
    ]  # no writes of their own
    found = await custodes.inbound.get_webhook_analytics()
    assert [(one.source, one.reason, one.count) for one in found.refused] == [("stripe", "over-limit", 40)]
    assert (found.total.received, found.total.refused) == (60, 40)
    samples = (await custodes.inbound.list_refusals(reason="over-limit")).items
    assert [(one.client_ip, one.body_bytes, one.body_head) for one in samples] == [("203.0.113.7", 0, b"")] * 3
    assert "stripe-signature" in dict(samples[0].headers)
    told = await custodes.inbound.diagnose_refusal(samples[0].id)
    assert [(one.code, one.proven) for one in told] == [("over-limit", True)]
    health = await custodes.inbound.get_health_status()
    assert (health.state, health.figures["refused_share"]) == (Health.DEGRADED, 0.4)


async def test_a_store_that_is_down_is_a_503_and_nothing_is_accepted(custodes, ingress, clock, monkeypatch):
    def down(*_):
        raise StorageUnavailable("no disk")

    monkeypatch.setattr(custodes.database, "ingest", down)
    signed = stripe(clock)

    answer = await post(ingress, "/hooks/stripe", signed.body, headers=signed.headers)

    assert (answer.status, answer.headers[b"retry-after"]) == (503, b"5")
    assert b"no disk" not in answer.body


async def test_an_outage_is_told_once_in_a_while_and_not_for_each_delivery(
    custodes, ingress, clock, monkeypatch, caplog: pytest.LogCaptureFixture
):
    """Given thirty deliveries that cannot be kept; then the log says so once, and again with their number."""

    def down(*_):
        raise StorageUnavailable("no disk")

    monkeypatch.setattr(custodes.database, "ingest", down)
    signed = stripe(clock)
    for _ in range(30):
        await post(ingress, "/hooks/stripe", signed.body, headers=signed.headers)
    clock.advance(10 * SECOND)
    await post(ingress, "/hooks/stripe", signed.body, headers=signed.headers)

    told = [record.getMessage() for record in caplog.records if "delivery_not_kept" in record.getMessage()]
    assert [json.loads(line)["untold"] for line in told] == [0, 29]


async def test_a_store_that_hangs_is_a_503_in_time(custodes, clock, monkeypatch):
    """Given the disk hangs, then the sender has its answer in time, and the store goes on when the disk does."""
    may_go_on = threading.Event()
    commit = custodes.database._writer._commit
    monkeypatch.setattr(custodes.database._writer, "_commit", lambda group: (may_go_on.wait(30), commit(group)))
    signed = stripe(clock)

    with monkeypatch.context() as hasty:
        hasty.setattr(writer, "PATIENCE_SECONDS", 0.5)
        answer = await post(Ingress(custodes), "/hooks/stripe", signed.body, headers=signed.headers)
    may_go_on.set()
    again = await post(Ingress(custodes), "/hooks/stripe", signed.body, headers=signed.headers)

    assert answer.status == 503
    assert (again.status, json.loads(again.body)["status"]) == (200, "duplicate")


async def test_a_verifier_with_a_fault_keeps_the_door_shut(custodes, ingress):
    class Faulty(Source):
        name = "faulty"

        def verify(self, request, now) -> Verified:
            raise KeyError("a fault of the host's own code")

    custodes.inbound.add_source(Faulty(["secret"]))

    answer = await post(ingress, "/hooks/faulty", b"{}")

    assert answer.status == 401
    await custodes.inbound.flush()
    [refusal] = (await custodes.inbound.list_refusals()).items
    assert refusal.reason == "verifier-failed"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"event_id": "1"},
        Verified(1, "t", "1"),
        Verified("1", 6, "1"),
        Verified("1", b"t", "1"),
        Verified("1", "t", ""),
        Verified("1" * 256, "t", "1"),
        Verified("1", "t" * 256, "1"),
        Verified("1", "t", "1" * 256),
        Verified("1\0", "t", "1"),
        Verified("1", "\ud800", "1"),
    ],
    ids=repr,
)
async def test_a_source_that_does_not_keep_its_word_harms_no_other(custodes, ingress, clock, caplog, answer):
    """Given a type that is a number, then the figures of all sources could not be written any more."""

    class Wordless(Source):
        name = "wordless"

        def verify(self, request, now) -> Verified:
            return answer

    custodes.inbound.add_source(Wordless(["secret"]))
    good = stripe(clock)

    refused = await post(ingress, "/hooks/wordless", b"{}")
    accepted = await post(ingress, "/hooks/stripe", good.body, headers=good.headers)

    assert (refused.status, accepted.status) == (401, 200)
    assert "source_failed" in caplog.text
    await custodes.inbound.flush()
    [refusal] = (await custodes.inbound.list_refusals()).items
    assert (refusal.source, refusal.reason) == ("wordless", "verifier-failed")


async def test_a_handshake_that_is_no_bytes_is_no_half_answer(custodes, ingress):
    class Chatty(Source):
        name = "chatty"

        def verify(self, request, now) -> Verified:
            return Verified("1", "t", "1")

        def challenge(self, request):
            return "a text"

    custodes.inbound.add_source(Chatty(["secret"]))

    assert (await post(ingress, "/hooks/chatty", b"{}")).status == 401


async def test_a_body_that_a_source_finds_too_large_is_told_so(custodes, ingress):
    class Narrow(Source):
        name = "narrow"

        def verify(self, request, now) -> Verified:
            parse_json(request.body, JsonBounds(size=1))
            raise AssertionError

    custodes.inbound.add_source(Narrow(["secret"]))

    answer = await post(ingress, "/hooks/narrow", b"{}")

    told = json.loads(answer.body)
    assert (answer.status, told["status"], told["code"]) == (413, 413, "payload-too-large")


async def test_behind_a_mount_everything_else_stays_the_hosts(custodes, clock):
    async def host(scope, receive, send):
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"host"})

    app = custodes.wrap(host)
    signed = stripe(clock)

    accepted = await converse(app, http_scope("/hooks/stripe", "POST", headers=signed.headers), body(signed.body))
    hosts = await converse(app, http_scope("/hooks/nobody", "POST"), body(b"{}"))

    assert (accepted.status, hosts.status) == (200, 418)
    page = await custodes.inbound.list_events(EventFilter(source="stripe"))
    assert len(page.items) == 1
    await custodes.stop()
