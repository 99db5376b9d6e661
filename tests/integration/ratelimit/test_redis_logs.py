"""Long windows on Redis: a short string while there are few events, a ring when there are more, the same decisions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from tests.servers.redis import RedisServer
from tests.servers.redis_time import set_time, still_decision

from custodes.kernel.clock import MINUTE, SECOND
from custodes.kernel.window import Outcome, SlidingLog
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.redis.windows import RedisWindows

#: More than a string holds (128), and few enough to be used up.
LONG = SlidingLog(300, MINUTE)

#: Bytes before the events of a record, and of a ring.
RECORD_HEAD, HEAD = 18, 24


class Both:
    """The limit in memory and on Redis, at one moment that the test sets."""

    def __init__(self, server: RedisServer) -> None:
        self.now = 1_790_000_000 * SECOND
        self.client = server.client()
        self.redis = RedisWindows(
            server.url, b"secret", monotonic=lambda: self.now, deadline=30 * SECOND, script=still_decision()
        )
        self.memory = MemoryWindows()
        self.here = self.memory.cells("long", LONG)
        self.there = self.redis.cells("long", LONG)

    async def ask(self, cost: int, *, give_back: bool = False) -> Outcome:
        """Ask both and compare what they say; ``give_back``: then take back what Redis has charged."""
        set_time(self.client, self.now)
        self.redis.keep_only(["long"])  # so that nothing is known to be refused
        answer = self.redis.decide([(self.there, "x", cost)], self.now)
        outcome = answer if isinstance(answer, Outcome) else await answer
        if give_back and not outcome.refused:
            self.redis.give_back(self.there, "x", self.now, cost)
            self.redis._send()
            await asyncio.gather(*self.redis._calls.under_way)
            return outcome
        expected = self.memory.decide([(self.here, "x", cost)], self.now)
        assert (outcome.views, outcome.refused) == (expected.views, expected.refused)
        return outcome

    def bytes_kept(self) -> tuple[int, int]:
        """Bytes of the events in the subject's record, and of its ring."""
        name = self.there.named("x")[0]
        return self.client.strlen(name) - RECORD_HEAD, self.client.strlen(name + self.there.own_key)


@pytest.fixture
async def both(redis_server: RedisServer) -> AsyncIterator[Both]:
    made = Both(redis_server)
    yield made
    await made.redis.stop()
    made.client.close()


async def test_a_long_window_begins_as_a_string_and_becomes_a_ring(both: Both):
    """Given a window of 300, when more than 128 units are used, then a ring holds them, and the limit is exact."""
    await both.ask(127)
    await both.ask(1)
    assert both.bytes_kept() == (128 * 8, 0), "no ring yet"

    both.now += SECOND
    await both.ask(1)
    assert both.bytes_kept() == (0, HEAD + 129 * 8)
    both.now += SECOND
    assert not (await both.ask(171)).refused
    assert (await both.ask(1)).refused, "all 300 are used"

    # When the first 128 leave the window, then as many are free, and the ring goes round
    both.now += MINUTE - 2 * SECOND
    assert not (await both.ask(128)).refused
    assert (await both.ask(1)).refused
    assert both.bytes_kept() == (0, HEAD + 300 * 8)


async def test_one_request_can_pass_the_length_of_a_string(both: Both):
    await both.ask(5)
    await both.ask(200)
    assert both.bytes_kept() == (0, HEAD + 205 * 8)
    await both.ask(96)


async def test_whatever_comes_and_is_given_back_both_decide_the_same(both: Both):
    choose = random.Random(20261126)
    refused = 0
    for _ in range(250):
        both.now += choose.choice((0, 1, SECOND // 7, SECOND, 5 * SECOND, 20 * SECOND))
        outcome = await both.ask(choose.choice((1, 1, 3, 20, 90)), give_back=choose.random() < 0.2)
        refused += bool(outcome.refused)

    assert 20 < refused < 230, "both sides of the limit were seen"
