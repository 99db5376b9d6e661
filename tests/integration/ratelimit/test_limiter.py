"""The limiter as a whole, on a real store."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from custodes import Custodes
from custodes.errors import ConfigurationError, InvalidInput, NotFound, StorageUnavailable
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.health import Health
from custodes.kernel.signals import SecuritySignal
from custodes.planes.ratelimit.tracking import MAX_ENDPOINTS
from custodes.testing.clock import FakeClock

Install = Callable[..., Custodes]


@pytest.fixture(params=["memory", "sqlite"])
async def either(request: pytest.FixtureRequest, install: Install) -> Custodes:
    """An install, once with each engine."""
    custodes = install(rate_limit_store=request.param, rate_limit_deadline_ms=10_000)
    await custodes.open()
    return custodes


async def decide(custodes: Custodes, call: Any) -> Any:
    answer = custodes.ratelimit.check(call)
    return await answer if inspect.isawaitable(answer) else answer


class TestDeciding:
    async def test_a_hundred_tasks_at_once_against_twenty_are_exactly_twenty(self, either: Custodes, call):
        either.limit("20/minute")

        decisions = await asyncio.gather(*(decide(either, call()) for _ in range(100)))

        assert sum(decision.allowed for decision in decisions) == 20

    async def test_all_rules_admit_or_none_is_charged(self, either: Custodes, call):
        """Given a narrow rule that refuses, when it has refused fifty times, then the wide one has lost nothing."""
        either.limit("10/hour", by="ip", name="wide")
        either.limit("1/minute", by="user", route="/orders/{id}", methods="POST", name="narrow")
        order = {"path": "/orders/7", "method": "POST", "user": "ann"}
        for _ in range(51):
            await decide(either, call(**order))

        left = (await decide(either, call())).remaining

        assert left == 10 - 1 - 1, "one order and this"

    async def test_rules_of_one_name_in_two_tenants_count_apart(self, either: Custodes, call):
        """Given two tenants whose rules have one name, When one's is used up, Then the other has lost nothing."""
        for tenant in ("acme", "globex"):
            await either.ratelimit.create_rule(limits="2/minute", name="login", tenant=tenant, actor="user:ann")

        seen = [(await decide(either, call(tenant=tenant))).allowed for tenant in ["acme"] * 3 + ["globex"] * 3]

        assert seen == [True, True, False] * 2

    @pytest.mark.parametrize("spelling", ["post", "Post", "pOSt"])
    async def test_a_method_in_small_letters_is_no_way_around(self, either: Custodes, call, spelling: str):
        """Given a rule for POST, When the method comes as h11 lets it through and Django takes it, Then it holds."""
        either.limit("1/minute", route="/login", methods="POST")

        assert (await decide(either, call(path="/login", method="POST"))).allowed
        assert not (await decide(either, call(path="/login", method=spelling))).allowed

    async def test_rules_hold_by_subject_path_and_method(self, either: Custodes, call):
        either.limit("1/minute", by="ip+user", route="/a/*", methods=["GET"], exempt=["/a/free"])

        assert (await decide(either, call(path="/a/x", user="ann"))).allowed
        refused = await decide(either, call(path="/a/x", user="ann"))
        assert not refused.allowed
        for other in (
            call(path="/b", user="ann"),
            call(path="/a/x", user="ann", method="POST"),
            call(path="/a/x", user="bob"),
            call("198.51.100.1", path="/a/x", user="ann"),
            call(path="/a/free", user="ann"),
            call(path="/a/x"),
        ):
            assert (await decide(either, other)).allowed
        head = await decide(either, call(path="/a/x/", user="ann", method="HEAD"))
        assert not head.allowed, "neither HEAD nor a slash at the end is a way around"

    async def test_a_user_of_another_tenant_is_another_user(self, either: Custodes, call):
        either.limit("1/minute", by="user")

        assert (await decide(either, call(user="ann", tenant="acme"))).allowed
        assert (await decide(either, call(user="ann", tenant="umbrella"))).allowed
        assert not (await decide(either, call(user="ann", tenant="acme"))).allowed

    async def test_an_ipv6_client_counts_by_its_prefix(self, either: Custodes, call):
        either.limit("2/minute")

        for host in (1, 2):
            assert (await decide(either, call(f"2001:db8:1:2::{host}"))).allowed
        assert not (await decide(either, call("2001:db8:1:2:ffff::9"))).allowed
        assert (await decide(either, call("2001:db8:1:3::1"))).allowed

    async def test_requests_cost_what_the_rule_says(self, either: Custodes, call):
        either.limit("10/minute", cost=lambda request: 7 if request.path == "/export" else 1)

        assert (await decide(either, call(path="/export"))).remaining == 3
        assert not (await decide(either, call(path="/export"))).allowed
        assert (await decide(either, call(path="/"))).remaining == 2

    async def test_a_callable_names_the_subject(self, either: Custodes, call):
        either.limit("1/minute", by=lambda request: request.path.split("/")[1])

        assert (await decide(either, call(path="/eu/x"))).allowed
        assert not (await decide(either, call(path="/eu/y"))).allowed
        assert (await decide(either, call(path="/us/x"))).allowed

    async def test_a_callable_that_fails_harms_nobody(self, either: Custodes, call):
        def broken(_request: object) -> Any:
            raise RuntimeError

        either.limit("1/minute", by=broken, name="by")
        either.limit("2/minute", cost=broken, name="cost")

        assert [(await decide(either, call())).allowed for _ in range(3)] == [True, True, False]

    async def test_a_callable_that_names_what_no_store_takes_costs_nobody_the_counts(self, either: Custodes, call):
        either.limit("1/minute", by=lambda request: "\ud800\0", name="odd")
        either.limit("100/minute", name="wide")
        for _ in range(3):
            await decide(either, call())

        await either.ratelimit.flush()

        windows = (await either.ratelimit.list_windows()).items
        assert {(one.rule, one.identifier, one.refused) for one in windows if one.rule == "odd"} == {
            ("odd", r"\ud800\x00", 2),
            ("odd", r"\ud800\x00", 0),
        }
        assert "wide" in {one.rule for one in windows}

    @pytest.mark.parametrize("what", ["by", "cost"])
    async def test_an_asynchronous_callable_is_refused(self, either: Custodes, what: str):
        async def name(_request: Any) -> str:
            return "ann"

        with pytest.raises(InvalidInput, match=f"of {what} is asynchronous"):
            either.limit("1/minute", **{what: name})  # pyright: ignore[reportArgumentType]

    async def test_a_rule_in_shadow_refuses_nobody_and_tells_whom_it_would(self, either: Custodes, call):
        either.limit("1/minute", shadow=True, name="strict")
        either.limit("100/minute", name="wide")

        decisions = [await decide(either, call()) for _ in range(4)]
        await either.ratelimit.flush()
        (total,) = [one for one in (await either.ratelimit.get_rate_limit_analytics()).rules if one.label == "strict"]

        assert [decision.allowed for decision in decisions] == [True] * 4
        assert [list(decision.would_refuse) for decision in decisions] == [[], ["strict"], ["strict"], ["strict"]]
        assert (total.refused, total.would_refuse) == (0, 3)
        assert all(b"strict" not in value for decision in decisions for _, value in decision.headers)

    async def test_slots_are_held_until_the_request_is_over(self, either: Custodes, call, clock: FakeClock):
        either.limit("2 concurrent for 10 seconds")
        first, second = await decide(either, call()), await decide(either, call())

        assert not (await decide(either, call())).allowed
        first.release()
        first.release()
        await asyncio.gather(*getattr(either.ratelimit._windows, "_releases", ()))
        assert (await decide(either, call())).allowed
        assert not (await decide(either, call())).allowed, "giving back twice frees one slot"
        clock.advance(10 * SECOND)
        assert (await decide(either, call())).allowed, "a lease ends by itself"
        assert second.release is not None

    async def test_who_waits_for_a_slot_is_told_to_come_back_soon(self, either: Custodes, call):
        """Given slots that are leased for a minute, and mostly free far sooner: nobody waits for the end of a lease."""
        either.limit("1 concurrent", name="slots")
        held = await decide(either, call())
        refused = await decide(either, call())

        assert dict(held.headers)[b"ratelimit"] == b'"slots";r=0;t=1'
        assert dict(refused.headers)[b"ratelimit"] == b'"slots";r=0;t=1'
        assert dict(refused.headers)[b"retry-after"] == b"1"
        assert refused.retry_after == SECOND

    async def test_a_rate_beside_a_slot_has_its_own_wait(self, either: Custodes, call):
        either.limit("1 concurrent", name="slots")
        either.limit("1/minute", name="rate")
        assert (await decide(either, call())).release is not None

        assert dict((await decide(either, call())).headers)[b"retry-after"] == b"60"

    async def test_no_jump_of_the_wall_clock_frees_or_freezes_a_window(self, either: Custodes, call, clock: FakeClock):
        either.limit("1/minute; 1/minute burst 1")
        assert (await decide(either, call())).allowed

        clock.jump(2 * HOUR)
        assert not (await decide(either, call())).allowed
        clock.jump(-5 * HOUR)
        clock.advance(MINUTE)
        assert (await decide(either, call())).allowed

    async def test_changing_one_limit_keeps_what_was_counted_under_the_others(self, either: Custodes, call):
        rule = await either.ratelimit.create_rule(actor="a", name="r", limits="3/hour")
        for _ in range(3):
            await decide(either, call())

        await either.ratelimit.change_rule(rule.id, actor="a", limits="3/hour; 100/day")

        assert not (await decide(either, call())).allowed

    async def test_who_has_no_address_counts_as_one(self, either: Custodes, call):
        either.limit("1/minute")

        assert (await decide(either, call(""))).allowed
        assert not (await decide(either, call(""))).allowed


