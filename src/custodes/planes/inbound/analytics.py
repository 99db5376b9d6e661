"""Analytics of webhooks: volume, success, processing times, errors and refusals, by source, type and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from custodes.kernel.clock import HOUR, MILLISECOND, MINUTE, SECOND
from custodes.kernel.health import NEVER, SystemHealth, Threshold, judge
from custodes.kernel.stretches import Steps
from custodes.planes.inbound.figures import ALL, ErrorGroup, Figures, Only, Overview, RefusalCount, Sums
from custodes.planes.inbound.model import Status
from custodes.runtime.jobs import Backlog

J = TypeVar("J")
K = TypeVar("K")

#: Range that health is judged by, microseconds.
HEALTH_RANGE = 15 * MINUTE

#: Range in which events that were given up count against health, microseconds.
DEAD_RANGE = HOUR

#: Fewer attempts (or deliveries) than this say nothing about a share.
MIN_SAMPLE = 10

#: When the webhooks are degraded and unhealthy, unless told otherwise.
THRESHOLDS = (
    Threshold(
        "failure_rate",
        degraded=0.05,
        unhealthy=0.25,
        unit=" %",
        says="Attempts to handle a webhook that failed in the last 15 minutes: {}",
    ),
    Threshold(
        "backlog_age_seconds",
        degraded=60.0,
        unhealthy=600.0,
        unit=" s",
        says="The oldest webhook that is due has waited for {}",
    ),
    Threshold(
        "source_failure_rate",
        degraded=0.5,
        unhealthy=NEVER,
        unit=" %",
        says="Attempts to handle a webhook of one source that failed in the last 15 minutes: {}",
    ),
    Threshold("dead_letters_last_hour", degraded=1.0, unhealthy=50.0, says="Webhooks given up in the last hour: {}"),
    Threshold(
        "refused_share", degraded=0.2, unhealthy=0.6, unit=" %", says="Deliveries refused in the last 15 minutes: {}"
    ),
    Threshold(
        "source_refused_share",
        degraded=0.5,
        unhealthy=NEVER,
        unit=" %",
        says="Deliveries of one source that were refused in the last 15 minutes: {}",
    ),
    Threshold(
        "processing_p95_ms",
        degraded=10_000.0,
        unhealthy=45_000.0,
        unit=" ms",
        says="The slowest 5 % of handlers take at least {}",
    ),
    Threshold(
        "lost_threads",
        degraded=4.0,
        unhealthy=48.0,
        says="Handlers that hang in their threads long after their time: {}; a restart frees these",
    ),
    Threshold("worker_alive", degraded=0.0, unhealthy=0.0, below=True, says="No worker handles webhooks"),
)

#: Percentiles that are shown.
_QS = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of some webhooks."""

    #: Events accepted for the first time.
    received: int
    #: Repeats of events that were accepted before.
    duplicates: int
    #: Events that all handlers are done with.
    succeeded: int
    #: Attempts that failed and were to be tried again.
    retried: int
    #: Events given up.
    dead: int
    #: Deliveries refused; 0 where figures are of one type, for a refused delivery has none.
    refused: int
    #: Share of the finished events that succeeded, 0 to 1; None when none finished.
    success_rate: float | None
    #: Share of the attempts that failed, 0 to 1; None when there was none.
    failure_rate: float | None
    #: Median of the processing times, microseconds; None when nothing was processed, as the following.
    p50_us: float | None
    #: 95th percentile.
    p95_us: float | None
    #: 99th percentile.
    p99_us: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """Figures of one stretch of time."""

    #: Its begin, microseconds since the epoch.
    at: int
    #: The figures.
    summary: Summary


@dataclass(frozen=True, slots=True)
class SourcePoint:
    """Counts of one source in one stretch of time."""

    #: Its begin, microseconds since the epoch.
    at: int
    #: Name of the source.
    source: str
    #: Events accepted for the first time.
    received: int
    #: Events that all handlers are done with.
    succeeded: int
    #: Attempts that failed and were to be tried again.
    retried: int
    #: Events given up.
    dead: int
    #: Deliveries refused.
    refused: int


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """Figures of one source."""

    #: Name of the source.
    source: str
    #: The figures.
    summary: Summary


