"""The read side: response times, volume and errors over any stretch of time.

Percentiles are read from merged histograms, never averaged. Every answer holds what this process has recorded up to
now; what other processes have recorded shows up after their next flush.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import TypeVar

from custodes.errors import InvalidInput
from custodes.kernel.clock import Clock
from custodes.kernel.histogram import Histogram
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.traffic.asked import Asked, by_name
from custodes.planes.traffic.flusher import Flusher
from custodes.planes.traffic.latency import Latency, Measure, latency_of
from custodes.planes.traffic.ports import Answer, RollupQuery, Snapshot, TrafficStore
from custodes.planes.traffic.ranges import Steps, Stretch, cover, steps
from custodes.planes.traffic.ranking import ORDERS, QUANTILES
from custodes.planes.traffic.rollup import (
    CONSUMERS,
    OTHER,
    Figures,
    Keyspace,
    Level,
    Rollups,
    tenants_of,
)
from custodes.planes.traffic.slowest import slowest

T = TypeVar("T")

#: Endpoints and consumers of each kind in an answer, and the most that may be asked for.
SHOWN_ENDPOINTS = 50
SHOWN_CONSUMERS = 10
MAX_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of a time, microseconds; at most 2.2 % away from the true ones."""

    #: Half of all were at most this long, and so on.
    p50: float
    p75: float
    p90: float
    p95: float
    p99: float
    p99_9: float


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures as they are shown."""

    #: Requests.
    count: int
    #: Answered 400–499.
    client_errors: int
    #: Answered 500 and above, or left by an exception.
    server_errors: int
    #: Refused by a rate limit or a block.
    limited: int
    #: Left by the client before the last byte.
    disconnected: int
    #: Body bytes received and sent.
    request_bytes: int
    response_bytes: int
    #: Requests that were timed: all but refused ones, and WebSockets in totals.
    timed: int
    #: Mean, shortest and longest time to the last byte, microseconds.
    mean_us: float
    min_us: int
    max_us: int
    #: Percentiles of the time to the last byte.
    total: Percentiles
    #: Percentiles of the time to the first byte.
    ttfb: Percentiles

    @property
    def error_rate(self) -> float:
        """Share of server errors, 0 to 1."""
        return self.server_errors / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a time series."""

    #: Begin of the step, microseconds since the epoch.
    at: int
    #: Its figures.
    stats: Stats
    #: Status → requests.
    statuses: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """One endpoint."""

    #: Method.
    method: str
    #: Route template, ``(unmatched)``, ``(overflow)`` or the name of a wrapped callable.
    route: str
    #: Its figures.
    stats: Stats


@dataclass(frozen=True, slots=True)
class Consumer:
    """One user, API key, address or tenant."""

    #: Which; ``(other)`` for all that are not among the heaviest of their time.
    name: str
    #: Requests; fewer than there were by at most what ``(other)`` holds.
    count: int
    #: Answered 400–499.
    client_errors: int
    #: Answered 500 and above, or left by an exception.
    server_errors: int
    #: Refused by a rate limit or a block.
    limited: int
    #: Body bytes sent.
    response_bytes: int


@dataclass(frozen=True, slots=True)
class ApiAnalytics:
    """What happened in a stretch of time."""

    #: The stretch, widened to whole steps, microseconds since the epoch.
    since: int
    until: int
    #: Width of a step, microseconds.
    step: int
    #: All of it together.
    totals: Stats
    #: Step by step, oldest first; steps without a request are left out.
    series: tuple[Point, ...]
    #: Status → requests.
    statuses: Mapping[int, int]
    #: The endpoints with most requests.
    endpoints: tuple[EndpointStats, ...]
    #: Kind (``user``, ``api_key``, ``ip``, ``tenant``) → the heaviest; empty when the question is narrowed. Tenants are
    #: listed for who asks about all of them, once there is more than the default one.
    consumers: Mapping[str, tuple[Consumer, ...]]