class TestAsking:
    async def test_check_rate_limit_charges_the_rules_of_an_endpoint(self, either: Custodes, clock: FakeClock):
        either.limit("2/minute", by="user", route="/exports", name="exports")
        either.limit("1/minute", by="ip")

        checks = [await either.ratelimit.check_rate_limit("ann", "user", "/exports") for _ in range(3)]

        assert [(check.allowed, check.remaining) for check in checks] == [(True, 1), (True, 0), (False, 0)]
        assert (checks[2].rule, checks[2].retry_after) == ("exports", MINUTE)
        assert [check.reason for check in checks] == ["", "", "It is over the limit 'exports'"]
        assert (await either.ratelimit.check_rate_limit("ann", "user", "/free")).remaining is None

    async def test_a_check_says_why_and_holds_none_of_what_may_be_held_at_one_moment(self, either: Custodes, call):
        """Given somebody who checks again and again, then no slot of the requests that really run is taken."""
        either.limit("2 concurrent", by="user", name="at once")

        checks = [await either.ratelimit.check_rate_limit("ann", "user") for _ in range(4)]
        assert [check.allowed for check in checks] == [True] * 4
        held = [await decide(either, call(user="ann")) for _ in range(2)]
        full = await either.ratelimit.check_rate_limit("ann", "user")
        for one in held:
            assert one.release is not None
            one.release()
        await asyncio.sleep(0)  # engines that are awaited are told on the loop's next turn
        free = await either.ratelimit.check_rate_limit("ann", "user")
        await either.ratelimit.block_identifier("ann", "user", reason="x", actor="a")
        blocked = await either.ratelimit.check_rate_limit("ann", "user")

        assert (full.allowed, full.reason) == (False, "It is over the limit 'at once'")
        assert free.allowed
        assert (blocked.allowed, blocked.rule, blocked.reason) == (False, "block", "It is blocked")

    @pytest.mark.parametrize("effect", ["block", "allow", "deny"])
    async def test_an_entry_that_could_never_count_is_refused(self, custodes: Custodes, effect: str):
        """Given what only the callable of a rule can name, then nobody is told that it is blocked."""
        limiter = custodes.ratelimit
        add = limiter.block_identifier if effect == "block" else partial(limiter.add_to_list, effect)
        with pytest.raises(InvalidInput, match="would never count"):
            await add("device-7", "custom", reason="x", actor="a")

        assert (await limiter.get_blocked_identifiers()).items == (await limiter.list_access()).items == []

    async def test_what_is_no_identifier_is_refused(self, custodes: Custodes):
        for identifier, kind in (
            ("banana", "ip"),
            ("10.0.0.0/8", "ip"),
            ("", "user"),
            ("x", "custom"),
            ("a b", "tenant"),
        ):
            with pytest.raises(InvalidInput):
                await custodes.ratelimit.check_rate_limit(identifier, kind)

    async def test_switched_off_it_admits_everything(self, install: Install):
        custodes = install(rate_limiting_enabled=False)
        custodes.limit("1/day")

        assert [(await custodes.ratelimit.check_rate_limit("1.2.3.4")).allowed for _ in range(3)] == [True] * 3

    async def test_two_rules_of_one_name_are_an_error_at_start(self, custodes: Custodes):
        custodes.limit("1/day", route="/a")
        with pytest.raises(ConfigurationError, match="ip:/a"):
            custodes.limit("2/day", route="/a")

    async def test_rules_of_one_path_for_different_methods_have_names_of_their_own(self, custodes: Custodes):
        """Given one path, When it has rules for several methods, Then each has a name; one twice is an error."""
        made = [custodes.limit("1/day", route="/a", methods=methods) for methods in ("", "POST", "GET", "put, PATCH")]

        assert [rule.name for rule in made] == ["ip:/a", "ip:POST:/a", "ip:GET:/a", "ip:PATCH,PUT:/a"]
        with pytest.raises(ConfigurationError, match="ip:POST:/a"):
            custodes.limit("2/day", route="/a", methods=["POST"])

    @pytest.mark.parametrize("wrong", [{"cost": 1.5}, {"cost": True}, {"lease": 1.5}, {"lease": 1.0}])
    async def test_units_are_whole_numbers(self, custodes: Custodes, wrong: dict[str, Any]):
        with pytest.raises(InvalidInput):
            custodes.limit("100/day", **wrong)

    async def test_a_quota_counts_what_is_no_request(self, custodes: Custodes, clock: FakeClock):
        clock.advance(SECOND)
        mails = custodes.ratelimit.quota("2/hour")

        assert [mails.hit("acme") for _ in range(3)] == [True, True, False]
        assert (mails.hit("umbrella"), mails.wait("acme")) == (True, HOUR)
        for wrong in ("1/hour; 2/day", "3 concurrent"):
            with pytest.raises(InvalidInput):
                custodes.ratelimit.quota(wrong)


