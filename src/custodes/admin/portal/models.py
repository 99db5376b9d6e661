"""What the portal tells a customer, and takes: nothing of other tenants, nothing of the inside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from custodes.admin.fields import Moment
from custodes.admin.routes.outbound_models import AttemptModel
from custodes.kernel.bearer import MAX_TOKEN
from custodes.planes.outbound.addresses import MAX_URL
from custodes.planes.outbound.endpoints import Created
from custodes.planes.outbound.filters import MAX_TYPES
from custodes.planes.outbound.headers import MAX_HEADERS
from custodes.planes.outbound.model import (
    Attempt,
    AuthKind,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointState,
    EventType,
    Message,
    Signature,
)
from custodes.planes.outbound.portal import PortalLink, Scope
from custodes.planes.outbound.rules import MAX_TEXT


class OpenBody(BaseModel):
    """What stands in the link behind the ``#``."""

    token: str = Field(min_length=1, max_length=MAX_TOKEN, description="The token")


class PortalSessionModel(BaseModel):
    """What the link lets one do, and how long."""

    scope: Scope = Field(description="Whether one may look only, or manage")
    expires_at: Moment = Field(description="When the link ends")
    max_endpoints: int = Field(description="Endpoints that there may be before no more can be added")
    csrf_token: str = Field(description="Send as `X-CSRF-Token` with requests that change something")

    @classmethod
    def of(cls, link: PortalLink, csrf: str) -> PortalSessionModel:
        """Tell a link."""
        return cls(scope=link.scope, expires_at=link.expires_at, max_endpoints=link.max_endpoints, csrf_token=csrf)


class EndpointModel(BaseModel):
    """An endpoint, without its secrets."""

    id: str = Field(description="UUIDv7")
    url: str = Field(description="Where it is")
    description: str = Field(description="What it is for")
    event_types: list[str] = Field(description="Types of events it gets")
    header_names: list[str] = Field(description="Names of the headers that are sent along; their values are not told")
    auth: AuthKind = Field(description="How we prove who we are, beside the signature")
    signature: Signature = Field(description="How deliveries are signed (Standard Webhooks)")
    rate: float = Field(description="Deliveries a second, at most; 0: as many as come")
    state: EndpointState = Field(description="Whether it gets webhooks")
    state_reason: str = Field(description="Why it was disabled; else empty")
    success_count: int = Field(description="Deliveries that were answered with 2xx")
    failure_count: int = Field(description="Attempts that were not")
    last_success_at: Moment | None = Field(description="When the last success was; null when never")
    last_failure_at: Moment | None = Field(description="When the last failure was; null when never")
    created_at: Moment = Field(description="When it was made")
    updated_at: Moment = Field(description="When it was changed last")

    @classmethod
    def of(cls, endpoint: Endpoint) -> EndpointModel:
        """Tell an endpoint."""
        return cls.model_validate(_told(endpoint))


class CreatedEndpoint(EndpointModel):
    """An endpoint with a new secret."""

    secret: str = Field(description="Signing secret `whsec_…` (Standard Webhooks v1); shown this once")
    public_key: str = Field(description="Public key `whpk_…` (Standard Webhooks v1a); empty when none signs")

    @classmethod
    def made(cls, created: Created) -> CreatedEndpoint:
        """Tell an endpoint and its secret."""
        shown = {"secret": created.secret, "public_key": created.public_key}
        return cls.model_validate({**_told(created.endpoint), **shown})


def _told(endpoint: Endpoint) -> dict[str, Any]:
    options = endpoint.options
    same = ("id", "url", "description", "event_types", "state", "success_count", "failure_count", "created_at")
    return {
        **{name: getattr(endpoint, name) for name in (*same, "updated_at")},
        "header_names": sorted(options.headers),
        "auth": options.auth,
        "signature": options.signature,
        "rate": options.rate,
        # Why a person of the operator's paused it is the operator's.
        "state_reason": endpoint.state_reason if endpoint.state is EndpointState.DISABLED else "",
        "last_success_at": endpoint.last_success_at or None,
        "last_failure_at": endpoint.last_failure_at or None,
    }


