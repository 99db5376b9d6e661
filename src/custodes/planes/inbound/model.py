"""What a webhook is, from the moment it is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from custodes.kernel.json_bounds import JsonBounds, parse_json
from custodes.planes.inbound.forms import json_text

#: Kind of the jobs that webhooks are handled by.
JOB_KIND = "webhook"

#: Largest body that :meth:`WebhookEvent.json` decodes unless told otherwise, bytes: GitHub's own limit for a delivery.
MAX_JSON_BYTES = 25 * 1024 * 1024


class Status(StrEnum):
    """Where an event is on its way; see docs/planes/inbound.md for the diagram."""

    #: Stored; no handler has begun.
    RECEIVED = "received"
    #: A worker is at it.
    PROCESSING = "processing"
    #: All handlers are done with it, or there was none.
    SUCCEEDED = "succeeded"
    #: An attempt failed; it will be tried again at ``next_retry_at``.
    FAILED = "failed"
    #: Given up: out of attempts, or a handler said that trying again is no use.
    DEAD = "dead"


#: Why a delivery was refused that the rate limiter turned away before anybody looked at it.
OVER_LIMIT = "over-limit"

#: States that nothing but a replay leaves.
FINISHED = frozenset({Status.SUCCEEDED, Status.DEAD})


class Verdict(StrEnum):
    """What is known of the sender."""

    #: The signature held.
    VERIFIED = "verified"
    #: It never arrived: it was fetched from its origin, over TLS and with our own key.
    RECONCILED = "reconciled"
    #: Logged by the host's own code, which answers for it.
    UNVERIFIED = "unverified"


class Outcome(StrEnum):
    """How one handler's attempt ended."""

    #: It returned.
    SUCCEEDED = "succeeded"
    #: It raised.
    FAILED = "failed"
    #: It took longer than it may.
    TIMED_OUT = "timed_out"
    #: It raised :class:`custodes.Permanent`.
    PERMANENT = "permanent"


class Arrival(NamedTuple):
    """A webhook on its way into the store: a tuple, because one is made for every request and bound to SQL as it is."""

    #: Whose it is.
    tenant: str
    #: UUIDv7 of the moment it came.
    id: str
    #: Microseconds since the epoch.
    received_at: int
    #: Name of the source.
    source: str
    #: The sender's id of the event; empty when it gives none.
    event_id: str
    #: The sender's name of what happened; empty when it gives none.
    event_type: str
    #: What makes two deliveries the same event, within tenant and source.
    dedupe_key: str
    #: :class:`Verdict`.
    verdict: str
    #: Trace that it belongs to, 32 hex digits.
    trace_id: str
    #: Client address; empty when unknown.
    client_ip: str
    #: Bytes of the body.
    body_bytes: int
    #: ``[[name, value], …]`` as JSON text, credentials masked.
    headers: str
    #: The exact bytes received.
    body: bytes


class Offer(NamedTuple):
    """A handler of some process of the install."""

    #: Its name.
    name: str
    #: Source whose events it gets; ``"*"``: all.
    source: str
    #: Type of the events it gets, or a pattern.
    event_type: str


class Presence(NamedTuple):
    """What a process says of itself."""

    #: Its id.
    process: str
    #: Its wall clock when it said so, microseconds: it changes while the process lives. 0: it has ended.
    said_at: int
    #: What it handles.
    offers: Sequence[Offer]


