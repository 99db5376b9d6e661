"""How outgoing webhooks are doing as a whole; how one endpoint is doing is in :mod:`~custodes.planes.outbound.breaker`.

What a failing endpoint keeps waiting is not held against the system: its breaker is open so that it waits. Of many
endpoints some fail always; that half of them do is news, which for one who has a single endpoint is that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from custodes.kernel.clock import HOUR, MINUTE, SECOND
from custodes.kernel.health import NEVER, SystemHealth, Threshold, judge

#: Deliveries that were given up count for so long, microseconds.
RECENT = HOUR

#: An endpoint fails when it has done so for so long without one success, microseconds.
FAILING_FOR = 10 * MINUTE

#: What the figures are held against. An event is sent within a second when all is well; a delivery is given up, and an
#: endpoint disabled, after days of failing, so that each is news to somebody.
THRESHOLDS = (
    Threshold(
        "oldest_due_seconds",
        degraded=60.0,
        unhealthy=600.0,
        unit=" s",
        says="The oldest delivery that is due has waited for {}",
    ),
    Threshold("exhausted_last_hour", degraded=1.0, unhealthy=100.0, says="Deliveries given up in the last hour: {}"),
    Threshold("disabled_endpoints", degraded=1.0, unhealthy=50.0, says="Endpoints that were disabled: {}"),
    Threshold(
        "failing_share",
        degraded=0.5,
        unhealthy=NEVER,
        unit=" %",
        says="Endpoints to which nothing got through for 10 minutes or more: {}",
    ),
    Threshold("worker_alive", degraded=0.0, unhealthy=0.0, below=True, says="No worker sends deliveries"),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How everything stands, as the store has it."""

    #: Deliveries that have a job: due, under way or waiting for their next attempt.
    backlog: int
    #: When the longest-waiting delivery to an endpoint that is well became due, microseconds; None: none is due.
    oldest_due_at: int | None
    #: Deliveries given up within :data:`RECENT`, without tests of endpoints.
    exhausted: int
    #: Endpoints that were disabled, by 410 or by days of failing, and that nobody has resumed.
    disabled: int
    #: Endpoints that are sent to.
    enabled: int
    #: Of these, those to which every attempt has failed for :data:`FAILING_FOR` and longer.
    failing: int


def assess(
    standing: Standing, now: int, *, alive: bool | None = None, thresholds: Sequence[Threshold] = THRESHOLDS
) -> SystemHealth:
    """Judge outgoing webhooks.

    Args:
        standing: how everything stands.
        now: microseconds since the epoch.
        alive: whether the worker of this process lives; None when this process has none.
        thresholds: what the figures are held against.
    """
    oldest = standing.oldest_due_at
    figures = {
        "backlog": float(standing.backlog),
        "oldest_due_seconds": 0.0 if oldest is None else max(now - oldest, 0) / SECOND,
        "exhausted_last_hour": float(standing.exhausted),
        "disabled_endpoints": float(standing.disabled),
        "failing_endpoints": float(standing.failing),
    }
    says = dict[str, str]()
    if standing.enabled:
        figures["failing_share"] = standing.failing / standing.enabled
        says["failing_share"] = (
            f"Endpoints to which nothing got through for 10 minutes or more: {standing.failing:,} of "
            f"{standing.enabled:,}, {{}}"
        )
    if alive is not None:
        figures["worker_alive"] = float(alive)
    return judge("outgoing_webhooks", figures, thresholds, says=says)
