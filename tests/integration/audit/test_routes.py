"""The trail over HTTP."""

import csv
import io
import json

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.clock import SECOND
from custodes.planes.audit.ports import AuditQuery
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock


@pytest.fixture
async def admin(custodes: Custodes) -> dict[str, str]:
    return await key_for(custodes, "admin")


async def flagged(custodes: Custodes, tenant: str = "default") -> str:
    return (await custodes.audit.log_audit_event("fraud.early_warning", actor="service:stripe", tenant=tenant)).id


async def test_the_summary_counts_and_tells_the_health(custodes: Custodes, client: httpx2.AsyncClient, admin):
    await flagged(custodes)

    answer = await client.get("/audit-summary", headers=admin)

    told = answer.json()
    assert answer.status_code == 200
    assert (told["total"], told["flagged"], told["state"]) == (1, 1, "healthy")
    assert told["risk_trend"][0]["max_risk"] == 70


async def test_entries_are_listed_filtered_and_paged(
    custodes: Custodes, client: httpx2.AsyncClient, admin, clock: FakeClock
):
    for place in range(5):
        clock.advance(SECOND)
        await custodes.audit.log_audit_event("data.read", actor=f"user:{place % 2}")

    first = (await client.get("/audit-logs", params={"actor": "user:0", "limit": 2}, headers=admin)).json()
    rest = (
        await client.get(
            "/audit-logs", params={"actor": "user:0", "limit": 2, "cursor": first["next_cursor"]}, headers=admin
        )
    ).json()

    assert [len(first["items"]), len(rest["items"])] == [2, 1]
    assert rest["next_cursor"] is None
    one = (await client.get(f"/audit-logs/{rest['items'][0]['id']}", headers=admin)).json()
    assert one == rest["items"][0]
    assert one["recorded_at"].endswith("Z")


async def test_a_review_is_moved_and_recorded_with_its_step(custodes: Custodes, client: httpx2.AsyncClient, admin):
    entry = await flagged(custodes)

    answer = await client.post(
        f"/audit-logs/{entry}/review", json={"state": "true_positive", "note": "card was stolen"}, headers=admin
    )

    assert answer.status_code == 200
    review = answer.json()["review"]
    assert (review["state"], review["note"]) == ("true_positive", "card was stolen")
    assert review["by"].startswith("user:test-")
    (own,) = (await custodes.audit.list_entries(AuditQuery(action="audit.reviewed"))).items
    assert [(change.path, change.old, change.new) for change in own.changes] == [
        ("review.state", "open", "true_positive")
    ]
    assert own.context.ip == "203.0.113.9"
    # and a step that is not possible is refused, and leaves no trace
    again = await client.post(f"/audit-logs/{entry}/review", json={"state": "acknowledged"}, headers=admin)
    assert again.status_code == 409
    assert len((await custodes.audit.list_entries(AuditQuery(action="audit.reviewed"))).items) == 1


async def test_a_tenant_sees_only_its_own_trail(custodes: Custodes, client: httpx2.AsyncClient):
    theirs = await flagged(custodes, "acme")
    headers = await key_for(custodes, "admin", "other")

    assert (await client.get("/audit-logs", headers=headers)).json()["items"] == []
    assert (await client.get(f"/audit-logs/{theirs}", headers=headers)).status_code == 404
    step = {"state": "benign"}
    assert (await client.post(f"/audit-logs/{theirs}/review", json=step, headers=headers)).status_code == 404
    assert (await client.get("/audit-logs?tenant=acme", headers=headers)).status_code == 404
    assert (await client.get("/audit-logs/export", headers=headers)).text.count("fraud") == 0
    assert (await client.get("/audit-summary", headers=headers)).json()["flagged"] == 0


async def test_an_export_is_recorded_before_it_begins_and_carries_no_formulas(
    custodes: Custodes, client: httpx2.AsyncClient, admin, clock: FakeClock
):
    await custodes.audit.log_audit_event("data.read", actor="user:1", reason="=HYPERLINK(1)")
    clock.advance(SECOND)

    lines = (await client.get("/audit-logs/export", params={"action": "data.*"}, headers=admin)).text.splitlines()
    clock.advance(SECOND)
    table = (await client.get("/audit-logs/export", params={"format": "csv"}, headers=admin)).text

    assert [json.loads(line)["action"] for line in lines] == ["data.read"]
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["action"] for row in rows] == ["audit.exported", "audit.exported", "data.read"]
    assert rows[2]["reason"] == "'=HYPERLINK(1)"
    exports = (await custodes.audit.list_entries(AuditQuery(action="audit.exported"))).items
    assert exports[1].context.extra["filters"] == {"action": "data.*", "tenant": "*"}


async def test_the_catalogue_and_the_rules_are_told(client: httpx2.AsyncClient, admin):
    told = (await client.get("/audit-catalogue", headers=admin)).json()

    assert len(told["actions"]) >= 60
    assert {"new_address", "spray"} <= {rule["name"] for rule in told["rules"]}


@pytest.mark.parametrize(
    "query",
    ["cursor=zzz", "limit=0", "min_risk=101", "outcome=x", "since=2026-01-01", "review_state=x", "text=" + "x" * 201],
)
async def test_bad_queries_are_refused_as_problems(client: httpx2.AsyncClient, admin, query: str):
    answer = await client.get(f"/audit-logs?{query}", headers=admin)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("extreme", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59-12:00"])
async def test_extreme_moments_are_no_accident(client: httpx2.AsyncClient, admin, extreme: str):
    for name in ("since", "until"):
        assert (await client.get("/audit-logs", params={name: extreme}, headers=admin)).status_code == 200
