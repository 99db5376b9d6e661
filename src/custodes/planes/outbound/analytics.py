"""Analytics of deliveries: success, speed and status classes, over time and by part; how each endpoint is, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from custodes.kernel.clock import HOUR, MILLISECOND, SECOND
from custodes.kernel.figures import length, percent
from custodes.kernel.stretches import Steps
from custodes.planes.outbound.figures import Figures, Sums
from custodes.planes.outbound.model import Endpoint, EndpointHealth, EndpointState

K = TypeVar("K", bound=object)

#: Percentiles that are shown.
_QS = (0.5, 0.95, 0.99)

#: Range that the health of an endpoint is judged by, microseconds.
HEALTH_RANGE = HOUR

#: Fewer attempts than this say nothing about a share.
MIN_SAMPLE = 10

#: Share of attempts that fail from which on an endpoint is not well.
FAILURE_RATE = 0.1

#: Median of the time an attempt takes from which on an endpoint is slow, microseconds: it should answer first and work
#: later (Standard Webhooks, "Best practices").
SLOW = 5_000 * MILLISECOND

#: Rows of a breakdown that are told, busiest first.
MAX_ROWS = 200


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of some attempts."""

    #: Attempts in all.
    attempts: int
    #: Answered with 2xx.
    succeeded: int
    #: Answered with 1xx or 3xx.
    redirects: int
    #: Answered with 4xx.
    client_errors: int
    #: Answered with 5xx.
    server_errors: int
    #: Not answered.
    unanswered: int
    #: Deliveries whose last attempt failed.
    exhausted: int
    #: Share of the attempts that succeeded, 0 to 1; None when there was none.
    success_rate: float | None
    #: Median of the time they took, microseconds; None when there was none, as the following.
    p50_us: float | None
    #: 95th percentile.
    p95_us: float | None
    #: 99th percentile.
    p99_us: float | None

    @classmethod
    def of(cls, figures: Figures) -> Summary:
        """Sum up."""
        attempts = figures.attempts
        p50, p95, p99 = figures.took.quantiles(_QS) if figures.took.count else (None, None, None)
        return cls(
            attempts=attempts,
            succeeded=figures.succeeded,
            redirects=figures.redirects,
            client_errors=figures.client_errors,
            server_errors=figures.server_errors,
            unanswered=figures.unanswered,
            exhausted=figures.exhausted,
            success_rate=figures.succeeded / attempts if attempts else None,
            p50_us=p50,
            p95_us=p95,
            p99_us=p99,
        )


@dataclass(frozen=True, slots=True)
class Part(Generic[K]):
    """Figures of one part: of a stretch of time, an endpoint, a type, a tenant."""

    #: Which.
    key: K
    #: Its figures.
    summary: Summary


@dataclass(frozen=True, slots=True)
class DeliveryAnalytics:
    """How deliveries went in a range of time."""

    #: Begin of the range, microseconds since the epoch: at a whole minute, or the hour or day that is kept as far back.
    since: int
    #: End of the range, microseconds since the epoch.
    until: int
    #: Length of a stretch, seconds.
    step_seconds: int
    #: Everything together.
    total: Summary
    #: Over time by begin of whole stretches, of which the first and the last may be cut by the range, oldest first;
    #: those without any attempt are left out.
    points: Sequence[Part[int]]
    #: By tenant and endpoint, busiest first.
    by_endpoint: Sequence[Part[tuple[str, str]]]
    #: By type, busiest first; ``(other)`` holds those beyond the bound on types.
    by_type: Sequence[Part[str]]
    #: By tenant, busiest first.
    by_tenant: Sequence[Part[str]]


