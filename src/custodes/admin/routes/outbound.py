"""Outgoing webhooks: the endpoints they go to, and what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, SecretStr
from starlette.responses import StreamingResponse

from custodes.admin.dependencies import AuditTrail, CustodesDep, TenantScope, Trail
from custodes.admin.exports import STREAMED, Export, ExportQuery
from custodes.admin.fields import Identifier
from custodes.admin.paging import PageModel, PageQuery
from custodes.admin.routes.outbound_figures_models import ListedModel
from custodes.admin.routes.outbound_models import (
    ConfigurationChange,
    ConfigurationModel,
    CreatedModel,
    DeliveryModel,
    DeliveryWithAttempts,
    MessageModel,
    MessageWithBody,
    NewConfiguration,
    PauseBody,
    PublicKeysModel,
    RecoverBody,
    ResendBody,
    ResentModel,
    ResumeBody,
    RotateBody,
)
from custodes.kernel.clock import HOUR, from_datetime
from custodes.kernel.filters import given
from custodes.kernel.paging import MAX_LIMIT, walk
from custodes.planes.outbound.changes import FieldChange
from custodes.planes.outbound.model import DeliveryStatus, Endpoint, EndpointState, Options
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.runtime.transactions import Work

router = APIRouter()

TypeFilter = Annotated[str | None, Query(max_length=100, description="Only of this type, exactly")]

_MESSAGES = Export("webhook-messages", MessageModel, MessageModel.of)
_DELIVERIES = Export("webhook-deliveries", DeliveryModel, DeliveryModel.of)


@router.get("/webhook-configurations")
async def list_webhook_configurations(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    state: Annotated[EndpointState | None, Query(description="Only endpoints in this state")] = None,
) -> PageModel[ListedModel]:
    """List endpoints, newest first, each with how it is by its circuit breaker."""
    found = await custodes.outbound.list_endpoints(
        tenant=tenant, state=state, limit=page.limit, cursor=page.cursor or ""
    )
    healths = await custodes.outbound.list_endpoint_healths([endpoint.id for endpoint in found.items])
    now = custodes.store_time.now()  # as the pause of a breaker was written
    return PageModel[ListedModel].of(found, lambda endpoint: ListedModel.listed(endpoint, healths[endpoint.id], now))


@router.post("/webhook-configurations", status_code=201)
async def create_webhook_configuration(
    body: NewConfiguration, custodes: CustodesDep, tenant: TenantScope, trail: Trail
) -> CreatedModel:
    """Add an endpoint; the answer holds its secret, which is never shown again."""
    endpoint_id = custodes.new_id()
    made = await custodes.outbound.create_endpoint(
        body.url,
        endpoint_id=endpoint_id,
        event_types=body.event_types,
        description=body.description,
        retry=body.retry.policy(),
        options=Options(**body.options.asked()),
        credentials=_plain(body.credentials),
        tenant=tenant,
        also=trail.entry(
            "webhook_configuration.created",
            target=f"webhook_configuration:{endpoint_id}",
            tenant=tenant,
            context={"url": body.url, "event_types": body.event_types},
        ),
    )
    return CreatedModel.made(made)


@router.get("/webhook-configurations/{id}")
async def get_webhook_configuration(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
) -> ConfigurationModel:
    """Return one endpoint."""
    return ConfigurationModel.of(await custodes.outbound.get_endpoint(id, tenant=tenant))


@router.get("/webhook-configurations/{id}/public-keys")
async def get_webhook_configuration_public_keys(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
) -> PublicKeysModel:
    """Return the public keys that `v1a` signatures of an endpoint are verified with."""
    endpoint = await custodes.outbound.get_endpoint(id, tenant=tenant)
    return PublicKeysModel(keys=await custodes.outbound.public_keys(endpoint.id))


@router.patch("/webhook-configurations/{id}")
async def update_webhook_configuration(
    id: Identifier,  # noqa: A002
    body: ConfigurationChange,
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> ConfigurationModel:
    """Change an endpoint."""

    def told(endpoint: Endpoint, changes: Sequence[FieldChange]) -> Work:
        return _entry("webhook_configuration.updated", endpoint, trail, changes=changes)

    changed = await custodes.outbound.update_endpoint(
        id,
        url=body.url,
        event_types=body.event_types,
        description=body.description,
        retry=body.retry.asked() if body.retry else None,
        options=body.options.asked() if body.options else None,
        credentials=None if body.credentials is None else _plain(body.credentials),
        tenant=tenant,
        told=told,
    )
    return ConfigurationModel.of(changed)


@router.post("/webhook-configurations/{id}/pause")
async def pause_webhook_configuration(
    id: Identifier,  # noqa: A002
    body: PauseBody,
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> ConfigurationModel:
    """Send nothing to an endpoint for now; what is emitted meanwhile is held."""
    entry = _entry(
        "webhook_configuration.paused", await custodes.outbound.get_endpoint(id, tenant=tenant), trail, body.reason
    )
    paused = await custodes.outbound.pause_endpoint(id, reason=body.reason, tenant=tenant, also=entry)
    return ConfigurationModel.of(paused)


@router.post("/webhook-configurations/{id}/resume")
async def resume_webhook_configuration(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
    body: ResumeBody | None = None,
) -> ConfigurationModel:
    """Send to an endpoint again."""
    endpoint = await custodes.outbound.get_endpoint(id, tenant=tenant)
    resumed = await custodes.outbound.resume_endpoint(
        id,
        recover=body.recover if body else None,
        tenant=tenant,
        also=_entry("webhook_configuration.resumed", endpoint, trail),
        ended=lambda deliveries: _recovered(endpoint, trail, deliveries),
    )
    return ConfigurationModel.of(resumed)


@router.post("/webhook-configurations/{id}/rotate-secret")
async def rotate_webhook_configuration_secret(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
    body: RotateBody | None = None,
) -> CreatedModel:
    """Make a new secret, shown this once; the one before stays valid for a day, or as long as is asked for."""
    entry = _entry(
        "webhook_configuration.secret_rotated", await custodes.outbound.get_endpoint(id, tenant=tenant), trail
    )
    overlap = int((body or RotateBody()).overlap_hours * HOUR)
    return CreatedModel.made(await custodes.outbound.rotate_secret(id, overlap=overlap, tenant=tenant, also=entry))


@router.post("/webhook-configurations/{id}/test", status_code=202)
async def test_webhook_configuration(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> MessageModel:
    """Send an event of type `custodes.test` to an endpoint, once."""
    entry = _entry("webhook_configuration.tested", await custodes.outbound.get_endpoint(id, tenant=tenant), trail)
    return MessageModel.of(await custodes.outbound.send_test(id, tenant=tenant, also=entry))


@router.post("/webhook-configurations/{id}/recover")
async def recover_webhook_configuration(
    id: Identifier,  # noqa: A002
    body: RecoverBody,
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> ResentModel:
    """Send an endpoint everything that it has missed: what failed for good and what was held."""
    endpoint = await custodes.outbound.get_endpoint(id, tenant=tenant)
    count = await custodes.outbound.recover(
        id,
        since=_micros(body.since),
        until=_micros(body.until),
        tenant=tenant,
        begun=lambda asked: trail.entry(
            "webhook_configuration.recovery_begun",
            target=f"webhook_configuration:{endpoint.id}",
            context={**body.model_dump(mode="json", exclude_none=True), "deliveries": asked},
            tenant=endpoint.tenant,
        ),
        ended=lambda deliveries: _recovered(endpoint, trail, deliveries),
    )
    return ResentModel(deliveries=count, next_cursor="")


@router.delete("/webhook-configurations/{id}", status_code=204, response_model=None)
async def delete_webhook_configuration(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> None:
    """Remove an endpoint, and its secrets for good."""
    entry = _entry("webhook_configuration.deleted", await custodes.outbound.get_endpoint(id, tenant=tenant), trail)
    await custodes.outbound.delete_endpoint(id, tenant=tenant, also=entry)


# ── What was sent ────────────────────────────────────────────────────────────


@router.get("/webhook-messages")
async def list_webhook_messages(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    event_type: TypeFilter = None,
) -> PageModel[MessageModel]:
    """List emitted events, newest first."""
    found = await custodes.outbound.list_messages(
        tenant=tenant, event_type=event_type, limit=page.limit, cursor=page.cursor or ""
    )
    return PageModel[MessageModel].of(found, MessageModel.of)


@router.get("/webhook-messages/export", **STREAMED)
async def export_webhook_messages(
    custodes: CustodesDep, tenant: TenantScope, trail: Trail, wanted: ExportQuery, event_type: TypeFilter = None
) -> StreamingResponse:
    """Stream every emitted event found, newest first, without what is sent."""
    rows = walk(
        lambda cursor: custodes.outbound.list_messages(
            tenant=tenant, event_type=event_type, limit=MAX_LIMIT, cursor=cursor or ""
        )
    )
    return await _MESSAGES.stream(trail, wanted, rows, asked={"event_type": event_type}, tenant=tenant)


@router.get("/webhook-messages/{id}")
async def get_webhook_message(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> MessageWithBody:
    """Return an event with what is sent; reading it is recorded."""
    message, body = await custodes.outbound.get_message(id, tenant=tenant)
    await custodes.audit.commit(
        trail.entry("webhook_message.read", target=f"webhook_message:{id}", tenant=message.tenant)
    )
    return MessageWithBody.with_body(message, body)


def delivery_filter(
    tenant: TenantScope,
    endpoint_id: Annotated[str | None, Query(max_length=36, description="Only to this endpoint")] = None,
    message_id: Annotated[str | None, Query(max_length=36, description="Only of this message")] = None,
    event_type: TypeFilter = None,
    status: Annotated[DeliveryStatus | None, Query(description="Only in this state")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Emitted at or after")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Emitted before")] = None,
) -> DeliveryFilter:
    """Read the filters of a query."""
    statuses = (status,) if status else ()
    return DeliveryFilter(tenant, endpoint_id, message_id, event_type, statuses, _micros(since), _micros(until))


#: Which deliveries are asked for.
Deliveries = Annotated[DeliveryFilter, Depends(delivery_filter)]


@router.get("/webhook-deliveries")
async def list_webhook_deliveries(
    custodes: CustodesDep, filters: Deliveries, page: PageQuery
) -> PageModel[DeliveryModel]:
    """List deliveries, newest first."""
    found = await custodes.outbound.list_deliveries(filters, limit=page.limit, cursor=page.cursor or "")
    return PageModel[DeliveryModel].of(found, DeliveryModel.of)


@router.get("/webhook-deliveries/export", **STREAMED)
async def export_webhook_deliveries(
    custodes: CustodesDep, filters: Deliveries, trail: Trail, wanted: ExportQuery
) -> StreamingResponse:
    """Stream every delivery found, newest first, without what was sent."""
    rows = walk(lambda cursor: custodes.outbound.list_deliveries(filters, limit=MAX_LIMIT, cursor=cursor or ""))
    asked = given(filters, "tenant")
    return await _DELIVERIES.stream(trail, wanted, rows, asked=asked, tenant=filters.tenant)


@router.post("/webhook-deliveries/resend")
async def resend_webhook_deliveries(
    body: ResendBody, custodes: CustodesDep, tenant: TenantScope, trail: Trail
) -> ResentModel:
    """Send a selection again, oldest first; the trail has its begin and its end. A dry run leaves no entry."""
    wanted = DeliveryFilter(
        tenant,
        body.endpoint_id,
        body.message_id,
        body.event_type,
        tuple(body.statuses),
        _micros(body.since),
        _micros(body.until),
    )
    asked_for = body.model_dump(mode="json", exclude_none=True, exclude={"dry_run", "cursor"})
    count = await custodes.outbound.resend_many(
        wanted,
        dry_run=body.dry_run,
        begun=lambda asked: trail.entry(
            "webhook_deliveries.resend_begun", tenant=tenant, context={**asked_for, "deliveries": asked}
        ),
        ended=lambda done: trail.entry("webhook_deliveries.resent", tenant=tenant, context={"deliveries": done}),
    )
    return ResentModel(deliveries=count, next_cursor="")


@router.get("/webhook-deliveries/{id}")
async def get_webhook_delivery(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
) -> DeliveryWithAttempts:
    """Return a delivery and its attempts, with what was answered and where the time went."""
    delivery, attempts = await custodes.outbound.get_delivery(id, tenant=tenant)
    return DeliveryWithAttempts.with_attempts(delivery, list(attempts))


@router.post("/webhook-deliveries/{id}/resend")
async def resend_webhook_delivery(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> DeliveryModel:
    """Send one delivery again, from the start of its schedule; a waiting one at once."""
    delivery, _ = await custodes.outbound.get_delivery(id, tenant=tenant)
    entry = trail.entry("webhook_delivery.resent", target=f"webhook_delivery:{id}", tenant=delivery.tenant)
    return DeliveryModel.of(await custodes.outbound.resend(id, tenant=tenant, also=entry))


def _plain(credentials: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in credentials.items()}


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else from_datetime(moment)


def _entry(
    action: str, endpoint: Endpoint, trail: AuditTrail, reason: str = "", changes: Sequence[FieldChange] = ()
) -> Work:
    """Prepare the entry of an action in the trail of the endpoint's own tenant."""
    target = f"webhook_configuration:{endpoint.id}"
    return trail.entry(action, target=target, reason=reason, changes=changes, tenant=endpoint.tenant)


def _recovered(endpoint: Endpoint, trail: AuditTrail, deliveries: int) -> Work:
    """Prepare the entry of the end of a recovery, which says how much it was."""
    return trail.entry(
        "webhook_configuration.recovered",
        target=f"webhook_configuration:{endpoint.id}",
        context={"deliveries": deliveries},
        tenant=endpoint.tenant,
    )
