"""System metrics and the health of every system."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from custodes.admin.dependencies import Admin, CustodesDep, TenantScope, Trail
from custodes.admin.exports import STREAMED, Export, ExportQuery
from custodes.admin.fields import Beside, Moment, TimeRange
from custodes.admin.own_metrics import SeesBuiltIn, check_seen
from custodes.admin.paging import PageModel, PageQuery
from custodes.errors import InvalidInput
from custodes.kernel.clock import SECOND
from custodes.kernel.health import Health, name_of
from custodes.planes.metrics.analytics import MAX_SERIES
from custodes.planes.metrics.health import HealthReport
from custodes.planes.metrics.model import Answer, Course, Kind, Line, MetricInfo
from custodes.planes.metrics.model import Query as MetricQuery
from custodes.planes.metrics.takeout import Bucket

router = APIRouter()

Name = Annotated[str, Query(min_length=1, max_length=100, description="Name of the metric")]
Aggregation = Annotated[
    str,
    Query(
        pattern=r"^(rate|count_rate|sum|count|avg|min|max|last|p[0-9]{1,2}(\.[0-9]{1,3})?)$",
        max_length=10,
        description="`rate`, `count_rate`, `sum`, `count`, `avg`, `min`, `max`, `last`, or a percentile such as `p95`",
    ),
]
LabelFilters = Annotated[
    list[Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,63}:")]],
    Query(alias="label", max_length=10, description="Only series with this label, `name:value`; repeatable"),
]


class MetricModel(BaseModel):
    """A metric that exists."""

    tenant: str = Field(description="Whose it is")
    name: str = Field(description="Its name")
    kind: Kind = Field(description="What the numbers mean")
    series: int = Field(description="Series known under the name")
    last_seen: Moment = Field(description="When it was last written, to the hour")

    @classmethod
    def of(cls, info: MetricInfo) -> MetricModel:
        """Tell a metric."""
        return cls.model_validate(info, from_attributes=True)


class PointModel(BaseModel):
    """One point of a line."""

    at: Moment = Field(description="Start of the step")
    value: float = Field(description="Value of the step")


class CourseModel(MetricModel):
    """A metric at a glance: one line over a range, all its series in one."""

    aggregation: str = Field(description="`sum` of a counter, `last` of a gauge, `p95` of a histogram")
    step_seconds: int = Field(description="Width of a step")
    points: list[PointModel] = Field(description="Steps that have a value, oldest first")
    value: float | None = Field(
        description="Sum over the range for a counter, else the value of the last step; null when nothing was measured"
    )

    @classmethod
    def told(cls, course: Course) -> CourseModel:
        """Tell a course."""
        return cls(
            **MetricModel.of(course.metric).__dict__,
            aggregation=course.aggregation,
            step_seconds=course.step // SECOND,
            points=[PointModel(at=point.at, value=point.value) for point in course.points],
            value=course.value,
        )


class LineModel(BaseModel):
    """One line of an answer."""

    labels: dict[str, str] = Field(description="Labels that all series in it share")
    points: list[PointModel] = Field(description="Steps that have a value, oldest first")

    @classmethod
    def of(cls, line: Line) -> LineModel:
        """Tell a line."""
        points = [PointModel(at=point.at, value=point.value) for point in line.points]
        return cls(labels=dict(line.labels), points=points)


class SeriesModel(BaseModel):
    """What a query found."""

    name: str = Field(description="Name of the metric")
    kind: Kind | None = Field(description="What the numbers mean; null when nothing is known under the name")
    aggregation: str = Field(description="How the numbers of a step became one")
    step_seconds: int = Field(description="Width of a step")
    lines: list[LineModel] = Field(description="The lines, greatest last value first")
    hidden: int = Field(description="Lines behind these: more than an answer holds")

    @classmethod
    def of(cls, query: MetricQuery, answer: Answer) -> SeriesModel:
        """Tell an answer."""
        return cls(
            name=query.name,
            kind=answer.kind,
            aggregation=query.aggregation,
            step_seconds=answer.step // SECOND,
            lines=[LineModel.of(line) for line in answer.lines],
            hidden=answer.hidden,
        )


class RankedModel(BaseModel):
    """One value of a label and its share."""

    value: str = Field(description="Value of the label; empty for series without it")
    figure: float = Field(description="Figure over the whole range")


class TopModel(BaseModel):
    """Values of a label, greatest first."""

    label: str = Field(description="Name of the label")
    items: list[RankedModel] = Field(description="Greatest first")


class BucketModel(BaseModel):
    """What was measured of one series in one stretch of time."""

    tenant: str = Field(description="Whose")
    name: str = Field(description="Name of the metric")
    kind: Kind = Field(description="What the numbers mean")
    labels: dict[str, str] = Field(description="Labels of the series")
    at: Moment = Field(description="Start of the bucket")
    step_seconds: int = Field(description="Width of the bucket")
    count: int = Field(description="Measurements")
    sum: float = Field(description="Sum of their values")
    min: float = Field(description="Least value")
    max: float = Field(description="Greatest value")
    last: float = Field(description="Value of the last measurement")
    p50: float | None = Field(description="Median; null unless it is a histogram")
    p95: float | None = Field(description="95th percentile; likewise")
    p99: float | None = Field(description="99th percentile; likewise")

    @classmethod
    def of(cls, bucket: Bucket) -> BucketModel:
        """Tell a bucket."""
        return cls(
            tenant=bucket.tenant,
            name=bucket.name,
            kind=bucket.kind,
            labels=dict(bucket.labels),
            at=bucket.at,
            step_seconds=bucket.width // SECOND,
            count=bucket.count,
            sum=bucket.total,
            min=bucket.minimum,
            max=bucket.maximum,
            last=bucket.last,
            p50=bucket.p50,
            p95=bucket.p95,
            p99=bucket.p99,
        )


class SystemModel(BaseModel):
    """Health of one system."""

    system: str = Field(description="`storage`, `webhooks`, `api`, …")
    name: str = Field(description="What people call it, as in alerts and notices: `Incoming webhooks`")
    state: Health = Field(description="Its state")
    reasons: list[str] = Field(description="One sentence for each thing that is not as it should be")
    figures: dict[str, float] = Field(
        description="Figures that were judged; those of what all tenants share are empty for an admin of one"
    )
    own: bool = Field(description="Whether it was judged by what the tenant does alone; what all share is false")

    @classmethod
    def all_of(cls, report: HealthReport) -> list[SystemModel]:
        """Tell every system."""
        return [
            cls(
                system=one.system,
                name=name_of(one.system),
                state=one.state,
                reasons=list(one.reasons),
                figures=dict(one.figures),
                own=one.system in report.own,
            )
            for one in report.systems
        ]


_BUCKETS = Export("system-metrics", BucketModel, BucketModel.of)


class HealthModel(BaseModel):
    """Health of everything."""

    at: Moment = Field(description="When it was asked")
    overall: Health = Field(description="The worst of all systems")
    systems: list[SystemModel] = Field(description="Each system")


@router.get("/health")
async def health(custodes: CustodesDep, admin: Admin) -> HealthModel:
    """Tell how every system is, with the reasons and the figures."""
    report = await report_for(custodes, admin.tenant)
    return HealthModel(at=report.at, overall=report.overall, systems=SystemModel.all_of(report))


async def report_for(custodes: CustodesDep, tenant: str | None) -> HealthReport:
    """Tell how everything is: for one tenant, or as a whole."""
    return await (custodes.health.check() if tenant is None else custodes.health.check_tenant(tenant))


@router.get("/system-metrics")
async def list_metrics(
    custodes: CustodesDep, tenant: TenantScope, sees: SeesBuiltIn, page: PageQuery
) -> PageModel[MetricModel]:
    """List the metrics that exist, by tenant and name."""
    own = None if sees else True
    found = await custodes.metrics.catalogue.list(tenant=tenant, own=own, limit=page.limit, cursor=page.cursor)
    return PageModel[MetricModel].of(found, MetricModel.of)


@router.get("/system-metrics/courses")
async def list_courses(
    custodes: CustodesDep,
    tenant: TenantScope,
    sees: SeesBuiltIn,
    when: TimeRange,
    page: PageQuery,
    own: Annotated[
        bool | None,
        Query(description="True: those of the app; false: those that Custodes measures by itself; default: both"),
    ] = None,
) -> PageModel[CourseModel]:
    """List metrics by tenant and name, 50 at once at most, each with one line over the range."""
    if not sees and own is False:
        return PageModel[CourseModel](items=[], next_cursor=None)
    found = await custodes.metrics.catalogue.courses(
        when.since, when.until, tenant=tenant, own=own if sees else True, limit=page.limit, cursor=page.cursor
    )
    return PageModel[CourseModel].of(found, CourseModel.told)


@router.get("/system-metrics/export", **STREAMED)
async def export_system_metrics(
    custodes: CustodesDep,
    tenant: TenantScope,
    sees: SeesBuiltIn,
    when: TimeRange,
    trail: Trail,
    wanted: ExportQuery,
    name: Annotated[str | None, Query(min_length=1, max_length=100, description="Only this metric")] = None,
    step_seconds: Annotated[
        int, Query(ge=0, le=31_536_000, description="Width of a bucket; 0: the finest that is kept of the whole range")
    ] = 0,
) -> StreamingResponse:
    """Stream all that is kept of every metric, by tenant, name and series; the last ten seconds are not in it yet."""
    rows = custodes.metrics.takeout.buckets(
        when.since, when.until, step=step_seconds * SECOND, name=name, tenant=tenant, own=None if sees else True
    )
    asked = {"name": name, "step_seconds": step_seconds or None, **when.told()}
    return await _BUCKETS.stream(trail, wanted, rows, asked=asked, tenant=tenant)


@router.get("/system-metrics/series")
async def get_series(
    custodes: CustodesDep,
    tenant: TenantScope,
    sees: SeesBuiltIn,
    when: TimeRange,
    name: Name,
    aggregation: Aggregation = "avg",
    step_seconds: Annotated[
        int, Query(ge=0, le=31_536_000, description="Width of a step; 0: about 300 points. Rounded up to what is kept")
    ] = 0,
    labels: LabelFilters = [],  # noqa: B006 - FastAPI copies it
    by: Annotated[
        list[Annotated[str, Field(max_length=64)]],
        Query(max_length=5, description="One line for each value of these labels; default: every series apart"),
    ] = [],  # noqa: B006
    merge: Annotated[bool, Query(description="All series in one line")] = False,
    skip: Annotated[
        int, Query(ge=0, le=MAX_SERIES, description="Lines to pass over: as many as the answers before had")
    ] = 0,
    beside: Beside = None,
) -> SeriesModel:
    """Answer with the lines of one metric over a range."""
    check_seen(name, sees)
    query = MetricQuery(
        name=name,
        aggregation=aggregation,
        since=when.since,
        until=when.until,
        step=step_seconds * SECOND,
        labels=_pairs(labels),
        by=by or (() if merge else None),
        tenant=tenant,
        beside=beside,
        skip=skip,
    )
    return SeriesModel.of(query, await custodes.metrics.query(query))


@router.get("/system-metrics/top")
async def get_top(
    custodes: CustodesDep,
    tenant: TenantScope,
    sees: SeesBuiltIn,
    when: TimeRange,
    name: Name,
    by: Annotated[str, Query(min_length=1, max_length=64, description="Label to rank")],
    aggregation: Aggregation = "avg",
    labels: LabelFilters = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=100, description="Values at most")] = 10,
) -> TopModel:
    """Rank the values of a label by a figure over the whole range."""
    check_seen(name, sees)
    query = MetricQuery(name, aggregation, when.since, when.until, labels=_pairs(labels), tenant=tenant)
    ranked = await custodes.metrics.top(query, by, limit)
    return TopModel(label=by, items=[RankedModel(value=one.value, figure=one.figure) for one in ranked])


def _pairs(filters: list[str]) -> dict[str, str]:
    pairs = dict(one.split(":", 1) for one in filters if ":" in one)
    if len(pairs) != len(filters):
        msg = "A label filter is not name:value, or a label is named twice"
        raise InvalidInput(msg, remedy="Write label=region:eu, one parameter for each label")
    return pairs
