"""Decisions a second of the limiter on Redis, beside those of its peers, in one process, on one Redis and in one run.

64 tasks ask one after the other, each about subjects of its own that stay below their limit: ``RedisWindows.decide`` of
ours with an exact sliding window and with GCRA; ``MovingWindowRateLimiter.hit`` of limits (asyncio, redis-py) and
``Throttled.limit`` of throttled-py (asyncio, GCRA). Rounds alternate between the sides, each round in another order and
each turn on a heap from which what the one before has left was collected. Medians count: of each side's rounds for what
it does, and of the rounds' own ratios for how the sides compare, since a busy moment falls on both turns of a round and
not on those of another.

Then the same with three limits for each request, in many rounds because the two sides are close, with a subject that is
refused all the time, and with one subject for all tasks, of which exactly the limit must pass. Each round is measured
by the clock and by this process's processor time: the first also says how busy the machine was with other things. The
flood is measured at the door (``RateLimiter.check``: rules found, answer worded, refusal counted), and behind it, where
the engine knows of refusals (``RedisWindows.decide``). The floor is what one connection can do without deciding
anything: ``INCR``, 1,000 in a pipeline.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

import redis.asyncio
from limits import parse
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string
from tests.servers.redis import RedisServer
from throttled import per_hour
from throttled.asyncio import RateLimiterType, RedisStore, Throttled

from benchmarks.limiter import Request
from custodes.kernel.clock import HOUR, SECOND
from custodes.kernel.window import Ask, Gcra, Meter, Outcome, SlidingLog
from custodes.planes.ratelimit.limiter import RateLimiter
from custodes.runtime.bus import Bus
from custodes.runtime.system_clock import SystemClock
from custodes.storage.redis.windows import RedisWindows
from custodes.storage.sql.ratelimit import SqlRateLimitStore
from custodes.storage.sql.sqlite import SqliteDatabase

TASKS = 64

#: Requests of a round, subjects of each task, and rounds.
REQUESTS = 6_400
SUBJECTS = 20
ROUNDS = 7

#: Rounds for one limit beside three. A turn is a tenth of a second, and what the machine does beside it shifts one turn
#: by up to a third, the median of sixty by a few hundredths.
CLOSE_ROUNDS = 60

#: Requests of a flood, and of the floor.
FLOOD = 200_000
PIPELINES, PIPELINED = 30, 1_000

#: How much faster we mean to be, how little three limits may cost more than one, and how fast a flood is refused.
TARGET = 8.0
THREE = 1.2
FLOOD_TARGET = 500_000

COMMAND = "python -m benchmarks limiter_redis"

Hit = Callable[[str], Awaitable[object]]

clock = SystemClock()


def ours(windows: RedisWindows, meters: Sequence[Meter], run: str) -> Hit:
    limits = [windows.cells(f"{run} {number}", meter, together=run) for number, meter in enumerate(meters)]

    async def hit(subject: str) -> bool:
        asks: list[Ask] = [(cells, subject, 1) for cells in limits]
        answer = windows.decide(asks, clock.now())
        return not (answer if isinstance(answer, Outcome) else await answer).refused

    return hit


async def rate(hit: Hit, *, tasks: int = TASKS, requests: int = REQUESTS) -> tuple[float, float]:
    """Measure one round: decisions a second, and a second of this process's processor time."""

    async def client(number: int) -> None:
        subjects = [f"203.0.{number}.{subject}" for subject in range(SUBJECTS)]
        for turn in range(requests // tasks):
            await hit(subjects[turn % SUBJECTS])

    begun, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client(number) for number in range(tasks)))
    return requests / (time.perf_counter() - begun), requests / (time.process_time() - worked)


#: What each round of a side came to: decisions a second by the clock, and by processor time.
Rounds = list[tuple[float, float]]


