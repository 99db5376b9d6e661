"""Both engines decide the same, to the microsecond, whatever comes."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from custodes.kernel.clock import SECOND
from custodes.kernel.window import Outcome
from custodes.planes.ratelimit.language import meter_of, parse_limits
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.sql.ratelimit_windows import SqliteWindows

#: (limits, in shadow): one of each algorithm.
LIMITS = [
    ("3/second", False),
    ("5/2 seconds using subwindows", False),
    ("4/second burst 2", False),
    ("7/calendar minute", False),
    ("2 concurrent for 3 seconds", False),
    ("2/second", True),
]

numbers = st.integers(0, len(LIMITS) - 1)


class EnginesAgree(RuleBasedStateMachine):
    """Runs memory, and two workers that share a file and take turns."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.memory = MemoryWindows()
        path = Path(self.folder.name) / "limits"
        self.workers = [SqliteWindows(path, deadline=30 * SECOND) for _ in range(2)]
        self.now = 1_790_000_000 * SECOND
        self.held: list[tuple[str, int, int]] = []

    def asks(self, engine: MemoryWindows | SqliteWindows, wanted: list[tuple[int, str, int]]):
        cells = {}
        for number, (text, shadow) in enumerate(LIMITS):
            cells[number] = engine.cells(text, meter_of(parse_limits(text)[0]), shadow=shadow)
        return [(cells[number], key, cost) for number, key, cost in wanted]

    @rule(micros=st.one_of(st.integers(0, SECOND), st.sampled_from([1, SECOND // 3, SECOND, 3 * SECOND, 70 * SECOND])))
    def time_passes(self, micros: int) -> None:
        self.now += micros

    @rule(
        wanted=st.dictionaries(numbers, st.tuples(st.sampled_from("ab"), st.integers(1, 4)), min_size=1, max_size=6),
        worker=st.integers(0, 1),
    )
    def a_request_comes(self, wanted: dict[int, tuple[str, int]], worker: int) -> None:
        listed = [(number, key, cost) for number, (key, cost) in wanted.items()]
        here = self.memory.decide(self.asks(self.memory, listed), self.now)
        engine = self.workers[worker]
        there = self.runner.run(engine.decide(self.asks(engine, listed), self.now))

        assert told(here) == told(there)
        if not here.refused and 4 in wanted:
            self.held.append((wanted[4][0], self.now, wanted[4][1]))

    @rule(worker=st.integers(0, 1))
    def slots_are_given_back(self, worker: int) -> None:
        if not self.held:
            return
        key, taken_at, cost = self.held.pop(0)
        engine = self.workers[worker]
        self.memory.release(self.asks(self.memory, [(4, key, cost)])[0][0], key, taken_at, cost)

        async def give_back() -> None:
            engine.release(self.asks(engine, [(4, key, cost)])[0][0], key, taken_at, cost)
            await asyncio.gather(*engine._releases)

        self.runner.run(give_back())

    @invariant()
    def nothing_failed(self) -> None:
        assert [worker.failures for worker in self.workers] == [0, 0]

    def teardown(self) -> None:
        for worker in self.workers:
            self.runner.run(worker.stop())
        self.runner.close()
        self.folder.cleanup()


def told(outcome: Outcome) -> tuple[object, ...]:
    return list(outcome.views), list(outcome.refused), list(outcome.would_refuse)


TestEnginesAgree = EnginesAgree.TestCase
TestEnginesAgree.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