class TestSharing:
    async def test_a_block_and_a_rule_of_another_worker_hold_after_one_look(self, install: Install, call):
        """Given two workers on one database, when one blocks and limits, then the other does after its next look."""
        one, other = install(), install()
        await one.open()
        await other.open()
        await other.ratelimit.refresh()
        await one.ratelimit.block_identifier("203.0.113.9", reason="x", actor="a")
        await one.ratelimit.create_rule(actor="a", name="r", limits="1/hour")

        assert other.ratelimit.check(call()).allowed
        await other.ratelimit.refresh()
        assert not other.ratelimit.check(call()).allowed
        assert [rule.name for rule in other.ratelimit.list_rules()] == ["r"]

        await one.ratelimit.unblock_identifier("203.0.113.9", actor="a")
        await other.ratelimit.refresh()
        assert other.ratelimit.check(call()).allowed
        assert not other.ratelimit.check(call()).allowed, "the rule"

    async def test_blocks_and_rules_survive_a_restart(self, install: Install, call, clock: FakeClock):
        before = install()
        await before.open()
        await before.ratelimit.block_identifier("ann", "user", reason="x", actor="a", duration=HOUR, tenant="acme")
        after = install()
        await after.open()
        await after.ratelimit.start()

        assert not after.ratelimit.check(call(user="ann", tenant="acme")).allowed
        clock.advance(HOUR)
        assert after.ratelimit.check(call(user="ann", tenant="acme")).allowed

    async def test_unblocking_who_is_not_blocked_says_so(self, custodes: Custodes):
        with pytest.raises(NotFound):
            await custodes.ratelimit.unblock_identifier("203.0.113.9", actor="a")


