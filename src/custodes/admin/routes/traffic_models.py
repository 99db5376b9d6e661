"""What the admin API says of API calls."""

from __future__ import annotations

from pydantic import BaseModel, Field

from custodes.admin.fields import FacetCountModel, Moment
from custodes.admin.routes.traffic_error_models import ErrorGroupModel
from custodes.kernel.clock import SECOND
from custodes.kernel.health import Health, SystemHealth
from custodes.planes.traffic.analytics import (
    ApiAnalytics,
    Consumer,
    EndpointStats,
    Percentiles,
    Point,
    Stats,
    percentiles,
)
from custodes.planes.traffic.facets import CallFacets
from custodes.planes.traffic.health import OwnFigures
from custodes.planes.traffic.latency import Latency, LatencyPoint, Measure
from custodes.planes.traffic.model import ApiCall, ErrorGroup
from custodes.planes.traffic.overhead import OwnTime


class PercentilesModel(BaseModel):
    """Percentiles of a time in milliseconds, at most 2.2 % away from the true ones."""

    p50: float = Field(description="Half of all were at most this long")
    p75: float = Field(description="75 %")
    p90: float = Field(description="90 %")
    p95: float = Field(description="95 %")
    p99: float = Field(description="99 %")
    p99_9: float = Field(description="99.9 %")

    @classmethod
    def of(cls, percentiles: Percentiles) -> PercentilesModel:
        """Show percentiles in milliseconds."""
        return cls(
            p50=_ms(percentiles.p50),
            p75=_ms(percentiles.p75),
            p90=_ms(percentiles.p90),
            p95=_ms(percentiles.p95),
            p99=_ms(percentiles.p99),
            p99_9=_ms(percentiles.p99_9),
        )


class StatsModel(BaseModel):
    """Figures of some requests."""

    count: int = Field(description="Requests")
    client_errors: int = Field(description="Answered 400–499")
    server_errors: int = Field(description="Answered 500 and above, or left by an exception")
    error_rate: float = Field(description="Share of server errors, 0 to 1")
    limited: int = Field(description="Refused by a rate limit or a block; counted, not timed")
    disconnected: int = Field(description="Left by the client before the last byte")
    request_bytes: int = Field(description="Body bytes received")
    response_bytes: int = Field(description="Body bytes sent")
    timed: int = Field(description="Requests that were timed")
    mean_ms: float = Field(description="Mean time to the last byte")
    min_ms: float = Field(description="Shortest time to the last byte")
    max_ms: float = Field(description="Longest time to the last byte")
    total_ms: PercentilesModel = Field(description="Time to the last byte")
    ttfb_ms: PercentilesModel = Field(description="Time to the first byte")

    @classmethod
    def of(cls, stats: Stats) -> StatsModel:
        """Show figures."""
        return cls(
            count=stats.count,
            client_errors=stats.client_errors,
            server_errors=stats.server_errors,
            error_rate=round(stats.error_rate, 6),
            limited=stats.limited,
            disconnected=stats.disconnected,
            request_bytes=stats.request_bytes,
            response_bytes=stats.response_bytes,
            timed=stats.timed,
            mean_ms=_ms(stats.mean_us),
            min_ms=_ms(stats.min_us),
            max_ms=_ms(stats.max_us),
            total_ms=PercentilesModel.of(stats.total),
            ttfb_ms=PercentilesModel.of(stats.ttfb),
        )


class PointModel(BaseModel):
    """One step of a time series."""

    at: Moment = Field(description="Begin of the step")
    stats: StatsModel = Field(description="Its figures")
    statuses: dict[str, int] = Field(description="Status → requests; `0`: the client left before there was one")

    @classmethod
    def of(cls, point: Point) -> PointModel:
        """Show a step."""
        return cls(
            at=point.at,
            stats=StatsModel.of(point.stats),
            statuses={str(status): count for status, count in sorted(point.statuses.items())},
        )


