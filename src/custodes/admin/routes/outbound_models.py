"""What the admin API tells of outgoing webhooks, and takes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, Field, SecretStr

from custodes.admin.fields import Body, Moment
from custodes.kernel.clock import HOUR, SECOND
from custodes.planes.outbound.addresses import MAX_URL
from custodes.planes.outbound.catalogue import MAX_NAME
from custodes.planes.outbound.catalogue import MAX_TEXT as MAX_MEANING
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
    Options,
    RetryPolicy,
    Signature,
)
from custodes.planes.outbound.rules import MAX_CHANNELS, MAX_RETRIES, MAX_TEXT, MAX_VERSION
from custodes.planes.outbound.trial import Trial

_DEFAULT = RetryPolicy()
_HOURS = Options().disable_after / HOUR


class RetryModel(Body):
    """How often and how long a delivery is tried."""

    schedule_seconds: list[Annotated[float, Field(ge=1, le=86_400)]] = Field(
        default=[wait / SECOND for wait in _DEFAULT.schedule],
        max_length=MAX_RETRIES,
        description="Waits after the first failure, the second, …; each is shortened or lengthened by up to 20 %",
    )
    timeout_seconds: float = Field(default=15, ge=1, le=60, description="Longest an attempt may take")

    @classmethod
    def of(cls, retry: RetryPolicy) -> RetryModel:
        """Tell a policy."""
        return cls(schedule_seconds=[wait / SECOND for wait in retry.schedule], timeout_seconds=retry.timeout / SECOND)

    def policy(self) -> RetryPolicy:
        """Make the policy."""
        return RetryPolicy(**self.asked())

    def asked(self) -> dict[str, Any]:
        """Return what was named, as the plane takes it."""
        asked: dict[str, Any] = {}
        if "schedule_seconds" in self.model_fields_set:
            asked["schedule"] = tuple(int(wait * SECOND) for wait in self.schedule_seconds)
        if "timeout_seconds" in self.model_fields_set:
            asked["timeout"] = int(self.timeout_seconds * SECOND)
        return asked


#: Headers of an endpoint: the values come in and never go out.
Headers = Annotated[
    dict[str, SecretStr | None],
    Field(
        max_length=MAX_HEADERS,
        description="Headers to send, all of them. Values are sealed and never told: null stands for each, and given "
        "back keeps the value that there is",
    ),
]


def plain_values(values: Mapping[str, SecretStr | None]) -> dict[str, str | None]:
    """Return what was given in secret."""
    return {name: None if value is None else value.get_secret_value() for name, value in values.items()}


class OptionsModel(Body):
    """What else an endpoint asks for."""

    match: dict[str, Any] = Field(default={}, description="Only payloads that match; empty: all")
    channels: list[str] = Field(default=[], max_length=MAX_CHANNELS, description="Only these channels; empty: all")
    headers: Headers = Field(default={})
    auth: AuthKind = Field(default=AuthKind.NONE, description="How we prove who we are")
    payload_version: str = Field(default="", max_length=MAX_VERSION, description="Version of payloads; empty: newest")
    signature: Signature = Field(default=Signature.V1, description="How deliveries are signed")
    rate: float = Field(default=0, ge=0, le=10_000, description="Deliveries a second, at most; 0: as many as come")
    concurrency: int = Field(default=10, ge=1, le=100, description="Deliveries at the same time from one process")
    ordered: bool = Field(default=False, description="Keep the order of deliveries with the same order key")
    disable_after_hours: float = Field(
        default=_HOURS, ge=0, le=2_160, description="Disabled after failing for so long; 0: never"
    )

    @classmethod
    def of(cls, options: Options) -> OptionsModel:
        """Tell options."""
        told = {name: getattr(options, name) for name in cls.model_fields if name != "disable_after_hours"}
        return cls(**told, disable_after_hours=options.disable_after / HOUR)

    def asked(self) -> dict[str, Any]:
        """Return what was named, as the plane takes it."""
        asked = {name: getattr(self, name) for name in self.model_fields_set}
        if "channels" in asked:
            asked["channels"] = tuple(self.channels)
        if "headers" in asked:
            asked["headers"] = plain_values(self.headers)
        if "disable_after_hours" in asked:
            asked["disable_after"] = int(asked.pop("disable_after_hours") * HOUR)
        return asked


#: What is given of an endpoint, by an administrator or in the portal.
EventTypes = Annotated[
    list[str], Field(min_length=1, max_length=MAX_TYPES, description="`order.shipped`, `order.*` or `*`")
]
Url = Annotated[str, Field(min_length=1, max_length=MAX_URL, description="Absolute `https` URL, without credentials")]
Description = Annotated[str, Field(max_length=MAX_TEXT, description="What it is for")]

_Credentials = Annotated[
    dict[str, SecretStr],
    Field(description="What `options.auth` takes: `username`, `password`; `token`; `token_url`, `client_id`, "
          "`client_secret`, `scope`, `audience`; `certificate`, `private_key`. Kept sealed, never shown"),
]  # fmt: skip


class EndpointModel(BaseModel):
    """What anyone who may see an endpoint is told of it; a subclass adds what its readers may know besides."""

    id: str = Field(description="UUIDv7")
    url: str = Field(description="Where it is")
    description: str = Field(description="What it is for")
    event_types: list[str] = Field(description="Types of events it gets")
    state: EndpointState = Field(description="Whether it gets webhooks")
    state_reason: str = Field(description="Why it is in this state; empty when enabled")
    success_count: int = Field(description="Deliveries that were answered with 2xx")
    failure_count: int = Field(description="Attempts that were not")
    last_success_at: Moment | None = Field(description="When the last success was; null when never")
    last_failure_at: Moment | None = Field(description="When the last failure was; null when never")
    created_at: Moment = Field(description="When it was made")
    updated_at: Moment = Field(description="When it was changed last")

    @classmethod
    def of(cls, endpoint: Endpoint, **more: Any) -> Self:
        """Tell an endpoint; ``more`` are fields that it does not have itself."""
        told = {
            **{name: getattr(endpoint, name) for name in EndpointModel.model_fields},
            "last_success_at": endpoint.last_success_at or None,
            "last_failure_at": endpoint.last_failure_at or None,
        }
        return cls.model_validate({**told, **cls.besides(endpoint), **more})

    @classmethod
    def besides(cls, endpoint: Endpoint) -> dict[str, Any]:
        """Return the fields of a subclass."""
        del endpoint
        return {}


class WithSecretModel(EndpointModel):
    """An endpoint with a new secret."""

    secret: str = Field(description="Signing secret `whsec_…` (Standard Webhooks v1); shown this once")
    public_key: str = Field(description="Public key `whpk_…` (Standard Webhooks v1a); empty when none signs")

    @classmethod
    def made(cls, created: Created) -> Self:
        """Tell an endpoint and its secret."""
        return cls.of(created.endpoint, secret=created.secret, public_key=created.public_key)


class ConfigurationModel(EndpointModel):
    """An endpoint, without its secrets."""

    tenant: str = Field(description="Whose it is")
    retry: RetryModel = Field(description="How deliveries are retried")
    options: OptionsModel = Field(description="What else it asks for")
    source: str = Field(description="Source of incoming webhooks that is forwarded to it; empty: it is a customer's")

    @classmethod
    def besides(cls, endpoint: Endpoint) -> dict[str, Any]:
        """Return what administrators know."""
        return {
            "tenant": endpoint.tenant,
            "retry": RetryModel.of(endpoint.retry),
            "options": OptionsModel.of(endpoint.options),
            "source": endpoint.source,
        }


class CreatedModel(WithSecretModel, ConfigurationModel):
    """An endpoint with a new secret."""


class NewConfiguration(Body):
    """An endpoint to add."""

    url: Url
    event_types: EventTypes = Field(default=["*"])
    description: Description = ""
    retry: RetryModel = Field(default_factory=RetryModel, description="How deliveries are retried")
    options: OptionsModel = Field(default_factory=OptionsModel, description="What else it asks for")
    credentials: _Credentials = Field(default={})


class ConfigurationChange(Body):
    """What to change; what is left out stays."""

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    retry: RetryModel | None = Field(default=None, description="How deliveries are retried; what is left out stays")
    options: OptionsModel | None = Field(default=None, description="What else it asks for; what is left out stays")
    credentials: _Credentials | None = None


class PauseBody(Body):
    """Why."""

    reason: str = Field(default="", max_length=MAX_TEXT, description="Why it is paused")


class ResumeBody(Body):
    """What happens to what was held."""

    recover: bool | None = Field(
        default=None, description="Send what was held; default: after a pause yes, after being disabled no"
    )


class RotateBody(Body):
    """How long the secrets before stay valid."""

    overlap_hours: float = Field(default=24, ge=0, le=168, description="Hours that the secrets before stay valid")


class PublicKeysModel(BaseModel):
    """Keys that verify `v1a` signatures (RFC 7517)."""

    keys: list[dict[str, str]] = Field(description="JWKs, newest first")


class MessageModel(BaseModel):
    """An event that was emitted."""

    id: str = Field(description="UUIDv7; receivers see it as `webhook-id`")
    tenant: str = Field(description="Whose it is")
    event_type: str = Field(description="What happened")
    created_at: Moment = Field(description="When it was emitted")
    idempotency_key: str = Field(description="Key of the emitter; empty when none")
    order_key: str = Field(description="Key that keeps order; empty when none")
    channels: list[str] = Field(description="Channels it belongs to")
    trace_id: str = Field(description="Trace that it belongs to; empty when none")
    content_type: str = Field(description="Kind of the body")

    @classmethod
    def of(cls, message: Message) -> MessageModel:
        """Tell a message."""
        return cls.model_validate({name: getattr(message, name) for name in MessageModel.model_fields})


class BodyModel(BaseModel):
    """What is sent."""

    body: str = Field(description="The exact bytes: as text, or as base64 when they are no UTF-8")
    body_encoding: str = Field(description="`text` or `base64`")


def body_of(body: bytes) -> dict[str, str]:
    """Return the fields of :class:`BodyModel`."""
    try:
        return {"body": body.decode("utf-8"), "body_encoding": "text"}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode("ascii"), "body_encoding": "base64"}


class MessageWithBody(BodyModel, MessageModel):
    """An event and what is sent."""

    @classmethod
    def with_body(cls, message: Message, body: bytes) -> MessageWithBody:
        """Tell a message and its body."""
        told = {name: getattr(message, name) for name in MessageModel.model_fields}
        return cls.model_validate({**told, **body_of(body)})


class CustomerDelivery(BaseModel):
    """One event on its way to one endpoint, as a customer sees it."""

    id: str = Field(description="UUIDv7")
    message_id: str = Field(description="What is delivered; the receiver sees it as `webhook-id`")
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
    def of(cls, delivery: Delivery) -> Self:
        """Tell a delivery."""
        return cls.model_validate({name: getattr(delivery, name) for name in cls.model_fields})


class DeliveryModel(CustomerDelivery):
    """One message on its way to one endpoint."""

    tenant: str = Field(description="Whose it is")


class HeaderModel(BaseModel):
    """One header that was sent, or came back."""

    name: str = Field(description="In lower case")
    value: str = Field(description="`[redacted]` when it is a secret")


class RequestModel(BaseModel):
    """One request, and what came of it."""

    started_at: Moment = Field(description="When it began")
    url: str = Field(description="Where it was sent")
    succeeded: bool = Field(description="Whether it was answered with 2xx")
    status: int | None = Field(description="HTTP status of the answer; null when there was none")
    error: str = Field(description="What went wrong; empty when nothing did")
    excerpt: str = Field(description="The beginning of the answer")
    dns_ms: float = Field(description="Looking the name up")
    connect_ms: float = Field(description="Connecting")
    tls_ms: float = Field(description="TLS handshake")
    first_byte_ms: float = Field(description="Until the head of the answer was there")
    total_ms: float = Field(description="Until the end")
    headers: list[HeaderModel] = Field(
        description="What was sent, without `host` and `content-length`; empty where none were kept"
    )
    answer_headers: list[HeaderModel] = Field(
        description="What the receiver answered with, up to 40 headers and 4 KiB; empty where none were kept"
    )

    @classmethod
    def of(cls, attempt: Attempt | Trial) -> Self:
        """Tell a request."""
        timing = attempt.timing
        spent = {
            f"{part}_ms": getattr(timing, part) / 1_000 for part in ("dns", "connect", "tls", "first_byte", "total")
        }
        told = {name: getattr(attempt, name) for name in cls.model_fields if name not in spent}
        for part in ("headers", "answer_headers"):
            told[part] = [{"name": name, "value": value} for name, value in getattr(attempt, part)]
        return cls.model_validate({**told, **spent})


class AttemptModel(RequestModel):
    """One attempt at a delivery."""

    number: int = Field(description="Which attempt, from 1")


class DeliveryWithAttempts(DeliveryModel):
    """A delivery and its attempts."""

    tries: list[AttemptModel] = Field(description="Attempts, newest first")

    @classmethod
    def with_attempts(cls, delivery: Delivery, attempts: list[Attempt]) -> DeliveryWithAttempts:
        """Tell a delivery and its attempts."""
        return cls.model_validate(
            {
                **{name: getattr(delivery, name) for name in DeliveryModel.model_fields},
                "tries": [AttemptModel.of(attempt) for attempt in attempts],
            }
        )


class ResendBody(Body):
    """Which deliveries to send again."""

    endpoint_id: str | None = Field(default=None, max_length=36, description="Only to this endpoint")
    message_id: str | None = Field(default=None, max_length=36, description="Only of this message")
    event_type: str | None = Field(default=None, max_length=MAX_NAME, description="Only of this type, exactly")
    statuses: list[DeliveryStatus] = Field(
        default=[], max_length=5, description="Only in these states; default: failed and held"
    )
    since: AwareDatetime | None = Field(default=None, description="Emitted at or after")
    until: AwareDatetime | None = Field(default=None, description="Emitted before")
    dry_run: bool = Field(default=False, description="Only count them")
    cursor: str = Field(default="", max_length=0, description="Not used any more: one request is all of it")


class ResentModel(BaseModel):
    """What was sent again."""

    deliveries: int = Field(description="How many; in a dry run, how many it would be")
    next_cursor: str = Field(description="Always empty: one request is all of it")


class RecoverBody(Body):
    """Which range of what was missed."""

    since: AwareDatetime | None = Field(default=None, description="Emitted at or after")
    until: AwareDatetime | None = Field(default=None, description="Emitted before")


class EventTypeModel(BaseModel):
    """One entry of the catalogue."""

    name: str = Field(description="`order.shipped`")
    description: str = Field(description="What it means")
    payload_schema: dict[str, Any] | None = Field(description="JSON Schema of the payload; null: anything goes")
    example: Any = Field(description="A payload as it may be")
    archived: bool = Field(description="Not to be emitted any more")
    created_at: Moment = Field(description="When it was put in")
    updated_at: Moment = Field(description="When it was changed last")

    @classmethod
    def of(cls, event_type: EventType) -> EventTypeModel:
        """Tell an event type."""
        told = {name: getattr(event_type, name, None) for name in EventTypeModel.model_fields}
        return cls.model_validate({**told, "payload_schema": event_type.schema})


class EventTypeBody(Body):
    """An entry of the catalogue to put in or change."""

    description: str = Field(default="", max_length=MAX_MEANING, description="What it means")
    payload_schema: dict[str, Any] | None = Field(default=None, description="JSON Schema (2020-12) of the payload")
    example: Any = Field(default=None, description="A payload as it may be")
    archived: bool = Field(default=False, description="Not to be emitted any more")
    force: bool = Field(default=False, description="Change the schema even where that can break receivers")
