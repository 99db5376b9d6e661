"""Alerts over the admin API: each action is in the audit trail."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.clock import DAY, HOUR, to_iso
from custodes.kernel.signals import FailureSignal
from custodes.planes.audit.ports import AuditQuery
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

RULE: dict[str, Any] = {"name": "The queue is deep", "metric": "queue.depth", "comparator": ">=", "threshold": 100}


@pytest.fixture
async def admin(custodes: Custodes) -> dict[str, str]:
    return await key_for(custodes, "admin")


@pytest.fixture
async def incident(custodes: Custodes, clock: FakeClock) -> str:
    custodes.alerts.on_failure(
        FailureSignal(
            at=clock.now(), tenant="acme", system="webhooks", name="webhook.dead_lettered", summary="evt_1 was given up"
        )
    )
    await custodes.alerts.write_events()
    await custodes.alerts.dispatch()
    return (await custodes.alerts.incidents.list()).items[0].id


async def owners(custodes: Custodes, action: str) -> list[str]:
    """Return the tenants whose trails tell of an action."""
    return [entry.tenant for entry in (await custodes.audit.list_entries(AuditQuery(action=action))).items]


async def audited(custodes: Custodes, action: str) -> int:
    return len((await custodes.audit.list_entries(AuditQuery(action=action))).items)


async def test_incidents_are_listed_and_shown_with_their_messages(
    client: httpx2.AsyncClient, admin: dict[str, str], incident: str
):
    [listed] = (await client.get("/alerts", params={"state": "firing"}, headers=admin)).json()["items"]
    shown = (await client.get(f"/alerts/{incident}", headers=admin)).json()

    assert (listed["id"], listed["rule_id"], listed["tenant"]) == (incident, "signal:webhook.dead_lettered", "acme")
    assert [(one["sink"], one["state"]) for one in shown["notifications"]] == [("log", "sent")]
    assert (await client.get("/alerts", params={"state": "resolved"}, headers=admin)).json()["items"] == []


async def test_acknowledging_and_silencing_are_audited(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str], incident: str, clock: FakeClock
):
    seen = await client.post(f"/alerts/{incident}/acknowledge", headers=admin)
    until = to_iso(clock.now() + HOUR)
    quiet = await client.post(f"/alerts/{incident}/silence", json={"until": until, "reason": "known"}, headers=admin)

    assert seen.json()["acknowledged_by"].startswith("user:test-")
    assert quiet.json()["silenced_until"] == until
    for action in ("alert.acknowledged", "alert.silenced"):
        assert await owners(custodes, action) == ["acme"], "in the trail of the tenant whose incident it is"


async def test_a_silence_is_ended_and_that_is_audited(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str], incident: str, clock: FakeClock
):
    await client.post(f"/alerts/{incident}/silence", json={"until": to_iso(clock.now() + HOUR)}, headers=admin)

    told = await client.delete(f"/alerts/{incident}/silence", params={"reason": "mended"}, headers=admin)

    assert told.json()["silenced_until"] == to_iso(clock.now())
    [entry] = (await custodes.audit.list_entries(AuditQuery(action="alert.unsilenced"))).items
    assert (entry.tenant, entry.reason) == ("acme", "mended")
    globex = await key_for(custodes, "admin", "globex")
    assert (await client.delete(f"/alerts/{incident}/silence", headers=globex)).status_code == 404


async def test_a_silence_without_end_is_refused_and_not_audited(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str], incident: str, clock: FakeClock
):
    body = {"until": to_iso(clock.now() + 31 * DAY)}
    answer = await client.post(f"/alerts/{incident}/silence", json=body, headers=admin)

    assert (answer.status_code, await audited(custodes, "alert.silenced")) == (422, 0)


async def test_incidents_of_other_tenants_do_not_exist(client: httpx2.AsyncClient, custodes: Custodes, incident: str):
    globex = await key_for(custodes, "admin", "globex")

    assert (await client.get("/alerts", headers=globex)).json()["items"] == []
    assert (await client.get(f"/alerts/{incident}", headers=globex)).status_code == 404
    assert (await client.post(f"/alerts/{incident}/acknowledge", headers=globex)).status_code == 404
    assert await audited(custodes, "alert.acknowledged") == 0


async def test_rules_are_written_changed_and_deleted(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str]
):
    why = {"params": {"reason": "the queue was full"}}
    made = await client.post("/alert-rules", json={**RULE, "clear": 80, "by": ["queue"]}, headers=admin, **why)
    assert made.status_code == 201, made.text
    path = f"/alert-rules/{made.json()['id']}"
    assert (made.json()["origin"], made.json()["window_seconds"]) == ("stored", 60)

    changed = await client.put(path, json={**RULE, "threshold": 5, "enabled": False}, headers=admin, **why)
    assert (changed.json()["threshold"], changed.json()["enabled"], changed.json()["clear"]) == (5, False, None)
    assert (await client.delete(path, headers=admin, **why)).status_code == 204
    assert (await client.get(path, headers=admin)).status_code == 404
    for verb in ("created", "updated", "deleted"):
        [entry] = (await custodes.audit.list_entries(AuditQuery(action=f"alert_rule.{verb}"))).items
        assert (entry.category, entry.risk_score >= 20) == ("configuration", True)
        assert entry.reason == "the queue was full"
        if verb == "updated":  # what kept the alert from coming is in the trail
            changes = [(one.path, one.old, one.new) for one in entry.changes]
            assert changes == [
                ("threshold", 100.0, 5.0),
                ("clear", 80.0, None),
                ("by", ["queue"], []),
                ("enabled", True, False),
            ]
    report = (await client.get("/compliance-report", headers=await key_for(custodes, "owner"))).json()
    assert "alert_rule.updated" in str(report)


async def test_a_rule_on_what_is_not_recorded_says_so_and_one_that_cannot_be_asked_is_refused(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str]
):
    """Given a name with a typing error, Then whoever makes the rule sees it at once, and whoever lists the rules."""
    made = (await client.post("/alert-rules", json={**RULE, "metric": "qeue.depth"}, headers=admin)).json()
    assert made["no_data"] == "Nothing is recorded as qeue.depth yet"
    custodes.metrics.gauge("qeue.depth", 1)
    listed = (await client.get("/alert-rules", headers=admin)).json()["items"]
    assert [one["no_data"] for one in listed if one["id"] == made["id"]] == [""]

    wrong = await client.post("/alert-rules", json={**RULE, "aggregation": "p100"}, headers=admin)
    assert (wrong.status_code, "'p100' is not an aggregation" in wrong.json()["detail"]) == (422, True)
    assert await audited(custodes, "alert_rule.created") == 1


async def test_what_is_done_to_a_tenants_rule_is_in_the_trail_of_that_tenant(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str]
):
    """Given somebody who sees all tenants and names none, Then the owner before the change is told of it."""
    made = await client.post("/alert-rules", json={**RULE, "tenant": "acme"}, headers=admin)
    path = f"/alert-rules/{made.json()['id']}"

    assert (await client.put(path, json={**RULE, "tenant": "globex"}, headers=admin)).json()["tenant"] == "globex"
    assert (await client.delete(path, headers=admin)).status_code == 204

    assert await owners(custodes, "alert_rule.updated") == ["acme"]
    assert await owners(custodes, "alert_rule.deleted") == ["globex"]


async def test_built_in_rules_are_listed_and_can_be_switched_off(client: httpx2.AsyncClient, admin: dict[str, str]):
    listed = (await client.get("/alert-rules", headers=admin)).json()["items"]
    assert [one["id"] for one in listed] == ["api-error-rate", "disk-full", "health"]

    health = {key: value for key, value in listed[2].items() if key not in {"id", "origin", "no_data"}}
    off = await client.put("/alert-rules/health", json={**health, "enabled": False}, headers=admin)
    assert (off.json()["enabled"], off.json()["origin"]) == (False, "stored")
    assert (await client.delete("/alert-rules/health", headers=admin)).status_code == 204
    assert (await client.delete("/alert-rules/health", headers=admin)).status_code == 409


async def test_a_tenants_rules_are_its_own(client: httpx2.AsyncClient, custodes: Custodes):
    acme, globex = await key_for(custodes, "admin", "acme"), await key_for(custodes, "admin", "globex")
    made = (await client.post("/alert-rules", json={**RULE, "tenant": "globex"}, headers=acme)).json()

    assert made["tenant"] == "acme"
    for method in ("GET", "DELETE"):
        assert (await client.request(method, f"/alert-rules/{made['id']}", headers=globex)).status_code == 404
    assert (await client.put("/alert-rules/health", json=RULE, headers=acme)).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": "NaN"}, {"clear": 101}, {"window_seconds": 1}, {"comparator": "!="}, {"name": ""}, {"metric": " "}],
)
async def test_a_rule_that_makes_no_sense_is_refused(
    client: httpx2.AsyncClient, admin: dict[str, str], wrong: dict[str, Any]
):
    answer = await client.post("/alert-rules", json={**RULE, **wrong}, headers=admin)

    assert answer.status_code == 422


async def test_sinks_are_shown_to_those_who_see_everything(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str]
):
    acme = await key_for(custodes, "admin", "acme")

    assert [one["name"] for one in (await client.get("/alert-sinks", headers=admin)).json()["items"]] == ["log"]
    assert (await client.get("/alert-sinks", headers=acme)).json()["items"] == []
    assert (await client.post("/alert-sinks/enable", json={"name": "log"}, headers=admin)).status_code == 204
    assert (await client.post("/alert-sinks/enable", json={"name": "log"}, headers=acme)).status_code == 403
    assert (await client.post("/alert-sinks/enable", json={"name": "x"}, headers=admin)).status_code == 404
    assert await audited(custodes, "alert_sink.enabled") == 1
