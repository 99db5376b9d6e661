"""The live feed over HTTP: a stream for those who ask for one, one batch for all others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from custodes.admin.auth.gate import Gate
from custodes.admin.dependencies import CustodesDep, TenantScope, require_admin
from custodes.admin.fields import Moment
from custodes.errors import CustodesError, RateLimited
from custodes.live.feed import MAX_READERS, Batch, LiveFeed
from custodes.live.happening import Happening

router = APIRouter()

#: Seconds without an event after which a sign of life is sent: proxies close what is silent for a minute.
HEARTBEAT_SECONDS = 15.0

#: Seconds after which it is checked again who reads: the end of the session, or of the role, ends the stream.
RECHECK_SECONDS = 30.0

#: What a browser waits before it connects again, milliseconds.
RETRY_MS = 2_000


class HappeningModel(BaseModel):
    """Something that happened just now."""

    id: int = Field(description="Greater than that of all events before")
    at: Moment = Field(description="When")
    tenant: str = Field(description="Whose it is")
    plane: str = Field(description="`traffic`, `inbound`, `audit`, `ratelimit`, `alerts`, `health`")
    kind: str = Field(description="What happened: `api.call`, `webhook.received`, the action of an audit entry, …")
    title: str = Field(description="One line for a person")
    outcome: str = Field(description="`success`, `failure`, `denied` or `attention`")
    count: int = Field(
        description="How many it stands for: requests that are alike are told as one when there are many"
    )
    trace_id: str = Field(description="W3C trace id; may be empty")
    reference: str = Field(description="`kind:id` of what can be opened; may be empty")
    status: int = Field(description="HTTP status of a call; 0 otherwise")
    duration_ms: float = Field(description="How long a call took, the slowest of several; 0 otherwise")

    @classmethod
    def of(cls, happening: Happening) -> HappeningModel:
        """Tell an event."""
        return cls.model_validate(happening, from_attributes=True)


class LiveModel(BaseModel):
    """What has happened since the last time."""

    events: list[HappeningModel] = Field(description="Oldest first")
    shed: int = Field(description="Events that are not shown, because there were too many to read")
    last_id: int = Field(description="Pass as `after` for what comes next")

    @classmethod
    def of(cls, batch: Batch) -> LiveModel:
        """Tell a batch."""
        events = [HappeningModel.of(event) for event in batch.events]
        return cls(events=events, shed=batch.shed, last_id=batch.last_id)


@router.get(
    "/live",
    response_model=LiveModel,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def follow(
    request: Request,
    custodes: CustodesDep,
    tenant: TenantScope,
    after: Annotated[
        int | None, Query(ge=0, le=2**53, description="`last_id` of the batch before; default: from now on")
    ] = None,
) -> Response:
    """Tell what happens as it happens: requests, webhooks, audit entries, blocks, failures, changes of health.

    With `Accept: text/event-stream` this is a stream of server-sent events named `happened`, whose data is what the
    plain answer is; it goes on from `Last-Event-ID`. Otherwise it answers at once with what has happened since `after`.
    """
    feed = custodes.live
    last = request.headers.get("last-event-id", "")
    if last.isascii() and last.isdigit() and len(last) <= 16:
        after = int(last)
    if "text/event-stream" not in request.headers.get("accept", ""):
        return Response(LiveModel.of(feed.poll(tenant, after)).model_dump_json(), media_type="application/json")
    if feed.readers >= MAX_READERS:
        msg = f"{MAX_READERS} people look at the live feed already"
        raise RateLimited(msg, remedy="Ask without Accept: text/event-stream, now and then")
    return StreamingResponse(
        _stream(request, feed, tenant, after),
        media_type="text/event-stream",
        # nginx would keep it all until the end, which never comes.
        headers={"X-Accel-Buffering": "no"},
    )


async def _stream(request: Request, feed: LiveFeed, tenant: str | None, after: int | None) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    check_at = loop.time() + RECHECK_SECONDS
    feed.end_with_the_process()
    yield f"retry: {RETRY_MS}\n\n"
    async for batch in feed.follow(tenant, after, patience=HEARTBEAT_SECONDS):
        if loop.time() >= check_at:
            if not await _may_still_read(request):
                break
            check_at = loop.time() + RECHECK_SECONDS
        if batch is None:
            yield ": still here\n\n"
        else:
            yield f"id: {batch.last_id}\nevent: happened\ndata: {LiveModel.of(batch).model_dump_json()}\n\n"
    yield "event: ended\ndata: {}\n\n"


async def _may_still_read(request: Request) -> bool:
    gate: Gate = request.app.state.gate
    try:
        principal = require_admin(await gate.identify(request))
    except CustodesError:
        return False
    return principal.tenant == request.state.principal.tenant