class TestBans:
    async def test_a_repeat_offender_is_shut_out_for_longer_each_time_and_security_hears_of_it(
        self, install: Install, call, clock: FakeClock
    ):
        custodes = install(rate_limit_bans=True)
        await custodes.open()
        custodes.limit("1/minute", route="/login")
        heard: list[SecuritySignal] = []
        custodes.bus.subscribe(SecuritySignal, heard.append)

        lengths: list[int] = []
        for _ in range(3):
            for _ in range(31):
                custodes.ratelimit.check(call(path="/login"))
            shut = custodes.ratelimit.check(call(path="/"))
            lengths.append(0 if shut.allowed else shut.retry_after)
            clock.advance(lengths[-1] + MINUTE)

        assert lengths == [0, MINUTE, 15 * MINUTE]
        assert [one.action for one in heard if "hit" not in one.action] == [
            "rate_limit.warned",
            "rate_limit.banned",
            "rate_limit.banned",
        ]

    async def test_an_offence_counts_on_after_a_restart_and_in_other_workers_until_it_is_pardoned(
        self, install: Install, call, clock: FakeClock
    ):
        """Given an offender who is shut out for the second time, then no restart and no other worker begins anew."""

        async def offend(worker: Custodes) -> int:
            for _ in range(31):
                worker.ratelimit.check(call(path="/login"))
            shut = worker.ratelimit.check(call(path="/"))
            clock.advance(MINUTE + (0 if shut.allowed else shut.retry_after))
            await worker.ratelimit.refresh()
            return 0 if shut.allowed else shut.retry_after

        first, other, after = (install(rate_limit_bans=True) for _ in range(3))
        for worker in (first, other):
            await worker.open()
            await worker.ratelimit.refresh()
            worker.limit("1/minute", route="/login")
        assert [await offend(first), await offend(first)] == [0, MINUTE]

        await other.ratelimit.refresh()
        assert await offend(other) == 15 * MINUTE
        await first.ratelimit.stop()
        await after.open()
        await after.ratelimit.start()
        after.limit("1/minute", route="/login")
        assert await offend(after) == HOUR

        for _ in range(31):
            after.ratelimit.check(call(path="/login"))
        await after.ratelimit.refresh()
        await after.ratelimit.unblock_identifier("203.0.113.9", actor="user:ann")
        await other.ratelimit.refresh()
        assert await offend(after) == 0, "a warning, as at the beginning"
        await after.ratelimit.stop()

    async def test_a_ban_reaches_the_other_workers_and_can_be_lifted(self, install: Install, call):
        one, other = install(rate_limit_bans=True), install()
        await one.open()
        await other.open()
        one.limit("1/hour", route="/login")
        for _ in range(100):
            one.ratelimit.check(call(path="/login"))

        await one.ratelimit.refresh()
        await other.ratelimit.refresh()
        banned = other.ratelimit.check(call())
        (entry,) = (await other.ratelimit.get_blocked_identifiers()).items
        await other.ratelimit.unblock_identifier("203.0.113.9", actor="user:ann")

        assert (banned.allowed, banned.rule) == (False, "ban")
        assert (entry.level, entry.actor, entry.identifier) == (2, "custodes", "203.0.113.9")
        assert other.ratelimit.check(call()).allowed

    async def test_loopback_and_trusted_proxies_are_never_shut_out(self, install: Install, call):
        custodes = install(rate_limit_bans=True, trusted_proxies="10.0.0.0/8")
        await custodes.open()
        custodes.limit("1/hour", route="/login")
        for ip in ("127.0.0.1", "10.1.2.3", "::1", ""):
            for _ in range(200):
                custodes.ratelimit.check(call(ip, path="/login"))
            assert custodes.ratelimit.check(call(ip, path="/")).allowed

    async def test_an_attack_does_not_become_one_on_the_audit_trail(self, custodes: Custodes, call):
        heard: list[SecuritySignal] = []
        custodes.bus.subscribe(SecuritySignal, heard.append)
        await custodes.ratelimit.block_identifier("203.0.113.0/24", reason="x", actor="a")
        for number in range(5_000):
            custodes.ratelimit.check(call(f"203.0.113.{number % 250}"))

        assert [one.action for one in heard] == ["rate_limit.block_hit"]

    async def test_that_a_block_does_its_work_is_told_once_and_not_each_minute(
        self, custodes: Custodes, call, clock: FakeClock
    ):
        heard: list[SecuritySignal] = []
        custodes.bus.subscribe(SecuritySignal, heard.append)
        await custodes.ratelimit.block_identifier("203.0.113.9", reason="x", actor="a")

        for _ in range(60):
            custodes.ratelimit.check(call("203.0.113.9"))
            clock.advance(MINUTE)
        assert [one.action for one in heard] == ["rate_limit.block_hit"]

        clock.advance(DAY)
        custodes.ratelimit.check(call("203.0.113.9"))
        assert [one.action for one in heard] == ["rate_limit.block_hit"] * 2


