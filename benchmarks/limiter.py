"""Decisions a second of the limiter in memory, beside those of its peers, in one process and one run.

Each side is called through its public API with one subject at a time, over the same 1,000 subjects in the same order:
``Quota.hit`` of ours; ``MovingWindowRateLimiter.hit`` of limits (exact sliding window); ``Throttled.limit`` of
throttled-py (GCRA). All three take a lock and read their own clock. Rounds alternate between the sides; the median
counts.

Two kinds of traffic: *below*, in which every request is admitted, and *mixed*, in which every second one is refused.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import throttled
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from throttled import RateLimiterType, Throttled

from custodes.planes.ratelimit.limiter import RateLimiter
from custodes.planes.ratelimit.model import Call
from custodes.runtime.bus import Bus
from custodes.runtime.system_clock import SystemClock
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.sql.ratelimit import SqlRateLimitStore
from custodes.storage.sql.sqlite import SqliteDatabase

#: Subjects, calls of each subject in a round, and rounds. The limit is 100 an hour: 50 calls stay below, 200 are mixed.
SUBJECTS = [f"203.0.{number // 250}.{number % 250}" for number in range(1_000)]
CALLS = {"below": 50, "mixed": 200}
ROUNDS = 7

#: How much faster we mean to be.
TARGET = 4.0

COMMAND = "python -m benchmarks limiter"

Hit = Callable[[str], object]


def limiter() -> RateLimiter:
    """Make a limiter whose store is never asked."""
    return RateLimiter(
        MemoryWindows(),
        SqlRateLimitStore(SqliteDatabase("sqlite://")),
        clock=SystemClock(),
        new_id=str,
        bus=Bus(),
        client_of=str,
        immune=lambda _kind, _identifier: False,
    )


def our_window() -> Hit:
    return limiter().quota("100/hour").hit


def our_gcra() -> Hit:
    return limiter().quota("100/hour burst 100").hit


def limits_window() -> Hit:
    strategy, item = MovingWindowRateLimiter(MemoryStorage()), parse("100/hour")
    return partial(strategy.hit, item)


def throttled_gcra() -> Hit:
    quota = throttled.per_hour(100, burst=100)
    return Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=throttled.MemoryStore()).limit


def rate(hit: Hit, calls: int) -> float:
    """Measure one round: decisions a second."""
    begun = time.perf_counter()
    for _ in range(calls):
        for subject in SUBJECTS:
            hit(subject)
    return calls * len(SUBJECTS) / (time.perf_counter() - begun)


def compare(
    name: str, ours: Callable[[], Hit], peer: Callable[[], Hit], peer_name: str, traffic: str
) -> dict[str, object]:
    """Alternate rounds of both sides, each on fresh state, and set the medians beside each other."""
    calls = CALLS[traffic]
    measured: dict[Callable[[], Hit], list[float]] = {ours: [], peer: []}
    for _ in range(ROUNDS):
        for side, rates in measured.items():
            rates.append(rate(side(), calls))
    mine, theirs = (statistics.median(measured[side]) for side in (ours, peer))
    return {
        "name": f"limiter in memory, {name}, {traffic}",
        "ours": round(mine),
        "peer": round(theirs),
        "peer_name": peer_name,
        "ratio": round(mine / theirs, 2),
        "unit": "decisions/s",
        "target": f">= {TARGET:g} x",
        "met": mine / theirs >= TARGET,
        "command": COMMAND,
    }


class Request:
    """A request of the middleware."""

    __slots__ = ("api_key", "client_ip", "limited_by", "method", "path", "tenant", "trace_id", "user")

    def __init__(self, subject: str) -> None:
        self.client_ip = self.user = subject
        self.path = "/items/7"
        self.method, self.tenant, self.trace_id = "GET", "default", "0" * 32
        self.api_key = self.limited_by = ""


def three_rules() -> dict[str, object]:
    """Measure ``RateLimiter.check`` of a request that three rules hold for, with the header fields ready."""
    requests: list[Call] = [Request(subject) for subject in SUBJECTS]
    times: list[float] = []
    for _ in range(ROUNDS):
        ours = limiter()
        ours.limit("1000/minute", by="ip")
        ours.limit("1000/minute", by="user", route="/items/{id}")
        ours.limit("10000000/hour burst 1000000", by="tenant", route="/items/*", methods="GET")
        for request in requests:
            ours.check(request)
        begun = time.perf_counter()
        for _ in range(CALLS["below"]):
            for request in requests:
                ours.check(request)
        times.append((time.perf_counter() - begun) / (CALLS["below"] * len(requests)) * 1e6)
    ours_us = statistics.median(times)
    return {
        "name": "check of a request with 3 rules, header fields included",
        "ours": round(ours_us, 2),
        "peer": None,
        "peer_name": "",
        "ratio": None,
        "unit": "us",
        "target": "<= 3 us",
        "met": ours_us <= 3.0,
        "command": COMMAND,
    }


def run() -> list[dict[str, object]]:
    """Run everything; about fifteen seconds."""
    rows = [
        compare("exact sliding window", our_window, limits_window, "limits moving window", traffic) for traffic in CALLS
    ]
    rows += [compare("GCRA", our_gcra, throttled_gcra, "throttled-py GCRA", traffic) for traffic in CALLS]
    return [*rows, three_rules()]


if __name__ == "__main__":
    for row in run():
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f} x {row['peer_name']} ({row['peer']:,})"
        met = "met" if row["met"] else "NOT MET"
        print(f"{row['name']:58} {row['ours']:>12,} {row['unit']:12} {ratio:48} {row['target']:8} {met}")
