"""What every keeper of jobs promises (runtime/jobs.py), on every engine."""

import asyncio
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, event

from custodes.kernel.clock import SECOND
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.runtime.jobs import SUSPECT_AFTER, Claim, Jobs, Lease, NewJob
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import Database, as_transaction, connection_of
from custodes.storage.sql.jobs import EXTEND, FINISH, SqlJobs
from custodes.storage.sql.postgresql import PostgresDatabase
from custodes.storage.sql.tables import metadata
from custodes.storage.sql.tables.jobs import jobs as table

NOW = 1_790_000_000 * SECOND
LEASE = 30 * SECOND


@pytest.fixture
def jobs() -> Jobs:
    return SqlJobs()


def job(ref: str, *, lane: str = "stripe", due_at: int = NOW) -> NewJob:
    return NewJob(DEFAULT_TENANT, "webhook", ref, lane, due_at)


async def put(database: Database, jobs: Jobs, *new: NewJob) -> list[bool]:
    return await database.write(lambda tx: [jobs.put(tx, each) for each in new])


async def claim(
    database: Database,
    jobs: Jobs,
    *,
    lane: str = "stripe",
    owner: str = "w1",
    now: int = NOW,
    limit: int = 10,
    busy: frozenset[str] = frozenset(),
    suspect: bool = True,
    ahead: int = 0,
) -> list[Lease]:
    wanted = Claim(owner, now + ahead, now, now + LEASE, busy, suspect)
    return list(await database.write(lambda tx: jobs.claim(tx, "webhook", {lane: limit}, wanted)))


@pytest.mark.parametrize("ahead", [-2 * LEASE, 2 * LEASE])
async def test_a_lease_ends_by_the_clock_of_the_store_whatever_the_own_one_says(
    database: Database, jobs: Jobs, ahead: int
):
    """Given a leased job, When a worker whose own clock is wrong looks, Then it gets it once the lease has ended by the
    clock of the store; what nobody is at is due by its own."""
    await put(database, jobs, job("leased"), job("free", lane="github", due_at=NOW + LEASE))
    await claim(database, jobs)
    assert await claim(database, jobs, owner="w2", now=NOW + LEASE - 1, ahead=ahead) == []
    due = await database.read(lambda tx: jobs.due_lanes(tx, "webhook", NOW + LEASE - 1 + ahead, NOW + LEASE - 1))
    assert due == (["github"] if ahead > 0 else [])
    [taken] = await claim(database, jobs, owner="w2", now=NOW + LEASE, ahead=ahead)
    assert taken.ref == "leased"
    free = await claim(database, jobs, lane="github", now=NOW, ahead=ahead)
    assert [one.ref for one in free] == (["free"] if ahead > 0 else [])


async def test_a_subject_has_at_most_one_open_job(database: Database, jobs: Jobs):
    assert await put(database, jobs, job("a"), job("a"), job("b")) == [True, False, True]

    backlog = await database.read(lambda tx: jobs.backlog(tx, "webhook", NOW))
    assert backlog.open == 2


async def test_due_jobs_are_leased_longest_due_first_and_each_once(database: Database, jobs: Jobs):
    await put(database, jobs, job("late", due_at=NOW), job("early", due_at=NOW - 5), job("future", due_at=NOW + 1))

    first = await claim(database, jobs, limit=1)
    rest = await claim(database, jobs, owner="w2")

    assert [lease.ref for lease in first] == ["early"]
    assert [lease.ref for lease in rest] == ["late"]
    assert await claim(database, jobs) == []


async def test_a_job_whose_worker_died_is_due_again_when_its_lease_ends(database: Database, jobs: Jobs):
    await put(database, jobs, job("a"))
    [dead] = await claim(database, jobs)

    assert await claim(database, jobs, owner="w2", now=NOW + LEASE - 1) == []
    [again] = await claim(database, jobs, owner="w2", now=NOW + LEASE)

    assert again.ref == "a"
    assert again.token > dead.token
    assert again.lost == 1


