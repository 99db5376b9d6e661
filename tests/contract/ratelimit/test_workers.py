"""Workers of one install that change rules and blocks at once, on every engine of the store."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from tests.contract.ratelimit.test_bans import POLICY, Request

from custodes.errors import Conflict, NotFound
from custodes.kernel.ids import uuid7
from custodes.planes.ratelimit import administration, in_force
from custodes.planes.ratelimit.limiter import RateLimiter
from custodes.planes.ratelimit.model import Kind, Options
from custodes.planes.ratelimit.ports import Shared
from custodes.runtime.bus import Bus
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.sql.database import Database
from custodes.storage.sql.ratelimit import SqlRateLimitStore
from custodes.testing.clock import FakeClock

_bits = random.Random(7).getrandbits

ACTOR = "user:ann"


class BusyStore(SqlRateLimitStore):
    """While it is read, something is changed."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.reads = 0
        self.meanwhile: list[Callable[[], object]] = []

    async def shared(self, now: int) -> Shared:
        found = await super().shared(now)
        self.reads += 1
        assert self.reads < 10, "it reads again and again"
        for change in self.meanwhile:
            made = change()
            if hasattr(made, "__await__"):
                await made  # type: ignore[misc]
        return found


class Worker(RateLimiter):
    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.store = BusyStore(database)
        super().__init__(
            MemoryWindows(),
            self.store,
            clock=clock,
            new_id=lambda: uuid7(clock.now(), _bits),
            bus=Bus(),
            client_of=str,
            immune=lambda _kind, _identifier: False,
            options=Options(bans=POLICY),
        )

    def admits(self, **given: str) -> bool:
        return self.check(Request(**given)).allowed  # type: ignore[union-attr]

    def ban_another(self) -> None:
        self._ban("*", Kind.IP, f"198.51.100.{self.store.reads}", 4, 3_600_000_000)


@pytest.fixture
def workers(database: Database, clock: FakeClock) -> tuple[Worker, Worker]:
    return Worker(database, clock), Worker(database, clock)


async def limits_of(worker: Worker) -> list[tuple[str, str, int]]:
    await worker.refresh()
    return [(rule.limits[0].text, rule.route, rule.version) for rule in worker.list_rules()]


class TestUnderAttack:
    async def test_bans_that_come_while_it_reads_keep_no_worker_from_a_block(self, workers: tuple[Worker, Worker]):
        """Given a ban during each read, when another worker blocks, then the next look of this one takes it over."""
        here, there = workers
        here.store.meanwhile = [here.ban_another]
        await there.block_identifier("203.0.113.9", reason="x", actor=ACTOR)

        await here.refresh()

        assert not here.admits(client_ip="203.0.113.9", path="/")
        assert not here.admits(client_ip="198.51.100.1", path="/"), "its own ban, which the store does not have yet"
        assert here.store.reads == 1
        await here.refresh()
        assert [one.identifier for one in (await there.get_blocked_identifiers()).items if one.level], "and is written"

    async def test_changes_made_here_while_it_reads_count_on_top(self, workers: tuple[Worker, Worker]):
        here, there = workers
        lifted = await there.block_identifier("203.0.113.7", reason="x", actor=ACTOR)
        deleted = await there.create_rule(actor=ACTOR, limits="1/minute", route="/old")
        await here.refresh()
        await there.block_identifier("203.0.113.8", reason="x", actor=ACTOR)
        here.store.meanwhile = [
            lambda: here.block_identifier("203.0.113.9", reason="x", actor=ACTOR),
            lambda: here.lift_block(lifted.id, actor=ACTOR),
            lambda: here.create_rule(actor=ACTOR, limits="2/minute", route="/new"),
            lambda: here.delete_rule(deleted.id),
        ]

        await here.refresh()

        assert here.admits(client_ip="203.0.113.7", path="/")
        assert not here.admits(client_ip="203.0.113.8", path="/")
        assert not here.admits(client_ip="203.0.113.9", path="/")
        assert [rule.route for rule in here.list_rules()] == ["/new"]

    async def test_what_another_lifts_while_it_reads_is_lifted_at_the_next_look(self, workers: tuple[Worker, Worker]):
        """Given a block made here during a read, when another lifts it before the read ends, then it goes, too."""
        here, there = workers
        await there.block_identifier("203.0.113.8", reason="x", actor=ACTOR)
        here.store.meanwhile = [
            lambda: here.block_identifier("203.0.113.9", reason="x", actor=ACTOR),
            lambda: there.unblock_identifier("203.0.113.9", actor=ACTOR),
        ]
        await here.refresh()
        here.store.meanwhile = []

        await here.refresh()

        assert here.admits(client_ip="203.0.113.9", path="/")


