"""Trials: what was to be sent, or came in, sent once to a URL of somebody's choosing."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from custodes.admin.dependencies import CustodesDep, TenantScope, Trail
from custodes.admin.fields import Body, Identifier
from custodes.admin.routes.outbound_models import RequestModel, Url
from custodes.planes.outbound.model import Delivery
from custodes.runtime.transactions import Work

router = APIRouter()


class TrialBody(Body):
    """Where to send it, once."""

    url: Url
    reason: str = Field(default="", max_length=500, description="For the audit trail")


class TrialModel(RequestModel):
    """What was sent to a URL of somebody's choosing, and what came of it; kept nowhere."""

    secret: str = Field(description="Secret `whsec_…` that it was signed with, made for it; empty: we did not sign")


@router.post("/webhook-deliveries/{id}/try")
async def try_webhook_delivery(
    id: Identifier,  # noqa: A002
    body: TrialBody,
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> TrialModel:
    """Send what a delivery carries to another URL, once, and tell what came of it; the delivery stays as it is.

    It is signed with a secret made for it, and carries neither the endpoint's own headers nor its credentials.
    """

    def told(delivery: Delivery) -> Work:
        return trail.entry(
            "webhook_delivery.tried",
            target=f"webhook_delivery:{id}",
            context={"url": body.url},
            reason=body.reason,
            tenant=delivery.tenant,
        )

    return TrialModel.of(await custodes.outbound.try_delivery(id, body.url, tenant=tenant, told=told))


@router.post("/webhook-events/{id}/try")
async def try_webhook_event(
    id: Identifier,  # noqa: A002
    body: TrialBody,
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> TrialModel:
    """Send an incoming webhook as it came to another URL, once, and tell what came of it.

    Its sender's signature goes along; headers that were masked when it came do not.
    """
    event = await custodes.inbound.get_event(id, tenant=tenant)
    payload = await custodes.inbound.get_payload(id, tenant=tenant)
    also = trail.entry(
        "webhook.tried",
        target=f"webhook_event:{id}",
        context={"url": body.url},
        reason=body.reason,
        tenant=event.tenant,
    )
    return TrialModel.of(await custodes.outbound.try_received(body.url, payload.headers, payload.body, also=also))
