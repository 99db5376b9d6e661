"""All processes of an install say the same of its health, whichever has seen what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from custodes import Custodes
from custodes.errors import StorageUnavailable
from custodes.kernel.clock import MINUTE, SECOND
from custodes.kernel.health import Health, SystemHealth, Threshold, judge
from custodes.testing.clock import FakeClock

WAITING = Threshold("waiting", degraded=100, unhealthy=1_000)


class Queue:
    """What all processes see the same of."""

    waiting = 0.0

    async def __call__(self) -> SystemHealth:
        return judge("queue", {"waiting": self.waiting}, [WAITING])


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url")
    return request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")


@asynccontextmanager
async def process(url: str, clock: FakeClock, queue: Queue) -> AsyncIterator[Custodes]:
    """A process that has begun; what it does again and again the test does."""
    key = {} if url.startswith("sqlite") else {"secret_key": "k" * 32}
    made = Custodes(url, clock=clock, **key)
    await made.open()
    made.health.register("queue", queue)
    await made.metrics.start()
    yield made
    await made.metrics.stop()
    await made.close()


async def says(custodes: Custodes) -> Health:
    found = await custodes.health.check(60)
    return next(one.state for one in found.systems if one.system == "queue")


async def record(custodes: Custodes, clock: FakeClock) -> None:
    clock.advance(5 * SECOND)
    await custodes.metrics.record_health()
    await custodes.metrics.flush()


async def test_between_the_limits_every_process_says_what_the_others_say(url: str, clock: FakeClock, queue: Queue):
    async with process(url, clock, queue) as first, process(url, clock, queue) as second:
        # Given a queue that only one process has seen beyond its limit
        queue.waiting = 100
        await record(first, clock)
        queue.waiting = 90
        assert (await says(first), await says(second)) == (Health.DEGRADED, Health.HEALTHY)

        # When both have recorded how everything is, then both say the same; and so does one that is started now
        await record(second, clock)
        clock.advance(SECOND)
        assert (await says(first), await says(second)) == (Health.DEGRADED, Health.DEGRADED)
        async with process(url, clock, queue) as third:
            assert await says(third) is Health.DEGRADED

        # And when it is clearly better, all say so
        queue.waiting = 79
        for each in (first, second):
            await record(each, clock)
        assert (await says(first), await says(second)) == (Health.HEALTHY, Health.HEALTHY)

        # Also between the limits, once nobody has said otherwise for a while
        clock.advance(MINUTE)
        for each in (first, second, first, second):
            await record(each, clock)
        queue.waiting = 90
        clock.advance(SECOND)
        assert (await says(first), await says(second)) == (Health.HEALTHY, Health.HEALTHY)


async def test_a_store_that_does_not_answer_keeps_nobody_from_saying_how_it_is(
    sqlite_url: str, clock: FakeClock, queue: Queue, monkeypatch: pytest.MonkeyPatch
):
    async with process(sqlite_url, clock, queue) as custodes:

        async def away(*_: object, **__: object) -> None:
            raise StorageUnavailable("away")

        with monkeypatch.context() as without:
            without.setattr(custodes.metrics, "latest", away)
            await custodes.metrics.start()
            queue.waiting = 100
            await record(custodes, clock)
        assert await says(custodes) is Health.DEGRADED