class LatencyPointModel(BaseModel):
    """The times of one step."""

    at: Moment = Field(description="Begin of the step")
    timed: int = Field(description="Requests that were timed")
    percentiles_ms: PercentilesModel = Field(description="Percentiles of their times")
    counts: list[int] = Field(description="How many took how long: one count for each of `bounds_ms`")

    @classmethod
    def of(cls, point: LatencyPoint) -> LatencyPointModel:
        """Show a step."""
        return cls(
            at=point.at,
            timed=point.times.count,
            percentiles_ms=PercentilesModel.of(percentiles(point.times, point.shortest, point.longest)),
            counts=list(point.counts),
        )


class LatencyModel(BaseModel):
    """How long requests took in a stretch of time."""

    since: Moment = Field(description="Begin, widened to a whole step")
    until: Moment = Field(description="End, widened to a whole step, not included")
    step_seconds: int = Field(description="Width of a step")
    measure: Measure = Field(
        description="`total`: until the last byte; `ttfb`: until the first; `background`: what the app still did after "
        "the last byte, where that took a millisecond or more"
    )
    timed: int = Field(description="Requests that were timed")
    percentiles_ms: PercentilesModel = Field(description="Percentiles of all of them")
    bounds_ms: list[float] = Field(
        description="Rows of the heat map: the longest time of each, rising; a row begins after the one before"
    )
    series: list[LatencyPointModel] = Field(description="Step by step, oldest first; steps without a time are left out")

    @classmethod
    def of(cls, found: Latency) -> LatencyModel:
        """Show it."""
        shortest = min((point.shortest for point in found.series), default=0)
        longest = max((point.longest for point in found.series), default=0)
        return cls(
            since=found.since,
            until=found.until,
            step_seconds=found.step // SECOND,
            measure=found.measure,
            timed=found.times.count,
            percentiles_ms=PercentilesModel.of(percentiles(found.times, shortest, longest)),
            bounds_ms=[_ms(bound) for bound in found.bounds],
            series=[LatencyPointModel.of(point) for point in found.series],
        )


class EndpointModel(BaseModel):
    """One endpoint."""

    method: str = Field(description="Method; `CALL` for a wrapped callable")
    route: str = Field(description="Route template; `(unmatched)` and `(overflow)` are series of their own")
    stats: StatsModel = Field(description="Its figures")

    @classmethod
    def of(cls, endpoint: EndpointStats) -> EndpointModel:
        """Show an endpoint."""
        return cls(method=endpoint.method, route=endpoint.route, stats=StatsModel.of(endpoint.stats))


class ConsumerModel(BaseModel):
    """One user, API key, address or tenant."""

    name: str = Field(description="Which; `(other)` for all that are not among the heaviest of their time")
    count: int = Field(description="Requests; fewer than there were by at most what `(other)` holds")
    client_errors: int = Field(description="Answered 400–499")
    server_errors: int = Field(description="Answered 500 and above, or left by an exception")
    limited: int = Field(description="Refused by a rate limit or a block")
    response_bytes: int = Field(description="Body bytes sent")

    @classmethod
    def of(cls, consumer: Consumer) -> ConsumerModel:
        """Show a consumer."""
        return cls(
            name=consumer.name,
            count=consumer.count,
            client_errors=consumer.client_errors,
            server_errors=consumer.server_errors,
            limited=consumer.limited,
            response_bytes=consumer.response_bytes,
        )


