"""Webhooks that never arrived are found at their origin and fetched; silence is told."""

import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from tests.servers.github import TOKEN, GitHubStandIn

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.errors import ConfigurationError, NotFound
from custodes.kernel.clock import DAY, HOUR, MINUTE, to_iso
from custodes.kernel.health import Health
from custodes.kernel.signals import FailureSignal
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.inbound import completeness
from custodes.planes.inbound.model import Verdict
from custodes.planes.inbound.origins import GitHubDeliveries, StripeEvents
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock
from custodes.testing.webhooks import signed_webhook

SECRET = "secret of the hook"


@pytest.fixture
async def github() -> AsyncIterator[GitHubStandIn]:
    server = GitHubStandIn(SECRET)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
async def custodes(request: pytest.FixtureRequest, clock: FakeClock, github: GitHubStandIn) -> AsyncIterator[Custodes]:
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    made = Custodes(url, clock=clock, outbound_allow_http=True, outgoing_allow_networks="127.0.0.0/8")
    made.source("github", [SECRET])
    made.reconcile("github", GitHubDeliveries(TOKEN, "acme/shop/hooks/7", api=github.url), look_back=DAY)
    await made.database.open()
    await made.audit.start()
    yield made
    await made.audit.stop()
    await made.inbound.stop()
    await made.outgoing.close()
    await made.database.close()


def ago(custodes: Custodes, micros: int) -> str:
    return to_iso(custodes.clock.now() - micros)


async def deliver(custodes: Custodes, body: bytes, guid: str) -> None:
    registration = custodes.inbound.source("github")
    assert registration is not None
    signed = signed_webhook("github", body, SECRET, now=custodes.clock.now(), event_id=guid)
    await custodes.inbound.receive(registration, signed.request, trace_id="a" * 32, client_ip="")


async def test_what_never_arrived_is_fetched_once_with_the_bytes_that_were_sent(custodes, github, clock):
    told: list[FailureSignal] = []
    custodes.bus.subscribe(FailureSignal, told.append)
    # Given three deliveries, of which the second never arrived
    first = github.send("guid-1", ago(custodes, 3 * HOUR), {"n": 1})
    lost = github.send("guid-2", ago(custodes, 2 * HOUR), {"n": 2, "name": "Zoë"})
    third = github.send("guid-3", ago(custodes, HOUR), {"n": 3})
    await deliver(custodes, first, "guid-1")
    await deliver(custodes, third, "guid-3")

    # When the source is compared
    proof = await custodes.completeness.reconcile("github")

    # Then it is there, marked, with its job, and the source is complete up to a little before now
    [event] = [each for each in (await custodes.inbound.list_events()).items if each.event_id == "guid-2"]
    assert (event.verdict, event.event_type, event.status) == (Verdict.RECONCILED, "push", "received")
    assert (await custodes.inbound.get_payload(event.id)).body == lost
    assert (proof.fetched, proof.lost, proof.error) == (1, 0, "")
    assert proof.proven_until == clock.now() - completeness.SETTLE
    assert [signal.name for signal in told] == ["webhook.gap_healed"]

    # And when it arrives after all, or is compared again, it stays one event
    await deliver(custodes, lost, "guid-2")
    clock.advance(HOUR)
    assert (await custodes.completeness.reconcile("github")).fetched == 1
    assert len((await custodes.inbound.list_events()).items) == 3


async def test_a_handler_gets_it_as_verified(custodes, github, clock):
    seen: list[tuple[str, bool, object]] = []

    @custodes.webhook("github", name="books")
    async def handler(event) -> None:
        seen.append((event.type, event.verified, event.json()))

    github.send("guid-1", ago(custodes, HOUR), {"n": 1})
    await custodes.completeness.reconcile("github")
    await custodes.inbound.worker.run_due()

    assert seen == [("push", True, {"n": 1})]


async def test_a_webhook_in_a_form_is_fetched_as_the_form_that_was_sent(custodes, github, clock):
    """Given a webhook whose content type is a form, then the form whose signature holds is fetched, once."""
    lost = github.send("guid-1", ago(custodes, HOUR), {"name": "Zoë + ~*"}, form=True)

    assert (await custodes.completeness.reconcile("github")).fetched == 1
    [event] = (await custodes.inbound.list_events()).items
    assert (await custodes.inbound.get_payload(event.id)).body == lost
    await deliver(custodes, lost, "guid-1")
    assert len((await custodes.inbound.list_events()).items) == 1


async def test_what_may_be_on_its_way_is_left_alone(custodes, github, clock):
    github.send("guid-1", ago(custodes, MINUTE), {"n": 1})

    assert (await custodes.completeness.reconcile("github")).fetched == 0

    clock.advance(completeness.SETTLE)
    assert (await custodes.completeness.reconcile("github")).fetched == 1


