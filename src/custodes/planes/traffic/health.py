"""How the API does, and how the monitor itself does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from custodes.kernel.clock import MINUTE, SECOND
from custodes.kernel.health import NEVER, SystemHealth, Threshold, judge
from custodes.planes.traffic.analytics import Analytics, EndpointStats, percentiles
from custodes.planes.traffic.flusher import Flusher
from custodes.planes.traffic.folder import Folder
from custodes.planes.traffic.overhead import Overhead, OwnTime
from custodes.planes.traffic.recorder import Recorder
from custodes.planes.traffic.rollup import Figures, Level

#: What health looks back on, microseconds.
HEALTH_SPAN = 5 * MINUTE

#: Requests in that span below which the error rate and the times say nothing and are not judged.
HEALTH_MIN_REQUESTS = 20

#: Requests of one endpoint in that span below which its error rate says nothing.
HEALTH_MIN_OF_ENDPOINT = 10

#: When the API counts as degraded and as unhealthy.
THRESHOLDS = (
    Threshold("error_rate", 0.05, 0.2, unit=" %", says="Requests that failed in the last 5 minutes: {}"),
    Threshold(
        "endpoint_error_rate",
        0.5,
        NEVER,
        unit=" %",
        says="Requests of one endpoint that failed in the last 5 minutes: {}",
    ),
    Threshold("p95", 1_000.0, 5_000.0, unit=" ms", says="The slowest 5 % of requests take at least {}"),
    Threshold("buffer_fill", 0.8, 1.0, unit=" %", says="The buffer of calls is full to {}"),
    Threshold("unwritten_for", 60.0, 300.0, unit=" s", says="Figures were last written {} ago"),
)


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """How the monitor itself is doing in this process, since the start."""

    #: Exchanges recorded.
    recorded: int
    #: Of these, counted in the overflow series because there were too many series.
    overflowed: int
    #: Exchanges that are in no figure, because the store was away for too long.
    shed_requests: int
    #: Raw rows that were not kept; their figures were.
    shed_calls: int
    #: Raw rows that wait to be written, and the most that may.
    waiting_calls: int
    capacity: int
    #: Batches that wait to be written.
    waiting_batches: int
    #: Flushes that wrote everything, and attempts that the store refused.
    flushes: int
    flush_failures: int
    #: How long the last flush took, microseconds.
    last_flush_us: int
    #: When everything was last written, microseconds since the epoch.
    last_success_at: int
    #: Rollup rows folded into coarser ones by this process.
    folded: int
    #: What a request costs that passes the middleware; None before one was weighed.
    own_time: OwnTime | None


def own_figures(recorder: Recorder, flusher: Flusher, folder: Folder, overhead: Overhead) -> OwnFigures:
    """Collect the monitor's own figures."""
    return OwnFigures(
        recorded=recorder.recorded,
        overflowed=recorder.overflowed,
        shed_requests=recorder.shed + flusher.shed_requests,
        shed_calls=recorder.calls.shed + flusher.shed_calls,
        waiting_calls=len(recorder.calls) + flusher.waiting_calls,
        capacity=recorder.calls.capacity,
        waiting_batches=flusher.waiting_batches,
        flushes=flusher.flushes,
        flush_failures=flusher.failures,
        last_flush_us=flusher.last_flush_us,
        last_success_at=flusher.last_success_at,
        folded=folder.folded,
        own_time=overhead.figures(),
    )


async def assess(
    analytics: Analytics, own: OwnFigures, now: int, tenant: str | None, thresholds: Iterable[Threshold]
) -> SystemHealth:
    """Judge the requests of the last minutes, the endpoint that fails most of all, and the monitor itself."""
    until = Level.TEN_SECONDS.start_of(now) + Level.TEN_SECONDS.micros
    since = until - HEALTH_SPAN
    figures = await analytics.totals(since, until, tenant=tenant)
    worst = None
    if figures.server_errors:  # else no endpoint is looked for among thousands
        failing = await analytics.slowest(
            since, until, tenant=tenant, limit=1, min_count=HEALTH_MIN_OF_ENDPOINT, order_by="error_rate"
        )
        worst = failing[0] if failing else None
    return judged(figures, own if tenant is None else None, now, thresholds, worst)


def judged(
    figures: Figures,
    own: OwnFigures | None,
    now: int,
    thresholds: Iterable[Threshold],
    worst: EndpointStats | None = None,
) -> SystemHealth:
    """Judge figures.

    Args:
        figures: of all requests of the last minutes.
        own: the monitor's own; None where one tenant is told, for they are of all.
        now: microseconds since the epoch.
        thresholds: what the figures are held against.
        worst: the endpoint of which the greatest share failed; None when none did that has enough requests.
    """
    shown = {"requests": float(figures.count)}
    if own is not None:
        shown["buffer_fill"] = own.waiting_calls / own.capacity
        shown["unwritten_for"] = max(0, now - own.last_success_at) / SECOND if own.waiting_batches else 0.0
        shown["shed_requests"] = float(own.shed_requests)
        shown["shed_calls"] = float(own.shed_calls)
    if own is not None and own.own_time is not None:
        shown["own_time_p50"] = own.own_time.p50 / 1_000_000
        shown["own_time_p99"] = own.own_time.p99 / 1_000_000
    if figures.count >= HEALTH_MIN_REQUESTS:
        shown["error_rate"] = figures.server_errors / figures.count
        shown["p95"] = percentiles(figures.total, figures.total_min, figures.total_max).p95 / 1_000
    says = dict[str, str]()
    if worst is not None:
        shown["endpoint_error_rate"] = worst.stats.error_rate
        name = f"{worst.method} {worst.route}".strip().replace("{}", "{ }")
        says["endpoint_error_rate"] = (
            f"Requests of {name} that failed in the last 5 minutes: {{}} of {worst.stats.count:,}"
        )
    return judge("api", shown, thresholds, says=says)