class TestRules:
    async def test_a_deleted_rule_stays_deleted(self, workers: tuple[Worker, Worker]):
        """Given a rule that both know, when one has deleted it, then a change by the other does not bring it back."""
        here, there = workers
        rule = await here.create_rule(actor=ACTOR, limits="5/minute", route="/x")
        await there.refresh()
        await here.delete_rule(rule.id)

        with pytest.raises(NotFound):
            await there.change_rule(rule.id, actor=ACTOR, shadow=True)

        assert await limits_of(there) == await limits_of(here) == []

    async def test_changes_of_two_workers_both_hold(self, workers: tuple[Worker, Worker]):
        here, there = workers
        rule = await here.create_rule(actor=ACTOR, limits="5/minute", route="/x")
        await there.refresh()

        await here.change_rule(rule.id, actor=ACTOR, limits="1/minute")
        changed = await there.change_rule(rule.id, actor=ACTOR, route="/z")

        assert changed.version == 3
        assert await limits_of(here) == await limits_of(there) == [("1/minute", "/z", 3)]

    async def test_who_saw_an_older_version_is_refused(self, workers: tuple[Worker, Worker]):
        here, there = workers
        rule = await here.create_rule(actor=ACTOR, limits="5/minute", route="/x")
        await here.change_rule(rule.id, actor=ACTOR, version=1, limits="1/minute")

        with pytest.raises(Conflict, match="version 2 now"):
            await there.change_rule(rule.id, actor=ACTOR, version=1, limits="9/minute")

        assert await limits_of(there) == [("1/minute", "/x", 2)]


class TestTenants:
    async def test_a_tenant_exempts_itself_from_its_own_alone(self, workers: tuple[Worker, Worker]):
        """Given a limit and a block of the install, when a tenant allows itself everything, then both still hold."""
        here, _ = workers
        here.limit("1/day", by="tenant", route="/a")
        await here.create_rule(actor=ACTOR, tenant="acme", limits="1/day", by="tenant", route="/b")
        await here.block_identifier("203.0.113.7", reason="x", actor=ACTOR)
        await here.block_identifier("203.0.113.8", reason="x", actor=ACTOR, tenant="acme")
        for path in ("/a", "/b"):
            assert here.admits(tenant="acme", path=path)
            assert not here.admits(tenant="acme", path=path)

        await here.add_to_list("allow", "acme", "tenant", reason="we want more", actor=ACTOR, tenant="acme")

        assert not here.admits(tenant="acme", path="/a"), "the install's limit"
        assert here.admits(tenant="acme", path="/b"), "the tenant's own"
        assert not here.admits(tenant="acme", path="/c", client_ip="203.0.113.7"), "blocked everywhere"
        assert here.admits(tenant="acme", path="/c", client_ip="203.0.113.8"), "blocked by the tenant"

    async def test_an_entry_for_all_tenants_lifts_everything(self, workers: tuple[Worker, Worker]):
        here, _ = workers
        here.limit("1/day", by="tenant", route="/a")
        await here.block_identifier("203.0.113.7", reason="x", actor=ACTOR)
        await here.add_to_list("allow", "acme", "tenant", reason="pays", actor=ACTOR)

        assert all(here.admits(tenant="acme", path="/a", client_ip="203.0.113.7") for _ in range(3))

    async def test_a_tenant_has_a_share_of_the_rules(
        self, workers: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(administration, "MAX_RULES_OF_TENANT", 2)
        here, _ = workers
        for number in range(2):
            await here.create_rule(actor=ACTOR, tenant="acme", limits="1/day", name=f"r{number}")

        with pytest.raises(Conflict, match="2 rules already"):
            await here.create_rule(actor=ACTOR, tenant="acme", limits="1/day", name="r2")

        await here.create_rule(actor=ACTOR, tenant="umbrella", limits="1/day", name="r2")
        await here.create_rule(actor=ACTOR, limits="1/day", name="r3")
        assert in_force.MAX_RULES_OF_TENANT < in_force.MAX_RULES

    async def test_a_tenant_has_a_share_of_the_entries_and_ended_ones_take_no_room(
        self, workers: tuple[Worker, Worker], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(administration, "MAX_ENTRIES_OF_TENANT", 2)
        monkeypatch.setattr(administration, "MAX_ENTRIES", 3)
        here, _ = workers

        async def block(number: int, tenant: str | None) -> None:
            await here.block_identifier(
                f"203.0.113.{number}", reason="x", actor=ACTOR, tenant=tenant, duration=60_000_000
            )

        await block(1, "acme")
        await block(2, "acme")
        with pytest.raises(Conflict, match="tenant has 2 entries"):
            await block(3, "acme")
        await block(3, None)
        with pytest.raises(Conflict, match="There are 3 entries"):
            await block(4, None)

        clock.advance(61_000_000)

        await block(4, "acme")
