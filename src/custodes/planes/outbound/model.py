"""What an endpoint for outgoing webhooks is, and what is sent to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.ids import RandomBits
from custodes.runtime.outgoing.timing import Timing

#: Kind of the jobs that deliver.
JOB_KIND = "delivery"

#: Waits after the first failure, the second, …: those of the Standard Webhooks specification, about 76 hours in all.
SCHEDULE = (5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)

#: Share by which each wait is shortened or lengthened, so that what failed together does not come back together.
JITTER = 0.2


class EndpointState(StrEnum):
    """Whether an endpoint gets webhooks."""

    #: It does.
    ENABLED = "enabled"
    #: Not for now: an administrator said so, and may resume it. What is emitted meanwhile is held for it.
    PAUSED = "paused"
    #: Not any more: it failed for too long, or said 410. What is emitted meanwhile can be recovered.
    DISABLED = "disabled"


class Signature(StrEnum):
    """How deliveries are signed (Standard Webhooks)."""

    #: HMAC-SHA256 with a secret that both sides know.
    V1 = "v1"
    #: Ed25519: the receiver needs nothing but the public key.
    V1A = "v1a"
    #: Both: for receivers that move from one to the other.
    BOTH = "both"


class AuthKind(StrEnum):
    """How we prove to an endpoint who we are, beside the signature."""

    #: Not at all.
    NONE = "none"
    #: ``Authorization: Basic``.
    BASIC = "basic"
    #: ``Authorization: Bearer`` with a token that stays.
    BEARER = "bearer"
    #: ``Authorization: Bearer`` with a token that is fetched (OAuth 2 client credentials, RFC 6749 §4.4).
    OAUTH2 = "oauth2"
    #: A client certificate.
    MTLS = "mtls"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a delivery is tried."""

    #: Waits after the first failure, the second, …, microseconds; one attempt more than there are waits.
    schedule: tuple[int, ...] = SCHEDULE
    #: Longest an attempt may take altogether, microseconds.
    timeout: int = 15 * SECOND

    @property
    def max_attempts(self) -> int:
        """Attempts in all, the first included."""
        return len(self.schedule) + 1

    def delay(self, failures: int, random_bits: RandomBits) -> int | None:
        """Return the wait after so many failures, microseconds, with jitter; None: give up."""
        if failures > len(self.schedule):
            return None
        share = random_bits(32) / (1 << 32)
        return int(self.schedule[failures - 1] * (1 - JITTER + 2 * JITTER * share))


@dataclass(frozen=True, slots=True)
class Options:
    """What else an endpoint asks for."""

    #: Only payloads that match (:mod:`custodes.planes.outbound.match`); empty: all.
    match: Mapping[str, Any] = field(default_factory=dict[str, Any])
    #: Only events of one of these channels; empty: whatever the channel.
    channels: tuple[str, ...] = ()
    #: Headers to send with each delivery. Their values are sealed, beside the signing secrets: of an endpoint that was
    #: read, each is None; in a change, None keeps the value that there is.
    headers: Mapping[str, str | None] = field(default_factory=dict[str, str | None], repr=False)
    #: How we prove who we are; what it takes is sealed, beside the signing secrets.
    auth: AuthKind = AuthKind.NONE
    #: Version of the payloads that it gets; empty: the newest.
    payload_version: str = ""
    #: How deliveries are signed.
    signature: Signature = Signature.V1
    #: Deliveries a second, at most, from all processes together; 0: as many as come.
    rate: float = 0
    #: Deliveries under way at the same time, at most, from each process.
    concurrency: int = 10
    #: Whether deliveries with the same order key go one after the other, in the order they were emitted.
    ordered: bool = False
    #: Disabled after failing for so long without a break, microseconds; 0: never.
    disable_after: int = 5 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A place that webhooks are sent to (a row of ``webhook_configurations``)."""

    #: UUIDv7.
    id: str
    #: Whose it is.
    tenant: str
    #: Where it is; ``https``, or ``http`` where the install allows it.
    url: str
    #: What it is for, for people.
    description: str
    #: Types of events it gets: ``order.shipped``, ``order.*``, ``*``.
    event_types: tuple[str, ...]
    #: How deliveries are retried.
    retry: RetryPolicy = RetryPolicy()
    #: What else it asks for.
    options: Options = Options()
    #: Whether it gets webhooks.
    state: EndpointState = EndpointState.ENABLED
    #: Why it is in this state; empty when enabled.
    state_reason: str = ""
    #: Deliveries that were answered with 2xx.
    success_count: int = 0
    #: Attempts that were not.
    failure_count: int = 0
    #: When the last success was, microseconds; 0 when never.
    last_success_at: int = 0
    #: When the last failure was, microseconds; 0 when never.
    last_failure_at: int = 0
    #: When it was made, microseconds.
    created_at: int
    #: When it was changed last by a person, microseconds.
    updated_at: int
    #: When it was deleted, microseconds; 0 while it is not. The row stays, so that past deliveries keep their name.
    deleted_at: int = 0
    #: Source of incoming webhooks that is forwarded to it, and nothing else; empty: it is a customer's.
    source: str = ""
    #: What is held of it and was made before this moment stays held while it is enabled, microseconds: it was resumed
    #: without what it had missed.
    held_before: int = 0

    @property
    def lane(self) -> str:
        """The lane of its jobs: they compete for places first by tenant, then by endpoint."""
        return f"{self.tenant}/{self.id}"


class SecretKind(StrEnum):
    """What a sealed secret is for."""

    #: Signs with HMAC.
    V1 = "v1"
    #: Signs with Ed25519: the seed.
    V1A = "v1a"
    #: Proves who we are: JSON.
    AUTH = "auth"
    #: Values of its own headers: JSON.
    HEADERS = "headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """A secret of an endpoint, as it is kept."""

    #: UUIDv7.
    id: str
    #: Whose it is.
    tenant: str
    #: Endpoint it belongs to.
    endpoint_id: str
    #: What it is for.
    kind: SecretKind = SecretKind.V1
    #: Id of the key it is sealed with.
    key_id: str
    #: The sealed secret.
    sealed: bytes
    #: When it was made, microseconds.
    created_at: int
    #: Until when deliveries are signed with it too, microseconds; 0: without end.
    expires_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An event that was emitted. The body is in rows of its own, one for each version that an endpoint asked for."""

    #: UUIDv7; what receivers see as ``webhook-id``, the same at each attempt and each endpoint.
    id: str
    #: Whose it is.
    tenant: str
    #: What happened: ``order.shipped``.
    event_type: str
    #: When it was emitted, microseconds.
    created_at: int
    #: A second emit with the same key is the same event; empty: none.
    idempotency_key: str = ""
    #: Deliveries of one key keep their order at endpoints that ask for it; empty: none.
    order_key: str = ""
    #: Channels it belongs to.
    channels: tuple[str, ...] = ()
    #: Trace that it belongs to, 32 hex digits; empty when there is none.
    trace_id: str = ""
    #: What goes on with the trace id, as :attr:`custodes.kernel.trace.Trace.context` writes it; empty when unknown.
    trace_context: str = ""
    #: Kind of the body.
    content_type: str = "application/json"
    #: Headers to send instead of ours, for what is forwarded: ``(name, value)``, names in lower case and each once.
    headers: tuple[tuple[str, str], ...] = ()


