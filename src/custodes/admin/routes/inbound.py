"""Incoming webhooks: events, payloads, attempts, replay, export."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, Field
from starlette.responses import Response, StreamingResponse

from custodes.admin.dependencies import AuditTrail, CustodesDep, TenantScope, Trail
from custodes.admin.exports import STREAMED, Export, ExportQuery
from custodes.admin.fields import Body, Identifier
from custodes.admin.paging import PageModel, PageQuery
from custodes.admin.routes.inbound_figures import SourceName, TypeName
from custodes.admin.routes.inbound_models import (
    AttemptModel,
    AttemptsModel,
    FacetsModel,
    HeaderModel,
    HeadersModel,
    ReplayedModel,
    WebhookEventModel,
)
from custodes.app import Custodes
from custodes.kernel.clock import from_datetime
from custodes.kernel.filters import given
from custodes.kernel.paging import MAX_CURSOR, MAX_LIMIT, walk
from custodes.planes.inbound.model import EventFilter, Status, Verdict
from custodes.planes.inbound.replay import MAX_SELECTION, Replayed
from custodes.runtime.transactions import Work

router = APIRouter()

_EVENTS = Export("webhook-events", WebhookEventModel, WebhookEventModel.of)

T = TypeVar("T")

#: Attempts of one event that are shown.
MAX_ATTEMPTS_SHOWN = 500

#: Values of one filter.
MAX_CHOSEN = 50


def event_filter(
    tenant: TenantScope,
    source: Annotated[list[SourceName] | None, Query(max_length=MAX_CHOSEN, description="From these sources")] = None,
    event_type: Annotated[
        list[TypeName] | None,
        Query(max_length=MAX_CHOSEN, description="Of these types; `invoice.*`: all that begin so"),
    ] = None,
    status: Annotated[list[Status] | None, Query(max_length=MAX_CHOSEN, description="In these states")] = None,
    verdict: Annotated[list[Verdict] | None, Query(max_length=MAX_CHOSEN, description="With these verdicts")] = None,
    any_id: Annotated[
        str | None, Query(max_length=255, description="With this id: of Custodes, of the sender, or of the trace")
    ] = None,
    trace_id: Annotated[str | None, Query(max_length=32, description="Only of this W3C trace id")] = None,
    event_id: Annotated[
        str | None, Query(max_length=255, description="Only with this id: the sender's, or that of Custodes")
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="Received from this moment on (RFC 3339)")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Received before this moment (RFC 3339)")] = None,
) -> EventFilter:
    """Read the filters of a query: values of one are alternatives, filters are all in force."""
    return EventFilter(
        tenant=tenant,
        source=_chosen(source),
        event_type=_chosen(event_type),
        status=_chosen(status),
        verdict=_chosen(verdict),
        any_id=any_id or None,
        trace_id=trace_id,
        event_id=event_id,
        since=None if since is None else max(0, from_datetime(since)),
        until=None if until is None else max(0, from_datetime(until)),
    )


def _chosen(values: list[T] | None) -> T | tuple[T, ...] | None:
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


#: Which events are asked for.
Filters = Annotated[EventFilter, Depends(event_filter)]


class ReplayBody(Body):
    """Why an event is replayed."""

    reason: str = Field(default="", max_length=500, description="For the audit trail")


class ReplaySelectionBody(Body):
    """How a selection is replayed; which events it has, the query says."""

    dry_run: bool = Field(default=True, description="Only say which events it would be")
    limit: int = Field(default=100, ge=1, le=MAX_SELECTION, description="Events of one call")
    cursor: str | None = Field(default=None, max_length=MAX_CURSOR, description="`next_cursor` of the call before")
    reason: str = Field(default="", max_length=500, description="For the audit trail")


@router.get("/webhook-events")
async def list_webhook_events(custodes: CustodesDep, filters: Filters, page: PageQuery) -> PageModel[WebhookEventModel]:
    """List events without their payloads, newest first; of all time when no range is given."""
    found = await custodes.inbound.list_events(filters, limit=page.limit, cursor=page.cursor)
    return PageModel[WebhookEventModel].of(found, WebhookEventModel.of)


@router.get("/webhook-events/facets")
async def count_webhook_events(custodes: CustodesDep, filters: Filters) -> FacetsModel:
    """Count events by source, type, state and verdict, each with all the other filters in force."""
    return FacetsModel.of(await custodes.inbound.count_facets(filters))


@router.get("/webhook-events/export", **STREAMED)
async def export_webhook_events(
    custodes: CustodesDep, filters: Filters, trail: Trail, wanted: ExportQuery
) -> StreamingResponse:
    """Stream every event found without its payload, newest first; recorded before the first line is sent."""
    rows = walk(lambda cursor: custodes.inbound.list_events(filters, limit=MAX_LIMIT, cursor=cursor))
    return await _EVENTS.stream(trail, wanted, rows, asked=given(filters, "tenant"), tenant=filters.tenant)


@router.post("/webhook-events/replay")
async def replay_webhook_events(
    body: ReplaySelectionBody, custodes: CustodesDep, filters: Filters, trail: Trail
) -> ReplayedModel:
    """Have a selection of events handled again; by default only say which, and how many there are.

    One call does up to `limit` of them; `next_cursor` goes on, also after an interruption. Give `until`, so that what
    arrives meanwhile is not among them.
    """
    asked = given(filters)

    def entry(done: Replayed) -> Work:
        counts = {"events": len(done.event_ids), "skipped": len(done.skipped), "from": body.cursor or ""}
        return trail.entry(
            "webhook.replayed",
            target="webhook_events:selection",
            context={**asked, **counts},
            reason=body.reason,
            tenant=filters.tenant,
        )

    replayed = await custodes.inbound.replay_events(
        filters,
        limit=body.limit,
        cursor=body.cursor,
        dry_run=body.dry_run,
        also=entry,
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
async def get_webhook_payload(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
    first: Annotated[int | None, Query(ge=1, le=2**31, description="Only the first so many bytes")] = None,
) -> Response:
    """Return the exact bytes of an event; always as a download, whatever the sender calls them. It is recorded."""
    payload = await custodes.inbound.get_payload(id, tenant=tenant)
    await _read(id, custodes, tenant, trail)
    headers = {"Content-Disposition": f'attachment; filename="{id}.bin"'}
    return Response(payload.body[:first], media_type="application/octet-stream", headers=headers)


@router.get("/webhook-events/{id}/headers")
async def list_webhook_headers(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> HeadersModel:
    """List the headers of an event as they were received; credentials are masked. It is recorded."""
    payload = await custodes.inbound.get_payload(id, tenant=tenant)
    await _read(id, custodes, tenant, trail)
    return HeadersModel(items=[HeaderModel(name=name, value=value) for name, value in payload.headers])


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


async def _read(event_id: str, custodes: Custodes, tenant: str | None, trail: AuditTrail) -> None:
    """Record that somebody looks at what a webhook carries; its payload and headers together are one look."""
    event = await custodes.inbound.get_event(event_id, tenant=tenant)
    await trail.look("webhook.payload_read", target=f"webhook_event:{event.id}", tenant=event.tenant)
