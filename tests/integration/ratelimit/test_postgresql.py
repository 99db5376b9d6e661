"""Limits that all instances share through PostgreSQL: exact, by the server's clock, and never in the host's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest
from tests.servers.postgresql import PgBouncer, PostgresServer

from custodes import Custodes
from custodes.errors import ConfigurationError, StorageUnavailable
from custodes.kernel.clock import HOUR, MILLISECOND, SECOND
from custodes.kernel.window import Concurrency, Gcra, Meter, SlidingLog, SubWindows
from custodes.planes.ratelimit.answers import Decision
from custodes.runtime.system_clock import SystemClock
from custodes.storage.sql.ratelimit_postgresql import PostgresWindows

#: Longest that anything here waits: long enough for a busy machine.
PATIENT = 10 * SECOND

LONG_AGO = 1_500_000_000 * SECOND


@pytest.fixture
async def windows(postgres_server: PostgresServer) -> AsyncIterator[Callable[..., PostgresWindows]]:
    """Makes instances on one database; each is stopped."""
    made: list[PostgresWindows] = []
    database = postgres_server.new_database()

    def make(server: PostgresServer | PgBouncer = postgres_server, deadline: int = PATIENT) -> PostgresWindows:
        made.append(PostgresWindows(server.url(database), deadline=deadline))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


@pytest.mark.parametrize(
    "meter",
    [SlidingLog(20, HOUR), SubWindows(20, HOUR), Gcra(1, HOUR, 20), Concurrency(20, HOUR)],
    ids=lambda meter: type(meter).__name__,
)
async def test_of_a_hundred_tasks_at_once_exactly_as_many_pass_as_the_limit_says(windows, meter: Meter):
    engines = [windows(), windows()]

    outcomes = await asyncio.gather(
        *(engine.decide([(engine.cells("a", meter), "x", 1)], LONG_AGO) for engine in engines for _ in range(50))
    )

    assert sum(not outcome.refused for outcome in outcomes) == 20


async def test_time_is_that_of_the_server(windows):
    engine = windows()

    outcome = await engine.decide([(engine.cells("a", SlidingLog(20, HOUR)), "x", 1)], LONG_AGO)

    assert abs(outcome.charged_at(0, LONG_AGO) - SystemClock().now()) < HOUR


async def test_instances_that_lock_the_same_subjects_in_any_order_do_not_wait_for_each_other_for_ever(windows):
    engines = [windows(), windows()]

    async def ask(engine: PostgresWindows, keys: str) -> bool:
        cells = engine.cells("a", SlidingLog(1_000, HOUR))
        return not (await engine.decide([(cells, key, 1) for key in keys], LONG_AGO)).refused

    for _ in range(10):
        assert all(await asyncio.gather(*(ask(engines[n % 2], "abcdef"[:: 1 if n % 2 else -1]) for n in range(20))))
    assert [engine.failures for engine in engines] == [0, 0]


async def test_it_works_behind_a_pooler_in_transaction_mode(windows, pgbouncer: PgBouncer):
    engine = windows(pgbouncer)
    cells = engine.cells("a", SlidingLog(2, HOUR))

    outcomes = [await engine.decide([(cells, "x", 1)], LONG_AGO) for _ in range(3)]

    assert [bool(outcome.refused) for outcome in outcomes] == [False, False, True]


async def test_a_locked_row_delays_nobody_beyond_the_deadline(windows, postgres_server: PostgresServer):
    engine, hasty = windows(), windows(deadline=200 * MILLISECOND)
    cells = engine.cells("a", SlidingLog(5, HOUR))
    await engine.decide([(cells, "x", 1)], LONG_AGO)
    patient = engine._deadline, engine._begin
    with psycopg.connect(engine._conninfo) as blocker:
        blocker.execute("LOCK TABLE rate_limit_states")
        engine._deadline, engine._begin = hasty._deadline, hasty._begin
        with pytest.raises(StorageUnavailable):
            await engine.decide([(cells, "x", 1)], LONG_AGO)
        engine._deadline, _ = patient
        with pytest.raises(StorageUnavailable):  # behind the first, at the server's own deadline, which is as short
            await engine.decide([(cells, "x", 1)], LONG_AGO)
        blocker.rollback()
    engine._deadline, engine._begin = patient
    outcome = await engine.decide([(cells, "x", 1)], LONG_AGO)

    assert outcome.views[0][0] == 3


async def test_a_server_that_is_gone_is_soon_not_waited_for():
    engine = PostgresWindows("postgresql://nobody@127.0.0.1:1/none", deadline=PATIENT)
    cells = engine.cells("a", SlidingLog(5, HOUR))
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            await engine.decide([(cells, "x", 1)], LONG_AGO)

    assert not engine.available
    await engine.stop()


async def test_who_is_near_a_limit_is_told_until_the_window_is_over(windows):
    engine = windows()
    cells = engine.cells("a", SlidingLog(10, HOUR))
    decided = await engine.decide([(cells, "near", 9), (cells, "far", 7)], LONG_AGO)
    at = decided.charged_at(0, LONG_AGO)

    assert await engine.near(cells, at) == [("near", 1)]
    assert await engine.near(cells, at + HOUR) == []


async def test_an_install_on_postgresql_counts_there_unless_told_otherwise(postgres_url: str, call):
    custodes = Custodes(postgres_url, secret_key="s" * 32)
    other = Custodes(postgres_url, secret_key="s" * 32)
    for one in (custodes, other):
        one.limit("1/hour")
    await custodes.database.open()

    decisions = [await one.ratelimit.check(call()) for one in (custodes, other)]

    assert [decision.allowed for decision in decisions] == [True, False]
    # And who is refused there is refused again without a statement
    again = other.ratelimit.check(call())
    assert isinstance(again, Decision)
    assert not again.allowed
    for one in (custodes, other):
        await one.ratelimit._windows.stop()
    await custodes.close()


def test_a_store_that_is_not_there_is_said():
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        Custodes("sqlite://", rate_limit_store="postgresql").ratelimit  # noqa: B018


def test_a_file_of_limits_is_the_database_on_postgresql_and_never_the_memory_of_each_worker(postgres_url: str):
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    assert Custodes(url, rate_limit_store="sqlite").ratelimit.engine().name == "postgresql"

    with pytest.raises(ConfigurationError, match="has no file"):
        Custodes("sqlite://", rate_limit_store="sqlite").ratelimit  # noqa: B018
