"""What every lease store promises, on every engine."""

from __future__ import annotations

import asyncio
import threading

import psycopg
import pytest
from sqlalchemy import text

from custodes.errors import Conflict, StorageUnavailable
from custodes.kernel.clock import DAY, HOUR, MILLISECOND, SECOND
from custodes.runtime.leases import BEAT, TIME_TO_LIVE, Leader
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import turns
from custodes.storage.sql.database import Database
from custodes.storage.sql.leases import SqlLeaseStore
from custodes.storage.sql.postgresql import PostgresDatabase
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.testing.clock import FakeClock

#: Counts those of this database.
ADVISORY_LOCKS = """
    SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND datname = current_database()
"""


@pytest.fixture
def store(database: Database) -> SqlLeaseStore:
    return SqlLeaseStore(database)


def beside(database: Database) -> Database:
    """Make what another host on the same store has."""
    if isinstance(database, SqliteDatabase):
        return SqliteDatabase(f"sqlite:///{database.path}")
    assert isinstance(database, PostgresDatabase)
    return PostgresDatabase(database.url.render_as_string(hide_password=False))


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

    @pytest.mark.parametrize("database", ["sqlite", "postgresql", "pgbouncer"], indirect=True)
    async def test_of_candidates_on_several_hosts_one_leads(self, database: Database, clock: FakeClock):
        """Given ten candidates of two hosts, when all stand at once, then exactly one leads, ten times over."""
        other = beside(database)
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

    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    async def test_nobody_waits_for_a_candidate_that_hangs_while_it_is_elected(
        self, store: SqlLeaseStore, postgres_url: str
    ):
        """Given a host that froze between the statements of its election, when another stands, then it is told at once
        that it is too late, and once the server has ended that transaction, it is elected."""
        before = await store.acquire("fold", "a", None, 100)
        with psycopg.connect(postgres_url) as frozen:
            frozen.execute("SELECT pg_advisory_xact_lock(hashtextextended('custodes:lease:fold', 0))")
            frozen.execute("UPDATE leader_leases SET owner = 'b', token = 2 WHERE name = 'fold'")
            async with asyncio.timeout(5):
                assert await store.acquire("fold", "c", before, 200) is None
            frozen.rollback()

        assert await store.acquire("fold", "c", before, 300) is not None


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

    @pytest.mark.parametrize("database", ["sqlite", "postgresql", "pgbouncer"], indirect=True)
    async def test_nobody_is_elected_while_a_leader_commits_what_it_confirmed(
        self, store: SqlLeaseStore, database: Database, clock: FakeClock
    ):
        """Given a leader that froze after it had confirmed that it leads, and a candidate whose wait is over, When that
        stands, Then it does not lead before the other's transaction has ended, And then it does."""
        a, b = candidate(store, clock, "a"), candidate(store, clock, "b")
        await beat(clock, a, b)
        other = beside(database)
        await other.open()
        inside, on = threading.Event(), threading.Event()

        def evaluate(tx: Transaction) -> None:
            a.confirm(tx)
            inside.set()
            on.wait(30)

        evaluating = asyncio.create_task(other.write(evaluate))
        await asyncio.to_thread(inside.wait, 30)
        clock.advance(TIME_TO_LIVE)
        standing = asyncio.create_task(b.campaign())
        if isinstance(database, PostgresDatabase):  # a file's only writer is waited for
            assert not await standing
        on.set()
        await evaluating
        await standing
        await beat(clock, b)

        assert b.is_leader
        await other.close()

    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    async def test_the_server_ends_the_transaction_of_a_leader_that_is_frozen(
        self, store: SqlLeaseStore, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ):
        """Given a leader that freezes whenever it has confirmed that it leads, Then the server ends its transaction,
        sooner than a candidate has waited, And when it wakes it is told that nothing was kept."""
        assert isinstance(database, PostgresDatabase)
        assert turns.IDLE_MS * MILLISECOND < TIME_TO_LIVE
        monkeypatch.setattr(turns, "_SHARED_TURN", text(str(turns._SHARED_TURN).replace(str(turns.IDLE_MS), "20")))
        a = candidate(store, clock, "a")
        await a.campaign()
        server = database.url.set(drivername="postgresql").render_as_string(hide_password=False)

        def evaluate(tx: Transaction) -> None:
            a.confirm(tx)
            with psycopg.connect(server, autocommit=True) as looking:
                while looking.execute(ADVISORY_LOCKS).fetchone() != (0,):
                    threading.Event().wait(0.01)
            a.confirm(tx)

        with pytest.raises(StorageUnavailable, match="idle-in-transaction"):
            await database.write(evaluate)

    async def test_start_stands_at_once_and_stop_gives_back(self, store: SqlLeaseStore, clock: FakeClock):
        a = candidate(store, clock, "a")

        await a.start()
        assert a.is_leader
        await a.stop()
        await a.stop()

        left = await store.read(a.name)
        assert left is not None
        assert (a.is_leader, left.owner) == (False, "")
