"""What the portal tells a customer, and takes: nothing of other tenants, nothing of the inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from custodes.admin.fields import Body, Moment
from custodes.admin.routes.outbound_models import (
    AttemptModel,
    BodyModel,
    CustomerDelivery,
    Description,
    EndpointModel,
    EventTypes,
    Headers,
    Url,
    WithSecretModel,
    body_of,
)
from custodes.kernel.bearer import MAX_TOKEN
from custodes.planes.outbound.analytics import Condition
from custodes.planes.outbound.model import (
    Attempt,
    AuthKind,
    Delivery,
    Endpoint,
    EndpointState,
    EventType,
    Message,
    Signature,
)
from custodes.planes.outbound.portal import PortalLink, Scope


class OpenBody(Body):
    """What stands in the link behind the ``#``."""

    token: str = Field(min_length=1, max_length=MAX_TOKEN, description="The token")


class PortalSessionModel(BaseModel):
    """What the link lets one do, and how long."""

    scope: Scope = Field(description="Whether one may look only, or manage")
    expires_at: Moment = Field(description="When the link ends")
    max_endpoints: int = Field(description="Endpoints that there may be before no more can be added")
    csrf_token: str = Field(description="Send as `X-CSRF-Token` with requests that change something")
    time_zone: str = Field(description="Zone that the tenant's moments are shown in (IANA); empty: the reader's own")

    @classmethod
    def of(cls, link: PortalLink, csrf: str, time_zone: str) -> PortalSessionModel:
        """Tell a link."""
        return cls(
            scope=link.scope,
            expires_at=link.expires_at,
            max_endpoints=link.max_endpoints,
            csrf_token=csrf,
            time_zone=time_zone,
        )


class CustomerEndpoint(EndpointModel):
    """An endpoint, without its secrets."""

    header_names: list[str] = Field(description="Names of the headers that are sent along; their values are not told")
    auth: AuthKind = Field(description="How we prove who we are, beside the signature")
    signature: Signature = Field(description="How deliveries are signed (Standard Webhooks)")
    rate: float = Field(description="Deliveries a second, at most; 0: as many as come")

    @classmethod
    def besides(cls, endpoint: Endpoint) -> dict[str, Any]:
        """Return what customers know; why a person of the operator's paused it is the operator's."""
        options = endpoint.options
        return {
            "header_names": sorted(options.headers),
            "auth": options.auth,
            "signature": options.signature,
            "rate": options.rate,
            "state_reason": endpoint.state_reason if endpoint.state is EndpointState.DISABLED else "",
        }


class ListedEndpoint(CustomerEndpoint):
    """An endpoint, and how it is."""

    condition: Condition = Field(description="How it is, by its last attempts and those of the last hour")


class CreatedEndpoint(WithSecretModel, CustomerEndpoint):
    """An endpoint with a new secret."""


_Rate = Annotated[float, Field(ge=0, le=10_000, description="Deliveries a second, at most; 0: as many as come")]


class NewEndpoint(Body):
    """An endpoint to add."""

    url: Url
    event_types: EventTypes = Field(default=["*"])
    description: Description = ""
    headers: Headers = Field(default={})
    rate: _Rate = 0


class EndpointChange(Body):
    """What to change; what is left out stays."""

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    headers: Headers | None = None
    rate: _Rate | None = None


class CustomerDeliveryInFull(BodyModel, CustomerDelivery):
    """A delivery: what is sent, and what came of each attempt."""

    content_type: str = Field(description="Kind of the body")
    tries: list[AttemptModel] = Field(description="Attempts, newest first")

    @classmethod
    def in_full(
        cls, delivery: Delivery, message: Message, body: bytes, attempts: Sequence[Attempt]
    ) -> CustomerDeliveryInFull:
        """Tell a delivery with everything."""
        return cls.model_validate(
            {
                **{name: getattr(delivery, name) for name in CustomerDelivery.model_fields},
                **body_of(body),
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
