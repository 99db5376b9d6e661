"""One trace across the planes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from custodes.admin.dependencies import CustodesDep, TenantScope
from custodes.admin.fields import Moment
from custodes.traces import MAX_OF_A_KIND, SpanKind, SpanOutcome, Trace, read_trace

router = APIRouter()


class SpanModel(BaseModel):
    """One thing that happened in a trace."""

    kind: SpanKind = Field(description="What it is")
    plane: str = Field(description="Plane that it happened in")
    id: str = Field(
        description="Id of the API call, webhook event, delivery or audit entry; of an error: digest of its group"
    )
    parent: str | None = Field(description="Id of what it belongs to; null when it stands by itself")
    tenant: str = Field(description="Whose it is")
    at: Moment = Field(description="When it began")
    duration_us: int | None = Field(description="How long it took, microseconds; null: a moment")
    title: str = Field(description="What it was, in one line")
    detail: str = Field(description="What is known beside it; empty when nothing is")
    outcome: SpanOutcome = Field(description="How it went")


class TraceModel(BaseModel):
    """Everything with the same trace id, in order of time."""

    trace_id: str = Field(description="W3C trace id")
    spans: list[SpanModel] = Field(description="Earliest first")
    cut: bool = Field(description=f"Whether there is more: of each kind the newest {MAX_OF_A_KIND} are shown")

    @classmethod
    def of(cls, trace: Trace) -> TraceModel:
        """Tell a trace."""
        return cls.model_validate(trace, from_attributes=True)


#: A trace id as it is kept: the 32 hex digits of W3C, or what a caller of the audit trail gave.
TraceId = Annotated[str, Path(min_length=1, max_length=64, description="W3C trace id")]


@router.get("/traces/{trace_id}")
async def get_trace(trace_id: TraceId, custodes: CustodesDep, tenant: TenantScope) -> TraceModel:
    """Tell everything that has this trace id, across the planes, in order of time.

    Requests show up some seconds after they ended, with the next flush.
    """
    return TraceModel.of(await read_trace(custodes, trace_id, tenant=tenant))
