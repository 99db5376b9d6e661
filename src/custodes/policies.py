"""What is deleted when: the planes' own ``purge`` verbs as policies (spec P2).

Part of the composition root, beside ``app.py``: the only place that knows which planes there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from custodes.kernel.clock import DAY, MINUTE
from custodes.planes.retention.model import Count, Policy
from custodes.runtime.transactions import Transaction

if TYPE_CHECKING:
    from custodes.composition import Composition

#: How long kinds of errors, incidents that are over and ended sessions are kept, microseconds.
KEEP_ERRORS = 90 * DAY
KEEP_INCIDENTS = 90 * DAY
KEEP_SESSIONS = 30 * DAY


def policies_of(custodes: Composition) -> list[Policy]:
    """Compose the policies of an install, in the order in which they run."""
    made: list[Policy] = []
    for policies in _PLANES:
        made += policies(custodes)
    return made


def _audit(custodes: Composition) -> list[Policy]:
    audit = custodes.audit
    keep = custodes.settings.audit_log_retention_days * DAY
    text = "Audit entries; flagged ones stay until they are reviewed"
    return [Policy("audit.entries", text, keep, audit.purge, audit.count_purgeable)]


def _inbound(custodes: Composition) -> list[Policy]:
    from custodes.storage.sql.retention import count_events

    keep = custodes.settings.webhook_log_retention_days * DAY
    text = "Finished webhook events with payloads and attempts, and refusals; open ones stay"
    return [Policy("inbound.events", text, keep, custodes.inbound.purge, _counting(custodes, count_events))]


def _traffic(custodes: Composition) -> list[Policy]:
    from custodes.planes.traffic.ranges import KEPT
    from custodes.storage.sql.retention import count_calls

    traffic = custodes.traffic
    keep = custodes.settings.api_log_retention_days * DAY
    rollups = [
        Policy(
            f"traffic.rollups.{level.name.lower()}",
            "Figures of API calls that a coarser level holds",
            kept,
            lambda before, limit, level=level: traffic.purge_rollups(level, before, limit),
        )
        for level, kept in KEPT.items()
    ]
    return [
        Policy("traffic.calls", "Single API calls", keep, traffic.purge_calls, _counting(custodes, count_calls)),
        Policy("traffic.errors", "Kinds of errors that did not occur again", KEEP_ERRORS, traffic.purge_error_groups),
        *rollups,
    ]


def _ratelimit(custodes: Composition) -> list[Policy]:
    keep = custodes.settings.api_log_retention_days * DAY
    text = "Counted windows and blocks that have ended"
    return [Policy("ratelimit.windows", text, keep, custodes.ratelimit.purge_expired)]


def _metrics(custodes: Composition) -> list[Policy]:
    text = "Points of metrics; each level has a time of its own"
    # It looks at the clock itself; nothing younger than a minute is ever meant.
    return [Policy("metrics.points", text, MINUTE, custodes.metrics.purge)]


def _alerts(custodes: Composition) -> list[Policy]:
    return [Policy("alerts.incidents", "Incidents that are over", KEEP_INCIDENTS, custodes.alerts.purge)]


def _identity(custodes: Composition) -> list[Policy]:
    from custodes.storage.sql.identity import SqlIdentityStore

    database, sessions = custodes.database, SqlIdentityStore(custodes.database)

    async def purge(before: int, limit: int) -> int:
        return await database.write(lambda tx: sessions.drop_sessions(tx, before, limit))

    return [Policy("identity.sessions", "Sessions that have ended", KEEP_SESSIONS, purge)]


def _counting(custodes: Composition, count: Callable[[Transaction, int], int]) -> Count:
    async def counted(before: int) -> int:
        return await custodes.database.read(lambda tx: count(tx, before))

    return counted


#: The policies of each plane, in the order in which they run.
_PLANES: tuple[Callable[[Composition], list[Policy]], ...] = (
    _audit,
    _inbound,
    _traffic,
    _ratelimit,
    _metrics,
    _alerts,
    _identity,
)
