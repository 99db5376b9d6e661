"""Reviews, actors and reports over HTTP."""

import csv
import io

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.clock import HOUR, SECOND, to_iso
from custodes.kernel.signals import SecuritySignal
from custodes.planes.audit.ports import AuditQuery
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock


@pytest.fixture
async def admin(custodes: Custodes) -> dict[str, str]:
    return await key_for(custodes, "admin")


async def test_a_signature_attack_of_five_minutes_is_one_flag_to_review(
    custodes: Custodes, client: httpx2.AsyncClient, admin, clock: FakeClock
):
    """Given 190 refused signatures from one address in five minutes; then one flag counts those that were flagged."""
    await custodes.audit.start()
    for place in range(190):
        clock.advance(SECOND * 3 // 2)
        custodes.bus.emit(
            SecuritySignal(
                at=clock.now(), tenant="default", action="webhook.signature_refused", actor="ip:198.51.100.7",
                target=f"webhook_source:{place % 2}", ip="198.51.100.7",
            )
        )  # fmt: skip
    await custodes.audit.stop()

    flags = (await client.get("/audit-logs", params={"flagged": True}, headers=admin)).json()["items"]

    (flag,) = flags
    assert flag["occurrences"] == 190 - 4  # the first four are not a pattern yet
    members = {"flag_id": flag["id"], "limit": 500}
    assert len((await client.get("/audit-logs", params=members, headers=admin)).json()["items"]) == 186
    every = {"action": "webhook.signature_refused", "limit": 500}
    assert len((await client.get("/audit-logs", params=every, headers=admin)).json()["items"]) == 190


async def test_a_selection_is_reviewed_after_a_dry_run_in_one_step_with_one_entry(
    custodes: Custodes, client: httpx2.AsyncClient, admin, clock: FakeClock
):
    for place in range(4):
        clock.advance(SECOND)
        await custodes.audit.log_audit_event("fraud.early_warning", actor=f"service:{place}")
    decided = (await client.get("/audit-logs", params={"actor": "service:3"}, headers=admin)).json()["items"][0]["id"]
    await client.post(f"/audit-logs/{decided}/review", json={"state": "benign"}, headers=admin)
    query = {"action": "fraud.*", "until": to_iso(clock.now() + 1)}

    body = {"state": "false_positive", "note": "test cards"}
    dry = await client.post("/audit-logs/review", params=query, json=body, headers=admin)
    assert dry.json() == {"matched": 4, "moved": 3, "skipped": 1, "more": False, "dry_run": True}
    clock.advance(SECOND)
    await custodes.audit.log_audit_event("fraud.early_warning", actor="service:late")

    done = await client.post("/audit-logs/review", params=query, json=body | {"dry_run": False}, headers=admin)

    assert done.json() == dry.json() | {"dry_run": False}
    state = {"review_state": "open"}
    (late,) = (await client.get("/audit-logs", params=state, headers=admin)).json()["items"]
    assert late["actor"]["id"] == "late"
    (own, _) = (await custodes.audit.list_entries(AuditQuery(action="audit.reviewed"))).items
    assert own.reason == "test cards"
    assert (own.context.extra["reviews"], own.context.extra["filters"]["action"]) == (3, "fraud.*")
    # and one more time nothing is left to move, and nothing is recorded
    again = await client.post("/audit-logs/review", params=query, json=body | {"dry_run": False}, headers=admin)
    assert (again.json()["moved"], again.json()["skipped"]) == (0, 4)
    assert len((await custodes.audit.list_entries(AuditQuery(action="audit.reviewed"))).items) == 2


async def test_somebody_is_named_to_look_at_a_flag(custodes: Custodes, client: httpx2.AsyncClient, admin):
    entry = await custodes.audit.log_audit_event("fraud.early_warning", actor="service:stripe")

    step = {"state": "acknowledged", "assignee": "ann"}
    await client.post(f"/audit-logs/{entry.id}/review", json=step, headers=admin)

    (mine,) = (await client.get("/audit-logs", params={"assignee": "ann"}, headers=admin)).json()["items"]
    assert (mine["id"], mine["review"]["state"]) == (entry.id, "acknowledged")
    (own,) = (await custodes.audit.list_entries(AuditQuery(action="audit.reviewed"))).items
    assert [(change.path, change.old, change.new) for change in own.changes] == [
        ("review.state", "open", "acknowledged"),
        ("review.assignee", "", "ann"),
    ]


async def test_an_actor_is_told_with_its_habits_or_is_not_known(
    custodes: Custodes, client: httpx2.AsyncClient, admin, clock: FakeClock
):
    for ip in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        clock.advance(HOUR)
        await custodes.audit.log_audit_event("data.read", actor="user:ann", ip=ip)

    told = (await client.get("/audit-actor", params={"actor": "user:ann", "utc_offset": 60}, headers=admin)).json()

    assert (told["events"], sum(told["hours"]), len(told["hours"])) == (3, 3, 24)
    assert [(one["value"], one["events"]) for one in told["addresses"]] == [("192.0.2.1", 2), ("192.0.2.2", 1)]
    unknown = await client.get("/audit-actor", params={"actor": "user:nobody"}, headers=admin)
    assert unknown.status_code == 404
    theirs = await client.get(
        "/audit-actor", params={"actor": "user:ann"}, headers=await key_for(custodes, "admin", "other")
    )
    assert theirs.status_code == 404


async def test_a_report_tells_who_has_access_and_what_was_done_and_taking_it_away_is_recorded(
    custodes: Custodes, client: httpx2.AsyncClient, admin, clock: FakeClock
):
    await custodes.audit.log_audit_event("fraud.early_warning", actor="service:stripe")
    await custodes.audit.log_admin_action("role.granted", actor="user:=cmd", target="user:2")
    clock.advance(SECOND)

    told = (await client.get("/compliance-report", headers=admin)).json()
    assert [one["role"] for one in told["access"]] == ["admin"]
    assert [one["name"] for one in told["api_keys"]] == ["test"]
    assert {one["action"] for one in told["admin_actions"]} >= {"role.granted"}
    assert (told["reviews"], len(told["flagged"])) == ({"open": 1}, 1)
    assert "audit.entries" in {one["name"] for one in told["retention"]}
    assert (await custodes.audit.list_entries(AuditQuery(action="audit.exported"))).items == []

    taken = await client.get("/compliance-report", params={"format": "csv"}, headers=admin)
    rows = list(csv.DictReader(io.StringIO(taken.text)))
    assert {row["section"] for row in rows} >= {"access", "api key", "admin action", "review", "flagged", "retention"}
    assert "attachment" in taken.headers["content-disposition"]
    file = await client.get("/compliance-report", params={"take": True}, headers=admin)
    assert "attachment" in file.headers["content-disposition"]
    assert len((await custodes.audit.list_entries(AuditQuery(action="audit.exported"))).items) == 2


async def test_a_report_on_a_tenant_tells_of_all_who_reach_it_and_an_admin_of_its_own_keys(
    custodes: Custodes, client: httpx2.AsyncClient
):
    # Given an owner and an admin of all tenants, one of each of acme, and an owner of another tenant
    everywhere = await key_for(custodes, "owner")
    await key_for(custodes, "admin")
    theirs, admin = await key_for(custodes, "owner", "acme"), await key_for(custodes, "admin", "acme")
    await key_for(custodes, "owner", "globex")

    async def told(headers: dict[str, str]) -> tuple[int, int]:
        params = {"tenant": "acme"}
        report = (await client.get("/compliance-report", params=params, headers=headers)).json()
        return len(report["access"]), len(report["api_keys"])

    # When each reads the report on acme, then those who span all tenants are in it for those who do, too
    assert await told(everywhere) == (4, 4)
    # And acme's owner sees who is acme's, its admin of the keys only its own, as in the list of keys
    assert await told(theirs) == (2, 2)
    assert await told(admin) == (2, 1)


@pytest.mark.parametrize(
    "body", [{}, {"state": "open", "limit": 0}, {"state": "x"}, {"state": "open", "note": "x" * 4001}]
)
async def test_a_wrong_step_of_many_is_refused(client: httpx2.AsyncClient, admin, body):
    assert (await client.post("/audit-logs/review", json=body, headers=admin)).status_code == 422
