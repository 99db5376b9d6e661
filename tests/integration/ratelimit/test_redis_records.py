"""Records that share a string on Redis: whatever is asked together, and in whatever order, memory decides the same.

Nor does a key end before its last record does, though it is not told anew with each of them.
"""

from __future__ import annotations

import asyncio
import random
from typing import cast

import pytest
from tests.servers.redis import RedisServer
from tests.servers.redis_time import StillKeys, set_time, still_decision

from custodes.kernel.clock import MINUTE, SECOND
from custodes.kernel.window import Ask, CalendarQuota, CalendarUnit, Concurrency, Gcra, Meter, Outcome, SlidingLog
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.redis.windows import RedisWindows

#: Limits of one route. What is kept of each is of another length; of the long one, it may be elsewhere.
LIMITS: dict[str, Meter] = {
    "log": SlidingLog(4, SECOND),
    "log of a minute": SlidingLog(120, MINUTE),
    "long log": SlidingLog(150, 3 * SECOND),
    "bucket": Gcra(3, SECOND, 5),
    "uneven bucket": Gcra(7, 3 * SECOND, 2),
    "slots": Concurrency(60, 5 * SECOND),
    "quota": CalendarQuota(200, CalendarUnit.MINUTE),
}

#: Which of them a request is asked about. Those that come first leave a string that the others do not expect.
TOGETHER = (
    ("log",),
    ("bucket",),
    ("log", "bucket"),
    ("bucket", "log"),
    ("log", "log of a minute", "uneven bucket"),
    ("long log",),
    ("long log", "bucket"),
    ("log", "slots"),
    ("quota", "bucket"),
    ("uneven bucket", "log of a minute"),
)

#: Calls, each of up to so many requests, and how many of these are of the kind that their subject mostly has.
CALLS, REQUESTS, USUAL = 300, 20, 0.93

#: How often the long log is used up nearly at once, so that it is kept elsewhere.
FAR = 0.1


async def test_what_is_asked_together_is_decided_as_in_memory(redis_server: RedisServer):
    # Given limits that share what is kept of a subject
    rng, now = random.Random("records"), 1_790_000_000 * SECOND
    redis = RedisWindows(
        redis_server.url, b"secret", monotonic=lambda: now, deadline=30 * SECOND, script=still_decision()
    )
    memory = MemoryWindows()
    refused = admitted = 0
    with redis_server.client() as client:
        keys, told, kept = StillKeys(client), 0, 0
        for _ in range(CALLS):
            now += rng.choice((0, 1, SECOND // 9, SECOND // 3, SECOND, 4 * SECOND))
            set_time(client, now)
            keys.end(now)
            redis.keep_only(LIMITS)  # what it knows to be refused, it asks about all the same
            here = {name: memory.cells(name, meter) for name, meter in LIMITS.items()}
            there = {name: redis.cells(name, meter, together="route") for name, meter in LIMITS.items()}

            # When some of them are asked about some subjects, in one call
            wanted: list[tuple[tuple[str, ...], int, int]] = []
            for _ in range(rng.randint(1, REQUESTS)):
                number = rng.randrange(len(TOGETHER))
                names = TOGETHER[number] if rng.random() < USUAL else rng.choice(TOGETHER)
                if any(earlier == number and "long log" in (*names, *others) for others, earlier, _ in wanted):
                    continue  # a request that has to come again, with the name of what is kept elsewhere, comes later
                cost = 140 if names == ("long log",) and rng.random() < FAR else rng.choice((1, 1, 1, 1, 1, 2))
                wanted.append((names, number, cost))
            answers = [
                redis.decide([(there[name], f"subject {number}", cost) for name in names], now)
                for names, number, cost in wanted
            ]
            outcomes = await asyncio.gather(*(cast("asyncio.Future[Outcome]", answer) for answer in answers))

            # Then each is decided as memory does, one after the other
            for (names, number, cost), outcome in zip(wanted, outcomes, strict=True):
                asks: list[Ask] = [(here[name], f"subject {number}", cost) for name in names]
                expected = memory.decide(asks, now)
                assert (list(outcome.views), list(outcome.refused)) == (list(expected.views), list(expected.refused))
                refused += bool(expected.refused)
                admitted += not expected.refused
            anew = keys.note(now)
            told, kept = told + len(anew), kept + len(keys.ends) - len(anew)
    await redis.stop()
    assert not redis.failures
    assert min(refused, admitted, told, kept) > CALLS / 2


@pytest.mark.parametrize(
    "meters",
    [(SlidingLog(100, MINUTE),), (Gcra(100, MINUTE, 100),), (SlidingLog(100, MINUTE), Gcra(100, MINUTE, 100))],
    ids=["window", "bucket", "both"],
)
@pytest.mark.parametrize("cost", [1, 2])  # more than one is charged in another way, see decide.lua
async def test_a_key_is_told_when_it_ends_only_when_it_has_to_be_kept_for_longer(
    redis_server: RedisServer, meters: tuple[Meter, ...], cost: int
):
    # Given somebody whose requests are counted for a minute
    now = 1_790_000_000 * SECOND
    redis = RedisWindows(
        redis_server.url, b"secret", monotonic=lambda: now, deadline=30 * SECOND, script=still_decision()
    )
    limits = [redis.cells(str(number), meter, together="route") for number, meter in enumerate(meters)]
    with redis_server.client() as client:
        keys = StillKeys(client)

        async def ask() -> set[bytes]:
            set_time(client, now)
            outcome = await cast("asyncio.Future[Outcome]", redis.decide([(cells, "x", cost) for cells in limits], now))
            assert not outcome.refused
            return keys.note(now)

        # When it is asked about him for the first time, the key is told to end, a quarter of a minute late at most
        assert len(await ask()) == 1
        (ends,) = keys.ends.values()
        assert now + MINUTE // 4 < ends <= now + MINUTE + MINUTE // 4

        # When it is asked again before that quarter has passed, the key ends when it was to end
        now += MINUTE // 10
        assert not await ask()

        # And later it is told anew
        now += MINUTE // 5
        assert len(await ask()) == 1
        assert keys.ends.popitem()[1] > ends
    await redis.stop()
