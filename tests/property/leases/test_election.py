"""Whatever happens to processes and clocks, there are never two leaders, and soon there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.kernel.clock import DAY, SECOND
from custodes.runtime.leases import BEAT, TIME_TO_LIVE, Leader
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.leases import SqlLeaseStore
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.storage.sql.tables import metadata
from custodes.testing.clock import FakeClock

PROCESSES = 3

#: What can happen next: time passes for all, a process beats, its wall clock jumps, or it restarts without a farewell.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 2 * TIME_TO_LIVE)),
        st.tuples(st.just("beat"), st.integers(0, PROCESSES - 1)),
        st.tuples(st.just("jump"), st.integers(-DAY, DAY)),
        st.tuples(st.just("crash"), st.integers(0, PROCESSES - 1)),
    ),
    max_size=60,
)


class Cluster:
    """Some processes on one store, each with a clock of its own."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.store = SqlLeaseStore(database)
        self.clocks = [FakeClock(now=1_790_000_000 * SECOND + number * DAY) for number in range(PROCESSES)]
        for number, clock in enumerate(self.clocks):
            clock.advance(number * DAY)
        self.births = 0
        self.leaders = [self.born(number) for number in range(PROCESSES)]

    def born(self, number: int) -> Leader:
        self.births += 1
        return Leader(self.store, self.clocks[number], lambda births=self.births: f"process-{births}")

    def leading(self) -> int:
        return sum(leader.is_leader for leader in self.leaders)

    async def step(self, kind: str, value: int) -> None:
        match kind:
            case "pass":
                for clock in self.clocks:
                    clock.advance(value)
            case "beat":
                await self.leaders[value].campaign()
            case "jump":
                self.clocks[abs(value) % PROCESSES].jump(value)
            case _:
                self.leaders[value] = self.born(value)

    async def live(self, steps: Sequence[tuple[str, int]]) -> None:
        for kind, value in steps:
            await self.step(kind, value)
            assert self.leading() <= 1

    async def calm(self) -> None:
        for _ in range((TIME_TO_LIVE // BEAT) + 3):
            await self.step("pass", BEAT)
            for number in range(PROCESSES):
                await self.step("beat", number)
        assert self.leading() == 1


@given(steps)
@settings(max_examples=60, deadline=None)
def test_never_two_leaders_and_soon_one(steps: Sequence[tuple[str, int]]):
    """Given any history, then at no step two processes lead, and after fifteen calm seconds exactly one does."""

    async def story() -> None:
        database = SqliteDatabase("sqlite://")
        try:
            await database.open()
            await database.write(lambda tx: metadata.tables["leader_leases"].create(connection_of(tx)))
            cluster = Cluster(database)
            await cluster.live(steps)
            await cluster.calm()
        finally:
            await database.close()

    asyncio.run(story())
