"""What a customer sees and does through a link of the portal: the one place where a link's bounds are kept.

Everything that is asked for by id is looked up within the tenant, and the channel, of the link; whatever lies outside
does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from custodes.errors import Conflict, NotFound, PermissionDenied
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.kernel.several import several
from custodes.planes.outbound.analytics import Condition, Examined
from custodes.planes.outbound.catalogue import OWN_PREFIX
from custodes.planes.outbound.changes import Told
from custodes.planes.outbound.endpoints import MAX_ENDPOINTS, Created
from custodes.planes.outbound.model import (
    Attempt,
    AuthKind,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EventType,
    Message,
    Options,
)
from custodes.planes.outbound.portal import PortalLink, Scope
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.planes.outbound.webhooks import OutgoingWebhooks
from custodes.runtime.transactions import Work


class Customer:
    """Outgoing webhooks within the bounds of a link.

    Args:
        webhooks: all of them.
        link: what bounds it.
    """

    def __init__(self, webhooks: OutgoingWebhooks, link: PortalLink) -> None:
        self._webhooks = webhooks
        #: What bounds it.
        self.link = link

    # ── Looking ──────────────────────────────────────────────────────────────

    async def endpoints(self) -> list[Endpoint]:
        """Return the customer's endpoints, newest first."""
        page = await self._webhooks.list_endpoints(tenant=self.link.tenant, limit=MAX_ENDPOINTS)
        return [endpoint for endpoint in page.items if self._is_theirs(endpoint)]

    async def judged(self) -> list[tuple[Endpoint, Condition]]:
        """Return the customer's endpoints, newest first, each with how it is."""
        endpoints = await self.endpoints()
        found = await self._webhooks.examine_endpoints(endpoints)
        return [(endpoint, one.condition) for endpoint, one in zip(endpoints, found, strict=True)]

    async def endpoint(self, endpoint_id: str) -> Endpoint:
        """Return one endpoint.

        Raises:
            NotFound: no such endpoint, or not the customer's.
        """
        endpoint = await self._webhooks.get_endpoint(endpoint_id, tenant=self.link.tenant)
        if not self._is_theirs(endpoint):
            msg = "No such endpoint"
            raise NotFound(msg)
        return endpoint

    async def health(self, endpoint_id: str) -> Examined:
        """Judge one endpoint; why the operator paused it is the operator's.

        Raises:
            NotFound: no such endpoint, or not the customer's.
        """
        endpoint = await self.endpoint(endpoint_id)
        found = await self._webhooks.examine_endpoint(endpoint.id, tenant=self.link.tenant)
        if found.condition is Condition.PAUSED:
            return replace(found, reasons=["It is paused", *found.reasons[1:]])
        return found

    async def deliveries(
        self,
        endpoint_id: str,
        *,
        statuses: tuple[DeliveryStatus, ...] = (),
        limit: int = DEFAULT_LIMIT,
        cursor: str = "",
    ) -> Page[Delivery]:
        """Return a page of what was sent to an endpoint, newest first.

        Raises:
            NotFound: no such endpoint, or not the customer's.
        """
        endpoint = await self.endpoint(endpoint_id)
        wanted = DeliveryFilter(self.link.tenant, endpoint.id, statuses=statuses)
        return await self._webhooks.list_deliveries(wanted, limit=limit, cursor=cursor)

    async def delivery(self, delivery_id: str) -> tuple[Delivery, Sequence[Attempt]]:
        """Return a delivery and its attempts.

        Raises:
            NotFound: no such delivery, or not to an endpoint of the customer's.
        """
        delivery, attempts = await self._webhooks.get_delivery(delivery_id, tenant=self.link.tenant)
        await self.endpoint(delivery.endpoint_id)
        return delivery, attempts

    async def message(self, delivery: Delivery) -> tuple[Message, bytes]:
        """Return what a delivery of the customer's carries: the message and the exact body."""
        return await self._webhooks.get_message(delivery.message_id, tenant=self.link.tenant, version=delivery.version)

    async def event_types(self) -> list[EventType]:
        """Return the catalogue, without what is not emitted any more."""
        return [one for one in await self._webhooks.catalogue.all() if not one.archived]

    # ── Changing ─────────────────────────────────────────────────────────────

    async def add(
        self,
        url: str,
        *,
        endpoint_id: str,
        event_types: Iterable[str],
        description: str,
        headers: Mapping[str, str | None],
        rate: float,
        also: Work,
    ) -> Created:
        """Add an endpoint, within the channel of the link.

        Raises:
            InvalidInput: a value is not acceptable.
            Conflict: there are as many endpoints as the link allows.
            PermissionDenied: the link lets only look.
        """
        self._must_manage()
        self._check_types(event_types := several("event types", event_types))
        channels = (self.link.channel,) if self.link.channel else ()
        return await self._webhooks.create_endpoint(
            url,
            endpoint_id=endpoint_id,
            event_types=event_types,
            description=description,
            options=Options(channels=channels, headers=dict(headers), rate=rate),
            tenant=self.link.tenant,
            fits=lambda found: sum(map(self._is_theirs, found)) < self.link.max_endpoints,
            also=also,
        )

    async def change(self, endpoint_id: str, *, told: Told, **fields: Any) -> Endpoint:
        """Change an endpoint; what is None stays.

        Args:
            endpoint_id: which.
            told: makes what commits with it.
            fields: ``url``, ``event_types``, ``description``, ``headers``, ``rate``.

        Raises:
            NotFound: no such endpoint, or not the customer's.
            InvalidInput: a value is not acceptable.
            Conflict: it would take values along that are not told to the customer.
            PermissionDenied: the link lets only look.
        """
        endpoint = await self.managed(endpoint_id)
        self._check_types(fields.get("event_types") or ())
        if fields.get("url") not in {None, endpoint.url}:
            _check_move(endpoint, fields)
        options = {name: fields.pop(name) for name in ("headers", "rate") if fields.get(name) is not None}
        fields.pop("headers", None)
        fields.pop("rate", None)
        return await self._webhooks.update_endpoint(
            endpoint.id, options=options or None, tenant=self.link.tenant, told=told, **fields
        )

    async def managed(self, endpoint_id: str) -> Endpoint:
        """Return an endpoint that is to be changed.

        Raises:
            NotFound: no such endpoint, or not the customer's.
            PermissionDenied: the link lets only look.
        """
        endpoint = await self.endpoint(endpoint_id)
        self._must_manage()
        return endpoint

    async def managed_delivery(self, delivery_id: str) -> Delivery:
        """Return a delivery that is to be sent again.

        Raises:
            NotFound: no such delivery, or not to an endpoint of the customer's.
            PermissionDenied: the link lets only look.
        """
        delivery, _ = await self.delivery(delivery_id)
        self._must_manage()
        return delivery

    # ── Bounds ───────────────────────────────────────────────────────────────

    def _is_theirs(self, endpoint: Endpoint) -> bool:
        """Tell whether an endpoint is within the link; one that also gets events of other channels is not."""
        if endpoint.tenant != self.link.tenant or endpoint.source:
            return False  # what is forwarded is the operator's
        return not self.link.channel or endpoint.options.channels == (self.link.channel,)

    def _must_manage(self) -> None:
        if self.link.scope is not Scope.MANAGE:
            msg = "This link lets you look, not change"
            raise PermissionDenied(msg, remedy="Ask for a link that lets you manage endpoints")

    def _check_types(self, event_types: Iterable[str]) -> None:
        """Refuse news of our own to a link of the operator's tenant: that tenant gets what is told of all tenants."""
        if self.link.tenant == self._webhooks.operator and any(one.startswith(OWN_PREFIX) for one in event_types):
            msg = f"Events that begin with {OWN_PREFIX} are told to the operator's own endpoints only"
            raise PermissionDenied(msg, remedy="Leave them out, or ask who gave you the link")


def _check_move(endpoint: Endpoint, fields: Mapping[str, Any]) -> None:
    """Refuse to send to another place what was given for this one, and is told to nobody who did not give it."""
    if endpoint.options.auth is not AuthKind.NONE:
        msg = "This endpoint is authenticated to with credentials that were not given here"
        raise Conflict(msg, remedy="Add an endpoint for the new URL, or ask who gave you the link")
    headers: Mapping[str, str | None] | None = fields.get("headers")
    if endpoint.options.headers and (headers is None or None in headers.values()):
        msg = "This endpoint gets headers, whose values would go to the new URL too"
        raise Conflict(msg, remedy="Give the headers again together with the URL")
