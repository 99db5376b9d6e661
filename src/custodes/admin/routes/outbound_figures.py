"""Outgoing webhooks: how deliveries went, and how each endpoint is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from custodes.admin.dependencies import CustodesDep, TenantScope
from custodes.admin.fields import Beside, Identifier, TimeRange
from custodes.admin.routes.outbound_figures_models import DeliveryAnalyticsModel, HealthModel

router = APIRouter()


@router.get("/webhook-delivery-analytics")
async def webhook_delivery_analytics(
    custodes: CustodesDep,
    tenant: TenantScope,
    when: TimeRange,
    beside: Beside,
    endpoint_id: Annotated[str | None, Query(max_length=36, description="Only to this endpoint")] = None,
    event_type: Annotated[str | None, Query(max_length=100, description="Only of this type, exactly")] = None,
) -> DeliveryAnalyticsModel:
    """Tell how attempts went: success, status classes and speed, over time, by endpoint, type and tenant."""
    found = await custodes.outbound.get_delivery_analytics(
        since=when.since, until=when.until, tenant=tenant, endpoint_id=endpoint_id, event_type=event_type, beside=beside
    )
    return DeliveryAnalyticsModel.of(found)


@router.get("/webhook-configurations/{id}/health")
async def get_webhook_configuration_health(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
) -> HealthModel:
    """Tell how an endpoint is, and why we say so."""
    return HealthModel.of(await custodes.outbound.examine_endpoint(id, tenant=tenant))
