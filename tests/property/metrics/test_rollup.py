"""Whatever workers, folds, purges and clocks do: every measurement is counted exactly once, at every level."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.histogram import MAX_RELATIVE_ERROR
from custodes.planes.metrics.model import LEVELS, Query
from custodes.planes.metrics.ports import Selection
from custodes.planes.metrics.recorder import SystemMetrics
from custodes.storage.sql import metrics as _tables  # noqa: F401 - registers the tables
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.metrics import SqlMetricStore
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.storage.sql.tables import metadata
from custodes.testing.clock import FakeClock

START = 1_790_000_400 * SECOND
WORKERS = 2

steps = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.integers(0, WORKERS - 1), st.integers(1, 1_000)),
        st.tuples(st.just("flush"), st.integers(0, WORKERS - 1), st.just(0)),
        st.tuples(st.just("restart"), st.integers(0, WORKERS - 1), st.just(0)),
        st.tuples(st.just("fold"), st.integers(0, WORKERS - 1), st.just(0)),
        st.tuples(st.just("purge"), st.just(0), st.just(0)),
        st.tuples(st.just("pass"), st.just(0), st.sampled_from([SECOND, 15 * SECOND, 3 * MINUTE, 2 * HOUR, DAY])),
        st.tuples(st.just("jump"), st.just(0), st.sampled_from([-HOUR, -MINUTE, MINUTE])),
    ),
    max_size=40,
)


class Install:
    """Some workers on one store."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.clock = FakeClock(now=START)
        self.store = SqlMetricStore(database)
        self.batches = itertools.count()
        self.workers = [self.born() for _ in range(WORKERS)]
        self.recorded: list[int] = []

    def born(self) -> SystemMetrics:
        return SystemMetrics(self.store, self.clock, lambda: f"batch-{next(self.batches)}")

    async def step(self, kind: str, worker: int, value: int) -> None:
        match kind:
            case "count":
                self.workers[worker].count("n", value)
                self.workers[worker].observe("h", value)
                self.recorded.append(value)
            case "flush":
                await self.workers[worker].flush()
            case "restart":
                await self.workers[worker].stop()
                self.workers[worker] = self.born()
            case "fold":
                await self.workers[worker].fold()
            case "purge":
                for level in LEVELS:
                    await self.workers[0].purge(level, self.clock.now() - level.retention)
            case "pass":
                self.clock.advance(value)
            case _:
                self.clock.jump(value)

    async def stored(self, level: int) -> float:
        """What a level says when everything is flushed."""
        series = await self.store.list_series("default", "n", 10)
        if not series:
            return 0.0
        whole = Selection(
            series, LEVELS[level], 0, START + 400 * DAY, LEVELS[level].width, histograms=False, last=False
        )
        return sum(sample.total for sample in await self.store.read(whole, 100_000))


@given(steps)
@settings(max_examples=40, deadline=None)
def test_every_measurement_counts_once(steps: Sequence[tuple[str, int, int]]):
    """Given any history of two workers, when all is flushed, then the coarsest level holds the exact sum, the live
    answer is the same, and the median is within the histogram's error of the true one."""

    async def story() -> None:
        database = SqliteDatabase("sqlite://")
        try:
            await database.open()
            await database.write(
                lambda tx: [
                    metadata.tables[name].create(connection_of(tx)) for name in ("system_metrics", "metric_series")
                ]
            )
            install = Install(database)
            for step in steps:
                await install.step(*step)
            for worker in install.workers:
                await worker.flush()

            assert await install.stored(len(LEVELS) - 1) == sum(install.recorded)
            await check_answer(install)
        finally:
            await database.close()

    asyncio.run(story())


async def check_answer(install: Install) -> None:
    if not install.recorded:
        return
    query = Query("h", "p50", START - 700 * DAY, START + 90 * DAY, 800 * DAY)  # the clock may have jumped back
    [line] = (await install.workers[0].query(query)).lines
    ranked = sorted(install.recorded)
    true = ranked[(len(ranked) + 1) // 2 - 1]
    if len(line.points) == 1:
        assert abs(line.points[0].value - true) <= true * MAX_RELATIVE_ERROR * 1.01
