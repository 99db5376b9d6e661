"""The API of the portal, below ``/portal/webhooks/api``: everything within the bounds of one link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from custodes.admin.auth.cookies import can_keep_cookies
from custodes.admin.auth.csrf import check_origin
from custodes.admin.dependencies import CustodesDep
from custodes.admin.fields import Identifier
from custodes.admin.pace import Pace
from custodes.admin.paging import PageModel, PageQuery
from custodes.admin.portal.models import (
    CatalogueEntry,
    CreatedEndpoint,
    CustomerDeliveryInFull,
    CustomerEndpoint,
    EndpointChange,
    ListedEndpoint,
    NewEndpoint,
    OpenBody,
    PortalSessionModel,
    RecoveredModel,
)
from custodes.admin.portal.session import (
    OPENINGS,
    CustomerDep,
    LinkTrail,
    Trail,
    clear_cookie,
    client_ip,
    session_of,
    set_cookie,
    trail_of,
)
from custodes.admin.routes.outbound_figures_models import HealthModel
from custodes.admin.routes.outbound_models import CustomerDelivery, plain_values
from custodes.errors import PermissionDenied
from custodes.kernel.clock import SECOND
from custodes.planes.identity.tokens import csrf_token
from custodes.planes.outbound.changes import FieldChange
from custodes.planes.outbound.model import DeliveryStatus, Endpoint
from custodes.planes.outbound.portal import PortalLink
from custodes.runtime.transactions import Work

router = APIRouter()


# ── The session ──────────────────────────────────────────────────────────────


@router.post("/session", openapi_extra={"security": []})
async def open_link(body: OpenBody, request: Request, response: Response, custodes: CustodesDep) -> PortalSessionModel:
    """Open a link: sets the cookie of the portal. Each opening is written to the audit trail."""
    pace: Pace = request.app.state.pace
    pace.hold("openings", custodes.addresses.limit_key(client_ip(request)), OPENINGS)
    check_origin(request, custodes.portal.base)
    if not can_keep_cookies(request, custodes.portal.base):
        msg = "The portal needs https"
        raise PermissionDenied(msg, remedy="Open the https address")

    def entry(link: PortalLink) -> Work:
        return trail_of(request, custodes, link).entry("portal_link.opened", target=link.actor)

    link, session = await custodes.portal.open_link(body.token, entry)
    seconds = max(1, (link.expires_at - custodes.clock.now()) // SECOND)
    set_cookie(request, response, session, seconds=seconds)
    return PortalSessionModel.of(link, csrf_token(session), custodes.settings.time_zone_of(link.tenant))


@router.get("/session")
async def get_session(request: Request, customer: CustomerDep, custodes: CustodesDep) -> PortalSessionModel:
    """Tell what the link lets one do, and how long."""
    link = customer.link
    return PortalSessionModel.of(link, csrf_token(session_of(request)), custodes.settings.time_zone_of(link.tenant))


@router.delete("/session", status_code=204, response_model=None)
async def leave(request: Request, response: Response, trail: Trail) -> None:
    """Forget the link in this browser; the link itself goes on working."""
    await trail.custodes.audit.commit(trail.entry("portal_link.left", target=trail.link.actor))
    clear_cookie(request, response)


# ── Endpoints ────────────────────────────────────────────────────────────────


@router.get("/endpoints")
async def list_endpoints(customer: CustomerDep) -> list[ListedEndpoint]:
    """List the endpoints, newest first, and how each is."""
    return [ListedEndpoint.of(endpoint, condition=condition) for endpoint, condition in await customer.judged()]


@router.post("/endpoints", status_code=201)
async def create_endpoint(body: NewEndpoint, customer: CustomerDep, trail: Trail) -> CreatedEndpoint:
    """Add an endpoint; the answer holds its secret, which is never shown again."""
    endpoint_id = trail.custodes.new_id()
    entry = trail.entry(
        "webhook_configuration.created",
        target=f"webhook_configuration:{endpoint_id}",
        context={"url": body.url, "event_types": body.event_types},
    )
    made = await customer.add(
        body.url,
        endpoint_id=endpoint_id,
        event_types=body.event_types,
        description=body.description,
        headers=plain_values(body.headers),
        rate=body.rate,
        also=entry,
    )
    return CreatedEndpoint.made(made)


@router.get("/endpoints/{id}")
async def get_endpoint(id: Identifier, customer: CustomerDep) -> CustomerEndpoint:  # noqa: A002
    """Return one endpoint."""
    return CustomerEndpoint.of(await customer.endpoint(id))


@router.patch("/endpoints/{id}")
async def update_endpoint(
    id: Identifier,  # noqa: A002
    body: EndpointChange,
    customer: CustomerDep,
    trail: Trail,
) -> CustomerEndpoint:
    """Change an endpoint."""

    def told(endpoint: Endpoint, changes: Sequence[FieldChange]) -> Work:
        return trail.entry(
            "webhook_configuration.updated", target=f"webhook_configuration:{endpoint.id}", changes=changes
        )

    asked = body.model_dump(exclude_none=True, exclude={"headers"})
    if body.headers is not None:
        asked["headers"] = plain_values(body.headers)
    return CustomerEndpoint.of(await customer.change(id, told=told, **asked))


@router.get("/endpoints/{id}/health")
async def get_endpoint_health(id: Identifier, customer: CustomerDep) -> HealthModel:  # noqa: A002
    """Tell how an endpoint is, and why we say so."""
    return HealthModel.of(await customer.health(id))


@router.post("/endpoints/{id}/pause")
async def pause_endpoint(id: Identifier, customer: CustomerDep, trail: Trail) -> CustomerEndpoint:  # noqa: A002
    """Send nothing to an endpoint for now; what happens meanwhile is held."""
    endpoint = await customer.managed(id)
    entry = _entry("webhook_configuration.paused", endpoint, trail)
    paused = await trail.custodes.outbound.pause_endpoint(
        id, reason="paused in the portal", tenant=endpoint.tenant, also=entry
    )
    return CustomerEndpoint.of(paused)


@router.post("/endpoints/{id}/resume")
async def resume_endpoint(
    id: Identifier,  # noqa: A002
    customer: CustomerDep,
    trail: Trail,
    recover: Annotated[bool | None, Query(description="Whether what was held is sent; else: after a pause")] = None,
) -> CustomerEndpoint:
    """Send to an endpoint again; after a pause also what was held."""
    endpoint = await customer.managed(id)
    resumed = await trail.custodes.outbound.resume_endpoint(
        id,
        tenant=endpoint.tenant,
        recover=recover,
        also=_entry("webhook_configuration.resumed", endpoint, trail),
        ended=lambda deliveries: _recovered(endpoint, trail, deliveries),
    )
    return CustomerEndpoint.of(resumed)


@router.post("/endpoints/{id}/rotate-secret")
async def rotate_secret(id: Identifier, customer: CustomerDep, trail: Trail) -> CreatedEndpoint:  # noqa: A002
    """Make a new secret, shown this once; the one before stays valid for a day."""
    endpoint = await customer.managed(id)
    entry = _entry("webhook_configuration.secret_rotated", endpoint, trail)
    return CreatedEndpoint.made(await trail.custodes.outbound.rotate_secret(id, tenant=endpoint.tenant, also=entry))


@router.post("/endpoints/{id}/test", status_code=202)
async def send_test(id: Identifier, customer: CustomerDep, trail: Trail) -> None:  # noqa: A002
    """Send a test event to an endpoint, once."""
    endpoint = await customer.managed(id)
    entry = _entry("webhook_configuration.tested", endpoint, trail)
    await trail.custodes.outbound.send_test(id, tenant=endpoint.tenant, also=entry)


@router.post("/endpoints/{id}/recover")
async def recover(id: Identifier, customer: CustomerDep, trail: Trail) -> RecoveredModel:  # noqa: A002
    """Send an endpoint everything that it has missed: what was given up and what was held."""
    endpoint = await customer.managed(id)
    count = await trail.custodes.outbound.recover(
        id,
        tenant=endpoint.tenant,
        begun=lambda asked: trail.entry(
            "webhook_configuration.recovery_begun",
            target=f"webhook_configuration:{endpoint.id}",
            context={"deliveries": asked},
        ),
        ended=lambda deliveries: _recovered(endpoint, trail, deliveries),
    )
    return RecoveredModel(deliveries=count)


@router.delete("/endpoints/{id}", status_code=204, response_model=None)
async def delete_endpoint(id: Identifier, customer: CustomerDep, trail: Trail) -> None:  # noqa: A002
    """Remove an endpoint, and its secrets for good."""
    endpoint = await customer.managed(id)
    entry = _entry("webhook_configuration.deleted", endpoint, trail)
    await trail.custodes.outbound.delete_endpoint(id, tenant=endpoint.tenant, also=entry)


# ── What was sent ────────────────────────────────────────────────────────────


@router.get("/endpoints/{id}/deliveries")
async def list_deliveries(
    id: Identifier,  # noqa: A002
    customer: CustomerDep,
    page: PageQuery,
    status: Annotated[DeliveryStatus | None, Query(description="Only in this state")] = None,
) -> PageModel[CustomerDelivery]:
    """List what was sent to an endpoint, newest first."""
    statuses = (status,) if status else ()
    found = await customer.deliveries(id, statuses=statuses, limit=page.limit, cursor=page.cursor or "")
    return PageModel[CustomerDelivery].of(found, CustomerDelivery.of)


@router.get("/deliveries/{id}")
async def get_delivery(id: Identifier, customer: CustomerDep) -> CustomerDeliveryInFull:  # noqa: A002
    """Return a delivery: what is sent, and of each attempt what was answered and where the time went."""
    delivery, attempts = await customer.delivery(id)
    message, body = await customer.message(delivery)
    return CustomerDeliveryInFull.in_full(delivery, message, body, attempts)


@router.post("/deliveries/{id}/resend")
async def resend_delivery(id: Identifier, customer: CustomerDep, trail: Trail) -> CustomerDelivery:  # noqa: A002
    """Send one delivery again, from the start of its schedule; a waiting one at once."""
    delivery = await customer.managed_delivery(id)
    entry = trail.entry("webhook_delivery.resent", target=f"webhook_delivery:{id}")
    return CustomerDelivery.of(await trail.custodes.outbound.resend(id, tenant=delivery.tenant, also=entry))


@router.get("/event-types")
async def list_event_types(customer: CustomerDep) -> list[CatalogueEntry]:
    """List the types of events, by name: what they mean, and what their payloads look like."""
    return [CatalogueEntry.of(one) for one in await customer.event_types()]


def _entry(action: str, endpoint: Endpoint, trail: LinkTrail) -> Work:
    return trail.entry(action, target=f"webhook_configuration:{endpoint.id}")


def _recovered(endpoint: Endpoint, trail: LinkTrail, deliveries: int) -> Work:
    target = f"webhook_configuration:{endpoint.id}"
    return trail.entry("webhook_configuration.recovered", target=target, context={"deliveries": deliveries})
