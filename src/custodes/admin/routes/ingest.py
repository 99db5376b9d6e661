"""Ingest: metrics, audit events and API calls of apps in other languages, in batches.

Any profile may send, whatever its role: a program gets an API key of a member, which opens nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError

from custodes.admin.dependencies import CustodesDep, requires, seen_tenant
from custodes.admin.routes.ingest_models import (
    AuditBatch,
    AuditItem,
    CallBatch,
    CallItem,
    IngestResult,
    ItemResult,
    MetricBatch,
    MetricItem,
    WebhookBatch,
    WebhookItem,
    parsed,
    refusal,
)
from custodes.errors import Conflict, CustodesError, StorageUnavailable
from custodes.kernel.clock import from_datetime
from custodes.planes.identity.model import Principal, Role

router = APIRouter()

#: Anybody with a profile whose password is not a one-time one.
Sender = Annotated[Principal, Depends(requires(Role.MEMBER))]


@router.post("/ingest/metrics")
async def metrics(body: MetricBatch, custodes: CustodesDep, sender: Sender) -> IngestResult:
    """Record measurements; they are on the disk within ten seconds."""

    async def take(item: object) -> str:
        one = parsed(MetricItem, item)
        custodes.metrics.record(one.kind, one.name, one.value, one.labels, seen_tenant(sender, one.tenant))
        return ""

    return await _each(body.items, take)


@router.post("/ingest/audit-events")
async def audit_events(body: AuditBatch, custodes: CustodesDep, sender: Sender) -> IngestResult:
    """Record audit events; they are on the disk when this answers.

    After an error 503 or no answer at all send the batch again: events with an `idempotency_key` are recorded once.
    While the audit trail is switched off it answers 409, and nothing is recorded.
    """
    _must_be_on("AUDIT_LOGGING_ENABLED", custodes.settings.audit_logging_enabled)

    async def take(item: object) -> str:
        one = parsed(AuditItem, item)
        entry = await custodes.audit.log_audit_event(
            one.action,
            actor=one.actor,
            impersonator=one.impersonator,
            effective=one.effective,
            targets=one.targets,
            outcome=one.outcome,
            reason=one.reason,
            ip=one.ip,
            trace_id=one.trace_id,
            context=one.context,
            changes=one.changes,
            labels=one.labels,
            time=None if one.time is None else from_datetime(one.time),
            idempotency_key=one.idempotency_key,
            observer=sender.subject,
            tenant=seen_tenant(sender, one.tenant),
        )
        return entry.id

    return await _each(body.items, take)


@router.post("/ingest/api-calls")
async def api_calls(body: CallBatch, custodes: CustodesDep, sender: Sender) -> IngestResult:
    """Record API calls that your app has answered; they are on the disk within ten seconds.

    While monitoring is switched off it answers 409, and nothing is recorded.
    """
    _must_be_on("ENTERPRISE_MONITORING_ENABLED", custodes.settings.enterprise_monitoring_enabled)

    async def take(item: object) -> str:
        one = parsed(CallItem, item)
        custodes.traffic.log_api_call(one.report(seen_tenant(sender, one.tenant)))
        return ""

    return await _each(body.items, take)


@router.post("/ingest/webhook-events")
async def webhook_events(body: WebhookBatch, custodes: CustodesDep, sender: Sender) -> IngestResult:
    """Emit events to your customers' webhook endpoints; they are on the disk when this answers.

    After an error 503 or no answer at all send the batch again: events with an `idempotency_key` are emitted once.
    """

    async def take(item: object) -> str:
        one = parsed(WebhookItem, item)
        message = await custodes.outbound.emit(
            one.event_type,
            one.content(),
            content_type=one.content_type,
            idempotency_key=one.idempotency_key,
            order_key=one.order_key,
            channels=one.channels,
            trace_id=one.trace_id,
            tenant=seen_tenant(sender, one.tenant) or "",
        )
        return message.id

    return await _each(body.items, take)


def _must_be_on(switch: str, on: bool) -> None:
    """Refuse what would be recorded nowhere.

    Raises:
        Conflict: it is switched off.
    """
    if not on:
        msg = f"{switch} is off: nothing of this batch was recorded"
        raise Conflict(msg, remedy=f"Set {switch}=true, or do not send it")


async def _each(items: list[object], take: Callable[[object], Awaitable[str]]) -> IngestResult:
    """Take items side by side (durable ones share a commit) and say what became of each.

    Raises:
        StorageUnavailable: the store could not take one of them; send the batch again.
        RequestValidationError: not one item was acceptable.
    """
    results = await asyncio.gather(*(_one(index, item, take) for index, item in enumerate(items)))
    if not any(result.accepted for result in results):
        raise RequestValidationError(
            [{"loc": ("body", "items", one.index), "msg": one.error, "type": "value_error"} for one in results]
        )
    return IngestResult.of(results)


async def _one(index: int, item: object, take: Callable[[object], Awaitable[str]]) -> ItemResult:
    try:
        return ItemResult(index=index, accepted=True, id=await take(item))
    except StorageUnavailable:
        raise
    except CustodesError as error:
        return refusal(index, error)
