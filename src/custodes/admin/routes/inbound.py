"""Incoming webhooks: health, events, payloads, replay, analytics, refusals, export."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import Response, StreamingResponse

from custodes.admin.dependencies import CustodesDep, TenantScope, Trail
from custodes.admin.fields import Identifier, TimeRange
from custodes.admin.paging import PageModel, PageQuery
from custodes.admin.routes.inbound_models import (
    AttemptModel,
    AttemptsModel,
    RefusalModel,
    ReplayedModel,
    SourceModel,
    SourcesModel,
    WebhookAnalyticsModel,
    WebhookEventModel,
    WebhookHealthModel,
    ndjson_line,
)
from custodes.app import Custodes
from custodes.kernel.clock import from_datetime
from custodes.kernel.paging import MAX_LIMIT
from custodes.planes.inbound.model import EventFilter, Status, Verdict
from custodes.planes.inbound.replay import MAX_SELECTION

router = APIRouter()

#: Attempts of one event that are shown.
MAX_ATTEMPTS_SHOWN = 500


def event_filter(
    tenant: TenantScope,
    source: Annotated[str | None, Query(max_length=64, description="Only from this source")] = None,
    event_type: Annotated[
        str | None, Query(max_length=255, description="Only of this type; `invoice.*`: all that begin so")
    ] = None,
    status: Annotated[Status | None, Query(description="Only in this state")] = None,
    verdict: Annotated[Verdict | None, Query(description="Only with this verdict")] = None,
    trace_id: Annotated[str | None, Query(max_length=32, description="Only of this W3C trace id")] = None,
    event_id: Annotated[
        str | None, Query(max_length=255, description="Only with this id: the sender's, or that of Custodes")
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="Received from this moment on (RFC 3339)")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Received before this moment (RFC 3339)")] = None,
) -> EventFilter:
    """Read the filters of a query."""
    return EventFilter(
        tenant=tenant,
        source=source,
        event_type=event_type,
        status=status,
        verdict=verdict,
        trace_id=trace_id,
        event_id=event_id,
        since=None if since is None else max(0, from_datetime(since)),
        until=None if until is None else max(0, from_datetime(until)),
    )


#: Which events are asked for.
Filters = Annotated[EventFilter, Depends(event_filter)]


class ReplayBody(BaseModel):
    """Why an event is replayed."""

    reason: str = Field(default="", max_length=500, description="For the audit trail")


class ReplaySelectionBody(BaseModel):
    """How a selection is replayed; which events it has, the query says."""

    dry_run: bool = Field(default=True, description="Only say which events it would be")
    limit: int = Field(default=100, ge=1, le=MAX_SELECTION, description="Events of one call")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the call before")
    reason: str = Field(default="", max_length=500, description="For the audit trail")


@router.get("/webhook-health")
async def webhook_health(custodes: CustodesDep, tenant: TenantScope, when: TimeRange) -> WebhookHealthModel:
    """Judge the webhooks by the last quarter of an hour and by what waits, and analyse the range."""
    health = await custodes.inbound.get_health_status(tenant=tenant)
    analytics = await custodes.inbound.get_webhook_analytics(since=when.since, until=when.until, tenant=tenant)
    return WebhookHealthModel.of(health, analytics)


@router.get("/webhook-analytics")
async def webhook_analytics(custodes: CustodesDep, tenant: TenantScope, when: TimeRange) -> WebhookAnalyticsModel:
    """Analyse volume, success, processing times, errors and refusals by source, type and time."""
    analytics = await custodes.inbound.get_webhook_analytics(since=when.since, until=when.until, tenant=tenant)
    return WebhookAnalyticsModel.of(analytics)


@router.get("/webhook-sources")
async def list_webhook_sources(custodes: CustodesDep, tenant: TenantScope) -> SourcesModel:
    """List the sources that deliveries are accepted from; never their secrets."""
    return SourcesModel(items=[SourceModel.of(each) for each in custodes.inbound.list_sources(tenant=tenant)])


@router.get("/webhook-refusals")
async def list_webhook_refusals(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    when: TimeRange,
    source: Annotated[str | None, Query(max_length=64, description="Only of this source")] = None,
) -> PageModel[RefusalModel]:
    """List samples of refused deliveries, newest first; the analytics count all of them."""
    found = await custodes.inbound.list_refusals(
        tenant=tenant, source=source, since=when.since, until=when.until, limit=page.limit, cursor=page.cursor
    )
    return PageModel[RefusalModel].of(found, RefusalModel.of)


@router.get("/webhook-events")
async def list_webhook_events(custodes: CustodesDep, filters: Filters, page: PageQuery) -> PageModel[WebhookEventModel]:
    """List events without their payloads, newest first; of all time when no range is given."""
    found = await custodes.inbound.list_events(filters, limit=page.limit, cursor=page.cursor)
    return PageModel[WebhookEventModel].of(found, WebhookEventModel.of)


@router.get(
    "/webhook-events/export",
    response_class=StreamingResponse,
    responses={200: {"description": "Every event found, newest first", "content": {"application/x-ndjson": {}}}},
)
async def export_webhook_events(custodes: CustodesDep, filters: Filters, trail: Trail) -> StreamingResponse:
    """Stream every event found, one JSON object a line; the export is recorded before its first line is sent."""
    await custodes.audit.commit(trail.entry("data.exported", target="webhook_events:selection"))
    headers = {"Content-Disposition": 'attachment; filename="webhook-events.ndjson"'}
    return StreamingResponse(_lines(custodes, filters), media_type="application/x-ndjson", headers=headers)


@router.post("/webhook-events/replay")
async def replay_webhook_events(
    body: ReplaySelectionBody, custodes: CustodesDep, filters: Filters, trail: Trail
) -> ReplayedModel:
    """Have a selection of events handled again; by default only say which."""
    asked = {name: str(value) for name, value in _given(filters).items()}
    replayed = await custodes.inbound.replay_events(
        filters,
        limit=body.limit,
        cursor=body.cursor,
        dry_run=body.dry_run,
        also=trail.entry("webhook.replayed", target="webhook_events:selection", context=asked, reason=body.reason),
    )
    return ReplayedModel.of(replayed)


@router.get("/webhook-events/{id}")
async def get_webhook_event(id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> WebhookEventModel:  # noqa: A002
    """Return one event without its payload."""
    return WebhookEventModel.of(await custodes.inbound.get_event(id, tenant=tenant))


@router.get(
    "/webhook-events/{id}/payload",
    response_class=Response,
    responses={
        200: {
            "description": "The exact bytes received",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def get_webhook_payload(id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> Response:  # noqa: A002
    """Return the exact bytes of an event; always as a download, whatever the sender calls them."""
    payload = await custodes.inbound.get_payload(id, tenant=tenant)
    headers = {"Content-Disposition": f'attachment; filename="{id}.bin"'}
    return Response(payload.body, media_type="application/octet-stream", headers=headers)


@router.get("/webhook-events/{id}/attempts")
async def list_webhook_attempts(id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> AttemptsModel:  # noqa: A002
    """List the attempts at one event, newest first."""
    attempts = await custodes.inbound.list_attempts(id, tenant=tenant, limit=MAX_ATTEMPTS_SHOWN)
    return AttemptsModel(items=[AttemptModel.of(attempt) for attempt in attempts])


@router.post("/webhook-events/{id}/replay")
async def replay_webhook_event(
    id: Identifier,  # noqa: A002
    body: ReplayBody,
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> WebhookEventModel:
    """Have an event handled again by all handlers."""
    event = await custodes.inbound.get_event(id, tenant=tenant)
    also = trail.entry("webhook.replayed", target=f"webhook_event:{id}", reason=body.reason, tenant=event.tenant)
    return WebhookEventModel.of(await custodes.inbound.replay_event(id, tenant=tenant, also=also))


async def _lines(custodes: Custodes, filters: EventFilter) -> AsyncIterator[str]:
    """Go through all pages as of now: what arrives meanwhile is not part of the export."""
    bounded = filters if filters.until is not None else replace(filters, until=custodes.clock.now() + 1)
    cursor: str | None = None
    while True:
        page = await custodes.inbound.list_events(bounded, limit=MAX_LIMIT, cursor=cursor)
        yield "".join(ndjson_line(record) for record in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


def _given(filters: EventFilter) -> dict[str, object]:
    names = ("source", "event_type", "status", "verdict", "trace_id", "event_id", "since", "until")
    return {name: value for name in names if (value := getattr(filters, name)) is not None}