class Analytics:
    """Answers questions from rollups and from what is in memory."""

    def __init__(self, store: TrafficStore, flusher: Flusher, clock: Clock) -> None:
        self._store = store
        self._flusher = flusher
        self._clock = clock

    async def over(
        self,
        since: int,
        until: int,
        *,
        tenant: str | None,
        route: str | None = None,
        method: str | None = None,
        consumer: tuple[Keyspace, str] | None = None,
        step_seconds: int | None = None,
        beside: int | None = None,
        endpoints: int = SHOWN_ENDPOINTS,
        consumers: int = SHOWN_CONSUMERS,
    ) -> ApiAnalytics:
        """Tell what happened; see :meth:`custodes.planes.traffic.monitor.ApiMonitor.get_api_analytics`."""
        cut = steps(since, until, self._clock.now(), step_seconds, beside)
        narrowed = route is not None or method is not None
        if consumer is not None:
            if narrowed:
                msg = "Figures are kept by endpoint and by consumer, not by both at once"
                raise InvalidInput(msg, remedy="Ask for one of them, or list single calls, which combine all filters")
            query = _steps(tenant, consumer[0], cut, route=consumer[1])
            points = _by_bucket(await self._rollups(query))
            return _analytics(cut, points)
        query = _steps(tenant, Keyspace.ENDPOINT if narrowed else Keyspace.TOTAL, cut, route=route, method=method)
        whole = _whole(query, cut)
        asked = [query, replace(whole, keyspace=Keyspace.ENDPOINT, figures=("count",))]
        if not narrowed:
            first, *others = CONSUMERS
            asked.append(replace(whole, keyspace=first, beside=tuple(others), figures=_CONSUMER_FIGURES))
        if not narrowed and tenant is None:
            # The default tenant is not among the named ones, and its total is a row already.
            asked.append(replace(whole, tenants=(DEFAULT_TENANT,), figures=_CONSUMER_FIGURES))

        def look(snapshot: Snapshot, stepwise: Asked, called: Asked, *callers: Asked) -> ApiAnalytics:
            # A server works on what is asked while what it answered before is added up.
            rollups, counts = stepwise.rollups(snapshot), called.plain(snapshot)
            points = _by_bucket(rollups())
            busiest = _in_order(snapshot, called, _busiest(counts(), endpoints))
            heaviest = _consumers(snapshot, callers, consumers)
            found = _analytics(cut, points)
            return replace(found, endpoints=busiest(), consumers=heaviest())

        return await self._look(asked, look)

    async def latency(
        self,
        since: int,
        until: int,
        measure: Measure,
        *,
        tenant: str | None,
        route: str | None = None,
        method: str | None = None,
        step_seconds: int | None = None,
        beside: int | None = None,
    ) -> Latency:
        """Tell how long requests took; see :meth:`custodes.planes.traffic.monitor.ApiMonitor.get_latency`."""
        cut = steps(since, until, self._clock.now(), step_seconds, beside)
        narrowed = route is not None or method is not None
        if measure is Measure.BACKGROUND:
            # One series holds all routes together, under the empty name.
            query = _steps(tenant, Keyspace.BACKGROUND, cut, route=route if narrowed else "", method=method)
        else:
            keyspace = Keyspace.ENDPOINT if narrowed else Keyspace.TOTAL
            query = _steps(tenant, keyspace, cut, route=route, method=method)
        return latency_of(_by_bucket(await self._rollups(query)), cut, measure)

    async def slowest(
        self, since: int, until: int, *, tenant: str | None, limit: int, min_count: int, order_by: str
    ) -> tuple[EndpointStats, ...]:
        """Find the slowest endpoints; see :meth:`custodes.planes.traffic.monitor.ApiMonitor.get_slow_endpoints`."""
        if order_by not in ORDERS:
            msg = f"Cannot order by {order_by[:40]!r}"
            raise InvalidInput(msg, remedy=f"Use one of {', '.join(ORDERS)}")
        cut = steps(since, until, self._clock.now())
        query = RollupQuery(tenants_of(tenant), Keyspace.ENDPOINT, (), cut.since, cut.step, figures=_RANKED_BY)

        def look(snapshot: Snapshot, called: Asked) -> tuple[EndpointStats, ...]:
            return _in_order(snapshot, called, slowest(snapshot, called, limit, min_count, order_by))()

        return await self._look([_whole(query, cut)], look)

    async def totals(self, since: int, until: int, *, tenant: str | None) -> Figures:
        """Add up all requests of a stretch of whole ten seconds."""
        stretches = tuple(cover(since, until, Level.TEN_SECONDS))
        query = RollupQuery(tenants_of(tenant), Keyspace.TOTAL, stretches, since, until - since)
        return _together((await self._rollups(query)).values())

    async def occurrences(self, digests: Iterable[str], since: int, *, tenant: str | None) -> Mapping[str, int]:
        """Count the occurrences of error groups since a moment (as far back as the levels are kept)."""
        now = self._clock.now()
        cut = steps(since, max(now, since) + 1, now)
        query = RollupQuery(tenants_of(tenant), Keyspace.ERROR, (), cut.since, cut.step, names=tuple(digests))
        return {name: figures.count for (name, _), figures in (await self._sums(_whole(query, cut))).items()}

    async def course(
        self, digest: str, since: int, until: int, tenant: str, step_seconds: int | None
    ) -> tuple[Steps, Mapping[int, int]]:
        """Count the occurrences of one error group of a tenant step by step; steps without any are left out."""
        cut = steps(since, until, self._clock.now(), step_seconds)
        points = _by_bucket(await self._rollups(_steps(tenant, Keyspace.ERROR, cut, route=digest)))
        return cut, {at: points[at].count for at in sorted(points)}

    # ── Store and memory together ────────────────────────────────────────────

    async def _look(self, queries: Sequence[RollupQuery], work: Callable[..., T]) -> T:
        """Run a work on a snapshot and on the questions that it asks; in another thread."""
        live, besides = await self._flusher.live(*queries)
        asked = [Asked(replace(query, besides=besides), found) for query, found in zip(queries, live, strict=True)]
        return await self._store.look(queries, lambda snapshot: work(snapshot, *asked))

    async def _rollups(self, query: RollupQuery) -> Rollups:
        def look(snapshot: Snapshot, asked: Asked) -> Rollups:
            return asked.rollups(snapshot)()

        return await self._look([query], look)

    async def _sums(self, query: RollupQuery) -> dict[tuple[str, str], Figures]:
        def look(snapshot: Snapshot, asked: Asked) -> dict[tuple[str, str], Figures]:
            return by_name(asked.sums(snapshot)())

        return await self._look([query], look)