async def test_an_older_lease_settles_nothing(database: Database, jobs: Jobs):
    await put(database, jobs, job("a"))
    [stale] = await claim(database, jobs)
    [fresh] = await claim(database, jobs, owner="w2", now=NOW + LEASE)

    assert await database.write(lambda tx: jobs.finish(tx, [stale])) == []
    assert await database.write(lambda tx: jobs.again(tx, [(stale, NOW)])) == []
    assert await database.write(lambda tx: jobs.extend(tx, [stale, fresh], NOW + 2 * LEASE)) == [fresh]
    assert await database.write(lambda tx: jobs.finish(tx, [stale, fresh])) == [fresh]
    assert (await database.read(lambda tx: jobs.backlog(tx, "webhook", NOW))).open == 0


async def test_many_are_finished_at_once_and_only_those_that_are_still_held(database: Database, jobs: Jobs):
    # Given leases, of which one was taken over and one was given back
    await put(database, jobs, *(job(name) for name in "abcd"))
    by_name = {lease.ref: lease for lease in await claim(database, jobs)}
    await database.write(lambda tx: jobs.extend(tx, [by_name["a"], by_name["b"]], NOW + 9 * LEASE))
    await database.write(lambda tx: jobs.again(tx, [(by_name["d"], NOW + 9 * LEASE)]))
    assert [lease.ref for lease in await claim(database, jobs, owner="w2", now=NOW + LEASE)] == ["c"]

    # When all are finished
    finished = await database.write(lambda tx: jobs.finish(tx, list(by_name.values())))

    # Then those that are still held are gone, and the others are left alone
    assert sorted(lease.ref for lease in finished) == ["a", "b"]
    assert (await database.read(lambda tx: jobs.backlog(tx, "webhook", NOW))).open == 2


@pytest.mark.parametrize(("statement", "more"), [(FINISH, {}), (EXTEND, {"until": NOW})], ids=["finish", "extend"])
def test_jobs_are_settled_through_the_key_however_many_are_open(statement: Any, more: dict[str, int]):
    ran: list[tuple[str, Any]] = []
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        event.listen(
            connection, "before_cursor_execute", lambda _c, _cursor, text, values, *_rest: ran.append((text, values))
        )
        connection.execute(statement, {"of_kind": "webhook", "refs": ["a", "b"], "held": ["a:1", "b:2"], **more})
        text, values = ran[-1]
        steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
    engine.dispose()

    assert "SEARCH custodes_jobs USING PRIMARY KEY (kind=? AND ref=?)" in steps


async def test_a_lease_that_was_given_back_is_not_held_any_more(database: Database, jobs: Jobs):
    """A worker that is cut off while it settles must not undo the wait that it has just written."""
    await put(database, jobs, job("a"))
    [lease] = await claim(database, jobs)
    assert await database.write(lambda tx: jobs.again(tx, [(lease, NOW + 50)])) == [lease]

    assert await database.write(lambda tx: jobs.again(tx, [(lease, NOW)], counted=False)) == []
    assert await database.write(lambda tx: jobs.finish(tx, [lease])) == []
    assert await claim(database, jobs, now=NOW + 49) == []


async def test_a_lease_that_is_extended_is_not_taken_over(database: Database, jobs: Jobs):
    await put(database, jobs, job("a"))
    [lease] = await claim(database, jobs)

    await database.write(lambda tx: jobs.extend(tx, [lease], NOW + 2 * LEASE))

    assert await claim(database, jobs, owner="w2", now=NOW + LEASE) == []


