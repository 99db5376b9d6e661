"""What is deleted when: the planes' own ``purge`` verbs as policies (spec P2).

Part of the composition root, beside ``app.py``: the only place that knows which planes there are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from custodes.kernel.clock import DAY
from custodes.planes.retention.model import Policy

if TYPE_CHECKING:
    from custodes.composition import Composition

#: How long kinds of errors, incidents that are over, ended sessions, ended links and secrets that are gone are kept,
#: microseconds.
KEEP_ERRORS = 90 * DAY
KEEP_INCIDENTS = 90 * DAY
KEEP_SESSIONS = 30 * DAY
KEEP_LINKS = 30 * DAY
KEEP_SECRETS = 30 * DAY


def policies_of(custodes: Composition) -> list[Policy]:
    """Compose the policies of an install, in the order in which they run."""
    made: list[Policy] = []
    for policies in _PLANES:
        made += policies(custodes)
    return made


def _audit(custodes: Composition) -> list[Policy]:
    audit = custodes.audit
    keep = custodes.settings.audit_log_retention_days * DAY
    text = "Audit entries; flagged ones stay until they are reviewed, and as long from the verdict on"
    return [Policy("audit.entries", text, keep, audit.purge, audit.count_purgeable)]


def _inbound(custodes: Composition) -> list[Policy]:
    from custodes.kernel.stretches import KEPT

    inbound = custodes.inbound
    keep = custodes.settings.webhook_log_retention_days * DAY
    finished = "Finished webhook events with payloads and attempts, and logged ones in any state; open ones stay"
    refused = "Samples and counts of refused deliveries"
    secrets = "When secrets of webhook sources last signed, of those that no process has any more"
    figures = [
        Policy(
            f"inbound.figures.{level.name.lower()}",
            "Figures of webhooks",
            kept,
            partial(inbound.purge_figures, level),
            partial(inbound.count_purgeable_figures, level),
        )
        for level, kept in KEPT.items()
    ]
    return [
        Policy("inbound.events", finished, keep, inbound.purge, inbound.count_purgeable),
        Policy("inbound.refusals", refused, keep, inbound.purge_refusals, inbound.count_purgeable_refusals),
        Policy("inbound.secrets", secrets, KEEP_SECRETS, inbound.rotation.purge, inbound.rotation.count_purgeable),
        *figures,
    ]


def _outbound(custodes: Composition) -> list[Policy]:
    from custodes.kernel.stretches import KEPT

    keep = custodes.settings.outbound_retention_days * DAY
    outbound = custodes.outbound
    text = "Emitted webhooks with payloads, deliveries and attempts; open ones stay"
    figures = [
        Policy(
            f"outbound.figures.{level.name.lower()}",
            "Figures of deliveries",
            kept,
            partial(outbound.purge_figures, level),
            partial(outbound.count_purgeable_figures, level),
        )
        for level, kept in KEPT.items()
    ]
    links = custodes.portal
    return [
        Policy("outbound.messages", text, keep, outbound.purge, outbound.count_purgeable),
        Policy("outbound.links", "Links of the portal that have ended", KEEP_LINKS, links.purge, links.count_purgeable),
        *figures,
    ]


def _traffic(custodes: Composition) -> list[Policy]:
    from custodes.planes.traffic.ranges import KEPT

    traffic = custodes.traffic
    keep = custodes.settings.api_log_retention_days * DAY
    errors = "Kinds of errors that did not occur again"
    rollups = [
        Policy(
            f"traffic.rollups.{level.name.lower()}",
            "Figures of API calls that a coarser level holds",
            kept,
            partial(traffic.purge_rollups, level),
            partial(traffic.count_purgeable_rollups, level),
        )
        for level, kept in KEPT.items()
    ]
    return [
        Policy("traffic.calls", "Single API calls", keep, traffic.purge_calls, traffic.count_purgeable_calls),
        Policy("traffic.errors", errors, KEEP_ERRORS, traffic.purge_error_groups, traffic.count_purgeable_error_groups),
        *rollups,
    ]


def _ratelimit(custodes: Composition) -> list[Policy]:
    limiter = custodes.ratelimit
    keep = custodes.settings.api_log_retention_days * DAY
    text = "Counted windows and blocks that have ended"
    return [Policy("ratelimit.windows", text, keep, limiter.purge_expired, limiter.count_expired)]


def _metrics(custodes: Composition) -> list[Policy]:
    from custodes.planes.metrics.model import LEVELS

    metrics = custodes.metrics
    points = [
        Policy(
            f"metrics.points.{level.name}",
            "Points of metrics that a coarser level holds",
            level.retention,
            partial(metrics.purge, level),
            partial(metrics.count_purgeable, level),
        )
        for level in LEVELS
    ]
    series = "Series of metrics that have no points any more"
    keep = LEVELS[-1].retention + DAY
    return [*points, Policy("metrics.series", series, keep, metrics.purge_series, metrics.count_purgeable_series)]


def _alerts(custodes: Composition) -> list[Policy]:
    alerts = custodes.alerts
    return [Policy("alerts.incidents", "Incidents that are over", KEEP_INCIDENTS, alerts.purge, alerts.count_purgeable)]


def _identity(custodes: Composition) -> list[Policy]:
    sessions = custodes.identity.sessions
    text = "Sessions that have ended"
    return [Policy("identity.sessions", text, KEEP_SESSIONS, sessions.purge, sessions.count_purgeable)]


#: The policies of each plane, in the order in which they run.
_PLANES: tuple[Callable[[Composition], list[Policy]], ...] = (
    _audit,
    _inbound,
    _outbound,
    _traffic,
    _ratelimit,
    _metrics,
    _alerts,
    _identity,
)