@dataclass(frozen=True, slots=True)
class TypeSummary:
    """Figures of one type of events."""

    #: Name of the source.
    source: str
    #: The type; ``(other)`` holds those beyond the bound on types.
    event_type: str
    #: The figures.
    summary: Summary


@dataclass(frozen=True, slots=True)
class RefusalReason:
    """Refused deliveries of one source and reason."""

    #: Name of the source.
    source: str
    #: The verifier's stable reason.
    reason: str
    #: How many.
    count: int


@dataclass(frozen=True, slots=True)
class WebhookAnalytics:
    """What :meth:`custodes.planes.inbound.monitor.WebhookMonitor.get_webhook_analytics` answers."""

    #: Begin of the range, microseconds since the epoch: at a whole minute, or the hour or day that is kept as far back.
    since: int
    #: End of the range, microseconds since the epoch.
    until: int
    #: Length of a stretch, seconds.
    step_seconds: int
    #: Everything together.
    total: Summary
    #: Over time, oldest first, by the begin of whole stretches, of which the range may cut the first and the last;
    #: those without any webhook are left out.
    points: Sequence[Point]
    #: Over time by source, oldest first; what did not happen is left out.
    source_points: Sequence[SourcePoint]
    #: By source, busiest first: by what was received.
    by_source: Sequence[SourceSummary]
    #: By source and type, busiest first: by what was received.
    by_type: Sequence[TypeSummary]
    #: Why deliveries were refused, most frequent first.
    refused: Sequence[RefusalReason]
    #: Failed attempts grouped by source, handler and class of error, most frequent first.
    errors: Sequence[ErrorGroup]


_NOTHING = Figures()


def analyse(told: Overview, *, steps: Steps, until: int, only: Only = ALL) -> WebhookAnalytics:
    """Turn sums of figures into analytics; refused deliveries are narrowed here, for they have no type."""
    sums, refused, errors = told
    refused = [row for row in refused if not only.types and only.has(row.source, "")]
    points, types = sums.by_bucket, sums.by_type
    sources = fold(types.items(), lambda kind: kind[0])
    by_bucket = count(refused, lambda row: steps.begin_of(row.bucket))
    by_source = count(refused, lambda row: row.source)
    by_reason = count(refused, lambda row: (row.source, row.reason))
    return WebhookAnalytics(
        since=steps.since,
        until=until,
        step_seconds=int(steps.level),
        total=_summary(total_of(sources.items()), sum(row.refused for row in refused)),
        points=[
            Point(at, _summary(points.get(at, _NOTHING), by_bucket.get(at, 0)))
            for at in sorted(points.keys() | by_bucket.keys())
        ],
        source_points=_source_points(sums, refused, steps),
        by_source=[
            SourceSummary(source, _summary(sources.get(source, _NOTHING), by_source.get(source, 0)))
            for source in _busiest(sources, by_source)
        ],
        by_type=[TypeSummary(*key, _summary(types[key], 0)) for key in _busiest(types, {})],
        refused=[
            RefusalReason(*key, count) for key, count in sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))
        ],
        errors=errors,
    )


def _source_points(sums: Sums, refused: Sequence[RefusalCount], steps: Steps) -> Sequence[SourcePoint]:
    counts = count(refused, lambda row: (steps.begin_of(row.bucket), row.source))
    found: list[SourcePoint] = []
    for key in sorted(sums.by_source.keys() | counts.keys()):
        its = sums.by_source.get(key, _NOTHING)
        found.append(SourcePoint(*key, its.received, its.succeeded, its.retried, its.dead, counts.get(key, 0)))
    return found


def total_of(rows: Iterable[tuple[object, Figures]]) -> Figures:
    """Add figures up."""
    total = Figures()
    for _, figures in rows:
        total.merge(figures)
    return total