async def test_what_is_being_settled_keeps_nobody_from_extending_the_other_leases(postgres_url: str, jobs: Jobs):
    """Given a transaction that settles one of two jobs, When both leases are extended, Then the other is, at once:
    who waited could be waited for in turn, and one of both would be broken off after a second."""
    database = PostgresDatabase(postgres_url)
    await database.open()
    await put(database, jobs, job("a"), job("b"))
    by_name = {lease.ref: lease for lease in await claim(database, jobs)}
    with psycopg.connect(postgres_url) as settling:
        settling.execute("DELETE FROM custodes_jobs WHERE ref = 'b'")
        async with asyncio.timeout(5):
            extended = await database.write(lambda tx: jobs.extend(tx, list(by_name.values()), NOW + 2 * LEASE))

    assert extended == [by_name["a"]]
    assert await claim(database, jobs, owner="w2", now=NOW + LEASE) == []
    await database.close()


async def test_a_failed_attempt_counts_and_one_given_back_does_not(database: Database, jobs: Jobs):
    await put(database, jobs, job("a"))
    [lease] = await claim(database, jobs)
    assert lease.attempts == 0

    await database.write(lambda tx: jobs.again(tx, [(lease, NOW + 5)]))
    assert await claim(database, jobs, now=NOW + 4) == []
    [second] = await claim(database, jobs, now=NOW + 5)
    assert (second.attempts, second.lost) == (1, 0)

    await database.write(lambda tx: jobs.again(tx, [(second, NOW + 6)], counted=False))
    [third] = await claim(database, jobs, now=NOW + 6)
    assert (third.attempts, third.lost) == (1, 0)
    assert third.token > second.token > lease.token


async def test_what_this_worker_is_at_already_is_left_alone(database: Database, jobs: Jobs):
    """A clock that jumps ahead ends leases early; the worker does not start its own jobs a second time."""
    await put(database, jobs, job("a"), job("b"))
    [held] = await claim(database, jobs, limit=1)

    taken = await claim(database, jobs, now=NOW + 2 * LEASE, limit=1, busy=frozenset({held.ref}))

    assert [lease.ref for lease in taken] == [({"a", "b"} - {held.ref}).pop()]


async def test_of_the_suspects_at_most_one_is_taken_and_the_others_do_not_stand_in_the_way(
    database: Database, jobs: Jobs
):
    """A suspect is a job whose workers died several times; the fresh ones behind it are taken all the same."""
    await put(database, jobs, *(job(f"suspect{number}", due_at=NOW - 9) for number in range(5)))
    for number in range(SUSPECT_AFTER):
        assert len(await claim(database, jobs, now=NOW + number * LEASE)) == 5
    await put(database, jobs, job("fresh"))
    later = NOW + SUSPECT_AFTER * LEASE

    assert [lease.ref for lease in await claim(database, jobs, now=later, suspect=False, limit=3)] == ["fresh"]
    [one] = await claim(database, jobs, now=later, limit=3)

    assert one.suspect


async def test_of_several_lanes_each_gives_what_it_may_and_two_statements_take_all(database: Database, jobs: Jobs):
    """Given five lanes, in one of which two jobs are suspects and in another none is due, When so many of each are
    claimed, Then it is the longest due of each, one of the suspects, and PostgreSQL is asked twice."""
    await put(database, jobs, *(job(f"bad{number}", lane="bad", due_at=NOW - 9) for number in range(2)))
    for number in range(SUSPECT_AFTER):
        assert len(await claim(database, jobs, lane="bad", now=NOW + number * LEASE)) == 2
    now = NOW + SUSPECT_AFTER * LEASE
    await put(database, jobs, *(job(f"a{n}", lane="a", due_at=now - n) for n in range(4)))
    await put(database, jobs, *(job(f"b{n}", lane="B/é", due_at=now) for n in range(3)), job("c", lane="c"))
    await put(database, jobs, job("fresh", lane="bad", due_at=now), job("later", lane="d", due_at=now + 1))
    statements: list[str] = []

    def take(tx: Transaction, lanes: dict[str, int]) -> list[Lease]:
        def note(*given: Any) -> None:
            statements.append(given[2])

        event.listen(connection_of(tx), "before_cursor_execute", note)
        found = list(jobs.claim(tx, "webhook", lanes, Claim("w1", now, now, now + LEASE)))
        event.remove(connection_of(tx), "before_cursor_execute", note)
        return found

    asked = {"a": 2, "B/é": 9, "bad": 3, "d": 1, "none": 5}
    taken = await database.write(lambda tx: take(tx, asked))

    lanes = [(lease.lane, lease.ref) for lease in taken]
    assert [ref for lane, ref in lanes if lane == "a"] == ["a3", "a2"]
    assert sorted(ref for lane, ref in lanes if lane == "B/é") == ["b0", "b1", "b2"]
    assert [ref for lane, ref in lanes if lane == "bad"][1:] == ["fresh"]
    assert len(taken) == 7
    assert await claim(database, jobs, lane="B/é", now=now) == []
    statements.clear()
    assert [lease.ref for lease in await database.write(lambda tx: take(tx, {"a": 9, "c": 1}))] == ["a1", "a0", "c"]
    assert len(statements) == (2 if database.dialect == "postgresql" else 3)


