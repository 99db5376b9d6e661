"""Leases let no more pass beyond a limit than they say, and lose nothing; against brute force."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.counts import cases
from tests.servers.redis import RedisServer
from tests.servers.redis_time import set_time, still_decision

from custodes.kernel.clock import SECOND
from custodes.kernel.window import Outcome, SlidingLog
from custodes.planes.ratelimit.language import meter_of, parse_limits
from custodes.storage.redis.windows import RedisWindows

INSTANCES = 3

#: (limit, units of a lease): one of each algorithm, and both forms of a log.
LEASED = [
    ("40/20 seconds", 4),
    ("300/20 seconds", 15),
    ("40/20 seconds using subwindows", 4),
    ("40/20 seconds burst 40", 4),
    ("40/calendar minute", 4),
]

#: (what passes of time before, which instance asks, how often, units)
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, SECOND // 10, SECOND // 2, SECOND, 2 * SECOND, 19 * SECOND, 20 * SECOND]),
        st.integers(0, INSTANCES - 1),
        st.integers(1, 12),
        st.sampled_from([1, 1, 2]),
    ),
    min_size=15,
    max_size=60,
)


class Fleet:
    """Instances on one Redis whose time is set by hand, and a list of all that passed."""

    def __init__(self, client: redis.Redis, url: str, text: str, lease: int) -> None:
        self.client = client
        self.now = 1_790_000_000 * SECOND
        self.meter = meter_of(parse_limits(text)[0])
        self.lease = lease
        self.passed: list[tuple[int, int]] = []
        client.flushall()
        set_time(client, self.now)
        self.engines = [
            RedisWindows(url, b"secret", monotonic=lambda: self.now, deadline=30 * SECOND, script=still_decision())
            for _ in range(INSTANCES)
        ]
        for engine in self.engines:
            engine._presence.instances = INSTANCES
            engine.cells("a", self.meter).lease = lease

    def passes(self, micros: int) -> None:
        self.now += micros
        set_time(self.client, self.now)

    async def ask(self, number: int, cost: int = 1) -> bool:
        engine = self.engines[number]
        answer = engine.decide([(engine.cells("a", self.meter), "x", cost)], self.now)
        outcome = answer if isinstance(answer, Outcome) else await answer
        while engine._calls.under_way:  # a lease that was asked for behind the request is there
            await asyncio.wait(engine._calls.under_way)
            await asyncio.sleep(0)  # it is taken out by a callback, and to wait for what is done lets none run
        if outcome.refused:
            return False
        self.passed.append((self.now, cost))
        return True

    def used(self) -> int:
        """Count what passed in the window that ends now."""
        return sum(cost for at, cost in self.passed if at > self.now - self.meter.window)

    async def all_given_back(self) -> int:
        """End all leases; return what Redis says is left."""
        self.passes(2 * SECOND)
        for engine in self.engines:
            engine._leases.sweep()
            engine._send()
            await asyncio.gather(*engine._calls.under_way)
            assert engine.failures == 0
        cells = self.engines[0].cells("a", self.meter)
        cells.near.note("x", 0)
        cells.near_at = self.meter.limit
        return dict(await self.engines[0].near(cells, self.now))["x"]

    async def stop(self) -> None:
        for engine in self.engines:
            await engine.stop()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client() as made:
        yield made


@pytest.mark.drill
@pytest.mark.parametrize(("text", "lease"), LEASED)
def test_no_more_passes_than_the_bound_says_and_what_is_not_used_comes_back(
    redis_server: RedisServer, client: redis.Redis, text: str, lease: int
):
    @settings(max_examples=cases(100, 5), deadline=None, suppress_health_check=list(HealthCheck))
    @given(wanted=steps)
    def check(wanted: list[tuple[int, int, int, int]]) -> None:
        async def run() -> None:
            fleet = Fleet(client, redis_server.url, text, lease)
            most = fleet.meter.worst_case_factor * fleet.meter.limit + INSTANCES * (lease - 1)
            try:
                for pause, number, times, cost in wanted:
                    fleet.passes(pause)
                    for _ in range(times):
                        await fleet.ask(number, cost)
                        assert fleet.used() <= most
                left = await fleet.all_given_back()
                if isinstance(fleet.meter, SlidingLog):
                    assert left == fleet.meter.limit - fleet.used()
            finally:
                await fleet.stop()

        asyncio.run(run())

    check()


async def test_the_bound_is_as_narrow_as_it_can_be(redis_server: RedisServer, client: redis.Redis):
    """Given leases taken at one moment and used a little later, when the window of that moment is over, then the window
    that begins there holds the limit and all that was held."""
    fleet = Fleet(client, redis_server.url, "100/20 seconds", 5)
    try:
        for number in range(INSTANCES):
            for _ in range(2):
                assert await fleet.ask(number)
        fleet.passes(SECOND - 1)
        for number in range(INSTANCES):
            for _ in range(4):
                assert await fleet.ask(number)
        assert [engine.leased_decisions for engine in fleet.engines] == [4] * INSTANCES
        assert [engine.calls for engine in fleet.engines] == [2] * INSTANCES

        fleet.passes(10 * SECOND)
        while await fleet.ask(0, 2):
            pass
        fleet.passes(9 * SECOND + 1)
        while await fleet.ask(0, 2):
            pass

        assert fleet.used() == 100 + INSTANCES * 4
    finally:
        await fleet.stop()


async def test_what_ran_out_of_a_bucket_is_not_given_back(redis_server: RedisServer, client: redis.Redis):
    """Given leased tokens that have come in again while they were held, then giving them back adds none."""
    fleet = Fleet(client, redis_server.url, "600/minute burst 40", 4)
    try:
        for _ in range(2):
            assert await fleet.ask(0)
        fleet.passes(SECOND + SECOND // 2)
        assert await fleet.ask(1, 40)
        fleet.passes(SECOND // 2)

        assert await fleet.all_given_back() == 25  # of 40, a tenth of a second each since 2.5 seconds
    finally:
        await fleet.stop()
