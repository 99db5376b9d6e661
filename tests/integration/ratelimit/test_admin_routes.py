"""Rate limits over the admin API, with a real sign-in and the audit trail."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND, to_iso
from custodes.planes.audit.ports import AuditQuery
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

API = "/api/admin/enterprise"


async def actions(custodes: Custodes) -> list[str]:
    return [entry.action async for entry in custodes.audit.export_entries(AuditQuery())]


async def test_a_block_holds_at_once_is_audited_and_can_be_lifted(
    custodes: Custodes, client: httpx2.AsyncClient, call, clock: FakeClock
):
    admin = await key_for(custodes)

    made = await client.post(
        f"{API}/rate-limits/blocks",
        json={"identifier": "203.0.113.0/24", "reason": "scraper", "duration_seconds": 3600},
        headers=admin,
    )
    refused = custodes.ratelimit.check(call("203.0.113.77"))
    listed = await client.get(f"{API}/rate-limits/blocks", headers=admin)
    lifted = await client.delete(f"{API}/rate-limits/blocks/{made.json()['id']}", headers=admin)
    again = await client.delete(f"{API}/rate-limits/blocks/{made.json()['id']}", headers=admin)

    assert made.status_code == 201
    assert (refused.allowed, refused.problem[0], refused.rule) == (False, 403, "block")
    assert (b"retry-after", b"3600") in refused.headers
    assert [row["identifier"] for row in listed.json()["items"]] == ["203.0.113.0/24"]
    assert (lifted.status_code, again.status_code) == (200, 409)
    assert custodes.ratelimit.check(call("203.0.113.77")).allowed
    assert {"rate_limit.blocked", "rate_limit.unblocked"} <= set(await actions(custodes))


async def test_the_trail_names_what_is_enforced_and_tells_what_was_typed(
    custodes: Custodes, client: httpx2.AsyncClient
):
    admin = await key_for(custodes)

    for path, more in (("blocks", {}), ("lists", {"effect": "deny"})):
        body = {"identifier": "203.0.113.9/24", "reason": "scraper", **more}
        made = await client.post(f"{API}/rate-limits/{path}", json=body, headers=admin)
        assert made.json()["identifier"] == "203.0.113.0/24"
    await client.post(f"{API}/rate-limits/blocks", json={"identifier": "203.0.113.9", "reason": "x"}, headers=admin)

    told = [
        (entry.action, str(entry.targets[0]), entry.context.extra.get("typed"))
        async for entry in custodes.audit.export_entries(AuditQuery())
        if entry.action in {"rate_limit.blocked", "rate_limit.listed"}
    ]
    assert sorted(told, key=str) == [
        ("rate_limit.blocked", "ip:203.0.113.0/24", "203.0.113.9/24"),
        ("rate_limit.blocked", "ip:203.0.113.9", None),
        ("rate_limit.listed", "ip:203.0.113.0/24", "203.0.113.9/24"),
    ]


async def test_a_block_that_cannot_be_audited_does_not_happen(custodes: Custodes, call):
    """Given an ``also`` that fails, then neither the store nor this worker knows of the block."""

    def fail(_tx: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await custodes.ratelimit.block_identifier("203.0.113.9", reason="x", actor="a", also=fail)

    assert custodes.ratelimit.check(call("203.0.113.9")).allowed
    assert not (await custodes.ratelimit.get_blocked_identifiers()).items


async def test_a_rule_made_at_run_time_holds_at_once_and_can_be_changed_and_deleted(
    custodes: Custodes, client: httpx2.AsyncClient, call
):
    admin = await key_for(custodes)
    custodes.limit("100/minute", by="ip", route="/code")

    made = await client.post(
        f"{API}/rate-limits/rules",
        json={"name": "login", "limits": "1/minute; 3/day", "route": "/login", "methods": ["POST"]},
        headers=admin,
    )
    rule_id = made.json()["id"]
    first = custodes.ratelimit.check(call(path="/login", method="POST"))
    second = custodes.ratelimit.check(call(path="/login", method="POST"))
    changed = await client.patch(f"{API}/rate-limits/rules/{rule_id}", json={"shadow": True}, headers=admin)
    third = custodes.ratelimit.check(call(path="/login", method="POST"))
    listed = await client.get(f"{API}/rate-limits/rules", headers=admin)
    gone = await client.delete(f"{API}/rate-limits/rules/{rule_id}", headers=admin)

    assert made.status_code == 201
    assert [limit["worst_case_factor"] for limit in made.json()["limits"]] == [1.0, 1.0]
    assert (first.allowed, second.allowed) == (True, False)
    assert (changed.json()["version"], third.allowed, list(third.would_refuse)) == (2, True, ["login"])
    assert [(row["name"], row["source"]) for row in listed.json()] == [("ip:/code", "code"), ("login", "api")]
    assert gone.status_code == 200
    assert custodes.ratelimit.check(call(path="/login", method="POST")).headers == ()


async def test_wrong_rules_say_how_to_write_them(custodes: Custodes, client: httpx2.AsyncClient):
    admin = await key_for(custodes)

    wrong = await client.post(f"{API}/rate-limits/rules", json={"name": "x", "limits": "5/fortnight"}, headers=admin)
    made = await client.post(f"{API}/rate-limits/rules", json={"name": "x", "limits": "5/day"}, headers=admin)
    twice = await client.post(f"{API}/rate-limits/rules", json={"name": "x", "limits": "6/day"}, headers=admin)

    assert wrong.status_code == 422
    assert "at character 3: 'fortnight' is no unit of time" in wrong.json()["detail"]
    assert "5/15 minutes" in wrong.json()["remedy"]
    assert (made.status_code, twice.status_code) == (201, 409)


async def test_a_rule_with_leases_tells_how_much_can_pass_beyond_its_limits(install, clock: FakeClock):
    """Given three instances on Redis, then a lease of 20 units lets up to 57 pass; it is kept, changed and checked."""
    custodes: Custodes = install(redis_url="redis://127.0.0.1:1/0")
    await custodes.open()
    await custodes.audit.start()
    custodes.ratelimit._windows._presence.instances = 3
    admin = await key_for(custodes)
    rules = f"{API}/rate-limits/rules"
    transport = httpx2.ASGITransport(app=create_admin_app(custodes), client=("198.51.100.7", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com") as client:
        body = {"name": "x", "limits": "200/second; 9000/hour", "lease": 20}
        made = await client.post(rules, json=body, headers=admin)
        too_much = await client.post(rules, json={**body, "name": "y", "lease": 21}, headers=admin)
        slots = await client.post(rules, json={**body, "name": "z", "limits": "900 concurrent"}, headers=admin)
        other = install()
        await other.open()
        kept = await other.ratelimit._store.shared(clock.now())
        path = f"{rules}/{made.json()['id']}"
        renamed = await client.patch(path, json={"route": "/x"}, headers=admin)
        without = await client.patch(path, json={"lease": 1}, headers=admin)
        checked = await client.get(
            f"{API}/rate-limits/rule-check", params={"limits": "100/day", "name": "x", "lease": "10"}, headers=admin
        )

    assert (made.json()["lease"], made.json()["over_admission"]) == (20, 57)
    assert (too_much.status_code, too_much.json()["remedy"][:11]) == (422, "Use 1 to 20")
    assert (slots.status_code, slots.json()["detail"][:22]) == (422, "Slots cannot be leased")
    assert [rule.lease for rule in kept.rules] == [20]
    assert other.ratelimit.over_admission(kept.rules[0]) == 0, "in memory, nothing is leased"
    assert renamed.json()["over_admission"] == 57
    assert (without.json()["lease"], without.json()["over_admission"]) == (1, 0)
    assert checked.json()["over_admission"] == 27


async def test_nobody_can_shut_out_loopback_a_proxy_or_a_continent(custodes: Custodes, client: httpx2.AsyncClient):
    admin = await key_for(custodes)
    for identifier in ("127.0.0.1", "127.0.0.0/8", "::1", "0.0.0.0/0", "2000::/3", "banana"):
        answer = await client.post(
            f"{API}/rate-limits/blocks", json={"identifier": identifier, "reason": "x"}, headers=admin
        )
        assert answer.status_code == 422, identifier
        assert answer.json()["remedy"]


async def test_the_allow_list_wins_over_limits_and_blocks(custodes: Custodes, client: httpx2.AsyncClient, call):
    admin = await key_for(custodes)
    custodes.limit("1/hour")
    await custodes.ratelimit.block_identifier("203.0.113.0/24", reason="x", actor="a")

    made = await client.post(
        f"{API}/rate-limits/lists",
        json={"effect": "allow", "identifier": "203.0.113.9", "reason": "monitoring"},
        headers=admin,
    )
    allowed = [custodes.ratelimit.check(call("203.0.113.9")).allowed for _ in range(5)]
    listed = await client.get(f"{API}/rate-limits/lists", params={"effect": "allow"}, headers=admin)
    await client.delete(f"{API}/rate-limits/lists/{made.json()['id']}", headers=admin)

    assert allowed == [True] * 5
    assert len(listed.json()["items"]) == 1
    assert not custodes.ratelimit.check(call("203.0.113.9")).allowed


async def test_the_deny_list_has_no_end(custodes: Custodes, client: httpx2.AsyncClient, call):
    admin = await key_for(custodes)
    await client.post(
        f"{API}/rate-limits/lists",
        json={"effect": "deny", "identifier": "2001:db8::/32", "reason": "x"},
        headers=admin,
    )

    refused = custodes.ratelimit.check(call("2001:db8:1:2::3"))

    assert (refused.allowed, refused.rule, dict(refused.headers)) == (False, "deny-list", {})


async def test_an_admin_of_one_tenant_sees_and_changes_only_its_own(
    custodes: Custodes, client: httpx2.AsyncClient, call
):
    everywhere = await custodes.ratelimit.block_identifier("198.51.100.1", reason="x", actor="a")
    acme = await key_for(custodes, tenant="acme")

    made = await client.post(
        f"{API}/rate-limits/blocks", json={"identifier": "203.0.113.9", "reason": "y"}, headers=acme
    )
    listed = await client.get(f"{API}/rate-limits/blocks", headers=acme)
    foreign = await client.delete(f"{API}/rate-limits/blocks/{everywhere.id}", headers=acme)
    other = await client.get(f"{API}/rate-limits/blocks", params={"tenant": "umbrella"}, headers=acme)

    assert [row["tenant"] for row in listed.json()["items"]] == ["acme"]
    assert (made.status_code, foreign.status_code, other.status_code) == (201, 404, 404)
    assert custodes.ratelimit.check(call("203.0.113.9")).allowed, "only requests of acme are blocked"
    assert not custodes.ratelimit.check(call("203.0.113.9", tenant="acme")).allowed


async def test_the_summary_and_the_analytics_show_what_happened(
    custodes: Custodes, client: httpx2.AsyncClient, call, clock: FakeClock
):
    admin = await key_for(custodes)
    custodes.limit("5/minute", route="/login", name="login")
    for _ in range(8):
        custodes.ratelimit.check(call("203.0.113.9", path="/login"))
    await custodes.ratelimit.flush()

    summary = await client.get(f"{API}/rate-limit-summary", headers=admin)
    analytics = await client.get(f"{API}/rate-limits/analytics", headers=admin)
    windows = await client.get(f"{API}/rate-limits/windows", params={"refused_only": True}, headers=admin)

    told = summary.json()
    assert (told["state"], told["allowed"], told["refused"], told["refusal_rate"]) == ("healthy", 5, 3, 3 / 8)
    assert told["top_identifiers"][0]["label"] == "ip:203.0.113.9"
    assert told["near_limits"] == [{"rule": "login", "identifier": "ip:203.0.113.9", "limit": 5, "remaining": 0}]
    assert analytics.json()["endpoints"][0] == {"label": "/login", "allowed": 5, "refused": 3, "would_refuse": 0}
    assert len(analytics.json()["trend"]) == 1
    row = windows.json()["items"][0]
    assert (row["rule"], row["allowed"], row["refused"], row["trace_id"]) == ("login", 5, 3, "a" * 32)


async def test_a_rule_says_what_it_did_and_who_is_near_its_limits(custodes: Custodes, client: httpx2.AsyncClient, call):
    # Given two rules, each with somebody who used it up
    admin = await key_for(custodes)
    custodes.limit("5/minute", route="/login", name="login")
    custodes.limit("2/minute", route="/search", name="search")
    for _ in range(8):
        custodes.ratelimit.check(call("203.0.113.9", path="/login"))
    for _ in range(3):
        custodes.ratelimit.check(call("203.0.113.8", path="/search"))
    await custodes.ratelimit.flush()

    told = (await client.get(f"{API}/rate-limits/usage", params={"rule": "login"}, headers=admin)).json()
    other = (await client.get(f"{API}/rate-limits/usage", params={"rule": "nothing"}, headers=admin)).json()

    assert (told["allowed"], told["refused"], told["would_refuse"]) == (5, 3, 0)
    assert [(point["allowed"], point["refused"]) for point in told["trend"]] == [(5, 3)]
    assert told["near_limits"] == [{"rule": "login", "identifier": "ip:203.0.113.9", "limit": 5, "remaining": 0}]
    assert (other["allowed"], other["refused"], other["trend"], other["near_limits"]) == (0, 0, [], [])


async def test_who_is_near_a_limit_with_a_burst_has_used_the_burst(
    custodes: Custodes, client: httpx2.AsyncClient, call
):
    # Given a rule with a burst far below what comes in a window
    admin = await key_for(custodes)
    custodes.limit("120/minute burst 20", route="/orders", name="orders")

    # When one client has asked once, and another until little of the burst was left
    custodes.ratelimit.check(call("203.0.113.8", path="/orders"))
    for _ in range(17):
        custodes.ratelimit.check(call("203.0.113.9", path="/orders"))

    # Then only the second is near it, with what is left of the burst
    told = (await client.get(f"{API}/rate-limits/usage", params={"rule": "orders"}, headers=admin)).json()
    assert told["near_limits"] == [{"rule": "orders", "identifier": "ip:203.0.113.9", "limit": 20, "remaining": 3}]


async def test_a_block_says_what_it_refused_since_it_holds(
    custodes: Custodes, client: httpx2.AsyncClient, call, clock: FakeClock
):
    # Given a network that was blocked and lifted, and is blocked again: what the first refused is the first's
    admin = await key_for(custodes)
    body = {"identifier": "203.0.113.0/24", "reason": "scraper"}
    first = (await client.post(f"{API}/rate-limits/blocks", json=body, headers=admin)).json()
    for last in (7, 8, 9):
        custodes.ratelimit.check(call(f"203.0.113.{last}", path="/a"))
    await custodes.ratelimit.flush()
    await client.delete(f"{API}/rate-limits/blocks/{first['id']}", headers=admin)
    clock.advance(2 * HOUR)
    second = (await client.post(f"{API}/rate-limits/blocks", json=body, headers=admin)).json()
    custodes.ratelimit.check(call("203.0.113.7", path="/b"))
    custodes.ratelimit.check(call("198.51.100.7", path="/b"))
    await custodes.ratelimit.flush()

    told = [
        (await client.get(f"{API}/rate-limits/blocks/{one['id']}/refusals", headers=admin)).json()
        for one in (first, second)
    ]
    gone = await client.get(f"{API}/rate-limits/blocks/{custodes.new_id()}/refusals", headers=admin)

    assert [one["refused"] for one in told] == [3, 1]
    assert [sum(point["refused"] for point in one["trend"]) for one in told] == [3, 1]
    assert gone.status_code == 404
    # And of a tenant's own nobody but the tenant and those who see all
    acme = await key_for(custodes, tenant="acme")
    assert (await client.get(f"{API}/rate-limits/blocks/{first['id']}/refusals", headers=acme)).status_code == 404


async def test_a_long_block_is_told_as_far_back_as_windows_are_kept(
    custodes: Custodes, client: httpx2.AsyncClient, call, clock: FakeClock
):
    admin = await key_for(custodes)
    body = {"identifier": "203.0.113.9", "reason": "scraper"}
    made = (await client.post(f"{API}/rate-limits/blocks", json=body, headers=admin)).json()
    clock.advance(30 * DAY)

    told = (await client.get(f"{API}/rate-limits/blocks/{made['id']}/refusals", headers=admin)).json()

    kept = clock.now() - custodes.settings.api_log_retention_days * DAY
    assert told["since"] == to_iso(kept - kept % MINUTE)
    assert told["refused"] == 0


async def test_the_last_minute_is_all_that_happened_since_its_begin(
    custodes: Custodes, client: httpx2.AsyncClient, call, clock: FakeClock
):
    """Given requests at 20 s of a minute; when one asks from 5 s on, then the whole minute is told."""
    admin = await key_for(custodes)
    custodes.limit("5/minute", route="/login", name="login")
    clock.advance(MINUTE - clock.now() % MINUTE + 20 * SECOND)
    for _ in range(8):
        custodes.ratelimit.check(call("203.0.113.9", path="/login"))
    await custodes.ratelimit.flush()
    clock.advance(30 * SECOND)

    asked = {"since": to_iso(clock.now() - 45 * SECOND)}
    told = (await client.get(f"{API}/rate-limits/analytics", params=asked, headers=admin)).json()

    assert (told["allowed"], told["refused"]) == (5, 3)
    assert told["since"] == to_iso(clock.now() - 50 * SECOND)


async def test_how_many_are_blocked_is_told_of_now_and_of_the_end_of_the_time_that_is_asked_about(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock
):
    """Given twelve blocks and one that was lifted; then all that stood at a moment count, listed or not."""
    admin = await key_for(custodes)
    for number in range(13):
        block = await custodes.ratelimit.block_identifier(f"203.0.113.{number}", reason="x", actor="a")
    clock.advance(HOUR)
    await custodes.ratelimit.lift_block(block.id, actor="a")
    before = {"until": to_iso(clock.now() - MINUTE)}

    summary = (await client.get(f"{API}/rate-limit-summary", params=before, headers=admin)).json()
    then = await client.get(f"{API}/rate-limits/analytics", params=before, headers=admin)
    now = await client.get(f"{API}/rate-limits/analytics", headers=admin)

    assert (summary["blocks_in_force"], len(summary["active_blocks"])) == (12, 10)
    assert (then.json()["blocks_in_force"], now.json()["blocks_in_force"]) == (13, 12)
    long_ago = {"until": to_iso(clock.now() - 8 * DAY), "since": to_iso(clock.now() - 9 * DAY)}
    forgotten = await client.get(f"{API}/rate-limits/analytics", params=long_ago, headers=admin)
    assert forgotten.json()["blocks_in_force"] is None, "those that ended since then are deleted after a week"


async def test_what_is_not_counted_by_tenant_is_not_told_as_none(custodes: Custodes, client: httpx2.AsyncClient, call):
    # Given requests of a tenant under a rule by address and one by key, some refused by both
    custodes.limit("3/minute", by="ip", name="by address")
    custodes.limit("2/minute", by="api_key", route="/orders", name="by key")
    for _ in range(3):
        custodes.ratelimit.check(call(tenant="acme"))
    for ip in range(3):
        custodes.ratelimit.check(call(f"198.51.100.{ip}", path="/orders", api_key="k1", tenant="acme"))
    assert not custodes.ratelimit.check(call(tenant="acme")).allowed
    await custodes.ratelimit.flush()

    async def told(key: dict[str, str], path: str, **query: str) -> dict[str, Any]:
        return (await client.get(f"{API}/{path}", params=query, headers=key)).json()

    # When the tenant asks, Then what was refused is told, and what nobody knows of it alone is no zero
    acme, everybody = await key_for(custodes, tenant="acme"), await key_for(custodes)
    usage = await told(acme, "rate-limits/usage", rule="by address")
    assert (usage["allowed"], usage["refused"], usage["trend"][0]["allowed"]) == (None, 1, None)
    assert (await told(acme, "rate-limits/usage", rule="by key"))["allowed"] == 2
    for path in ("rate-limits/analytics", "rate-limit-summary"):
        found = await told(acme, path)
        assert (found["allowed"], found["refused"], found["refusal_rate"]) == (None, 2, None)
    ranked = (await told(acme, "rate-limits/analytics"))["rules"]
    assert {one["label"]: one["allowed"] for one in ranked} == {"by address": None, "by key": 2}

    # And who sees all tenants is told all of it
    assert (await told(everybody, "rate-limits/usage", rule="by address"))["allowed"] == 5
    assert (await told(everybody, "rate-limits/analytics"))["allowed"] == 7


async def test_an_admin_of_one_tenant_does_not_learn_what_the_others_do(
    custodes: Custodes, client: httpx2.AsyncClient, call
):
    """Given a request of another tenant that was refused, Then its count is for those who see all tenants."""
    custodes.ratelimit.limit("1/minute")
    for _ in range(3):
        custodes.ratelimit.check(call(tenant="globex"))

    whole = await client.get(f"{API}/rate-limit-summary", headers=await key_for(custodes))
    one = await client.get(f"{API}/rate-limit-summary", headers=await key_for(custodes, "admin", "acme"))

    assert whole.json()["figures"]["limited"] == 2
    assert (one.status_code, one.json()["figures"], one.json()["reasons"]) == (200, {}, [])