def test_to_claim_of_a_long_lane_is_not_to_read_all_of_it():
    """Given ten times as many due jobs, none of them a suspect, then a claim takes SQLite no more steps."""
    steps: list[int] = []
    for count in (1_000, 10_000):
        engine = create_engine("sqlite://")
        table.create(engine)
        rows = [
            {"tenant_id": "t", "kind": "webhook", "ref": str(number), "lane": "stripe", "due_at": number,
             "attempts": 0, "released": 0, "token": 0, "lease_owner": None}
            for number in range(count)
        ]  # fmt: skip
        with engine.begin() as connection:
            connection.execute(table.insert(), rows)
            ticks: list[None] = []
            connection.connection.driver_connection.set_progress_handler(lambda ticks=ticks: ticks.append(None), 10)
            wanted = Claim("w1", NOW, NOW, NOW + LEASE, frozenset(), suspect=True)
            assert len(SqlJobs().claim(as_transaction(connection), "webhook", {"stripe": 10}, wanted)) == 10
            steps.append(len(ticks))
        engine.dispose()

    assert steps[1] <= steps[0] * 2


async def test_lanes_with_open_jobs_are_named_once_each(database: Database, jobs: Jobs):
    assert await database.read(lambda tx: jobs.lanes(tx, "webhook")) == []

    await put(database, jobs, job("a", lane="stripe"), job("b", lane="github"), job("c", lane="stripe"))

    assert sorted(await database.read(lambda tx: jobs.lanes(tx, "webhook"))) == ["github", "stripe"]


async def test_a_waiting_job_can_be_made_due_and_a_held_one_cannot(database: Database, jobs: Jobs):
    await put(database, jobs, job("waiting", due_at=NOW + 100), job("held"))
    await claim(database, jobs)

    assert await database.write(lambda tx: jobs.hasten(tx, "webhook", "waiting", NOW)) is True
    assert await database.write(lambda tx: jobs.hasten(tx, "webhook", "waiting", NOW)) is False
    assert await database.write(lambda tx: jobs.hasten(tx, "webhook", "held", NOW)) is False
    assert [lease.ref for lease in await claim(database, jobs)] == ["waiting"]


async def test_jobs_written_by_a_clock_that_ran_ahead_are_pulled_in(database: Database, jobs: Jobs):
    await put(database, jobs, job("a", due_at=NOW + 10**12))

    assert await database.write(lambda tx: jobs.pull_in(tx, "webhook", NOW + 10**11, NOW)) == 1

    assert [lease.ref for lease in await claim(database, jobs)] == ["a"]


async def test_the_backlog_tells_open_leased_and_oldest(database: Database, jobs: Jobs):
    await put(database, jobs, job("a", due_at=NOW - 7), job("b", due_at=NOW - 9), job("c", due_at=NOW + 1))
    await claim(database, jobs, limit=1)

    backlog = await database.read(lambda tx: jobs.backlog(tx, "webhook", NOW))

    assert (backlog.open, backlog.leased, backlog.oldest_due_at) == (3, 1, NOW - 7)
