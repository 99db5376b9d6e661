"""API calls: health, analytics, slow endpoints, single calls, errors, export."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime
from starlette.responses import Response, StreamingResponse

from custodes.admin.dependencies import Admin, CustodesDep, TenantScope, Trail
from custodes.admin.exports import STREAMED, Export, ExportQuery
from custodes.admin.fields import Beside, Identifier, TimeRange
from custodes.admin.paging import PageModel, PageQuery
from custodes.admin.routes.traffic_error_models import ErrorCourseModel, ErrorGroupModel
from custodes.admin.routes.traffic_models import (
    AnalyticsModel,
    ApiHealthModel,
    CallFacetsModel,
    CallModel,
    EndpointModel,
    LatencyModel,
)
from custodes.admin.summaries import SummaryDep
from custodes.errors import InvalidInput
from custodes.kernel.clock import from_datetime
from custodes.kernel.filters import given
from custodes.kernel.paging import MAX_LIMIT, walk
from custodes.planes.traffic.analytics import SHOWN_CONSUMERS
from custodes.planes.traffic.latency import Measure
from custodes.planes.traffic.model import TEXT_SCANNED, CallFilter, GroupState
from custodes.planes.traffic.ranges import STEPS
from custodes.planes.traffic.rollup import KEPT_CONSUMERS, Keyspace

router = APIRouter()

#: Rows of each list in the summary.
_FEW = 10

_CALLS = Export("api-calls", CallModel, CallModel.of, action="api_calls.exported")
_ERRORS = Export("api-errors", ErrorGroupModel, ErrorGroupModel.of)


def call_filter(
    route: Annotated[str | None, Query(max_length=512, description="Route template; `(unmatched)`")] = None,
    method: Annotated[str | None, Query(max_length=32, description="Upper-case method")] = None,
    status: Annotated[int | None, Query(ge=0, le=599, description="Status, or its first digit: `5`")] = None,
    min_ms: Annotated[float | None, Query(ge=0, le=1e9, description="At least this long")] = None,
    user: Annotated[str | None, Query(min_length=1, max_length=256, description="User")] = None,
    api_key: Annotated[str | None, Query(min_length=1, max_length=256, description="Id of the API key")] = None,
    client_ip: Annotated[str | None, Query(min_length=1, max_length=64, description="Client address")] = None,
    trace_id: Annotated[str | None, Query(min_length=1, max_length=32, description="W3C trace id")] = None,
    error_group: Annotated[str | None, Query(min_length=1, max_length=64, description="Digest of the group")] = None,
    text: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=256,
            description="Part of path, user agent, error, user, key or address, whatever its case. A page then looks "
            f"through {TEXT_SCANNED} calls at most and may hold few or none: `next_cursor` looks further back",
        ),
    ] = None,
    errors_only: Annotated[bool, Query(description="Only answers of 500 and above and exceptions")] = False,
    since: Annotated[AwareDatetime | None, Query(description="Began from this moment on (RFC 3339)")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Began before this moment (RFC 3339)")] = None,
) -> CallFilter:
    """Read the filters of a query."""
    return CallFilter(
        since=None if since is None else max(0, from_datetime(since)),
        until=None if until is None else max(0, from_datetime(until)),
        route=route,
        method=method,
        status=status,
        min_total_us=None if min_ms is None else int(min_ms * 1_000),
        user=user,
        api_key=api_key,
        client_ip=client_ip,
        trace_id=trace_id,
        error_group=error_group,
        text=text,
        errors_only=errors_only,
    )


#: Which calls are asked for.
Filters = Annotated[CallFilter, Depends(call_filter)]

ErrorState = Annotated[GroupState | None, Query(description="Only open or only resolved ones")]
ErrorsSince = Annotated[AwareDatetime | None, Query(description="Occurred since, and how often since (RFC 3339)")]

Route = Annotated[str | None, Query(max_length=512, description="Only this route template")]
Method = Annotated[str | None, Query(max_length=32, description="Only this method")]
Order = Literal["p50", "p75", "p90", "p95", "p99", "p99_9", "mean", "max", "time", "errors", "error_rate"]


StepSeconds = Annotated[int | None, Query(description=f"Width of a step: {', '.join(map(str, STEPS))}; it may grow")]


def one_consumer(
    user: Annotated[str | None, Query(min_length=1, max_length=256, description="Only this user")] = None,
    api_key: Annotated[str | None, Query(min_length=1, max_length=256, description="Only this API key, by id")] = None,
    client_ip: Annotated[str | None, Query(min_length=1, max_length=64, description="Only this address")] = None,
) -> tuple[Keyspace, str] | None:
    """Read which consumer an analysis is about.

    Raises:
        InvalidInput: more than one.
    """
    asked = [
        (kind, name)
        for kind, name in ((Keyspace.USER, user), (Keyspace.API_KEY, api_key), (Keyspace.IP, client_ip))
        if name is not None
    ]
    if len(asked) > 1:
        msg = "Figures are kept by user, by API key and by address, not by two of them at once"
        raise InvalidInput(msg, remedy="Ask for one of them, or list single calls, which combine all filters")
    return asked[0] if asked else None


#: Which consumer an analysis is about.
Consumer = Annotated[tuple[Keyspace, str] | None, Depends(one_consumer)]


@router.get("/api-health")
async def get_api_health(
    custodes: CustodesDep, admin: Admin, tenant: TenantScope, when: TimeRange, beside: Beside
) -> ApiHealthModel:
    """Tell at a glance how the API does: health, volume, errors and times, slow endpoints, open errors."""
    traffic = custodes.traffic
    errors = await traffic.list_error_groups(tenant=tenant, state=GroupState.OPEN, since=when.since, limit=_FEW)
    return ApiHealthModel.of(
        custodes.health.as_told(await traffic.get_health_status(tenant=tenant), whole=tenant is None),
        await traffic.get_api_analytics(when.since, when.until, tenant=tenant, beside=beside, endpoints=_FEW),
        list(await traffic.get_slow_endpoints(when.since, when.until, tenant=tenant, limit=_FEW)),
        list(errors.items),
        traffic.own_figures() if admin.tenant is None else None,
    )


@router.get("/api-analytics", response_model=AnalyticsModel)
async def get_api_analytics(
    custodes: CustodesDep,
    summary: SummaryDep,
    tenant: TenantScope,
    when: TimeRange,
    beside: Beside,
    route: Route = None,
    method: Method = None,
    consumer: Consumer = None,
    step_seconds: StepSeconds = None,
    endpoints: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Endpoints to list")] = 50,
    consumers: Annotated[
        int, Query(ge=1, le=KEPT_CONSUMERS, description="Consumers of each kind to list")
    ] = SHOWN_CONSUMERS,
) -> Response:
    """Analyse a stretch of time: volume, errors, percentiles over time, by endpoint, by consumer."""

    async def compute() -> AnalyticsModel:
        found = await custodes.traffic.get_api_analytics(
            when.since,
            when.until,
            tenant=tenant,
            route=route,
            method=method,
            consumer=consumer,
            step_seconds=step_seconds,
            beside=beside,
            endpoints=endpoints,
            consumers=consumers,
        )
        return AnalyticsModel.of(found)

    return await summary.of(compute)


@router.get("/api-latency")
async def get_api_latency(
    custodes: CustodesDep,
    tenant: TenantScope,
    when: TimeRange,
    beside: Beside,
    measure: Annotated[Measure, Query(description="Until the last byte, until the first, or after it")] = Measure.TOTAL,
    route: Route = None,
    method: Method = None,
    step_seconds: StepSeconds = None,
) -> LatencyModel:
    """Tell how long requests took, step by step: percentiles, and how many took how long, for a heat map."""
    found = await custodes.traffic.get_latency(
        when.since,
        when.until,
        measure,
        tenant=tenant,
        route=route,
        method=method,
        step_seconds=step_seconds,
        beside=beside,
    )
    return LatencyModel.of(found)


@router.get("/slow-endpoints")
async def get_slow_endpoints(
    custodes: CustodesDep,
    tenant: TenantScope,
    when: TimeRange,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Endpoints at most")] = 10,
    min_count: Annotated[int, Query(ge=1, le=10**9, description="Leave out endpoints with fewer requests")] = 1,
    order_by: Annotated[
        Order, Query(description="A percentile, `mean`, `max`, `time`: all that was spent; or `errors`, `error_rate`")
    ] = "p95",
) -> list[EndpointModel]:
    """List the slowest endpoints, slowest first; or those with most server errors, by number or by share."""
    found = await custodes.traffic.get_slow_endpoints(
        when.since, when.until, tenant=tenant, limit=limit, min_count=min_count, order_by=order_by
    )
    return [EndpointModel.of(endpoint) for endpoint in found]


@router.get("/api-calls")
async def list_api_calls(
    custodes: CustodesDep, tenant: TenantScope, where: Filters, page: PageQuery
) -> PageModel[CallModel]:
    """List single calls, newest first; they show up within ten seconds."""
    found = await custodes.traffic.list_calls(where, tenant=tenant, limit=page.limit, cursor=page.cursor)
    return PageModel[CallModel].of(found, CallModel.of)


@router.get("/api-calls/facets")
async def count_api_calls(custodes: CustodesDep, tenant: TenantScope, where: Filters) -> CallFacetsModel:
    """Count calls by class of status, method and route, each with all the other filters in force."""
    return CallFacetsModel.of(await custodes.traffic.count_calls(where, tenant=tenant))


@router.get("/api-calls/export", **STREAMED)
async def export_api_calls(
    custodes: CustodesDep, tenant: TenantScope, where: Filters, trail: Trail, wanted: ExportQuery
) -> StreamingResponse:
    """Stream the calls found, newest first; the export is recorded before its first line is sent."""
    rows = walk(lambda cursor: custodes.traffic.list_calls(where, tenant=tenant, limit=MAX_LIMIT, cursor=cursor))
    return await _CALLS.stream(trail, wanted, rows, asked=given(where), tenant=tenant)


@router.get("/api-calls/{id}")
async def get_api_call(id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> CallModel:  # noqa: A002
    """Return one call."""
    return CallModel.of(await custodes.traffic.get_call(id, tenant=tenant))


@router.get("/api-calls/{id}/error")
async def get_error_of_api_call(id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> ErrorGroupModel:  # noqa: A002
    """Return the kind of error that was raised in a call; 404 when none was."""
    call = await custodes.traffic.get_call(id, tenant=tenant)
    return ErrorGroupModel.of(await custodes.traffic.get_error_group_of(call))


@router.get("/api-errors")
async def list_api_errors(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    state: ErrorState = None,
    since: ErrorsSince = None,
) -> PageModel[ErrorGroupModel]:
    """List kinds of errors, the latest occurrence first."""
    found = await custodes.traffic.list_error_groups(
        tenant=tenant,
        state=state,
        since=None if since is None else max(0, from_datetime(since)),
        limit=page.limit,
        cursor=page.cursor,
    )
    return PageModel[ErrorGroupModel].of(found, ErrorGroupModel.of)


@router.get("/api-errors/export", **STREAMED)
async def export_api_errors(
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
    wanted: ExportQuery,
    state: ErrorState = None,
    since: ErrorsSince = None,
) -> StreamingResponse:
    """Stream the kinds of errors found, the latest occurrence first."""
    begin = None if since is None else max(0, from_datetime(since))
    rows = walk(
        lambda cursor: custodes.traffic.list_error_groups(
            tenant=tenant, state=state, since=begin, limit=MAX_LIMIT, cursor=cursor
        )
    )
    return await _ERRORS.stream(trail, wanted, rows, asked={"state": state, "since": since}, tenant=tenant)


@router.get("/api-errors/{id}")
async def get_api_error(id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> ErrorGroupModel:  # noqa: A002
    """Return one kind of error."""
    return ErrorGroupModel.of(await custodes.traffic.get_error_group(id, tenant=tenant))


@router.get("/api-errors/{id}/course")
async def get_api_error_course(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    when: TimeRange,
    step_seconds: StepSeconds = None,
) -> ErrorCourseModel:
    """Tell how often a kind of error occurred in a stretch of time, step by step, and at which endpoints."""
    found = await custodes.traffic.get_error_course(
        id, when.since, when.until, tenant=tenant, step_seconds=step_seconds
    )
    return ErrorCourseModel.of(found)


@router.post("/api-errors/{id}/resolve")
async def resolve_api_error(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> ErrorGroupModel:
    """Note that an error is mended; it opens again by itself when it occurs again."""
    group = await custodes.traffic.get_error_group(id, tenant=tenant)
    entry = trail.entry("api_error.resolved", target=f"api_error:{id}", tenant=group.tenant)
    by = trail.principal.actor
    return ErrorGroupModel.of(await custodes.traffic.resolve_error_group(id, by=by, tenant=tenant, also=entry))


@router.post("/api-errors/{id}/reopen")
async def reopen_api_error(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> ErrorGroupModel:
    """Take back that an error is mended."""
    group = await custodes.traffic.get_error_group(id, tenant=tenant)
    entry = trail.entry("api_error.reopened", target=f"api_error:{id}", tenant=group.tenant)
    by = trail.principal.actor
    return ErrorGroupModel.of(await custodes.traffic.reopen_error_group(id, by=by, tenant=tenant, also=entry))