async def test_what_the_allow_list_has_is_not_told_to_have_refused_anything(custodes: Custodes, call):
    """Given an address that was blocked and then allowed, When one follows what allows it, it refused nothing."""
    limiter = custodes.ratelimit
    block = await limiter.block_identifier("203.0.113.9", reason="x", actor="a")
    limiter.check(call("203.0.113.9"))
    await limiter.flush()

    allowed = await limiter.add_to_list("allow", "203.0.113.9", reason="a mistake", actor="a")

    assert (await limiter.get_access_course(block)).sums.refused == 1
    assert (await limiter.get_access_course(allowed)).sums.refused == 0
    assert (block.refuses_as, allowed.refuses_as) == ("block", "")


class TestAlertsOfFloods:
    async def _watching(self, install: Install) -> tuple[Custodes, list[SecuritySignal]]:
        """Make an install that wants to hear of fifty refusals within five minutes, and listen to it."""
        custodes = install(rate_limit_flood=50)
        await custodes.open()
        custodes.limit("1/minute", route="/login", name="login")
        heard: list[SecuritySignal] = []
        custodes.bus.subscribe(SecuritySignal, heard.append)
        return custodes, heard

    async def test_a_flood_of_refusals_is_one_alert_that_names_the_rule_and_whom_before_anybody_is_blocked(
        self, install: Install, call, clock: FakeClock
    ):
        # Given an install that wants to hear of fifty refusals within five minutes
        custodes, heard = await self._watching(install)

        async def refused(times: int, ip: str = "203.0.113.9", **more: str) -> list[Any]:
            for _ in range(times):
                custodes.ratelimit.check(call(ip, path="/login", **more))
            await custodes.ratelimit.flush()
            await custodes.alerts.write_events()
            clock.advance(10 * SECOND)
            return (await custodes.alerts.incidents.list()).items

        # When one is refused less often than that, nobody is woken
        assert await refused(41) == []
        assert await refused(5, "203.0.113.10") == []

        # But when it goes on
        [alert] = await refused(10)

        # Then it is told who, how often, and by what
        assert alert.summary == "ip:203.0.113.9 was refused 50 times within 20 seconds by the limit login"
        assert dict(alert.labels) == {"system": "rate_limits", "rule": "login", "identifier": "ip:203.0.113.9"}
        assert [(one.action, one.target, one.context["rule"]) for one in heard] == [
            ("rate_limit.exceeded", "ip:203.0.113.9", "login")
        ]

        # And that it goes on for an hour is the same alert, and no further news
        for _ in range(12):
            clock.advance(4 * MINUTE)
            [same] = await refused(60)
        assert (same.id, same.occurrences) == (alert.id, 13)
        assert len(heard) == 1

        # And once somebody is blocked, what the block refuses is none
        await custodes.ratelimit.block_identifier("203.0.113.9", reason="flood", actor="a")
        assert [one.occurrences for one in await refused(500)] == [13]

    async def test_what_is_refused_in_an_hour_is_no_flood_by_a_clock_that_was_put_back(
        self, install: Install, call, clock: FakeClock
    ):
        custodes, heard = await self._watching(install)

        for number in range(12):
            for _ in range(11):
                custodes.ratelimit.check(call("203.0.113.9", path="/login"))
            await custodes.ratelimit.flush()
            clock.advance(5 * MINUTE)
            if not number:
                clock.jump(-DAY)

        assert heard == []

    async def test_a_flood_is_a_tenants_own_and_none_where_it_is_switched_off(self, install: Install, call):
        for wanted, seen in ((50, ["acme"]), (0, [])):
            custodes = install(rate_limit_flood=wanted)
            await custodes.open()
            custodes.limit("1/minute", by="api_key", name="keys")
            heard: list[SecuritySignal] = []
            custodes.bus.subscribe(SecuritySignal, heard.append)

            for tenant, times in (("acme", 60), ("globex", 40)):
                for _ in range(times):
                    custodes.ratelimit.check(call(tenant=tenant, api_key="k1"))
            await custodes.ratelimit.flush()

            assert [one.tenant for one in heard] == seen