async def alternate(
    sides: dict[str, Callable[[str], Hit]], *, rounds: int = ROUNDS, **options: int
) -> dict[str, Rounds]:
    """Alternate rounds of all sides, each on fresh states."""
    measured: dict[str, Rounds] = {name: [] for name in sides}
    names = list(sides)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            gc.collect()  # who comes after one that leaves much would else pay for it
            measured[name].append(await rate(sides[name](f"{name} {number}"), **options))
    return measured


async def flood(windows: RedisWindows) -> list[dict[str, object]]:
    """Ask again and again about somebody who is refused: refusals a second, and calls to Redis."""
    limiter = RateLimiter(
        windows,
        SqlRateLimitStore(SqliteDatabase("sqlite://")),  # never asked
        clock=clock,
        new_id=str,
        bus=Bus(),
        client_of=str,
        immune=lambda _kind, _identifier: False,
    )
    limiter.limit("1/hour")
    request = Request("203.0.113.7")
    cells = windows.cells("flood", SlidingLog(1, HOUR))
    asks: list[Ask] = [(cells, "somebody", 1)]
    for _ in range(2):
        for answer in (windows.decide(asks, clock.now()), limiter.check(request)):
            if isinstance(answer, Awaitable):
                await answer
    calls, now = windows.calls, clock.now()
    known = refusals(lambda: windows.decide(asks, now))
    checked = refusals(lambda: limiter.check(request))
    calls = windows.calls - calls
    return [
        shown(f"refused flood, {calls} calls{name}", rate, f">= {FLOOD_TARGET:,}", rate >= FLOOD_TARGET and not calls)
        for name, rate in zip(MEASURES, checked, strict=True)
    ] + [
        shown(f"refused flood, what the engine knows of it{name}", rate, "shown", met=True)
        for name, rate in zip(MEASURES, known, strict=True)
    ]


def refusals(refuse: Callable[[], object]) -> tuple[float, float]:
    """Measure a flood: refusals a second, and a second of this process's processor time."""
    begun, worked = time.perf_counter(), time.process_time()
    for _ in range(FLOOD):
        refuse()
    return FLOOD / (time.perf_counter() - begun), FLOOD / (time.process_time() - worked)


async def exact(windows: RedisWindows) -> int:
    """Have all tasks ask about one subject with a limit of 1,000; return how many passed."""
    hit = ours(windows, [SlidingLog(1_000, HOUR)], "exact")
    passed = count()

    async def client() -> None:
        for _ in range(50):
            if await hit("somebody"):
                next(passed)

    await asyncio.gather(*(client() for _ in range(TASKS)))
    return next(passed)


async def floor(url: str) -> float:
    async with redis.asyncio.Redis.from_url(url, protocol=2) as client:
        begun = time.perf_counter()
        for _ in range(PIPELINES):
            pipeline = client.pipeline(transaction=False)
            for _ in range(PIPELINED):
                pipeline.incr("floor")
            await pipeline.execute()
        return PIPELINES * PIPELINED / (time.perf_counter() - begun)


