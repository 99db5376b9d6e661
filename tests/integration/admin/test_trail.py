"""What administrators do can be followed through the trail: by the id of what it was done to, in its own tenant."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from custodes import Custodes
from custodes.kernel.clock import SECOND
from custodes.kernel.paging import MAX_CURSOR, encode_cursor
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.identity.model import Method, Principal, Role
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock
from custodes.testing.issuer import FakeIssuer

API = "/api/admin/enterprise"

ALERT_RULE = {"name": "The queue is deep", "metric": "queue.depth", "comparator": ">=", "threshold": 100}


async def told_of(custodes: Custodes, target: str) -> list[tuple[str, str]]:
    """Return what was done to something, oldest first: (action, name of the target)."""
    found = (await custodes.audit.list_entries(AuditQuery(tenant="acme", target=target))).items
    names = [next(one.name for one in entry.targets if str(one) == target) for entry in found]
    return [(entry.action, name) for entry, name in zip(found, names, strict=True)][::-1]


async def test_what_was_made_is_found_by_its_id_from_its_beginning_to_its_end(
    client: httpx2.AsyncClient, custodes: Custodes, issuer: FakeIssuer, clock: FakeClock
) -> None:
    """Given an owner who sees all tenants, When things of one are made, changed and ended, Then its trail tells it."""
    await custodes.identity.profiles.create("boss", role=Role.OWNER, issuer=issuer.url)
    client.headers["Authorization"] = f"Bearer {issuer.token('boss')}"

    async def done(method: str, path: str, body: Any = None) -> Any:
        clock.advance(SECOND)
        answer = await client.request(method, f"{API}/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()["id"] if answer.content else ""

    ann = await done("POST", "user-profiles", {"subject": "ann", "role": "admin", "tenant": "acme"})
    await done("PUT", f"user-profiles/{ann}/role", {"role": "member"})
    await done("POST", f"user-profiles/{ann}/disable")
    key = await done("POST", "api-keys", {"name": "nightly", "tenant": "acme"})
    await done("DELETE", f"api-keys/{key}")
    rule = await done("POST", "alert-rules", {**ALERT_RULE, "tenant": "acme"})
    await done("DELETE", f"alert-rules/{rule}")
    blocked = {"identifier": "u1", "kind": "user", "reason": "abuse"}
    block = await done("POST", "rate-limits/blocks?tenant=acme", blocked)
    await done("DELETE", f"rate-limits/blocks/{block}")
    listed = {"effect": "deny", "identifier": "u2", "kind": "user", "reason": "abuse"}
    entry = await done("POST", "rate-limits/lists?tenant=acme", listed)
    await done("DELETE", f"rate-limits/lists/{entry}")
    limit = await done("POST", "rate-limits/rules?tenant=acme", {"name": "login", "limits": "5/minute"})
    await done("PATCH", f"rate-limits/rules/{limit}", {"shadow": True})
    await done("DELETE", f"rate-limits/rules/{limit}")

    assert await told_of(custodes, f"user_profile:{ann}") == [
        ("user_profile.created", "ann"), ("role.changed", "ann"), ("user.disabled", "ann"),
    ]  # fmt: skip
    assert await told_of(custodes, f"alert_rule:{rule}") == [
        ("alert_rule.created", ALERT_RULE["name"]), ("alert_rule.deleted", ALERT_RULE["name"]),
    ]  # fmt: skip
    assert await told_of(custodes, f"api_key:{key}") == [("api_key.created", "nightly"), ("api_key.revoked", "nightly")]
    for target in (f"block:{block}", "user:u1"):
        assert [action for action, _ in await told_of(custodes, target)] == [
            "rate_limit.blocked", "rate_limit.unblocked",
        ]  # fmt: skip
    for target in (f"access:{entry}", "user:u2"):
        assert [action for action, _ in await told_of(custodes, target)] == [
            "rate_limit.listed", "rate_limit.unlisted",
        ]  # fmt: skip
    assert await told_of(custodes, f"rule:{limit}") == [
        *[("rate_limit.rule_changed", "login")] * 2,
        ("rate_limit.rule_deleted", "login"),
    ]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (
            "webhook-events/export?source=stripe&status=dead&status=failed",
            {"format": "ndjson", "filters": {"source": "stripe", "status": "dead, failed", "tenant": "acme"}},
        ),
        (
            "api-calls/export?method=POST&trace_id=ab&format=csv&limit=9",
            {"format": "csv", "limit": 9, "filters": {"method": "POST", "trace_id": "ab", "tenant": "acme"}},
        ),
        (
            "audit-logs/export?action=user.*&flagged=false&format=csv",
            {"format": "csv", "filters": {"action": "user.*", "flagged": "False", "tenant": "acme"}},
        ),
        ("compliance-report?format=csv", {"format": "csv"}),
    ],
)
async def test_an_export_says_what_was_taken_and_stands_in_the_trail_of_whose_it_is(
    client: httpx2.AsyncClient, custodes: Custodes, path: str, asked: dict[str, Any]
) -> None:
    headers = await key_for(custodes, Role.OWNER)

    for tenant in ("acme", ""):
        only = f"tenant={tenant}" if tenant else ""
        answer = await client.get(f"{API}/{path}{'&' if '?' in path else '?'}{only}", headers=headers)
        assert answer.status_code == 200

    taken = [entry for entry in (await custodes.audit.list_entries(AuditQuery())).items if "exported" in entry.action]
    assert {entry.tenant for entry in taken} == {"acme", "default"}
    for entry in taken:
        told = {**entry.context.extra, **entry.context.extra.get("filters", {})}
        assert told["tenant"] == ("acme" if entry.tenant == "acme" else "*")
    [of_acme] = [entry for entry in taken if entry.tenant == "acme"]
    assert {name: of_acme.context.extra[name] for name in asked} == asked


def test_every_cursor_that_is_issued_is_taken(app: FastAPI) -> None:
    """Given the longest names there may be, Then no bound of a query or a body is below their cursors."""
    longest = max(
        encode_cursor(10**18 - 1, "0" * 36),
        encode_cursor(0, f"{'t' * 64}/{'m' * 100}"),  # a metric, by tenant and name
        key=len,
    )
    document = app.openapi()
    given = [
        (path, one["schema"])
        for path, methods in document["paths"].items()
        for method in methods.values()
        for one in method.get("parameters", ())
        if one["name"] == "cursor"
    ] + [
        (name, schema["properties"]["cursor"])
        for name, schema in document["components"]["schemas"].items()
        if "cursor" in schema.get("properties", {})
    ]

    bounds = {place: _bound(schema) for place, schema in given}

    assert len(longest) <= MAX_CURSOR
    assert len(bounds) > 15
    unused = {place for place, bound in bounds.items() if bound == 0}
    assert {bound for place, bound in bounds.items() if place not in unused} == {MAX_CURSOR}
    assert len(unused) == 1  # resending takes all at once, whatever an older caller sends


def _bound(schema: dict[str, Any]) -> int:
    texts = [one for one in (schema, *schema.get("anyOf", ())) if one.get("type") == "string"]
    return texts[0]["maxLength"]


async def test_two_people_of_one_name_are_told_apart_by_who_vouches_for_them(
    client: httpx2.AsyncClient, custodes: Custodes, issuer: FakeIssuer
) -> None:
    """Given an ann of this install and another one of an issuer, When both do the same, and are refused the same, Then
    each entry says whose ann it was, and the table as well."""
    ours = (await custodes.identity.profiles.create("ann", role=Role.ADMIN)).profile
    await custodes.identity.profiles.create("ann", role=Role.ADMIN, issuer=issuer.url)
    owner = Principal(profile_id=ours.id, subject="ann", role=Role.ADMIN, tenant=None, method=Method.SESSION)
    key = await custodes.identity.keys.create("laptop", owner=owner)
    who = {
        "local": {"X-API-Key": key.secret},
        issuer.url: {"Authorization": f"Bearer {issuer.token('ann')}"},
    }

    for headers in who.values():
        assert (await client.get(f"{API}/alerts/export", headers=headers)).status_code == 200
        assert (await client.get(f"{API}/retention/runs", headers=headers)).status_code == 403

    for action in ("data.exported", "admin.denied"):
        entries = (await custodes.audit.list_entries(AuditQuery(action=action, actor="user:ann"))).items
        assert {str(entry.context.extra["actor_issuer"]) for entry in entries} == who.keys()
    table = await client.get(f"{API}/audit-logs/export?format=csv&actor=user:ann", headers=who["local"])
    rows = csv.DictReader(io.StringIO(table.text, newline=""))
    assert {(row["actor"], row["actor_issuer"]) for row in rows} == {("user:ann", one) for one in who}