# ── Parts of an answer ───────────────────────────────────────────────────────


def _busiest(counts: Mapping[tuple[Keyspace, str, str], Sequence[int]], limit: int) -> list[tuple[str, str]]:
    """Rank endpoints by their requests, names deciding between equals."""
    ranked = nsmallest(limit, ((-count, name, method) for (_, name, method), (count, *_) in counts.items()))
    return [(name, method) for _, name, method in ranked]


def _in_order(snapshot: Snapshot, called: Asked, keys: list[tuple[str, str]]) -> Answer[tuple[EndpointStats, ...]]:
    """Read the histograms of some endpoints: of those on screen, not of all."""
    if not keys:
        return tuple
    rollups = called.of(keys, statuses=False).rollups(snapshot)

    def answer() -> tuple[EndpointStats, ...]:
        found = by_name(rollups())
        return tuple(EndpointStats(method, route, stats_of(found[route, method])) for route, method in keys)

    return answer


def _consumers(snapshot: Snapshot, callers: Sequence[Asked], limit: int) -> Answer[dict[str, tuple[Consumer, ...]]]:
    """List who called: of each kind the heaviest, then all that have no name; of the default tenant by itself."""
    if not callers:
        return dict
    every, *own = callers
    plain = every.plain(snapshot)

    def answer() -> dict[str, tuple[Consumer, ...]]:
        crowds: dict[Keyspace, dict[str, Sequence[int]]] = {kind: {} for kind in CONSUMERS}
        for (kind, name, _), figures in plain().items():
            crowds[kind][name] = figures
        if crowds[Keyspace.TENANT]:
            for one in own:
                figures = next(iter(one.plain(snapshot)().values()), (0,) * len(_CONSUMER_FIGURES))
                crowds[Keyspace.TENANT][DEFAULT_TENANT] = figures
        return {kind.value: _heaviest(crowd, limit) for kind, crowd in crowds.items()}

    return answer