class Wait(NamedTuple):
    """A handler that has failed and is called again."""

    #: How often it was called.
    tries: int
    #: When it is called again, microseconds since the epoch.
    due_at: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an event has come, handler by handler; one that is named nowhere was not called yet."""

    #: Handlers that are done with it, each with how it ended.
    done: Mapping[str, Outcome] = field(default_factory=dict[str, Outcome])
    #: Handlers that are called again.
    waiting: Mapping[str, Wait] = field(default_factory=dict[str, Wait])


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """What is known of a stored event, without its payload."""

    #: Whose it is.
    tenant: str
    #: UUIDv7.
    id: str
    #: Microseconds since the epoch.
    received_at: int
    #: Name of the source.
    source: str
    #: The sender's id of the event; empty when it gives none.
    event_id: str
    #: The sender's name of what happened.
    event_type: str
    #: What is known of the sender.
    verdict: Verdict
    #: Where it is on its way.
    status: Status
    #: Attempts begun so far, replays included.
    attempts: int
    #: Time that the handlers of the last attempt took together, microseconds; None before there was one.
    processing_us: int | None
    #: When it reached its last state; None while it is open.
    finished_at: int | None
    #: When it is tried again; None when it is not waiting.
    next_retry_at: int | None
    #: Last error; None when there was none.
    error: str | None
    #: How far it has come, handler by handler.
    progress: Progress
    #: Trace that it belongs to.
    trace_id: str
    #: Client address; empty when unknown.
    client_ip: str
    #: Bytes of the body.
    body_bytes: int

    @property
    def handlers_done(self) -> Mapping[str, Outcome]:
        """Handlers that are done with it, each with how it ended."""
        return self.progress.done

    @property
    def unhandled(self) -> bool:
        """Whether it is done because no process had a handler for it; what the host has logged itself is not."""
        return self.status is Status.SUCCEEDED and self.attempts > 0 and not self.progress.done


@dataclass(frozen=True, slots=True)
class Payload:
    """What was received, exactly."""

    #: ``(name, value)`` in order; names in lower case, credentials masked.
    headers: Sequence[tuple[str, str]]
    #: The exact bytes.
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """What a handler gets."""

    #: UUIDv7 of the event in Custodes: the same at every attempt, so use it as the idempotency key of what you do.
    id: str
    #: Whose it is.
    tenant: str
    #: Name of the source: ``"stripe"``.
    source: str
    #: The sender's id: ``"evt_…"``; empty when it gives none.
    event_id: str
    #: The sender's name of what happened: ``"invoice.paid"``.
    type: str
    #: The exact bytes received.
    body: bytes
    #: Headers by lower-case name; of a repeated one the last. Credentials are masked.
    headers: Mapping[str, str]
    #: Whether the signature held, or the event was fetched from its origin.
    verified: bool
    #: Which attempt this is, from 1.
    attempt: int
    #: Trace that it belongs to; :func:`custodes.runtime.current.current_trace` returns it inside the handler too.
    trace_id: str
    #: When it came, microseconds since the epoch.
    received_at: int
    #: All headers in their order, repeated ones too: ``(name, value)``, values as latin-1.
    all_headers: Sequence[tuple[str, str]] = ()

    def json(self, *, max_bytes: int = MAX_JSON_BYTES) -> Any:
        """Decode the body as JSON, each time anew and within limits; of a form its field ``payload``.

        Raises:
            PayloadTooLarge: more than ``max_bytes``.
            MalformedPayload: not JSON in UTF-8, beyond a bound of :mod:`custodes.kernel.json_bounds`, or a form that
                holds anything else.
        """
        return parse_json(json_text(self.body), JsonBounds(size=max_bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One handler's try at one event."""

    #: Which attempt at the event, from 1.
    number: int
    #: Name of the handler.
    handler: str
    #: How it ended.
    outcome: Outcome
    #: Microseconds since the epoch.
    started_at: int
    #: Microseconds.
    duration_us: int
    #: Class of the error; empty when there was none.
    error_type: str = ""
    #: Message of the error, cut and with secrets masked.
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt at an event ended, as it is noted with the event."""

    #: Which event.
    event_id: str
    #: Its state now.
    status: Status
    #: How far it has come by now.
    progress: Progress
    #: When, microseconds since the epoch: the end of an event that is finished.
    at: int
    #: Time that the handlers took together, microseconds; None when none was called.
    processing_us: int | None
    #: When it is tried again; None when it is not.
    next_retry_at: int | None
    #: Why it did not succeed; None when it did.
    error: str | None
    #: Whether it counts as an attempt; False: no handler was called.
    counted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refused delivery that was kept as a sample."""

    #: Whose source it was sent to.
    tenant: str
    #: UUIDv7.
    id: str
    #: Microseconds since the epoch.
    received_at: int
    #: Name of the source.
    source: str
    #: Why: the verifier's stable reason.
    reason: str
    #: Client address; empty when unknown.
    client_ip: str
    #: Trace that it belongs to.
    trace_id: str
    #: Bytes of the body.
    body_bytes: int
    #: ``(name, value)`` in order, credentials masked.
    headers: Sequence[tuple[str, str]]
    #: The first bytes of the body.
    body_head: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are meant; what is None does not matter."""

    #: Only this tenant's.
    tenant: str | None = None
    #: Only from this source, or from one of these.
    source: str | tuple[str, ...] | None = None
    #: Only of this type, or of one of these; ``invoice.*`` means all that begin with ``invoice.``.
    event_type: str | tuple[str, ...] | None = None
    #: Only in this state, or in one of these.
    status: Status | tuple[Status, ...] | None = None
    #: Only with this verdict, or with one of these.
    verdict: Verdict | tuple[Verdict, ...] | None = None
    #: Only with this id, whichever: that of Custodes, the sender's, or of the trace.
    any_id: str | None = None
    #: Only of this trace.
    trace_id: str | None = None
    #: Only with this id of the sender, or of Custodes.
    event_id: str | None = None
    #: Received at or after, microseconds since the epoch.
    since: int | None = None
    #: Received before, microseconds since the epoch.
    until: int | None = None


@dataclass(frozen=True, slots=True)
class FacetCount:
    """How many events have a value."""

    #: The value: a source, a type, a state, a verdict.
    value: str
    #: How many of the events that the other filters mean have it.
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """What could be chosen next: the values of each filter, counted with all the other filters in force."""

    #: Sources, most frequent first.
    source: Sequence[FacetCount]
    #: Types.
    event_type: Sequence[FacetCount]
    #: States.
    status: Sequence[FacetCount]
    #: Verdicts.
    verdict: Sequence[FacetCount]
    #: Events that all filters together mean; :data:`MAX_COUNTED` stands for that many or more.
    total: int
    #: Whether all were counted; when False, only the newest :data:`MAX_COUNTED` of each were.
    complete: bool


#: Events that facets count at most: the newest. Tells apart what matters and bounds the work of a question.
MAX_COUNTED = 20_000