async def test_what_was_sent_before_the_first_comparison_is_not_fetched(custodes, github, clock):
    github.send("guid-1", ago(custodes, DAY + HOUR), {"n": 1})

    proof = await custodes.completeness.reconcile("github")

    assert (proof.fetched, proof.since) == (0, clock.now() - DAY)


async def test_a_long_list_is_gone_through_in_bounded_turns(custodes, github, monkeypatch: pytest.MonkeyPatch):
    # Given 25 lost deliveries, pages of 3, and turns of two pages
    github.per_page = 3
    monkeypatch.setattr(completeness, "MAX_PAGES", 2)
    for number in range(25):
        github.send(f"guid-{number}", ago(custodes, HOUR + number * MINUTE), {"n": number})

    # When it is compared turn by turn
    turns = [await custodes.completeness.reconcile("github") for _ in range(5)]

    # Then each goes on where the one before ended, and the proof comes at the end
    assert [turn.fetched for turn in turns] == [6, 12, 18, 24, 25]
    assert [turn.proven_at is None for turn in turns] == [True, True, True, True, False]
    assert len([path for path in github.asked if "/deliveries?" in path]) == 9


async def test_a_turn_fetches_a_bounded_number(custodes, github, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(completeness, "MAX_FETCHED", 2)
    for number in range(5):
        github.send(f"guid-{number}", ago(custodes, HOUR + number * MINUTE), {"n": number})

    fetched = [(await custodes.completeness.reconcile("github")).fetched for _ in range(3)]

    assert fetched == [2, 4, 5]


async def test_a_payload_that_the_sender_has_no_more_is_told_and_counted_once(custodes, github, clock):
    told: list[FailureSignal] = []
    custodes.bus.subscribe(FailureSignal, told.append)
    github.send("guid-1", ago(custodes, completeness.SETTLE + MINUTE), {"n": 1})
    github.sent[0].payload = None

    first = await custodes.completeness.reconcile("github")
    clock.advance(MINUTE)
    again = await custodes.completeness.reconcile("github")

    assert (first.lost, again.lost) == (1, 1)
    assert "but for 1 events" in again.summary(clock.now())
    assert [signal.name for signal in told] == ["webhook.lost"]


async def test_what_is_lost_is_not_counted_again_by_a_comparison_that_begins_anew(custodes, github, clock, monkeypatch):
    # Given pages of one, of which the first is lost and the second is not answered
    told: list[FailureSignal] = []
    custodes.bus.subscribe(FailureSignal, told.append)
    github.per_page = 1
    for number in range(2):
        github.send(f"guid-{number}", ago(custodes, 2 * HOUR - number * MINUTE), {"n": number})
    github.sent[1].payload = None
    github.fails_from = 1

    # When the source is compared again and again, and at last to the end
    counts = [(await custodes.completeness.reconcile("github")).lost for _ in range(3)]
    github.fails_from = None
    proof = await custodes.completeness.reconcile("github")

    # Then it is counted once, with the comparison that reached the end, and told once
    assert (counts, proof.lost, proof.fetched) == ([0, 0, 0], 1, 1)
    assert [signal.name for signal in told] == ["webhook.gap_healed", "webhook.lost"]


async def test_bytes_that_cannot_be_made_again_are_taken_on_the_senders_word(custodes, github):
    github.send("guid-1", ago(custodes, HOUR), {"n": 1})
    github.sent[0].signature = "sha256=" + "0" * 64  # it was sent in another form

    await custodes.completeness.reconcile("github")

    [event] = (await custodes.inbound.list_events()).items
    assert (event.verdict, event.event_id, event.event_type) == (Verdict.RECONCILED, "guid-1", "push")


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_a_sender_that_does_not_answer_is_told_and_proves_nothing(custodes, github, clock, status: int):
    await custodes.completeness.reconcile("github")
    github.status = status
    clock.advance(2 * HOUR)

    proof = await custodes.completeness.reconcile("github")
    health = await custodes.completeness.get_health_status()

    assert str(status) in proof.error
    assert TOKEN not in repr(proof)
    assert proof.summary(clock.now()).startswith("Complete, last proven 2 h ago. The last comparison failed")
    assert health.state is Health.DEGRADED
    assert "unproven for" in health.reasons[0]


async def test_the_client_is_the_guarded_one(tmp_path, clock, github):
    # Given an install that may not call private networks
    strict = Custodes(f"sqlite:///{tmp_path}/strict.db", clock=clock, outbound_allow_http=True)
    strict.source("github", [SECRET])
    strict.reconcile("github", GitHubDeliveries(TOKEN, "acme/shop/hooks/7", api=github.url), look_back=DAY)
    await strict.open()

    proof = await strict.completeness.reconcile("github")
    await strict.outgoing.close()
    await strict.close()

    assert "not allowed" in proof.error
    assert github.asked == []


async def test_an_operator_sees_it_and_has_it_done_now(custodes, github, clock):
    github.send("guid-1", ago(custodes, HOUR), {"n": 1})
    transport = httpx2.ASGITransport(create_admin_app(custodes))
    headers = await key_for(custodes)
    base = "https://ops.test/api/admin/enterprise"
    async with httpx2.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
        [before] = (await client.get("/webhook-completeness")).json()["items"]
        done = await client.post("/webhook-completeness/github", json={"reason": "after the outage"})
        clock.advance(4 * MINUTE)
        [after] = (await client.get("/webhook-completeness")).json()["items"]
        missing = await client.post("/webhook-completeness/stripe", json={})

    assert before["summary"] == "Not proven complete yet"
    assert (done.status_code, done.json()["fetched"]) == (200, 1)
    assert after["summary"] == "Complete, last proven 4 min ago"
    assert missing.status_code == 404
    [entry] = (await custodes.audit.list_entries(AuditQuery(action="webhook.reconciled"))).items
    assert [str(target.id) for target in entry.targets] == ["github"]
    assert entry.reason == "after the outage"


async def test_a_source_that_usually_speaks_and_is_silent_is_told(custodes, clock):
    told: list[FailureSignal] = []
    custodes.bus.subscribe(FailureSignal, told.append)
    # Given nine days with a delivery an hour
    for number in range(9 * 24):
        clock.advance(HOUR)
        await deliver(custodes, json.dumps([number]).encode(), f"guid-{number}")
    await custodes.completeness.look_for_silence()
    assert told == []

    # When it falls silent
    clock.advance(12 * HOUR)
    await custodes.inbound.flush()
    await custodes.completeness.look_for_silence()

    # Then it is told, again and again while it lasts, and shown
    await custodes.completeness.look_for_silence()
    assert [signal.name for signal in told] == ["webhook.silent"] * 2
    assert "usually 12 " in told[0].summary
    assert (await custodes.completeness.get_health_status()).figures["silent_sources"] == 1
    [proof] = await custodes.completeness.list_proofs()
    assert proof.summary(clock.now()).startswith("Silent for 12 h")

    # And it is over with the next delivery
    await deliver(custodes, b"[]", "back")
    await custodes.completeness.look_for_silence()
    assert (await custodes.completeness.get_health_status()).figures["silent_sources"] == 0


async def test_a_refusal_is_diagnosed_for_the_operator(custodes):
    registration = custodes.inbound.source("github")
    signed = signed_webhook("github", b'{"n":1}', SECRET, now=custodes.clock.now())
    changed = type(signed.request)(signed.request.headers, b'{"n": 1}')
    with pytest.raises(Exception, match="No secret"):
        await custodes.inbound.receive(registration, changed, trace_id="a" * 32, client_ip="")
    [refusal] = (await custodes.inbound.list_refusals()).items
    transport = httpx2.ASGITransport(create_admin_app(custodes))
    headers = await key_for(custodes)
    base = "https://ops.test/api/admin/enterprise"
    async with httpx2.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
        answer = await client.get(f"/webhook-refusals/{refusal.id}/diagnosis")
        stranger = await client.get(f"/webhook-refusals/{refusal.id}/diagnosis", headers={"X-API-Key": "none"})

    assert [item["code"] for item in answer.json()["items"]] == ["body-changed"]
    assert SECRET not in answer.text
    assert stranger.status_code == 401


def test_origins_that_cannot_be_are_refused(tmp_path):
    custodes = Custodes(f"sqlite:///{tmp_path}/c.db")
    custodes.source("github", [SECRET])

    with pytest.raises(ConfigurationError, match="of kind stripe"):
        custodes.reconcile("github", StripeEvents("rk_test"))
    with pytest.raises(ConfigurationError, match="not a webhook"):
        GitHubDeliveries(TOKEN, "acme/shop")
    with pytest.raises(ConfigurationError, match="no key"):
        StripeEvents("")
    with pytest.raises(ConfigurationError, match="look back"):
        custodes.reconcile("github", GitHubDeliveries(TOKEN, "acme/shop/hooks/7"), look_back=31 * DAY)


async def test_a_source_without_an_origin_is_told_so(tmp_path):
    custodes = Custodes(f"sqlite:///{tmp_path}/c.db")

    with pytest.raises(NotFound):
        await custodes.completeness.reconcile("github")
