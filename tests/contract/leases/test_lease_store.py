"""What every lease store promises, on every engine."""

from __future__ import annotations

import asyncio

import pytest

from custodes.errors import Conflict
from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.runtime.leases import BEAT, TIME_TO_LIVE, Leader
from custodes.storage.sql.database import Database
from custodes.storage.sql.leases import SqlLeaseStore
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.testing.clock import FakeClock


@pytest.fixture
def store(database: Database) -> SqlLeaseStore:
    return SqlLeaseStore(database)


def candidate(store: SqlLeaseStore, clock: FakeClock, owner: str) -> Leader:
    return Leader(store, clock, lambda: owner)


async def beat(clock: FakeClock, *candidates: Leader) -> None:
    clock.advance(BEAT)
    for one in candidates:
        await one.campaign()


class TestSteps:
    async def test_a_lease_that_nobody_held_goes_to_the_first_who_asks(self, store: SqlLeaseStore):
        first = await store.acquire("fold", "a", None, 100)
        second = await store.acquire("fold", "b", None, 100)

        assert first is not None
        assert (first.owner, first.token) == ("a", 1)
        assert second is None

    async def test_the_token_grows_with_each_change_of_hands(self, store: SqlLeaseStore):
        first = await store.acquire("fold", "a", None, 100)
        second = await store.acquire("fold", "b", first, 200)

        assert second is not None
        assert second.token == 2
        assert await store.read("fold") == second

    async def test_a_renewal_between_look_and_take_keeps_the_owner(self, store: SqlLeaseStore):
        """Given a candidate looked, when the owner beats before the candidate takes, then the take fails."""
        seen = await store.acquire("fold", "a", None, 100)
        assert seen is not None
        await store.renew(seen, 200)

        assert await store.acquire("fold", "b", seen, 300) is None

    async def test_one_who_lost_the_lease_can_neither_renew_nor_release_it(self, store: SqlLeaseStore):
        old = await store.acquire("fold", "a", None, 100)
        assert old is not None
        new = await store.acquire("fold", "b", old, 200)

        assert await store.renew(old, 300) is None
        await store.release(old, 300)
        assert await store.read("fold") == new

    async def test_leases_of_different_names_do_not_meet(self, store: SqlLeaseStore):
        assert await store.acquire("fold", "a", None, 100) is not None
        assert await store.acquire("sweep", "b", None, 100) is not None


class TestElection:
    async def test_the_first_candidate_leads_at_once_and_the_second_waits(self, store: SqlLeaseStore, clock: FakeClock):
        a, b = candidate(store, clock, "a"), candidate(store, clock, "b")

        assert await a.campaign()
        assert not await b.campaign()
        assert (a.is_leader, b.is_leader) == (True, False)

    async def test_a_dead_leader_is_replaced_within_fifteen_seconds(self, store: SqlLeaseStore, clock: FakeClock):
        """Given a leader that beat for a minute, when it dies, then the candidate leads at most 15 s later."""
        a, b = candidate(store, clock, "a"), candidate(store, clock, "b")
        for _ in range(30):
            await beat(clock, a, b)
        died = clock.monotonic()

        while not b.is_leader:
            await beat(clock, b)

        assert TIME_TO_LIVE <= clock.monotonic() - died <= 15 * SECOND
        assert not a.is_leader

    async def test_a_leader_that_stops_is_replaced_at_the_next_look(self, store: SqlLeaseStore, clock: FakeClock):
        a, b = candidate(store, clock, "a"), candidate(store, clock, "b")
        await beat(clock, a, b)

        await a.stop()
        await beat(clock, b)

        assert b.is_leader

    @pytest.mark.parametrize("jump", [DAY, -DAY, HOUR, -HOUR])
    async def test_no_jump_of_the_wall_clock_changes_who_leads(self, store: SqlLeaseStore, clock: FakeClock, jump: int):
        a, b = candidate(store, clock, "a"), candidate(store, clock, "b")
        await beat(clock, a, b)

        clock.jump(jump)
        for _ in range(10):
            await beat(clock, a, b)
            assert (a.is_leader, b.is_leader) == (True, False)

    async def test_a_leader_steps_down_before_another_may_rise(self, store: SqlLeaseStore, clock: FakeClock):
        """Given a leader that is cut off from the store, then no moment has two leaders."""
        a, b = candidate(store, clock, "a"), candidate(store, clock, "b")
        await beat(clock, a, b)

        for _ in range(40):
            clock.advance(SECOND // 2)
            await b.campaign()
            assert not (a.is_leader and b.is_leader)
        assert b.is_leader

    async def test_a_process_that_starts_again_under_its_name_need_not_wait(
        self, store: SqlLeaseStore, clock: FakeClock
    ):
        await candidate(store, clock, "a").campaign()

        assert await candidate(store, clock, "a").campaign()

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    async def test_two_databases_on_one_file_elect_one_leader(self, database: Database, clock: FakeClock):
        """Given ten candidates on two connections, when all stand at once, then exactly one leads, ten times over."""
        assert isinstance(database, SqliteDatabase)
        other = SqliteDatabase(f"sqlite:///{database.path}")
        await other.open()
        try:
            for round_ in range(10):
                leaders = [
                    Leader(SqlLeaseStore(engine), clock, lambda number=number: f"{number}", name=f"race-{round_}")
                    for number, engine in enumerate([database, other] * 5)
                ]
                won = await asyncio.gather(*(leader.campaign() for leader in leaders))
                assert sum(won) == 1
        finally:
            await other.close()


class TestFencing:
    async def test_a_frozen_leader_cannot_commit_after_its_successor(
        self, store: SqlLeaseStore, database: Database, clock: FakeClock
    ):
        """Given a leader that froze and another that took over, when it wakes, then its work is refused."""
        a, b = candidate(store, clock, "a"), candidate(store, clock, "b")
        await beat(clock, a, b)
        await database.write(a.confirm)
        for _ in range(8):
            await beat(clock, b)

        with pytest.raises(Conflict):
            await database.write(a.confirm)
        await database.write(b.confirm)

    async def test_start_stands_at_once_and_stop_gives_back(self, store: SqlLeaseStore, clock: FakeClock):
        a = candidate(store, clock, "a")

        await a.start()
        assert a.is_leader
        await a.stop()
        await a.stop()

        left = await store.read(a.name)
        assert left is not None
        assert (a.is_leader, left.owner) == (False, "")
