"""Rollups, raw rows and error groups of API calls, as an install keeps them.

Every level as far back as retention says, the newest rows of each level not yet folded into the next, consumers bounded
to the heaviest. Each level is drawn on its own (what is asked is how fast answers come, not whether levels agree; the
tests of the plane do that), with the same shares: a few endpoints get most requests, nights are quiet.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.kernel.histogram import Histogram, bucket_of
from custodes.kernel.ids import uuid7
from custodes.planes.traffic.ranges import KEPT
from custodes.planes.traffic.rollup import KEPT_CONSUMERS, LEVELS, OTHER, Keyspace, Level

#: Series of endpoints, kinds of errors, users, addresses, API keys.
ENDPOINTS = 600
ERRORS = 60
CONSUMERS_OF = {Keyspace.USER: 50_000, Keyspace.IP: 20_000, Keyspace.API_KEY: 500}

#: Part of all requests that raise, and that carry each kind of consumer.
ERROR_SHARE = 0.004
CONSUMER_SHARE = {Keyspace.USER: 0.7, Keyspace.IP: 1.0, Keyspace.API_KEY: 0.3}

#: Raw rows at most: those of the last days are a table of their own, whose size does not change any rollup.
MAX_RAW = 1_000_000

#: Days that raw rows are spread over (``CUSTODES_API_LOG_RETENTION_DAYS``).
RAW_DAYS = 7

#: Draws for a histogram; larger counts are these, scaled.
_DRAWS = 2_000

#: Speeds of endpoints (σ of the logarithm is 0.8) and histograms drawn for each count.
_SPEEDS = (2_000, 5_000, 9_000, 15_000, 30_000, 60_000, 150_000, 400_000)
_VARIANTS = 3

_STATUSES = ((200, 0.86), (201, 0.05), (304, 0.04), (404, 0.035), (429, 0.01), (500, 0.005))
_METHODS = ("GET", "POST", "PUT", "DELETE")


def route(number: int) -> tuple[str, str]:
    """Name an endpoint: (template, method)."""
    return f"/api/v1/resource{number // 4}/{{id}}", _METHODS[number % 4]


class Pool:
    """Figures ready to be written, by count and speed: drawn once, so that millions of rows take seconds."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._made: dict[tuple[int, int, bool], list[tuple[Any, ...]]] = {}

    def figures(self, count: int, speed: int, *, timed: bool = True) -> tuple[Any, ...]:
        """Choose the figures of about ``count`` requests: plain ones, statuses, histograms."""
        rounded = count if count < 12 else round(count, 1 - int(math.log10(count)))
        known = self._made.setdefault((rounded, speed, timed), [])
        if len(known) < _VARIANTS:
            known.append(self._make(rounded, speed, timed=timed))
            return known[-1]
        return known[int(self._chance.random() * _VARIANTS)]

    def _make(self, count: int, speed: int, *, timed: bool) -> tuple[Any, ...]:
        draws = min(count, _DRAWS)
        every, extra = divmod(count, draws)  # each draw stands for so many, the first ones for one more
        statuses, total, ttfb = Counter[int](), Histogram(), Histogram()
        answers = self._chance.choices([s for s, _ in _STATUSES], [p for _, p in _STATUSES], k=draws)
        values = [int(self._chance.lognormvariate(math.log(_SPEEDS[speed]), 0.8)) + 200 for _ in range(draws)]
        spent = 0
        for place, (status, value) in enumerate(zip(answers, values, strict=True)):
            times = every + (place < extra)
            statuses[status] += times
            spent += times * value
            total.counts[bucket_of(value)] += times
            ttfb.counts[bucket_of(value * 9 // 10)] += times
        client = sum(times for status, times in statuses.items() if 400 <= status < 500)
        server = sum(times for status, times in statuses.items() if status >= 500)
        plain = (count, client, server, statuses[429], 0, 300 * count, 2_000 * count)
        if not timed:
            return (*plain, 0, 0, 0, 0, "", b"", b"", None)
        told = json.dumps({status: times for status, times in statuses.items() if times}, separators=(",", ":"))
        return (*plain, count, spent, min(values), max(values), told, total.encode(), ttfb.encode(), total.squares())


class Crowd:
    """Names of which the first are met most often (Zipf)."""

    def __init__(self, names: Sequence[tuple[str, str]], exponent: float) -> None:
        self.names = names
        weights = [1 / (place + 3) ** exponent for place in range(len(names))]
        whole = sum(weights)
        self.shares = [weight / whole for weight in weights]
        self._cumulated = list(accumulate(self.shares))
        self._places = range(len(names))

    def draw(self, chance: random.Random, times: float) -> list[tuple[int, int]]:
        """Tell who comes how often when ``times`` come together: (place, count)."""
        if times < 2 * len(self.names):
            places = chance.choices(self._places, cum_weights=self._cumulated, k=max(1, round(times)))
            return list(Counter(places).items())
        noise = chance.gauss
        return [
            (place, max(1, int(mean + noise(0, mean**0.5))))
            for place, share in enumerate(self.shares)
            if (mean := share * times) > 0.3
        ]


class TrafficHistory:
    """Draws the rows.

    Args:
        requests: how many there were.
        days: in how many days.
        now: end of the history, microseconds.
        tenant: whose.
        writers: processes that wrote the finest level.
    """

    def __init__(self, requests: int, days: int, now: int, tenant: str, writers: int = 1) -> None:
        self._chance = random.Random(20261125)
        self._rate = requests / (days * DAY)
        self._begin = now - days * DAY
        self._now = now
        self._tenant = tenant
        self._writers = [uuid7(now, self._chance.getrandbits) for _ in range(writers)]
        self._folder = uuid7(now, self._chance.getrandbits)
        self._pool = Pool(self._chance)
        self._endpoints = Crowd([route(number) for number in range(ENDPOINTS)], 1.1)
        self._errors = Crowd([(f"{number:064x}", "") for number in range(ERRORS)], 1.2)
        self._consumers = {
            kind: Crowd([(f"{kind}-{number}", "") for number in range(size)], 0.9)
            for kind, size in CONSUMERS_OF.items()
        }
        #: Requests that the coarsest rows tell of, each counted once.
        self.requests = 0

    def rollups(self) -> Iterator[tuple[Any, ...]]:
        """Yield all rows of all levels in the order of the primary key's last columns, coarsest level first."""
        for level in reversed(LEVELS):
            yield from self._level(level)

    def _level(self, level: Level) -> Iterator[tuple[Any, ...]]:
        coarser = next((wider for wider in LEVELS if wider > level), None)
        unfolded = self._now if coarser is None else coarser.start_of(self._now)
        # The newest bucket is still open: what it holds is in the finer levels.
        end = level.start_of(self._now) if level is not LEVELS[0] else self._now
        begin = level.start_of(max(self._begin, self._now - KEPT[level]))
        writers = self._writers if level is LEVELS[0] else [self._folder]
        for bucket in range(begin, end, level.micros):
            folded = int(coarser is None or bucket < unfolded)
            for writer in writers:
                times = self._rate * level.micros * _wave(bucket) / len(writers)
                if not folded or coarser is None:
                    self.requests += round(times)
                yield from self._bucket(level, bucket, writer, folded, times)

    def _bucket(self, level: Level, bucket: int, writer: str, folded: int, times: float) -> Iterator[tuple[Any, ...]]:
        tenant, number, figures, chance = self._tenant, level.value, self._pool.figures, self._chance
        if times < 1 and chance.random() > times:
            return
        yield (tenant, "total", number, bucket, "", "", writer, folded, *figures(max(1, round(times)), 2))
        for place, count in self._endpoints.draw(chance, times):
            name, method = self._endpoints.names[place]
            key = (tenant, "endpoint", number, bucket, name, method, writer, folded)
            yield (*key, *figures(count, place % len(_SPEEDS)))
        if chance.random() < times * ERROR_SHARE:
            for place, count in self._errors.draw(chance, times * ERROR_SHARE):
                key = (tenant, "error", number, bucket, self._errors.names[place][0], "", writer, folded)
                yield (*key, *figures(count, 0, timed=False))
        for kind, share in CONSUMER_SHARE.items():  # no tenants are named: their keyspace stays empty
            yield from self._crowd(kind, level, bucket, writer, folded, times * share)

    def _crowd(
        self, kind: Keyspace, level: Level, bucket: int, writer: str, folded: int, times: float
    ) -> Iterator[tuple[Any, ...]]:
        crowd, chance, figures = self._consumers[kind], self._chance, self._pool.figures
        shown = KEPT_CONSUMERS
        if times < 20_000:
            met = sorted(crowd.draw(chance, times), key=lambda one: -one[1])
        else:  # the heaviest are the first; drawing all would tell no more
            met = [(place, max(1, int(crowd.shares[place] * times))) for place in range(shown)]
        rest = round(times) - sum(count for _, count in met[:shown])
        key = (self._tenant, kind.value, level.value, bucket)
        for place, count in met[:shown]:
            yield (*key, crowd.names[place][0], "", writer, folded, *figures(count, 0, timed=False))
        if len(met) >= shown and rest > 0:
            yield (*key, OTHER, "", writer, folded, *figures(rest, 0, timed=False))

    def calls(self, most: int = MAX_RAW) -> Iterator[tuple[Any, ...]]:
        """Yield raw rows of the last days, oldest first."""
        span = min(RAW_DAYS * DAY, self._now - self._begin)
        count = min(most, max(1, round(self._rate * span)))
        chance = self._chance
        users, addresses = self._consumers[Keyspace.USER].names, self._consumers[Keyspace.IP].names
        statuses, weights = [s for s, _ in _STATUSES], [p for _, p in _STATUSES]
        endpoints = chance.choices(range(ENDPOINTS), self._endpoints.shares, k=count)
        answers = chance.choices(statuses, weights, k=count)
        for number in range(count):
            at = self._now - span + number * span // count
            name, method = self._endpoints.names[endpoints[number]]
            who = chance.getrandbits(16)
            bits = chance.getrandbits(192)
            status = answers[number]
            yield (
                self._tenant, at, "http", method, name, f"/api/v1/resource/{who}", status,
                9_000 + who, 8_000, 0, 300, 2_000, users[who % len(users)][0], "",
                addresses[who % len(addresses)][0], f"{bits >> 64:032x}", f"{bits & (1 << 64) - 1:016x}", "",
                "Mozilla/5.0", "", False, f"{who % ERRORS:064x}" if status == 500 else "",
                "ValueError: of the benchmark" if status == 500 else "", uuid7(at, chance.getrandbits),
            )  # fmt: skip

    def error_groups(self) -> Iterator[dict[str, Any]]:
        """Yield the kinds of errors."""
        for number, (digest, _) in enumerate(self._errors.names):
            name, method = self._endpoints.names[number]
            yield {
                "tenant_id": self._tenant,
                "digest": digest,
                "id": uuid7(self._now - number * MINUTE, self._chance.getrandbits),
                "title": f"ValueError in handler{number}",
                "method": method,
                "route": name,
                "first_seen_at": self._begin,
                "last_seen_at": self._now - number * MINUTE,
                "trace_id": "",
                "traceback": "Traceback (most recent call last): …\n" * 20,
                "state": "open",
                "state_at": self._begin,
                "state_by": "",
            }


def _wave(bucket: int) -> float:
    """Share of the mean rate at a moment: quiet at night, busy by day."""
    return 1 + 0.6 * math.sin(2 * math.pi * (bucket % DAY) / (24 * HOUR))