async def measure(url: str) -> list[dict[str, object]]:
    windows = RedisWindows(url, b"benchmark", monotonic=clock.monotonic, deadline=10 * SECOND)
    await windows.start()
    strategy = MovingWindowRateLimiter(storage_from_string(f"async+{url}", implementation="redispy"))
    store = RedisStore(server=url)

    def limits(run: str) -> Hit:
        item = parse("100/hour")
        return lambda subject: strategy.hit(item, run, subject)

    def throttled(run: str) -> Hit:
        limiter = Throttled(using=RateLimiterType.GCRA.value, quota=per_hour(100, burst=100), store=store)
        return lambda subject: limiter.limit(run + subject)

    rates = await alternate(
        {
            "window": lambda run: ours(windows, [SlidingLog(100, HOUR)], run),
            "limits": limits,
            "gcra": lambda run: ours(windows, [Gcra(100, HOUR, 100)], run),
            "throttled": throttled,
        }
    )
    three = [SlidingLog(100, HOUR), SlidingLog(1_000, HOUR), Gcra(100, HOUR, 100)]
    sides = {
        "one": lambda run: ours(windows, three[:1], run),
        "three": lambda run: ours(windows, three, run),
    }
    single = await alternate(sides, rounds=CLOSE_ROUNDS // 2, tasks=1, requests=REQUESTS // 8)
    together = await alternate(sides, rounds=CLOSE_ROUNDS)
    refused = await flood(windows)
    passed = await exact(windows)
    raw = await floor(url)
    await windows.stop()
    return [
        *rows("exact sliding window, 64 tasks", rates["window"], rates["limits"], "limits moving window"),
        *rows("GCRA, 64 tasks", rates["gcra"], rates["throttled"], "throttled-py GCRA"),
        *costs("three limits beside one, one task", single),
        *costs("three limits beside one, 64 tasks", together),
        *refused,
        shown("passed of 3,200 at a limit of 1,000", passed, "1,000", passed == 1_000, "requests"),
        shown("floor: INCR in pipelines of 1,000", raw, "shown", met=True),
    ]


#: The two measures of a round.
MEASURES = ("", ", processor time")


def rows(name: str, mine: Rounds, theirs: Rounds, peer: str) -> list[dict[str, object]]:
    return [row(name, measure, mine, theirs, peer) for measure in range(len(MEASURES))]


def costs(name: str, rates: dict[str, Rounds]) -> list[dict[str, object]]:
    return [cost(name, measure, rates) for measure in range(len(MEASURES))]


def middle(rates: Rounds, measure: int) -> float:
    return statistics.median(each[measure] for each in rates)


def compared(some: Rounds, others: Rounds, measure: int) -> float:
    """How many times as many decisions `some` make as `others`: the median of what each round says."""
    return statistics.median(one[measure] / other[measure] for one, other in zip(some, others, strict=True))


def row(name: str, measure: int, mine: Rounds, theirs: Rounds, peer: str) -> dict[str, object]:
    ratio = compared(mine, theirs, measure)
    return {
        "name": f"limiter on Redis, {name}{MEASURES[measure]}",
        "ours": round(middle(mine, measure)),
        "peer": round(middle(theirs, measure)),
        "peer_name": peer,
        "ratio": round(ratio, 2),
        "unit": "decisions/s",
        "target": f">= {TARGET:g} x",
        "met": ratio >= TARGET,
        "command": COMMAND,
    }


def cost(name: str, measure: int, rates: dict[str, Rounds]) -> dict[str, object]:
    ratio = compared(rates["one"], rates["three"], measure)
    return {
        "name": f"limiter on Redis, {name}{MEASURES[measure]}",
        "ours": round(SECOND / middle(rates["three"], measure), 1),
        "peer": round(SECOND / middle(rates["one"], measure), 1),
        "peer_name": "one limit",
        "ratio": round(ratio, 2),
        "unit": "us/request",
        "target": f"<= {THREE:g} x",
        "met": ratio <= THREE,
        "command": COMMAND,
    }


def shown(name: str, figure: float, target: str, met: bool, unit: str = "/s") -> dict[str, object]:
    return {
        "name": f"limiter on Redis, {name}",
        "ours": round(figure),
        "peer": None,
        "peer_name": "",
        "ratio": None,
        "unit": unit,
        "target": target,
        "met": met,
        "command": COMMAND,
    }


def run() -> list[dict[str, object]]:
    """Run everything; about a minute and a half."""
    server = RedisServer()
    try:
        return asyncio.run(measure(server.url))
    finally:
        server.remove()


if __name__ == "__main__":
    for one in run():
        ratio = "" if one["ratio"] is None else f"{one['ratio']:.2f} x {one['peer_name']} ({one['peer']:,})"
        met = "met" if one["met"] else "NOT MET"
        print(f"{one['name']:72} {one['ours']:>12,} {one['unit']:12} {ratio:48} {one['target']:10} {met}")