class DeliveryStatus(StrEnum):
    """Where a message is on its way to one endpoint.

    ::

        waiting ──► pending ──► succeeded
           │          │  ▲
           │          │  └── resend, resume, recover
           └──► held ◄┴────► failed
    """

    #: It has a job: it is due, or will be.
    PENDING = "pending"
    #: Its turn comes when the one before it, of the same order key, has ended.
    WAITING = "waiting"
    #: The receiver answered 2xx.
    SUCCEEDED = "succeeded"
    #: Every attempt failed, or the receiver said that it is gone.
    FAILED = "failed"
    #: Kept back: its endpoint was paused, disabled or deleted.
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message on its way to one endpoint."""

    #: UUIDv7; also the ref of its job.
    id: str
    #: Whose it is.
    tenant: str
    #: What is delivered.
    message_id: str
    #: To where.
    endpoint_id: str
    #: What happened, as in the message.
    event_type: str
    #: Which body.
    version: str = ""
    #: As in the message, when the endpoint keeps order; else empty.
    order_key: str = ""
    #: Place in the line of its order key, from 1; 0 where no order is kept.
    position: int = 0
    #: Where it is.
    status: DeliveryStatus = DeliveryStatus.PENDING
    #: Attempts that were recorded.
    attempts: int = 0
    #: When it was made, microseconds.
    created_at: int
    #: When it ended, microseconds; None while it has not.
    finished_at: int | None = None
    #: When the next attempt is due, microseconds; None when there is none.
    next_attempt_at: int | None = None
    #: HTTP status of the last answer; None when there was none.
    last_status: int | None = None
    #: What went wrong last; empty when nothing did.
    error: str = ""

    @property
    def line(self) -> tuple[str, str, str]:
        """The line it stands in: whose, to which endpoint, of which order key."""
        return self.tenant, self.endpoint_id, self.order_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request of a delivery, and what came of it."""

    #: Whose it is.
    tenant: str
    #: Which delivery.
    delivery_id: str
    #: Which attempt, from 1, counted on through resends.
    number: int
    #: To which endpoint.
    endpoint_id: str
    #: When it began, microseconds.
    started_at: int
    #: Where it was sent.
    url: str
    #: Whether it was answered with 2xx.
    succeeded: bool
    #: HTTP status of the answer; None when there was none.
    status: int | None
    #: What went wrong; empty when nothing did.
    error: str
    #: The beginning of the answer.
    excerpt: str
    #: Where the time went.
    timing: Timing
    #: Headers that were sent, ``(name, value)``, secrets masked; ``Host`` and ``Content-Length`` are not among them.
    headers: tuple[tuple[str, str], ...] = ()
    #: Headers of the answer, ``(name, value)``, secrets masked, as far as they are kept.
    answer_headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How an endpoint has been doing lately: the breaker's memory, kept in the store."""

    #: Failures in a row.
    failures: int = 0
    #: When the first of them was, microseconds; 0 when there are none.
    failing_since: int = 0
    #: Nothing is sent before, microseconds; then one delivery tries.
    open_until: int = 0
    #: Share of the time to being disabled that its owner was told of, percent.
    noticed: int = 0
    #: When the next delivery may begin by its rate limit, microseconds.
    paced_until: int = 0
    #: How long it was to be left alone when that was decided, microseconds; 0: of a version that did not write it down.
    open_for: int = 0


HEALTHY = EndpointHealth()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One entry of the catalogue: what an event means, and what its payload looks like."""

    #: ``order.shipped``.
    name: str
    #: For those who write receivers.
    description: str = ""
    #: JSON Schema (2020-12) of the payload; None: anything goes.
    schema: Mapping[str, Any] | None = None
    #: A payload as it may be.
    example: Any = None
    #: Whether it is not to be used any more; nothing of the kind can be emitted.
    archived: bool = False
    #: When it was put in, microseconds.
    created_at: int = 0
    #: When it was changed last, microseconds.
    updated_at: int = 0
