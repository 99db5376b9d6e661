"""What the admin API says of kinds of errors."""

from __future__ import annotations

from pydantic import BaseModel, Field

from custodes.admin.fields import Moment
from custodes.kernel.clock import SECOND
from custodes.planes.traffic.model import FAILED_SCANNED, ErrorCourse, ErrorGroup, FailingEndpoint, GroupState


class ErrorGroupModel(BaseModel):
    """One kind of error."""

    id: str = Field(description="UUIDv7")
    tenant: str = Field(description="Whose")
    digest: str = Field(description="What its occurrences have in common; filter of `api-calls`")
    title: str = Field(description="Type and where it was raised")
    method: str = Field(description="Method of the first occurrence")
    route: str | None = Field(description="Route of the first occurrence; null when none matched")
    first_seen_at: Moment = Field(description="First occurrence")
    last_seen_at: Moment = Field(description="Last occurrence")
    count: int = Field(description="Occurrences since the moment asked for, or that are known")
    trace_id: str = Field(description="Trace of the last occurrence that was reported")
    traceback: str = Field(description="Traceback of the first occurrence, secrets masked")
    state: GroupState = Field(description="`open` or `resolved`; opens by itself when it occurs again")
    state_at: Moment = Field(description="When the state was last set")
    state_by: str = Field(description="By whom; empty when it opened by itself")

    @classmethod
    def of(cls, group: ErrorGroup) -> ErrorGroupModel:
        """Show a kind of error."""
        return cls(
            id=group.id,
            tenant=group.tenant,
            digest=group.digest,
            title=group.title,
            method=group.method,
            route=group.route,
            first_seen_at=group.first_seen_at,
            last_seen_at=group.last_seen_at,
            count=group.count,
            trace_id=group.trace_id,
            traceback=group.traceback,
            state=group.state,
            state_at=group.state_at,
            state_by=group.state_by,
        )


class OccurrencesModel(BaseModel):
    """One step of the course of an error."""

    at: Moment = Field(description="Begin of the step")
    count: int = Field(description="Occurrences in it")


class FailingEndpointModel(BaseModel):
    """An endpoint at which a kind of error was raised."""

    method: str = Field(description="Method")
    route: str | None = Field(description="Route template; null when no route matched")
    calls: int = Field(description="Single calls that are kept in which it was raised there")
    last_at: Moment = Field(description="The last of them")

    @classmethod
    def of(cls, endpoint: FailingEndpoint) -> FailingEndpointModel:
        """Show where an error was raised."""
        return cls(method=endpoint.method, route=endpoint.route, calls=endpoint.calls, last_at=endpoint.last_at)


class ErrorCourseModel(BaseModel):
    """How a kind of error occurred in a stretch of time."""

    since: Moment = Field(description="Begin of the first step")
    until: Moment = Field(description="End of the last step")
    step_seconds: int = Field(description="Width of a step")
    count: int = Field(description="Occurrences in all of it")
    series: list[OccurrencesModel] = Field(description="Step by step; those without an occurrence are left out")
    endpoints: list[FailingEndpointModel] = Field(
        description=f"Where it was raised, by the newest {FAILED_SCANNED} single calls in which it was"
    )

    @classmethod
    def of(cls, course: ErrorCourse) -> ErrorCourseModel:
        """Show the course of an error."""
        return cls(
            since=course.since,
            until=course.until,
            step_seconds=course.step // SECOND,
            count=course.count,
            series=[OccurrencesModel(at=at, count=count) for at, count in course.points.items()],
            endpoints=[FailingEndpointModel.of(endpoint) for endpoint in course.endpoints],
        )
