"""Field types that mean the same in every answer and every query of the admin API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, from_datetime, to_iso
from custodes.kernel.spelling import nearest


class Body(BaseModel):
    """What a request says: a field that there is not is refused, for it said something that would not be done.

    A block of a `duration` (it is `duration_seconds`) would never end.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_known_fields(cls, given: Any) -> Any:
        if isinstance(given, dict):
            told = cast("dict[Any, Any]", given)
            known = {field.alias or name for name, field in cls.model_fields.items()}
            for name in told:
                if name not in known:
                    # Half of a surrogate pair, which JSON can spell, is in no answer.
                    short = str(name)[:64].encode("utf-8", "backslashreplace").decode()
                    raise PydanticCustomError(
                        "unknown_field",
                        "There is no field {name}{nearest}; fields are {known}",
                        {"name": short, "nearest": nearest(short, known), "known": ", ".join(sorted(known))},
                    )
            return told
        return given


#: A moment in an answer: hand it the microseconds, it is written as RFC 3339 in UTC.
Moment = Annotated[
    int,
    PlainSerializer(to_iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-23T05:34:00.000001Z"]}),
]

#: The id of a thing in a path: a UUIDv7 in its 36 characters.
Identifier = Annotated[
    str,
    Path(
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$",
        min_length=36,
        max_length=36,
        description="Id (UUIDv7)",
    ),
]


class FacetCountModel(BaseModel):
    """How many rows of a list have a value."""

    value: str = Field(description="The value")
    count: int = Field(description="Rows that have it")


#: What a list or an analysis looks back on when the caller names no ``since``.
DEFAULT_RANGE = DAY


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of time, ``since`` included, ``until`` not."""

    #: Begin, microseconds since the epoch.
    since: int
    #: End, microseconds since the epoch.
    until: int

    def told(self) -> dict[str, str]:
        """Tell it as the audit trail does."""
        return {"since": to_iso(self.since), "until": to_iso(self.until)}


def time_range(
    request: Request,
    since: Annotated[
        AwareDatetime | None, Query(description="From this moment on (RFC 3339); default: a day before `until`")
    ] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this moment (RFC 3339); default: now")] = None,
) -> Range:
    """Read ``since`` and ``until`` of a query.

    Raises:
        InvalidInput: ``since`` is not before ``until``.
    """
    end = request.app.state.custodes.clock.now() + 1 if until is None else max(0, from_datetime(until))
    begin = max(0, end - DEFAULT_RANGE) if since is None else max(0, from_datetime(since))
    if begin >= end:
        msg = "since is not before until"
        raise InvalidInput(msg, remedy="Swap them, or leave one out")
    return Range(begin, end)


#: The stretch of time that a route looks at: query ``since`` and ``until``.
TimeRange = Annotated[Range, Depends(time_range)]


def beside(
    beside: Annotated[
        AwareDatetime | None,
        Query(
            description="Begin of a stretch as long that is drawn in the same chart (RFC 3339): steps are as wide as "
            "both can have"
        ),
    ] = None,
) -> int | None:
    """Read ``beside`` of a query: microseconds since the epoch."""
    return None if beside is None else max(0, from_datetime(beside))


#: The stretch of time that a chart is compared with: query ``beside``.
Beside = Annotated[int | None, Depends(beside)]

#: Why somebody does it: query ``reason``.
Reason = Annotated[str, Query(max_length=500, description="Why, for the audit trail")]
