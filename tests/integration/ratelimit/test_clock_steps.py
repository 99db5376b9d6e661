"""A clock that ran ahead and is put right: what it wrote refuses nobody until that day comes."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.servers.postgresql import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.redis_time import set_time, still_decision

from custodes.kernel.clock import DAY, MINUTE, SECOND
from custodes.kernel.window import (
    CalendarQuota,
    CalendarUnit,
    Concurrency,
    Gcra,
    Meter,
    Outcome,
    SlidingLog,
    SubWindows,
)
from custodes.storage.redis.windows import RedisWindows
from custodes.storage.sql.ratelimit_postgresql import PostgresWindows
from custodes.storage.sql.ratelimit_windows import SqliteWindows

#: The middle of a minute.
NOW = 1_790_000_010 * SECOND

#: A log that is kept apart on Redis among them, and limits of one subject that share a string there.
METERS: dict[str, Meter] = {
    "log": SlidingLog(3, MINUTE),
    "long log": SlidingLog(150, MINUTE),
    "sub-windows": SubWindows(3, MINUTE),
    "bucket": Gcra(3, MINUTE, 3),
    "quota": CalendarQuota(3, CalendarUnit.MINUTE),
    "slots": Concurrency(3, MINUTE),
}


class Workers:
    """Workers of one install, each with the time that it believes to be."""

    def __init__(self, make: Callable[[Callable[[], int]], Any], tell: Callable[[int], None]) -> None:
        self._make = make
        self._tell = tell
        self.now = NOW
        self.started: list[Any] = []

    async def ask(self, wanted: dict[str, Meter], cost: int, now: int) -> Outcome:
        """Have a worker that has just started decide at a moment, and end it."""
        self.now = now
        self._tell(now)
        worker = self._make(lambda: self.now)
        try:
            asks = [(worker.cells(name, meter, together="route"), "somebody", cost) for name, meter in wanted.items()]
            answer = worker.decide(asks, now)
            return answer if isinstance(answer, Outcome) else await answer
        finally:
            await worker.stop()


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
async def workers(request: pytest.FixtureRequest) -> AsyncIterator[Workers]:
    if request.param == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield Workers(lambda _: SqliteWindows(Path(folder) / "limits", deadline=30 * SECOND), lambda _: None)
    elif request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.new_database())
        yield Workers(lambda clock: PostgresWindows(url, deadline=30 * SECOND, clock=clock), lambda _: None)
    else:
        redis: RedisServer = request.getfixturevalue("redis_server")
        redis.flush()
        with redis.client() as client:
            yield Workers(
                lambda clock: RedisWindows(
                    redis.url, b"secret", monotonic=clock, deadline=30 * SECOND, script=still_decision()
                ),
                lambda now: set_time(client, now),
            )


@pytest.mark.parametrize("name", METERS)
async def test_what_was_used_up_by_a_clock_that_ran_ahead_is_had_again(workers: Workers, name: str):
    # Given a limit that was used up while the clock was thirty days ahead
    wanted = {name: METERS[name]}
    assert not (await workers.ask(wanted, METERS[name].limit, NOW + 30 * DAY)).refused
    assert (await workers.ask(wanted, 1, NOW + 30 * DAY)).refused

    # When the clock is put right, then it begins anew, and counts as ever
    assert not (await workers.ask(wanted, METERS[name].limit, NOW)).refused
    ((_, wait),) = (await workers.ask(wanted, 1, NOW + 1)).refused
    assert 0 < wait <= METERS[name].refill


@pytest.mark.parametrize("name", METERS)
async def test_what_clocks_differ_by_pardons_nobody(workers: Workers, name: str):
    # Given a limit that was used up by somebody whose clock is two seconds ahead
    wanted = {name: METERS[name]}
    assert not (await workers.ask(wanted, METERS[name].limit, NOW + 2 * SECOND)).refused

    # When somebody else asks, then it is refused
    ((_, wait),) = (await workers.ask(wanted, 1, NOW)).refused
    assert 0 < wait <= METERS[name].refill + 2 * SECOND


async def test_limits_that_are_asked_together_begin_anew_each_for_itself(workers: Workers):
    # Given limits of one request, one with a long window, which have been used two minutes ahead of now
    wanted: dict[str, Meter] = {"short": METERS["log"], "long": SlidingLog(5, DAY), "bucket": METERS["bucket"]}
    assert not (await workers.ask(wanted, 1, NOW + 3 * MINUTE)).refused

    # When they are asked now, then the short ones have forgotten that, and the long one has not
    outcome = await workers.ask(wanted, 1, NOW)
    assert [left for left, _ in outcome.views] == [2, 3, 2]


async def test_a_refusal_that_is_remembered_ends_with_the_clock_that_it_was_told_by(redis_server: RedisServer):
    # Given a worker that remembers a refusal, told by a server whose clock is thirty days ahead
    redis_server.flush()
    worker = RedisWindows(
        redis_server.url, b"secret", monotonic=lambda: NOW, deadline=30 * SECOND, script=still_decision()
    )
    cells = worker.cells("log", METERS["log"])

    async def ask(key: str) -> bool:
        answer = worker.decide([(cells, key, 3)], NOW)
        return not (answer if isinstance(answer, Outcome) else await answer).refused

    with redis_server.client() as client:
        set_time(client, NOW + 30 * DAY)
        assert [await ask("somebody") for _ in range(3)] == [True, False, False]
        assert worker.known_refusals == 1

        # When the clock is put right, and the worker hears of it by somebody else's request
        set_time(client, NOW)
        assert await ask("somebody else")

        # Then it asks again
        assert await ask("somebody")
    await worker.stop()
