"""What happened lately, for the status page; a plane that cannot tell is left out, the page is shown all the same."""

from __future__ import annotations

from custodes.admin.pages.status import Happened
from custodes.app import Custodes
from custodes.errors import CustodesError
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.identity.model import Principal
from custodes.planes.inbound.model import EventFilter
from custodes.runtime.log import get_logger

#: Rows of a table.
ROWS = 10

_log = get_logger("custodes.admin")


async def happened_lately(custodes: Custodes, principal: Principal) -> list[Happened]:
    """Collect the latest incidents, webhooks, API calls and audit entries that a principal may see."""
    found: list[Happened] = []
    for collect in (_incidents, _webhooks, _calls, _audited):
        try:
            found.append(await collect(custodes, principal.tenant))
        except CustodesError as error:
            _log.warning("recent_events_unknown", of=collect.__name__, error=str(error))
    return found


async def _incidents(custodes: Custodes, tenant: str | None) -> Happened:
    page = await custodes.alerts.incidents.list(tenant=tenant, limit=ROWS)
    rows = [(one.started_at, (one.name, one.state.value, one.severity.value, one.summary)) for one in page.items]
    return Happened("Alerts", ("Alert", "State", "Severity", "What happened"), rows)


async def _webhooks(custodes: Custodes, tenant: str | None) -> Happened:
    page = await custodes.inbound.list_events(EventFilter(tenant=tenant), limit=ROWS)
    rows = [(one.received_at, (one.source, one.event_type, one.status.value, str(one.attempts))) for one in page.items]
    return Happened("Webhooks", ("Source", "Type", "Status", "Attempts"), rows)


async def _calls(custodes: Custodes, tenant: str | None) -> Happened:
    page = await custodes.traffic.list_calls(tenant=tenant, limit=ROWS)
    rows = [
        (one.started_at, (one.method, one.route or one.path, str(one.status), f"{one.total_us / 1_000:,.1f} ms"))
        for one in page.items
    ]
    return Happened("API calls", ("Method", "Route", "Status", "Time"), rows)


async def _audited(custodes: Custodes, tenant: str | None) -> Happened:
    page = await custodes.audit.list_entries(AuditQuery(tenant=tenant, limit=ROWS))
    rows = [
        (one.recorded_at, (one.action, one.outcome.value, str(one.actor), _some(one.targets), str(one.risk_score)))
        for one in page.items
    ]
    return Happened("Audit trail", ("Action", "Outcome", "Actor", "Target", "Risk"), rows)


def _some(targets: tuple[object, ...]) -> str:
    return ", ".join(str(target) for target in targets[:3])