def analyse(sums: Sums, *, steps: Steps, until: int) -> DeliveryAnalytics:
    """Turn sums of figures into analytics."""
    total = Figures()
    for figures in sums.by_tenant.values():
        total.add(figures)
    return DeliveryAnalytics(
        since=steps.since,
        until=until,
        step_seconds=int(steps.level),
        total=Summary.of(total),
        points=[Part(at, Summary.of(sums.by_bucket[at])) for at in sorted(sums.by_bucket)],
        by_endpoint=_busiest(sums.by_endpoint),
        by_type=_busiest(sums.by_type),
        by_tenant=_busiest(sums.by_tenant),
    )


def _busiest(figures: Mapping[K, Figures]) -> list[Part[K]]:
    ranked = sorted(figures.items(), key=lambda item: (-item[1].attempts, str(item[0])))
    return [Part(key, Summary.of(its)) for key, its in ranked[:MAX_ROWS]]


# ── One endpoint ─────────────────────────────────────────────────────────────


class Condition(StrEnum):
    """How an endpoint is."""

    #: All is well.
    HEALTHY = "healthy"
    #: It is slow, or some of what is sent fails.
    DEGRADED = "degraded"
    #: Nothing gets through.
    FAILING = "failing"
    #: It was paused by a person.
    PAUSED = "paused"
    #: It was disabled.
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Examined:
    """How one endpoint is, and why we say so."""

    #: The judgement.
    condition: Condition
    #: Why, in sentences for people; empty when all is well.
    reasons: Sequence[str]
    #: What the breaker remembers.
    health: EndpointHealth
    #: Figures of the last :data:`HEALTH_RANGE`.
    recent: Summary
    #: Deliveries that failed for good or are held: what a recovery would send.
    missed: int


def remembered(endpoint: Endpoint, health: EndpointHealth, now: int) -> tuple[Condition, list[str]]:
    """Judge an endpoint by what its breaker remembers alone, and say why."""
    reasons = list[str]()
    if health.failures == 1:
        reasons.append(f"The last attempt failed, {length((now - health.failing_since) // SECOND)} ago")
    elif health.failures:
        lasted = length((now - health.failing_since) // SECOND)
        reasons.append(f"The last {health.failures} attempts failed, within {lasted}")
    if health.open_until > now and endpoint.state is EndpointState.ENABLED:
        left = length(-((now - health.open_until) // SECOND))
        reasons.append(f"Nothing is sent for another {left}, then one delivery tries")
        return Condition.FAILING, reasons
    return (Condition.DEGRADED if health.failures else Condition.HEALTHY), reasons


def examine(endpoint: Endpoint, health: EndpointHealth, recent: Figures, missed: int, now: int) -> Examined:
    """Judge one endpoint, and say why."""
    summary = Summary.of(recent)
    condition, reasons = remembered(endpoint, health, now)
    rate, attempts = summary.success_rate, summary.attempts
    failed_share = (attempts - summary.succeeded) / attempts if attempts else 0.0  # 1 - rate is off by a rounding
    if attempts >= MIN_SAMPLE and failed_share >= FAILURE_RATE:
        reasons.append(f"{percent(failed_share)} of {attempts} attempts failed within the last hour")
        condition = Condition.FAILING if rate == 0 or condition is Condition.FAILING else Condition.DEGRADED
    elif rate == 0 and not health.failures:
        reasons.append(f"No attempt of the last hour succeeded, of {attempts}")
        condition = Condition.DEGRADED
    if summary.p50_us is not None and summary.p50_us >= SLOW:
        reasons.append(f"It takes {length(summary.p50_us / SECOND)} to answer (median of the last hour)")
        condition = Condition.DEGRADED if condition is Condition.HEALTHY else condition
    if endpoint.state is not EndpointState.ENABLED:
        condition = Condition(endpoint.state.value)
        reasons.insert(0, endpoint.state_reason or f"It was {endpoint.state}")
    if missed:
        once = "" if endpoint.state is EndpointState.ENABLED else " once it is resumed"
        many = f"{missed} {'delivery was' if missed == 1 else 'deliveries were'}"
        reasons.append(f"{many} missed and can be recovered{once}")
    return Examined(condition, reasons, health, summary, missed)
