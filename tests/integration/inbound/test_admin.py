"""The admin API of incoming webhooks: reading, exact bytes, replay with its audit entry, tenants apart."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from custodes import Custodes, WebhookEvent
from custodes.admin.app import create_admin_app
from custodes.errors import SignatureRefused, StorageUnavailable
from custodes.kernel.clock import MINUTE
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.inbound.sources.registry import make_source
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock
from custodes.testing.webhooks import signed_webhook

API = "/api/admin/enterprise"
SECRET = "whsec_of_the_admin_test"
BODY = b'{"id":"evt_1","type":"invoice.paid","note":"\xc3\xa9<script>"}'


@pytest.fixture
async def custodes(sqlite_url: str, clock: FakeClock) -> AsyncIterator[Custodes]:
    made = Custodes(sqlite_url, clock=clock)
    await made.database.open()
    for tenant in ("default", "acme"):
        made.inbound.add_source(make_source(f"stripe-{tenant}", [SECRET], kind="stripe"), tenant=tenant)
    await made.audit.start()
    yield made
    await made.audit.stop()
    await made.inbound.stop()
    await made.database.close()


async def deliver(custodes: Custodes, tenant: str, body: bytes = BODY) -> str:
    registration = custodes.inbound.source(f"stripe-{tenant}")
    assert registration is not None
    signed = signed_webhook("stripe", body, SECRET, now=custodes.clock.now())
    receipt = await custodes.inbound.receive(registration, signed.request, trace_id="a" * 32, client_ip="203.0.113.9")
    return receipt.event_id


@pytest.fixture
async def client(custodes: Custodes) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(create_admin_app(custodes))
    headers = await key_for(custodes)
    async with httpx2.AsyncClient(transport=transport, base_url="https://ops.test", headers=headers) as made:
        yield made


async def test_health_list_one_payload_and_attempts(custodes, client):
    @custodes.webhook("*", name="books")
    async def handler(event: WebhookEvent) -> None: ...

    event_id = await deliver(custodes, "default")
    await custodes.inbound.worker.run_due()

    health = (await client.get(f"{API}/webhook-health")).json()
    listed = (await client.get(f"{API}/webhook-events", params={"event_id": "evt_1"})).json()
    one = (await client.get(f"{API}/webhook-events/{event_id}")).json()
    payload = await client.get(f"{API}/webhook-events/{event_id}/payload")
    attempts = (await client.get(f"{API}/webhook-events/{event_id}/attempts")).json()

    assert health["state"] == "healthy"
    assert [item["id"] for item in listed["items"]] == [event_id]
    assert (one["status"], one["handlers_done"]) == ("succeeded", {"books": "succeeded"})
    assert payload.content == BODY
    assert payload.headers["content-type"] == "application/octet-stream"
    assert payload.headers["content-disposition"].startswith("attachment")
    assert [(item["handler"], item["outcome"]) for item in attempts["items"]] == [("books", "succeeded")]


async def test_a_replay_and_its_audit_entry_are_one(custodes, client):
    event_id = await deliver(custodes, "default")
    await custodes.inbound.worker.run_due()

    answer = await client.post(f"{API}/webhook-events/{event_id}/replay", json={"reason": "books were down"})

    assert (answer.status_code, answer.json()["status"]) == (200, "received")
    page = await custodes.audit.list_entries(AuditQuery(action="webhook.replayed"))
    [entry] = page.items
    assert entry.reason == "books were down"
    assert await custodes.inbound.worker.run_due() == 1


async def test_a_selection_is_replayed_only_when_asked_in_so_many_words(custodes, client):
    await deliver(custodes, "default")
    await custodes.inbound.worker.run_due()

    dry = await client.post(f"{API}/webhook-events/replay", params={"source": "stripe-default"}, json={})
    assert (len(dry.json()["event_ids"]), dry.json()["dry_run"]) == (1, True)
    assert await custodes.inbound.worker.run_due() == 0

    wet = await client.post(
        f"{API}/webhook-events/replay", params={"source": "stripe-default"}, json={"dry_run": False, "reason": "bug"}
    )
    assert (dry.json()["total"], wet.json()["total"], wet.json()["dry_run"]) == (1, None, False)
    assert await custodes.inbound.worker.run_due() == 1
    [entry] = (await custodes.audit.list_entries(AuditQuery(action="webhook.replayed"))).items
    assert entry.reason == "bug"
    assert (entry.context.extra["events"], entry.context.extra["source"]) == (1, "stripe-default")


async def test_an_interrupted_replay_goes_on_from_its_cursor(custodes, client, clock):
    """Given five events; when they are replayed two a call; then each once, and every call has its entry."""
    for number in range(5):
        await deliver(custodes, "default", b'{"id":"evt_%d","type":"invoice.paid"}' % number)
        clock.advance(1_000)
    await custodes.inbound.worker.run_due()
    params = {"until": "2100-01-01T00:00:00Z", "status": ["succeeded", "dead"]}

    dry = (await client.post(f"{API}/webhook-events/replay", params=params, json={"limit": 2})).json()
    done, cursor = list[str](), None
    for _ in range(3):
        body = {"limit": 2, "dry_run": False, "cursor": cursor}
        answer = (await client.post(f"{API}/webhook-events/replay", params=params, json=body)).json()
        done, cursor = done + answer["event_ids"], answer["next_cursor"]

    assert (dry["total"], len(dry["event_ids"]), cursor) == (5, 2, None)
    assert len(set(done)) == len(done) == 5
    entries = (await custodes.audit.list_entries(AuditQuery(action="webhook.replayed"))).items
    assert sorted(entry.context.extra["events"] for entry in entries) == [1, 2, 2]


async def test_filters_combine_and_are_counted(custodes, client):
    await deliver(custodes, "default")
    await deliver(custodes, "acme", b'{"id":"evt_2","type":"charge.failed"}')
    both = {"source": ["stripe-default", "stripe-acme"], "event_type": ["charge.*"], "status": ["received", "dead"]}

    listed = (await client.get(f"{API}/webhook-events", params=both)).json()["items"]
    facets = (await client.get(f"{API}/webhook-events/facets", params=both)).json()
    by_trace = (await client.get(f"{API}/webhook-events", params={"any_id": "a" * 32})).json()["items"]
    analysed = (await client.get(f"{API}/webhook-analytics", params={"source": "stripe-acme"})).json()

    assert [item["event_id"] for item in listed] == ["evt_2"]
    assert facets["event_type"] == [{"value": "charge.failed", "count": 1}, {"value": "invoice.paid", "count": 1}]
    assert (facets["source"], facets["total"]) == ([{"value": "stripe-acme", "count": 1}], 1)
    assert len(by_trace) == 2
    assert analysed["total"]["received"] == 1
    assert [(point["source"], point["received"]) for point in analysed["source_points"]] == [("stripe-acme", 1)]


async def test_headers_are_shown_with_secrets_masked_and_a_payload_by_its_first_bytes(custodes, client):
    event_id = await deliver(custodes, "default")

    headers = (await client.get(f"{API}/webhook-events/{event_id}/headers")).json()["items"]
    head = await client.get(f"{API}/webhook-events/{event_id}/payload", params={"first": 7})

    assert {"name": "content-type", "value": "application/json"} in headers
    assert SECRET not in str(headers)
    assert head.content == BODY[:7]


async def looks(custodes: Custodes) -> list[str]:
    """What was looked at by whom it was recorded, oldest first."""
    found = await custodes.audit.list_entries(AuditQuery(action="webhook.payload_read"))
    return [str(target) for entry in reversed(found.items) for target in entry.targets]


async def test_a_look_at_what_a_webhook_carries_is_one_entry_of_the_trail(custodes, client, clock):
    """Given an event of another tenant; When its parts are looked at; Then its trail says so once, and later again."""
    event_id, other = await deliver(custodes, "acme"), await deliver(custodes, "default")
    paths = [
        f"{API}/webhook-events/{event_id}{part}" for part in ("/payload", "/headers", "/payload?first=2", "/payload")
    ]

    await client.get(f"{API}/webhook-events")
    await client.get(f"{API}/webhook-events/{event_id}")
    assert await looks(custodes) == [], "lists and what is known of an event tell nothing private"
    together = await asyncio.gather(*(client.get(path) for path in paths))
    assert {answer.status_code for answer in together} == {200}
    assert await looks(custodes) == [f"webhook_event:{event_id}"]
    clock.advance(MINUTE)
    await client.get(f"{API}/webhook-events/{other}/payload")
    clock.advance(10 * MINUTE)
    await client.get(paths[0])

    assert await looks(custodes) == [f"webhook_event:{one}" for one in (event_id, other, event_id)]
    [newest, *_] = (await custodes.audit.list_entries(AuditQuery(action="webhook.payload_read"))).items
    assert (newest.tenant, newest.actor.type, newest.flagged) == ("acme", "user", False)


async def test_what_cannot_be_recorded_is_not_shown(custodes, client, monkeypatch):
    event_id = await deliver(custodes, "default")

    async def fail(_work) -> None:
        raise StorageUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(custodes.audit, "commit", fail)
        refused = await client.get(f"{API}/webhook-events/{event_id}/payload")
    shown = await client.get(f"{API}/webhook-events/{event_id}/payload")

    assert (refused.status_code, shown.status_code) == (503, 200)
    assert await looks(custodes) == [f"webhook_event:{event_id}"]


async def test_a_refused_delivery_opens_by_its_id_and_reason(custodes, client):
    registration = custodes.inbound.source("stripe-default")
    forged = signed_webhook("stripe", BODY, "whsec_of_somebody_else", now=custodes.clock.now())
    with pytest.raises(SignatureRefused):
        await custodes.inbound.receive(registration, forged.request, trace_id="b" * 32, client_ip="203.0.113.9")

    [listed] = (await client.get(f"{API}/webhook-refusals", params={"reason": "no-match"})).json()["items"]
    others = (await client.get(f"{API}/webhook-refusals", params={"reason": "timestamp-too-old"})).json()["items"]
    one = await client.get(f"{API}/webhook-refusals/{listed['id']}")
    missing = await client.get(f"{API}/webhook-refusals/01900000-0000-7000-8000-000000000000")
    client.headers.update(await key_for(custodes, tenant="acme"))
    foreign = await client.get(f"{API}/webhook-refusals/{listed['id']}")

    assert ({name: one.json()[name] for name in listed}, others) == (listed, [])
    assert set(one.json()) - set(listed) == {"headers", "body_head"}
    assert await looks(custodes) == [f"webhook_refusal:{listed['id']}"]
    assert (missing.status_code, foreign.status_code) == (404, 404)


async def test_a_tenants_admin_sees_only_the_tenants_webhooks(custodes, client):
    foreign, own = await deliver(custodes, "default"), await deliver(custodes, "acme")
    client.headers.update(await key_for(custodes, tenant="acme"))

    listed = (await client.get(f"{API}/webhook-events")).json()["items"]
    sources = (await client.get(f"{API}/webhook-sources")).json()["items"]
    exported = (await client.get(f"{API}/webhook-events/export")).text.splitlines()
    analytics = (await client.get(f"{API}/webhook-analytics")).json()
    health = (await client.get(f"{API}/webhook-health")).json()

    assert [item["id"] for item in listed] == [own]
    assert [(item["name"], item["kind"]) for item in sources] == [("stripe-acme", "stripe")]
    assert [json.loads(line)["id"] for line in exported] == [own]
    [row] = csv.DictReader(
        (await client.get(f"{API}/webhook-events/export", params={"format": "csv"})).text.splitlines()
    )
    assert (row["id"], row["tenant"], row["event_type"], row["error"]) == (own, "acme", "invoice.paid", "")
    assert analytics["total"]["received"] == 1
    assert health["figures"]["backlog"] == 1
    for path in ("", "/payload", "/attempts"):
        assert (await client.get(f"{API}/webhook-events/{foreign}{path}")).status_code == 404
    assert (await client.post(f"{API}/webhook-events/{foreign}/replay", json={})).status_code == 404
    replayed = await client.post(f"{API}/webhook-events/replay", json={"dry_run": True})
    assert replayed.json()["event_ids"] == [own]


async def test_refusals_are_shown_without_secrets(custodes, client):
    registration = custodes.inbound.source("stripe-default")
    signed = signed_webhook(
        "stripe", BODY, "whsec_wrong", now=custodes.clock.now(), headers={"authorization": "Bearer x"}
    )
    with pytest.raises(Exception, match="No secret"):
        await custodes.inbound.receive(registration, signed.request, trace_id="", client_ip="203.0.113.9")

    [listed] = (await client.get(f"{API}/webhook-refusals")).json()["items"]
    refusal = (await client.get(f"{API}/webhook-refusals/{listed['id']}")).json()

    assert (listed["reason"], listed["client_ip"]) == ("no-match", "203.0.113.9")
    assert {"name": "authorization", "value": "[redacted]"} in refusal["headers"]


async def test_verdicts_reach_the_audit_log(custodes, client):
    await deliver(custodes, "default")
    registration = custodes.inbound.source("stripe-default")
    request = signed_webhook("github", BODY, "x").request
    with pytest.raises(Exception, match="missing"):
        await custodes.inbound.receive(registration, request, trace_id="", client_ip="203.0.113.9")
    await custodes.audit.stop()  # writes what it has heard

    page = await custodes.audit.list_entries(AuditQuery(action="webhook.*"))

    assert sorted(entry.action for entry in page.items) == ["webhook.signature_refused", "webhook.signature_verified"]


async def test_sources_say_which_of_their_secrets_sign_and_never_what_those_are(custodes, client):
    """Given a source in rotation whose sender signs with the old secret, then each is told by its fingerprint."""
    custodes.source("rotated", ["the-new-secret", "the-old-secret"], kind="github")
    signed = signed_webhook("github", {"n": 1}, "the-old-secret")
    await custodes.inbound.rotation.say()
    custodes.clock.advance(MINUTE)
    await custodes.inbound.receive(
        custodes.inbound.source("rotated"), signed.request, trace_id="a" * 32, client_ip="203.0.113.9"
    )

    answer = await client.get(f"{API}/webhook-sources")
    (one,) = [item for item in answer.json()["items"] if item["name"] == "rotated"]
    newest, older = one["secrets"]
    foreign = await client.get(f"{API}/webhook-sources", headers=await key_for(custodes, tenant="acme"))

    assert "the-old-secret" not in answer.text
    assert "rotated" not in foreign.text
    assert len(newest.pop("fingerprint")) == len(older.pop("fingerprint")) == 8
    assert (newest["place"], newest["last_used"], newest["standing"]) == (1, None, "awaited")
    assert (older["place"], older["last_used"] > older["since"], older["standing"]) == (2, True, "signs")
    assert older["summary"] == "Last signed just now"