def assess(
    by_source: Mapping[str, Figures],
    refused_by_source: Mapping[str, int],
    dead: int,
    backlog: Backlog,
    states: dict[Status, int],
    *,
    now: int,
    alive: bool | None = None,
    own: Mapping[str, float] | None = None,
    thresholds: Sequence[Threshold] = THRESHOLDS,
) -> SystemHealth:
    """Judge the health of the webhooks.

    Args:
        by_source: figures of the last :data:`HEALTH_RANGE`, of each source.
        refused_by_source: deliveries refused in it.
        dead: events given up in the last :data:`DEAD_RANGE`.
        backlog: what waits.
        states: events that are not well, by state.
        now: microseconds since the epoch.
        alive: whether the worker of this process lives; None when this process has none.
        own: further figures of this process alone.
        thresholds: what the figures are held against.
    """
    recent, refused = total_of(by_source.items()), sum(refused_by_source.values())
    summary = _summary(recent, refused)
    oldest = backlog.oldest_due_at
    figures = {
        "backlog": float(backlog.open),
        "backlog_age_seconds": 0.0 if oldest is None else max(0, now - oldest) / SECOND,
        "processing": float(backlog.leased),
        "waiting_for_retry": float(states.get(Status.FAILED, 0)),
        "dead_letters": float(states.get(Status.DEAD, 0)),
        "dead_letters_last_hour": float(dead),
        "received_per_minute": recent.received / (HEALTH_RANGE / MINUTE),
        "refused": float(refused),
        **(own or {}),
    }
    if recent.attempts >= MIN_SAMPLE and summary.failure_rate is not None:
        figures["failure_rate"] = summary.failure_rate
    if summary.p95_us is not None:
        figures["processing_p95_ms"] = summary.p95_us / MILLISECOND
    arrived = recent.received + recent.duplicates + refused
    if arrived >= MIN_SAMPLE:
        figures["refused_share"] = refused / arrived
    if alive is not None:
        figures["worker_alive"] = float(alive)
    says = dict[str, str]()
    failing = _worst((name, its.retried + its.dead, its.attempts) for name, its in by_source.items())
    if failing is not None:
        figures["source_failure_rate"], source, many = failing
        says["source_failure_rate"] = (
            f"Attempts to handle a webhook of {source} that failed in the last 15 minutes: {{}} of {many:,}"
        )
    refusing = _worst(
        (name, many, many + its.received + its.duplicates)
        for name, many in refused_by_source.items()
        for its in (by_source.get(name, _NOTHING),)
    )
    if refusing is not None:
        figures["source_refused_share"], source, many = refusing
        says["source_refused_share"] = (
            f"Deliveries of {source} that were refused in the last 15 minutes: {{}} of {many:,}"
        )
    return judge("webhooks", figures, thresholds, says=says)


def _worst(counts: Iterable[tuple[str, int, int]]) -> tuple[float, str, int] | None:
    """Find the source with the greatest share, of name, bad ones and all; None where none has enough."""
    return max(((bad / many, name, many) for name, bad, many in counts if many >= MIN_SAMPLE), default=None)


def _summary(figures: Figures, refused: int) -> Summary:
    finished = figures.succeeded + figures.dead
    p50, p95, p99 = figures.processing.quantiles(_QS) if figures.processing.count else (None, None, None)
    return Summary(
        received=figures.received,
        duplicates=figures.duplicates,
        succeeded=figures.succeeded,
        retried=figures.retried,
        dead=figures.dead,
        refused=refused,
        success_rate=figures.succeeded / finished if finished else None,
        failure_rate=(figures.retried + figures.dead) / figures.attempts if figures.attempts else None,
        p50_us=p50,
        p95_us=p95,
        p99_us=p99,
    )


def fold(rows: Iterable[tuple[J, Figures]], key: Callable[[J], K]) -> dict[K, Figures]:
    """Add figures up under a key each."""
    folded: dict[K, Figures] = {}
    for what, figures in rows:
        folded.setdefault(key(what), Figures()).merge(figures)
    return folded


def count(rows: Iterable[RefusalCount], key: Callable[[RefusalCount], K]) -> dict[K, int]:
    """Add refused deliveries up under a key each."""
    counts: dict[K, int] = {}
    for row in rows:
        counts[key(row)] = counts.get(key(row), 0) + row.refused
    return counts


def _busiest(figures: dict[K, Figures], refused: dict[K, int]) -> list[K]:
    """Order by what was received, the figure that stands beside each name; of equal ones by what was refused."""

    def volume(key: K) -> tuple[int, int]:
        known = figures.get(key)
        return -(known.received if known is not None else 0), -refused.get(key, 0)

    return sorted(figures.keys() | refused.keys(), key=lambda key: (*volume(key), str(key)))