class AnalyticsModel(BaseModel):
    """What happened in a stretch of time."""

    since: Moment = Field(description="Begin, widened to a whole step")
    until: Moment = Field(description="End, widened to a whole step, not included")
    step_seconds: int = Field(description="Width of a step")
    totals: StatsModel = Field(description="All of it together")
    series: list[PointModel] = Field(description="Step by step, oldest first; steps without a request are left out")
    statuses: dict[str, int] = Field(description="Status → requests; `0`: the client left before there was one")
    endpoints: list[EndpointModel] = Field(description="The endpoints with most requests")
    consumers: dict[str, list[ConsumerModel]] = Field(description="`user`, `api_key`, `ip`, `tenant` → the heaviest")

    @classmethod
    def of(cls, found: ApiAnalytics) -> AnalyticsModel:
        """Show an analysis."""
        return cls(
            since=found.since,
            until=found.until,
            step_seconds=found.step // SECOND,
            totals=StatsModel.of(found.totals),
            series=[PointModel.of(point) for point in found.series],
            statuses={str(status): count for status, count in found.statuses.items()},
            endpoints=[EndpointModel.of(endpoint) for endpoint in found.endpoints],
            consumers={kind: [ConsumerModel.of(one) for one in ones] for kind, ones in found.consumers.items()},
        )


class CallFacetsModel(BaseModel):
    """What could be chosen next; each count has all the other filters in force."""

    status: list[FacetCountModel] = Field(
        description="First digits of the status (`0`: the client left before), and the exact one that is asked for"
    )
    method: list[FacetCountModel] = Field(description="Methods, most frequent first")
    route: list[FacetCountModel] = Field(description="Route templates; `(unmatched)`")
    total: int = Field(description="Calls that all filters together mean, of those that were looked at")
    exact: bool = Field(description="Whether they are exactly so many; false: at least")
    complete: bool = Field(description="Whether all were counted by value; false: of the newest 20,000 only")

    @classmethod
    def of(cls, facets: CallFacets) -> CallFacetsModel:
        """Tell counts."""
        status, method, route = (
            [FacetCountModel(value=value, count=count) for value, count in counts]
            for counts in (facets.status, facets.method, facets.route)
        )
        return cls(
            status=status,
            method=method,
            route=route,
            total=facets.total,
            exact=facets.exact,
            complete=facets.complete,
        )


class CallModel(BaseModel):
    """One API call."""

    id: str = Field(description="UUIDv7")
    tenant: str = Field(description="Whose")
    started_at: Moment = Field(description="First byte of the request")
    kind: str = Field(description="`http`, `websocket` or `call` (a wrapped callable)")
    method: str = Field(description="Method")
    route: str | None = Field(description="Route template; null when no route matched")
    path: str = Field(description="Path as requested, without the query")
    status: int = Field(description="Status of the answer; 0 when the client left before there was one")
    total_ms: float = Field(description="Until the last byte of the answer")
    ttfb_ms: float = Field(description="Until the first byte of the answer")
    background_ms: float = Field(description="Background work after the last byte")
    request_bytes: int = Field(description="Body bytes received")
    response_bytes: int = Field(description="Body bytes sent")
    user: str = Field(description="User; empty when anonymous")
    api_key: str = Field(description="Id of the API key; empty when none")
    client_ip: str = Field(description="Client address; empty when unknown")
    trace_id: str = Field(description="W3C trace id")
    span_id: str = Field(description="Our span")
    parent_id: str = Field(description="Caller's span; empty when the trace starts here")
    user_agent: str = Field(description="User agent")
    limited_by: str = Field(description="Rule that refused it; empty when let through")
    disconnected: bool = Field(description="Whether the client left before the last byte")
    error_group: str = Field(description="Digest of its error group; empty when there was no exception")
    error: str = Field(description="Type and message of the exception, secrets masked")

    @classmethod
    def of(cls, call: ApiCall) -> CallModel:
        """Show a call."""
        return cls(
            id=call.id,
            tenant=call.tenant,
            started_at=call.started_at,
            kind=call.kind,
            method=call.method,
            route=call.route,
            path=call.path,
            status=call.status,
            total_ms=_ms(call.total_us),
            ttfb_ms=_ms(call.ttfb_us),
            background_ms=_ms(call.background_us),
            request_bytes=call.request_bytes,
            response_bytes=call.response_bytes,
            user=call.user,
            api_key=call.api_key,
            client_ip=call.client_ip,
            trace_id=call.trace_id,
            span_id=call.span_id,
            parent_id=call.parent_id,
            user_agent=call.user_agent,
            limited_by=call.limited_by,
            disconnected=call.disconnected,
            error_group=call.error_group,
            error=call.error,
        )


