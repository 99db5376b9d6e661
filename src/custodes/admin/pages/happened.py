"""What happened lately, for the status page; a plane that cannot tell is left out, the page is shown all the same."""

from __future__ import annotations

import structlog

from custodes.admin.pages.status import Happened
from custodes.app import Custodes
from custodes.errors import CustodesError
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.identity.model import Principal

#: Rows of a table.
ROWS = 12

_log = structlog.get_logger("custodes.admin")


async def happened_lately(custodes: Custodes, principal: Principal) -> list[Happened]:
    """Collect the latest entries of the audit trail."""
    try:
        return [await _audited(custodes, principal.tenant)]
    except CustodesError as error:
        _log.warning("recent_events_unknown", error=str(error))
        return []


async def _audited(custodes: Custodes, tenant: str | None) -> Happened:
    found = await custodes.audit.list_entries(AuditQuery(tenant=tenant, limit=ROWS))
    rows = [
        (
            entry.recorded_at,
            (
                entry.action,
                entry.outcome.value,
                str(entry.actor),
                ", ".join(str(target) for target in entry.targets[:3]),
                str(entry.risk_score),
            ),
        )
        for entry in found.items
    ]
    return Happened("Audit trail", ("Action", "Outcome", "Actor", "Target", "Risk"), rows)
