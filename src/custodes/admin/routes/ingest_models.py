"""What apps in other languages send, and what they are answered."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, Field, ValidationError, WithJsonSchema

from custodes.admin.fields import Body
from custodes.errors import CustodesError, InvalidInput
from custodes.kernel.clock import from_datetime
from custodes.kernel.signing import base64_bytes
from custodes.planes.metrics.model import Kind
from custodes.planes.traffic.report import CallReport

#: Metrics and API calls in one request, at most.
MAX_ITEMS = 1_000

#: Audit events in one request, at most: each is on the disk before the answer.
MAX_EVENTS = 200

M = TypeVar("M", bound=BaseModel)


class MetricItem(Body):
    """One measurement."""

    kind: Kind = Field(description="`counter`: add `value`; `gauge`: the level is `value`; `histogram`: one value")
    name: str = Field(min_length=1, max_length=100, description="Name of the metric, such as `orders.created`")
    value: float = Field(default=1, allow_inf_nan=False, description="The number")
    labels: dict[str, str] = Field(default_factory=dict, description="At most 10")
    tenant: str | None = Field(default=None, max_length=64, description="Whose; default: that of the key")


class AuditItem(Body):
    """One thing that happened."""

    action: str = Field(min_length=1, max_length=100, description="`noun.verb` in lower case: `member.removed`")
    actor: str = Field(min_length=1, max_length=250, description="Who, as `type:id`: `user:42`")
    impersonator: str = Field(default="", max_length=250, description="Who acted in the actor's name, as `type:id`")
    effective: str = Field(default="", max_length=250, description="Whose rights were used, as `type:id`")
    targets: list[str] = Field(default_factory=list, max_length=50, description="What it was done to, as `type:id`")
    outcome: str = Field(default="success", description="`success`, `failure` or `denied`")
    reason: str = Field(default="", max_length=2_000, description="Why")
    ip: str = Field(default="", max_length=64, description="Client address")
    trace_id: str = Field(default="", max_length=64, description="W3C trace id")
    context: dict[str, Any] = Field(default_factory=dict, description="Small facts beside it; no secrets")
    changes: list[tuple[str, Any, Any]] = Field(
        default_factory=list, max_length=50, description="Fields that changed: path, old value, new value"
    )
    labels: dict[str, str] = Field(default_factory=dict, description="Names and values to find it by, at most 50")
    time: AwareDatetime | None = Field(default=None, description="When it happened (RFC 3339); default: now")
    idempotency_key: str = Field(
        default="", max_length=200, description="The same event sent again with the same key is recorded once"
    )
    tenant: str | None = Field(default=None, max_length=64, description="Whose; default: that of the key")


class CallItem(Body):
    """One API call that your app has answered."""

    method: str = Field(min_length=1, max_length=32, description="Upper-case method")
    route: str | None = Field(
        default=None, max_length=512, description="Route template, `/items/{id}`; null: unmatched"
    )
    status: int = Field(ge=0, le=599, description="Status of the answer; 0: the client left before there was one")
    duration_us: int = Field(ge=0, description="Until the last byte of the answer, microseconds")
    ttfb_us: int | None = Field(default=None, ge=0, description="Until the first byte, microseconds")
    started_at: AwareDatetime | None = Field(default=None, description="First byte of the request (RFC 3339)")
    path: str = Field(default="", max_length=2_048, description="Path as requested, without the query")
    request_bytes: int = Field(default=0, ge=0, description="Body bytes received")
    response_bytes: int = Field(default=0, ge=0, description="Body bytes sent")
    user: str = Field(default="", max_length=256, description="User")
    api_key: str = Field(default="", max_length=256, description="Id of the API key, never the key")
    client_ip: str = Field(default="", max_length=64, description="Client address")
    user_agent: str = Field(default="", max_length=256, description="User agent")
    trace_id: str = Field(default="", max_length=32, description="W3C trace id")
    error_type: str = Field(default="", max_length=128, description="Type of the exception")
    error_message: str = Field(default="", max_length=1_000, description="Message of the exception")
    tenant: str | None = Field(default=None, max_length=64, description="Whose; default: that of the key")

    def report(self, tenant: str | None) -> CallReport:
        """Make the report of it."""
        values = self.model_dump(exclude={"duration_us", "started_at", "tenant"})
        started_at = None if self.started_at is None else from_datetime(self.started_at)
        return CallReport(**values, total_us=self.duration_us, started_at=started_at, tenant=tenant or "")


class WebhookItem(Body):
    """One event for your customers' endpoints."""

    event_type: str = Field(min_length=1, max_length=100, description="What happened: `order.shipped`")
    payload: Any = Field(default=None, description="Becomes `data` of what is sent")
    body: str | None = Field(
        default=None, max_length=1_400_000, description="What is sent exactly, as base64, instead of a payload"
    )
    content_type: str = Field(default="application/json", max_length=100, description="Kind of the body")
    idempotency_key: str = Field(
        default="", max_length=255, description="The same event sent again with the same key is emitted once"
    )
    order_key: str = Field(default="", max_length=255, description="Deliveries of one key keep their order")
    channels: list[str] = Field(default_factory=list, max_length=10, description="Channels it belongs to")
    trace_id: str = Field(default="", max_length=32, description="W3C trace id")
    tenant: str | None = Field(default=None, max_length=64, description="Whose; default: that of the key")

    def content(self) -> object:
        """Return what is to be sent.

        Raises:
            InvalidInput: the body is no base64.
        """
        if self.body is None:
            return self.payload
        raw = base64_bytes(self.body)
        if raw is None:
            msg = "The body is not base64"
            raise InvalidInput(msg, remedy="Encode the bytes with standard base64, or give a payload")
        return raw