class OwnTimeModel(BaseModel):
    """What passing the middleware costs a request: the time of ours in it, without the app's and the server's."""

    weighed: int = Field(description="Requests that it was taken from: the latest of those that were weighed")
    mean_ms: float = Field(description="On average")
    p50_ms: float = Field(description="Of half of them at most")
    p99_ms: float = Field(description="Of 99 % of them at most")

    @classmethod
    def of(cls, own: OwnTime) -> OwnTimeModel:
        """Show what a request costs."""
        return cls(
            weighed=own.weighed,
            mean_ms=own.mean / 1_000_000,
            p50_ms=own.p50 / 1_000_000,
            p99_ms=own.p99 / 1_000_000,
        )


class OwnFiguresModel(BaseModel):
    """How the monitor itself is doing in the process that answers, since its start."""

    recorded: int = Field(description="Calls recorded")
    overflowed: int = Field(description="Calls counted as `(overflow)`, because there were too many series")
    shed_requests: int = Field(description="Calls that are in no figure, because the store was away for too long")
    shed_calls: int = Field(description="Single calls that were not kept; their figures were")
    waiting_calls: int = Field(description="Single calls that wait to be written")
    capacity: int = Field(description="Single calls that may wait")
    waiting_batches: int = Field(description="Batches that wait to be written")
    flushes: int = Field(description="Flushes that wrote everything")
    flush_failures: int = Field(description="Attempts that the store refused")
    last_flush_ms: float = Field(description="How long the last flush took")
    last_success_at: Moment = Field(description="When everything was last written")
    own_time: OwnTimeModel | None = Field(description="What a request costs; null before one was weighed")

    @classmethod
    def of(cls, own: OwnFigures) -> OwnFiguresModel:
        """Show the monitor's own figures."""
        return cls(
            recorded=own.recorded,
            overflowed=own.overflowed,
            shed_requests=own.shed_requests,
            shed_calls=own.shed_calls,
            waiting_calls=own.waiting_calls,
            capacity=own.capacity,
            waiting_batches=own.waiting_batches,
            flushes=own.flushes,
            flush_failures=own.flush_failures,
            last_flush_ms=_ms(own.last_flush_us),
            last_success_at=own.last_success_at,
            own_time=None if own.own_time is None else OwnTimeModel.of(own.own_time),
        )


class ApiHealthModel(BaseModel):
    """How the API is doing."""

    state: Health = Field(description="healthy, degraded or unhealthy, judged over the last five minutes")
    reasons: list[str] = Field(description="One sentence for each thing that is not as it should be")
    figures: dict[str, float] = Field(description="The figures that were judged")
    analytics: AnalyticsModel = Field(description="What happened in the stretch asked for")
    slow_endpoints: list[EndpointModel] = Field(description="The slowest endpoints by p95")
    errors: list[ErrorGroupModel] = Field(description="Open kinds of errors, the latest first")
    monitor: OwnFiguresModel | None = Field(description="The monitor itself; null for who sees one tenant only")

    @classmethod
    def of(
        cls,
        health: SystemHealth,
        analytics: ApiAnalytics,
        slow: list[EndpointStats],
        errors: list[ErrorGroup],
        own: OwnFigures | None,
    ) -> ApiHealthModel:
        """Show it at a glance."""
        return cls(
            state=health.state,
            reasons=list(health.reasons),
            figures=dict(health.figures),
            analytics=AnalyticsModel.of(analytics),
            slow_endpoints=[EndpointModel.of(endpoint) for endpoint in slow],
            errors=[ErrorGroupModel.of(group) for group in errors],
            monitor=None if own is None else OwnFiguresModel.of(own),
        )


def _ms(micros: float) -> float:
    return round(micros / 1_000, 3)