class TestCounting:
    async def test_every_request_is_in_the_sums_and_top_offenders_have_rows(
        self, either: Custodes, call, clock: FakeClock
    ):
        either.limit("5/minute", name="all")
        for number in range(40):
            for _ in range(number // 4):
                await decide(either, call(f"203.0.113.{number}", path="/orders/9"))
        await either.ratelimit.flush()
        clock.advance(MINUTE)
        await decide(either, call("203.0.113.39"))
        await either.ratelimit.flush()
        found = await either.ratelimit.get_rate_limit_analytics(since=clock.now() - HOUR)
        page = await either.ratelimit.list_windows(refused_only=True, limit=500)

        asked = [number // 4 for number in range(40)]
        admitted = sum(min(one, 5) for one in asked) + 1
        assert (found.allowed, found.refused) == (admitted, sum(asked) + 1 - admitted)
        assert [(point.allowed, point.refused) for point in found.trend] == [
            (admitted - 1, sum(asked) + 1 - admitted),
            (1, 0),
        ]
        assert found.identifiers[0].refused == 9 - 5
        assert {window.endpoint for window in page.items} == {"/orders/{}"}
        assert sum(window.refused for window in page.items) == found.refused

    async def test_counts_of_two_workers_add_up(self, install: Install, call):
        one, other = install(), install()
        await one.open()
        await other.open()
        for worker in (one, other):
            worker.limit("3/minute", name="all")
            for _ in range(5):
                worker.ratelimit.check(call())
            await worker.ratelimit.flush()

        (window,) = (await one.ratelimit.list_windows(identifier="203.0.113.9", refused_only=False)).items[:1]
        total = await one.ratelimit.get_rate_limit_analytics()

        assert (total.allowed, total.refused) == (6, 4)
        assert window.identifier == "203.0.113.9"

    async def test_expired_windows_and_ended_blocks_are_deleted_in_batches(
        self, custodes: Custodes, call, clock: FakeClock
    ):
        custodes.limit("1/minute")
        await custodes.ratelimit.block_identifier("ann", "user", reason="x", actor="a", duration=HOUR)
        await custodes.ratelimit.block_identifier("bob", "user", reason="x", actor="a")
        for number in range(30):
            custodes.ratelimit.check(call(f"203.0.113.{number}"))
        await custodes.ratelimit.flush()
        clock.advance(DAY)

        deleted = [await custodes.ratelimit.purge_expired(clock.now(), 20) for _ in range(3)]

        assert deleted == [20, 12, 0], "30 rows, their sum, and the block that has ended"
        assert [one.identifier for one in (await custodes.ratelimit.get_blocked_identifiers(active=False)).items] == [
            "bob"
        ]

    async def test_counts_that_cannot_be_written_are_kept_once_then_counted_as_lost(
        self, custodes: Custodes, call, monkeypatch: pytest.MonkeyPatch
    ):
        custodes.limit("1/minute")
        store = custodes.ratelimit._store
        record = store.record

        async def down(_windows: object, _once: str = "") -> None:
            msg = "down"
            raise StorageUnavailable(msg)

        custodes.ratelimit.check(call())
        monkeypatch.setattr(store, "record", down)
        await custodes.ratelimit.flush()
        monkeypatch.setattr(store, "record", record)
        await custodes.ratelimit.flush()

        assert (await custodes.ratelimit.get_rate_limit_analytics()).allowed == 1
        monkeypatch.setattr(store, "record", down)
        custodes.ratelimit.check(call("198.51.100.1"))
        for _ in range(3):
            await custodes.ratelimit.flush()
        health = await custodes.ratelimit.get_health_status()
        assert health.figures["counts_lost"] > 0
        assert health.state is Health.DEGRADED


class TestFloods:
    async def test_whoever_is_refused_cannot_fill_the_store_with_invented_paths(self, custodes: Custodes, call):
        """
        Given a limit on every path,
        When one client runs into it again and again, each time at another path,
        Then a few endpoints are told apart, the rest is one sum, and nothing goes uncounted.
        """
        custodes.limit("1/minute", name="all")
        for number in range(1_001):
            custodes.ratelimit.check(call(path=f"/{'abcdefghij'[number % 10] * 3}{'x' * (number // 10)}"))

        await custodes.ratelimit.flush()

        rows = (await custodes.ratelimit.list_windows(limit=200)).items
        assert len(rows) <= MAX_ENDPOINTS + 2
        assert sum(row.refused for row in rows) == 1_000