def _list_of(model: type[BaseModel], most: int) -> WithJsonSchema:
    """Describe a list in the document whose items are checked one by one, so that one bad item hurts only itself."""
    return WithJsonSchema({"type": "array", "minItems": 1, "maxItems": most, "items": model.model_json_schema()})


class MetricBatch(Body):
    """Measurements."""

    items: Annotated[list[Any], _list_of(MetricItem, MAX_ITEMS)] = Field(min_length=1, max_length=MAX_ITEMS)


class AuditBatch(Body):
    """Audit events."""

    items: Annotated[list[Any], _list_of(AuditItem, MAX_EVENTS)] = Field(min_length=1, max_length=MAX_EVENTS)


class CallBatch(Body):
    """API calls."""

    items: Annotated[list[Any], _list_of(CallItem, MAX_ITEMS)] = Field(min_length=1, max_length=MAX_ITEMS)


class WebhookBatch(Body):
    """Events for your customers' endpoints."""

    items: Annotated[list[Any], _list_of(WebhookItem, MAX_EVENTS)] = Field(min_length=1, max_length=MAX_EVENTS)


class ItemResult(BaseModel):
    """What became of one item."""

    index: int = Field(description="Its place in the request, from 0")
    accepted: bool = Field(description="Whether it was taken")
    id: str = Field(default="", description="Id that it got; audit events and webhook events only")
    error: str = Field(default="", description="Why it was not taken; empty when it was")


class IngestResult(BaseModel):
    """What became of a batch."""

    accepted: int = Field(description="Items taken")
    refused: int = Field(description="Items not taken; sending them again unchanged does not help")
    results: list[ItemResult] = Field(description="One entry an item, in the order of the request")

    @classmethod
    def of(cls, results: list[ItemResult]) -> IngestResult:
        """Count the results."""
        accepted = sum(result.accepted for result in results)
        return cls(accepted=accepted, refused=len(results) - accepted, results=results)


def parsed(model: type[M], item: object) -> M:
    """Read one item.

    Raises:
        InvalidInput: a field is missing, unknown or wrong; names it, never shows its value.
    """
    try:
        return model.model_validate(item)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:64] for part in fault["loc"][:4]) or "item"
        raise InvalidInput(f"{where}: {fault['msg']}"[:300]) from None


def refusal(index: int, error: CustodesError) -> ItemResult:
    """Say why an item was not taken."""
    return ItemResult(index=index, accepted=False, error=str(error)[:500])
