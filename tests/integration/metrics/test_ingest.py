"""Apps in other languages send metrics, audit events and API calls by HTTP."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.errors import StorageUnavailable
from custodes.kernel.clock import HOUR
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.metrics.model import Query
from custodes.planes.traffic.report import CallReport
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

EVENT = {"action": "member.removed", "actor": "user:1", "targets": ["user:2"]}
CALL = {"method": "GET", "route": "/items/{id}", "status": 200, "duration_us": 1_500}
COUNT = {"kind": "counter", "name": "orders.created", "value": 2}


@pytest.fixture
async def program(custodes: Custodes) -> dict[str, str]:
    """A program with the least role there is."""
    return await key_for(custodes, "member")


async def test_measurements_are_recorded(
    client: httpx2.AsyncClient, custodes: Custodes, program: dict[str, str], clock: FakeClock
):
    sent = [COUNT, {**COUNT, "value": 3, "labels": {"plan": "pro"}}, {"kind": "gauge", "name": "depth", "value": -4}]
    answer = await client.post("/ingest/metrics", json={"items": sent}, headers=program)

    assert (answer.status_code, answer.json()["accepted"]) == (200, 3)
    found = await custodes.metrics.query(Query("orders.created", "sum", clock.now() - HOUR, clock.now() + 1, by=()))
    assert found.lines[0].points[0].value == 5


async def test_audit_events_are_on_the_disk_when_the_answer_comes(
    client: httpx2.AsyncClient, custodes: Custodes, program: dict[str, str]
):
    answer = await client.post("/ingest/audit-events", json={"items": [EVENT]}, headers=program)

    [result] = answer.json()["results"]
    entry = await custodes.audit.get_entry(result["id"])
    assert (entry.action, str(entry.actor.id)) == ("member.removed", "1")


async def test_audit_events_name_who_acted_for_whom(
    client: httpx2.AsyncClient, custodes: Custodes, program: dict[str, str]
):
    """When support acts in a customer's name in an app of another language, Then trail and risk know of it."""
    event = {**EVENT, "impersonator": "user:support-1", "effective": "role:owner", "labels": {"plan": "pro"}}

    answer = await client.post("/ingest/audit-events", json={"items": [event]}, headers=program)

    entry = await custodes.audit.get_entry(answer.json()["results"][0]["id"])
    assert (str(entry.impersonator), str(entry.effective)) == ("user:support-1", "role:owner")
    assert entry.labels == {"plan": "pro"}
    assert "impersonation" in {reason.rule for reason in entry.risk_reasons}


async def test_an_event_sent_twice_is_recorded_once(
    client: httpx2.AsyncClient, custodes: Custodes, program: dict[str, str]
):
    event = {**EVENT, "idempotency_key": "evt-1"}
    first = await client.post("/ingest/audit-events", json={"items": [event]}, headers=program)
    again = await client.post("/ingest/audit-events", json={"items": [event, EVENT]}, headers=program)

    assert first.json()["results"][0]["id"] == again.json()["results"][0]["id"]
    found = await custodes.audit.list_entries(AuditQuery(action="member.removed"))
    assert len(found.items) == 2


async def test_no_2xx_when_an_event_could_not_be_stored(
    client: httpx2.AsyncClient, custodes: Custodes, program: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    async def refuse(*_: Any, **__: Any) -> None:
        msg = "The disk is full"
        raise StorageUnavailable(msg)

    monkeypatch.setattr(custodes.audit, "log_audit_event", refuse)
    answer = await client.post("/ingest/audit-events", json={"items": [EVENT, EVENT]}, headers=program)

    assert answer.status_code == 503


async def test_api_calls_are_recorded(
    client: httpx2.AsyncClient, custodes: Custodes, program: dict[str, str], clock: FakeClock
):
    sent = [CALL, {**CALL, "status": 500, "error_type": "TypeError", "error_message": "x"}]
    answer = await client.post("/ingest/api-calls", json={"items": sent}, headers=program)

    assert answer.json()["accepted"] == 2
    found = await custodes.traffic.get_api_analytics(clock.now() - HOUR, clock.now() + 1)
    assert found.totals.count == 2


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("/ingest/metrics", COUNT, {**COUNT, "name": "9 lives"}),
        ("/ingest/metrics", COUNT, {**COUNT, "value": "NaN"}),
        ("/ingest/metrics", COUNT, {**COUNT, "value": -1}),
        ("/ingest/metrics", COUNT, {**COUNT, "surprise": 1}),
        ("/ingest/metrics", COUNT, None),
        ("/ingest/metrics", COUNT, {**COUNT, "tenant": "no tenant!"}),
        ("/ingest/audit-events", EVENT, {**EVENT, "action": "No Action"}),
        ("/ingest/audit-events", EVENT, {"action": "member.removed"}),
        ("/ingest/audit-events", EVENT, {**EVENT, "outcome": "maybe"}),
        ("/ingest/audit-events", EVENT, [EVENT]),
        ("/ingest/api-calls", CALL, {**CALL, "method": "get it"}),
        ("/ingest/api-calls", CALL, {**CALL, "duration_us": -1}),
        ("/ingest/api-calls", CALL, {**CALL, "trace_id": "zz"}),
        ("/ingest/api-calls", CALL, "text"),
    ],
)
async def test_a_bad_item_hurts_only_itself(
    client: httpx2.AsyncClient, program: dict[str, str], path: str, good: Any, bad: Any
):
    """Given a good, a bad and a good item, then two are taken, and the bad one is told why."""
    answer = await client.post(path, json={"items": [good, bad, good]}, headers=program)

    assert answer.status_code == 200, answer.text
    assert [one["accepted"] for one in answer.json()["results"]] == [True, False, True]
    assert answer.json()["results"][1]["error"]

    alone = await client.post(path, json={"items": [bad]}, headers=program)
    assert alone.status_code == 422
    assert alone.json()["errors"][0]["field"] == "body.items.0"


