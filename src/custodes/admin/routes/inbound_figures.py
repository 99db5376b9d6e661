"""Incoming webhooks: health, figures, sources and refused deliveries."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import StringConstraints
from starlette.responses import Response, StreamingResponse

from custodes.admin.dependencies import CustodesDep, TenantScope, Trail
from custodes.admin.exports import STREAMED, Export, ExportQuery
from custodes.admin.fields import Beside, Identifier, TimeRange
from custodes.admin.paging import PageModel, PageQuery
from custodes.admin.routes.inbound_models import (
    ListedRefusalModel,
    RefusalModel,
    SourceModel,
    SourcesModel,
    WebhookAnalyticsModel,
    WebhookHealthModel,
)
from custodes.admin.summaries import SummaryDep
from custodes.kernel.paging import MAX_LIMIT, walk

router = APIRouter()

#: Name of a source in a query.
SourceName = Annotated[str, StringConstraints(max_length=64)]

#: Type of events in a query.
TypeName = Annotated[str, StringConstraints(max_length=255)]

RefusedSource = Annotated[str | None, Query(max_length=64, description="Only of this source")]
RefusedReason = Annotated[str | None, Query(max_length=64, description="Only for this reason")]
RefusedAddress = Annotated[
    str | None, Query(min_length=1, max_length=45, description="Only from this address, as it is written in the list")
]

_REFUSALS = Export("webhook-refusals", ListedRefusalModel, ListedRefusalModel.of)


@router.get("/webhook-health")
async def webhook_health(custodes: CustodesDep, tenant: TenantScope, when: TimeRange) -> WebhookHealthModel:
    """Judge the webhooks by the last quarter of an hour and by what waits, and analyse the range."""
    found = await custodes.inbound.get_health_status(tenant=tenant)
    health = custodes.health.as_told(found, whole=tenant is None)
    analytics = await custodes.inbound.get_webhook_analytics(since=when.since, until=when.until, tenant=tenant)
    return WebhookHealthModel.of(health, analytics)


@router.get("/webhook-analytics", response_model=WebhookAnalyticsModel)
async def webhook_analytics(
    custodes: CustodesDep,
    summary: SummaryDep,
    tenant: TenantScope,
    when: TimeRange,
    beside: Beside,
    source: Annotated[list[SourceName] | None, Query(max_length=50, description="Only of these sources")] = None,
    event_type: Annotated[
        list[TypeName] | None,
        Query(max_length=50, description="Only of these types (`invoice.*`: all that begin so); no refused ones then"),
    ] = None,
) -> Response:
    """Analyse volume, success, processing times, errors and refusals by source, type and time."""

    async def compute() -> WebhookAnalyticsModel:
        analytics = await custodes.inbound.get_webhook_analytics(
            since=when.since, until=when.until, tenant=tenant, source=source, event_type=event_type, beside=beside
        )
        return WebhookAnalyticsModel.of(analytics)

    return await summary.of(compute)


@router.get("/webhook-sources")
async def list_webhook_sources(custodes: CustodesDep, tenant: TenantScope) -> SourcesModel:
    """List the sources that deliveries are accepted from, and which of their secrets sign; never a secret."""
    secrets, now = await custodes.inbound.rotation.list_secrets(tenant=tenant), custodes.clock.now()
    sources = custodes.inbound.list_sources(tenant=tenant)
    return SourcesModel(
        items=[SourceModel.of(each, secrets.get((each.tenant, each.source.name), ()), now) for each in sources]
    )


@router.get("/webhook-refusals")
async def list_webhook_refusals(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    when: TimeRange,
    source: RefusedSource = None,
    reason: RefusedReason = None,
    client_ip: RefusedAddress = None,
) -> PageModel[ListedRefusalModel]:
    """List samples of refused deliveries without what they carry, newest first; the analytics count all of them."""
    found = await custodes.inbound.list_refusals(
        tenant=tenant,
        source=source,
        reason=reason,
        client_ip=client_ip,
        since=when.since,
        until=when.until,
        limit=page.limit,
        cursor=page.cursor,
    )
    return PageModel[ListedRefusalModel].of(found, ListedRefusalModel.of)


@router.get("/webhook-refusals/export", **STREAMED)
async def export_webhook_refusals(
    custodes: CustodesDep,
    tenant: TenantScope,
    when: TimeRange,
    trail: Trail,
    wanted: ExportQuery,
    source: RefusedSource = None,
    reason: RefusedReason = None,
    client_ip: RefusedAddress = None,
) -> StreamingResponse:
    """Stream every sample of a refused delivery found, without what it carries, newest first."""
    rows = walk(
        lambda cursor: custodes.inbound.list_refusals(
            tenant=tenant,
            source=source,
            reason=reason,
            client_ip=client_ip,
            since=when.since,
            until=when.until,
            limit=MAX_LIMIT,
            cursor=cursor,
        )
    )
    asked = {"source": source, "reason": reason, "client_ip": client_ip, **when.told()}
    return await _REFUSALS.stream(trail, wanted, rows, asked=asked, tenant=tenant)


@router.get("/webhook-refusals/{id}")
async def get_webhook_refusal(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> RefusalModel:
    """Return one sample of a refused delivery, with its headers and the first bytes of its body. It is recorded."""
    refusal = await custodes.inbound.get_refusal(id, tenant=tenant)
    await trail.look("webhook.payload_read", target=f"webhook_refusal:{id}", tenant=refusal.tenant)
    return RefusalModel.of(refusal)
