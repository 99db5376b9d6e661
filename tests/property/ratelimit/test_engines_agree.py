"""All engines decide the same, to the microsecond, whatever comes."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import psycopg
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.servers.postgresql import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.redis_time import set_time, still_decision

from custodes.kernel.clock import SECOND
from custodes.kernel.window import NEVER, Outcome
from custodes.planes.ratelimit.language import meter_of, parse_limits
from custodes.planes.ratelimit.ports import Windows
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.redis.windows import RedisWindows
from custodes.storage.sql.ratelimit_groups import GroupedWindows
from custodes.storage.sql.ratelimit_postgresql import PostgresWindows
from custodes.storage.sql.ratelimit_windows import SqliteWindows

#: (limits, in shadow): one of each algorithm.
LIMITS = [
    ("3/second", False),
    ("5/2 seconds using subwindows", False),
    ("4/second burst 2", False),
    ("7/calendar minute", False),
    ("2 concurrent for 3 seconds", False),
    ("2/second", True),
    ("200/2 seconds", False),
    ("9/7 seconds burst 13", False),
    ("30/calendar day in Europe/Berlin", False),
]

#: Limits that hold slots.
SLOTS = 4

numbers = st.integers(0, len(LIMITS) - 1)


class EnginesAgree(RuleBasedStateMachine):
    """Runs memory, and of each shared engine two workers that take turns."""

    server: RedisServer
    postgres: str

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.memory = MemoryWindows()
        path = Path(self.folder.name) / "limits"
        self.files = [SqliteWindows(path, deadline=30 * SECOND) for _ in range(2)]
        self.redis = [self.on_redis() for _ in range(2)]
        self.tables = [PostgresWindows(self.postgres, deadline=30 * SECOND, clock=lambda: self.now) for _ in range(2)]
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS rate_limit_states")
        self.server.flush()
        self.client = self.server.client()
        self.now = 1_790_000_000 * SECOND
        #: Key, cost, and when it was taken.
        self.held: list[tuple[str, int, int]] = []

    def on_redis(self) -> RedisWindows:
        return RedisWindows(
            self.server.url, b"secret", monotonic=lambda: self.now, deadline=30 * SECOND, script=still_decision()
        )

    def asks(self, engine: Windows, wanted: list[tuple[int, str, int]]):
        cells = {}
        for number, (text, shadow) in enumerate(LIMITS):
            cells[number] = engine.cells(text, meter_of(parse_limits(text)[0]), shadow=shadow)
        return [(cells[number], key, cost) for number, key, cost in wanted]

    def decide(self, engine: Windows, wanted: list[tuple[int, str, int]]) -> Outcome:
        async def ask() -> Outcome:
            answer = engine.decide(self.asks(engine, wanted), self.now)
            return answer if isinstance(answer, Outcome) else await answer

        return self.runner.run(ask())

    @rule(micros=st.one_of(st.integers(0, SECOND), st.sampled_from([1, SECOND // 3, SECOND, 3 * SECOND, 70 * SECOND])))
    def time_passes(self, micros: int) -> None:
        self.now += micros

    @rule(
        wanted=st.dictionaries(numbers, st.tuples(st.sampled_from("ab"), st.integers(1, 4)), min_size=1, max_size=6),
        worker=st.integers(0, 1),
    )
    def a_request_comes(self, wanted: dict[int, tuple[str, int]], worker: int) -> None:
        listed = [(number, key, cost) for number, (key, cost) in wanted.items()]
        set_time(self.client, self.now)
        expected = self.decide(self.memory, listed)

        for engine in (self.files[worker], self.tables[worker]):
            assert told(self.decide(engine, listed)) == told(expected)
        redis = self.redis[worker]
        known = redis.known_refusals
        outcome = self.decide(redis, listed)
        if redis.known_refusals == known:
            assert told(outcome) == told(expected)
        else:  # refused without asking: of what was charged since, it knows nothing, and that can only add to the wait
            waits = dict(expected.refused)
            assert outcome.refused
            assert all(NEVER != wait <= waits[number] or wait == waits[number] for number, wait in outcome.refused)
        if not expected.refused and SLOTS in wanted:
            self.held.append((wanted[SLOTS][0], wanted[SLOTS][1], self.now))

    @rule(wanted=st.lists(st.tuples(numbers, st.sampled_from("ab"), st.integers(1, 3)), min_size=2, max_size=8))
    def requests_come_together(self, wanted: list[tuple[int, str, int]]) -> None:
        """Those that share a call are decided in order, each on what those before have left."""
        wanted = [one for one in wanted if one[0] != SLOTS]
        set_time(self.client, self.now)
        self.redis[0].keep_only(text for text, _ in LIMITS)  # so that each is asked

        async def ask_all() -> list[Outcome]:
            engine = self.redis[0]
            answers = [engine.decide(self.asks(engine, [one]), self.now) for one in wanted]
            return [one if isinstance(one, Outcome) else await one for one in answers]

        calls = self.redis[0].calls
        outcomes = self.runner.run(ask_all())
        assert self.redis[0].calls <= calls + 1
        for one, outcome in zip(wanted, outcomes, strict=True):
            expected = told(self.decide(self.memory, [one]))
            assert told(outcome) == expected
            assert told(self.decide(self.files[0], [one])) == told(self.decide(self.tables[0], [one])) == expected

    @rule(worker=st.integers(0, 1))
    def slots_are_given_back(self, worker: int) -> None:
        if not self.held:
            return
        key, cost, taken_at = self.held.pop(0)
        set_time(self.client, self.now)
        for engine in (self.memory, self.files[worker], self.tables[worker], self.redis[worker]):
            self.runner.run(self.give_back(engine, key, cost, taken_at))

    async def give_back(self, engine: Windows, key: str, cost: int, taken_at: int) -> None:
        engine.release(self.asks(engine, [(SLOTS, key, cost)])[0][0], key, taken_at, cost)
        if isinstance(engine, GroupedWindows):
            await asyncio.gather(*engine._releases)
        elif isinstance(engine, RedisWindows):
            engine._send()
            await asyncio.gather(*engine._calls.under_way)

    @invariant()
    def nothing_failed(self) -> None:
        assert not any(worker.failures for worker in (*self.files, *self.tables, *self.redis))

    def teardown(self) -> None:
        for worker in (*self.files, *self.tables, *self.redis):
            self.runner.run(worker.stop())
        self.client.close()
        self.runner.close()
        self.folder.cleanup()


def told(outcome: Outcome) -> tuple[object, ...]:
    return list(outcome.views), list(outcome.refused), list(outcome.would_refuse)


def test_engines_agree(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    url = postgres_server.url(postgres_server.new_database())
    machine = type("EnginesAgree", (EnginesAgree,), {"server": redis_server, "postgres": url})
    # An example that fails is not made smaller: with real servers, that takes longer than reading it.
    few = settings(max_examples=40, stateful_step_count=25, deadline=None, phases=[Phase.generate])
    run_state_machine_as_test(machine, settings=few)