@pytest.mark.parametrize(
    ("path", "most", "item"),
    [("/ingest/metrics", 1_000, COUNT), ("/ingest/audit-events", 200, EVENT), ("/ingest/api-calls", 1_000, CALL)],
)
async def test_batches_are_bounded(
    client: httpx2.AsyncClient, program: dict[str, str], path: str, most: int, item: Any
):
    for items in ([], [item] * (most + 1)):
        answer = await client.post(path, json={"items": items}, headers=program)
        assert answer.status_code == 422


async def test_a_program_of_a_tenant_writes_for_its_tenant_only(
    client: httpx2.AsyncClient, custodes: Custodes, clock: FakeClock
):
    acme = await key_for(custodes, "member", "acme")
    sent = [COUNT, {**COUNT, "tenant": "acme"}, {**COUNT, "tenant": "globex"}]
    answer = await client.post("/ingest/metrics", json={"items": sent}, headers=acme)

    assert [one["accepted"] for one in answer.json()["results"]] == [True, True, False]
    query = Query("orders.created", "sum", clock.now() - HOUR, clock.now() + 1, tenant="acme")
    assert (await custodes.metrics.query(query)).lines[0].points[0].value == 4
    assert (
        await custodes.metrics.query(Query("orders.created", "sum", 1, clock.now() + 1, tenant="globex"))
    ).lines == ()


@pytest.mark.parametrize("path", ["/ingest/metrics", "/ingest/audit-events", "/ingest/api-calls"])
async def test_a_stranger_sends_nothing(client: httpx2.AsyncClient, path: str):
    assert (await client.post(path, json={"items": [{}]})).status_code == 401


async def test_a_key_for_sending_opens_nothing_else(client: httpx2.AsyncClient, program: dict[str, str]):
    for path in ("/system-metrics", "/alerts", "/alert-rules", "/health"):
        assert (await client.get(path, headers=program)).status_code == 403


async def test_what_is_switched_off_is_recorded_nowhere_and_not_said_to_be(sqlite_url: str, clock: FakeClock):
    # Given an install whose monitoring and audit trail are switched off
    custodes = Custodes(sqlite_url, clock=clock, enterprise_monitoring_enabled=False, audit_logging_enabled=False)
    await custodes.open()
    try:
        program = await key_for(custodes, "member")
        transport = httpx2.ASGITransport(app=create_admin_app(custodes))
        base = "https://ops.example.com/api/admin/enterprise"
        async with httpx2.AsyncClient(transport=transport, base_url=base, headers=program) as client:
            # When a program sends calls and audit events all the same
            calls = await client.post("/ingest/api-calls", json={"items": [CALL]})
            events = await client.post("/ingest/audit-events", json={"items": [EVENT]})
            counts = await client.post("/ingest/metrics", json={"items": [COUNT]})

        # Then it is told which switch is off; what has none is taken
        assert [calls.status_code, events.status_code, counts.status_code] == [409, 409, 200]
        assert "ENTERPRISE_MONITORING_ENABLED is off" in calls.json()["detail"]
        assert "AUDIT_LOGGING_ENABLED is off" in events.json()["detail"]

        # And the verbs of the code record nothing either
        def job() -> None: ...

        custodes.traffic.log_api_call(CallReport(method="GET", route="/x", status=200, total_us=5))
        assert custodes.traffic.monitor(job) is job
        assert custodes.traffic.monitor("nightly")(job) is job
        await custodes.traffic.flush()
        assert (await custodes.traffic.list_calls()).items == []
        assert (await custodes.audit.list_entries(AuditQuery(action="member.removed"))).items == []
    finally:
        await custodes.close()
