"""News of our own (``custodes.*``) go to the operator's endpoints only: composed from endpoints and the audit trail.

The operator's tenant hears of the endpoints of all tenants. Before a portal link of that tenant was refused such
patterns, a customer could write them into an endpoint; whoever wrote them last is in the trail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from custodes.kernel.paging import MAX_LIMIT
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.outbound.catalogue import OWN_PREFIX
from custodes.planes.outbound.emitter import TEST
from custodes.planes.outbound.model import Endpoint
from custodes.planes.outbound.portal import ACTOR_KIND
from custodes.runtime.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from custodes.composition import Composition
    from custodes.planes.audit.model import AuditEntry
    from custodes.planes.outbound.changes import FieldChange
    from custodes.runtime.transactions import Work

#: Who takes the patterns out, as the trail names them.
ACTOR = "system:custodes"

_log = get_logger("custodes.outbound")


class OwnNews:
    """Finds endpoints that hear of all tenants by the word of a customer, and takes that word back at the start."""

    def __init__(self, custodes: Composition) -> None:
        self._custodes = custodes

    async def start(self) -> None:
        """Take the patterns out; an endpoint that asked for nothing else gets tests only."""
        for endpoint in await self.strays():
            kept = [one for one in endpoint.event_types if not _is_news(one)]
            await self._custodes.outbound.update_endpoint(endpoint.id, event_types=kept or [TEST], told=self._told)
            _log.warning("own_news_taken_from_customer", endpoint=endpoint.id, tenant=endpoint.tenant)

    async def stop(self) -> None:
        """Nothing runs."""

    async def strays(self) -> list[Endpoint]:
        """Return endpoints of the operator's tenant whose patterns of ours were last written through a portal link."""
        outbound, cursor = self._custodes.outbound, ""
        found: list[Endpoint] = []
        while True:
            page = await outbound.list_endpoints(tenant=outbound.operator, limit=MAX_LIMIT, cursor=cursor)
            found += [one for one in page.items if any(map(_is_news, one.event_types)) and await self._by_link(one)]
            if page.next_cursor is None:
                return found
            cursor = page.next_cursor

    async def _by_link(self, endpoint: Endpoint) -> bool:
        target = f"webhook_configuration:{endpoint.id}"
        entries = self._custodes.audit.export_entries(AuditQuery(tenant=endpoint.tenant, target=target))
        async for entry in entries:
            if _writes_types(entry):
                return entry.actor.type == ACTOR_KIND
        return False

    def _told(self, endpoint: Endpoint, changes: Sequence[FieldChange]) -> Work:
        return self._custodes.audit.admin_entry(
            "webhook_configuration.updated",
            actor=ACTOR,
            target=f"webhook_configuration:{endpoint.id}",
            changes=changes,
            reason="Through a portal link an endpoint hears nothing of the endpoints of other tenants",
            tenant=endpoint.tenant,
        )


def _is_news(pattern: str) -> bool:
    return pattern.startswith(OWN_PREFIX) and pattern != TEST


def _writes_types(entry: AuditEntry) -> bool:
    if entry.action == "webhook_configuration.created":
        return True
    return entry.action == "webhook_configuration.updated" and any(
        change.path.startswith("event_types") for change in entry.changes
    )