_Url = Annotated[str, Field(min_length=1, max_length=MAX_URL, description="Absolute `https` URL, without credentials")]
_EventTypes = Annotated[
    list[str], Field(min_length=1, max_length=MAX_TYPES, description="`order.shipped`, `order.*` or `*`")
]
_Description = Annotated[str, Field(max_length=MAX_TEXT, description="What it is for")]
_Headers = Annotated[
    dict[str, str], Field(max_length=MAX_HEADERS, description="Headers to send; their values are kept")
]
_Rate = Annotated[float, Field(ge=0, le=10_000, description="Deliveries a second, at most; 0: as many as come")]


class NewEndpoint(BaseModel):
    """An endpoint to add."""

    url: _Url
    event_types: _EventTypes = ["*"]
    description: _Description = ""
    headers: _Headers = {}
    rate: _Rate = 0


class EndpointChange(BaseModel):
    """What to change; what is left out stays. Headers are given all anew, or not at all."""

    url: _Url | None = None
    event_types: _EventTypes | None = None
    description: _Description | None = None
    headers: _Headers | None = None
    rate: _Rate | None = None


class CustomerDelivery(BaseModel):
    """One event on its way to one endpoint."""

    id: str = Field(description="UUIDv7")
    message_id: str = Field(description="What the receiver sees as `webhook-id`")
    endpoint_id: str = Field(description="To where")
    event_type: str = Field(description="What happened")
    status: DeliveryStatus = Field(description="Where it is")
    attempts: int = Field(description="Attempts so far")
    created_at: Moment = Field(description="When it was made")
    finished_at: Moment | None = Field(description="When it ended; null while it has not")
    next_attempt_at: Moment | None = Field(description="When the next attempt is due; null when there is none")
    last_status: int | None = Field(description="HTTP status of the last answer; null when there was none")
    error: str = Field(description="What went wrong last; empty when nothing did")

    @classmethod
    def of(cls, delivery: Delivery) -> CustomerDelivery:
        """Tell a delivery."""
        return cls.model_validate({name: getattr(delivery, name) for name in CustomerDelivery.model_fields})


class CustomerDeliveryInFull(CustomerDelivery):
    """A delivery: what is sent, and what came of each attempt."""

    content_type: str = Field(description="Kind of the body")
    body: str = Field(description="The exact bytes: as text, or as base64 when they are no UTF-8")
    body_encoding: str = Field(description="`text` or `base64`")
    tries: list[AttemptModel] = Field(description="Attempts, newest first")

    @classmethod
    def in_full(
        cls, delivery: Delivery, message: Message, body: bytes, attempts: Sequence[Attempt]
    ) -> CustomerDeliveryInFull:
        """Tell a delivery with everything."""
        try:
            shown = {"body": body.decode("utf-8"), "body_encoding": "text"}
        except UnicodeDecodeError:
            shown = {"body": base64.b64encode(body).decode("ascii"), "body_encoding": "base64"}
        return cls.model_validate(
            {
                **{name: getattr(delivery, name) for name in CustomerDelivery.model_fields},
                **shown,
                "content_type": message.content_type,
                "tries": [AttemptModel.of(attempt) for attempt in attempts],
            }
        )


class CatalogueEntry(BaseModel):
    """One type of events."""

    name: str = Field(description="`order.shipped`")
    description: str = Field(description="What it means")
    payload_schema: dict[str, Any] | None = Field(description="JSON Schema of the payload; null: anything goes")
    example: Any = Field(description="A payload as it may be")

    @classmethod
    def of(cls, event_type: EventType) -> CatalogueEntry:
        """Tell an event type."""
        return cls.model_validate(
            {
                "name": event_type.name,
                "description": event_type.description,
                "payload_schema": event_type.schema,
                "example": event_type.example,
            }
        )


class RecoveredModel(BaseModel):
    """What is sent again."""

    deliveries: int = Field(description="How many")