def _heaviest(crowd: Mapping[str, Sequence[int]], limit: int) -> tuple[Consumer, ...]:
    ranked = nsmallest(limit, ((-count, name) for name, (count, *_) in crowd.items() if name != OTHER))
    names = [*(name for _, name in ranked), *((OTHER,) if OTHER in crowd else ())]
    return tuple(Consumer(name, *crowd[name][: len(_CONSUMER_FIGURES)]) for name in names)


def stats_of(figures: Figures) -> Stats:
    """Show figures."""
    return Stats(
        count=figures.count,
        client_errors=figures.client_errors,
        server_errors=figures.server_errors,
        limited=figures.limited,
        disconnected=figures.disconnected,
        request_bytes=figures.request_bytes,
        response_bytes=figures.response_bytes,
        timed=figures.timed,
        mean_us=figures.total_sum / figures.timed if figures.timed else 0.0,
        min_us=figures.total_min,
        max_us=figures.total_max,
        total=percentiles(figures.total, figures.total_min, figures.total_max),
        ttfb=percentiles(figures.ttfb, 0, figures.total_max),
    )


def percentiles(histogram: Histogram, shortest: int, longest: int) -> Percentiles:
    """Read percentiles; the shortest and longest are known exactly, so none is outside of them."""
    low, high = float(shortest), float(longest)
    return Percentiles(*[min(max(value, low), high) for value in histogram.quantiles(_RANKS)])


def _steps(
    tenant: str | None, keyspace: Keyspace, cut: Steps, *, route: str | None = None, method: str | None = None
) -> RollupQuery:
    """Ask for a stretch step by step."""
    return RollupQuery(
        tenants_of(tenant),
        keyspace,
        (Stretch(cut.level, cut.since, cut.until),),
        cut.since,
        cut.step,
        names=None if route is None else (route,),
        method=method,
    )


def _analytics(cut: Steps, points: Mapping[int, Figures]) -> ApiAnalytics:
    """Tell what happened step by step and altogether."""
    totals = _together(points.values())
    return ApiAnalytics(
        since=cut.since,
        until=cut.until,
        step=cut.step,
        totals=stats_of(totals),
        series=tuple(Point(at, stats_of(points[at]), points[at].statuses) for at in sorted(points)),
        statuses=dict(sorted(totals.statuses.items())),
        endpoints=(),
        consumers={},
    )


def _whole(query: RollupQuery, cut: Steps) -> RollupQuery:
    """Ask for a stretch as one bucket, covered by as few rows as possible."""
    stretches = tuple(cover(cut.since, cut.until, cut.level))
    return replace(query, stretches=stretches, since=cut.since, step=cut.until - cut.since)


def _by_bucket(rollups: Rollups) -> dict[int, Figures]:
    points: dict[int, Figures] = {}
    for series, figures in rollups.items():
        known = points.get(series.bucket)
        if known is None:
            points[series.bucket] = figures  # most steps have one series; nobody else looks at its figures
        else:
            known.add(figures)
    return points


def _together(figures: Iterable[Figures]) -> Figures:
    sum_of_all = Figures()
    for one in figures:
        sum_of_all.add(one)
    return sum_of_all


#: Plain figures that consumers are shown with, in the order of :class:`Consumer`, and that endpoints are ranked by.
_CONSUMER_FIGURES = ("count", "client_errors", "server_errors", "limited", "response_bytes")
_RANKED_BY = ("count", "server_errors", "timed", "total_sum", "total_max", "total_squares")

#: Ranks of :class:`Percentiles`.
_RANKS = tuple(QUANTILES.values())
