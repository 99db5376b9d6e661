"""One trace across the planes: requests, limit refusals, errors, webhooks in and out, and audit entries.

Beside ``app.py``, because it asks several planes by their own verbs; no plane knows of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from custodes.errors import NotFound
from custodes.planes.audit.model import AuditEntry, Outcome
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.inbound.model import Attempt, EventFilter, EventRecord, Status
from custodes.planes.inbound.model import Outcome as AttemptOutcome
from custodes.planes.outbound.model import Delivery, DeliveryStatus
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.planes.traffic.model import ApiCall, CallFilter

if TYPE_CHECKING:
    from custodes.composition import Composition

#: Things of one kind that a trace shows at most; a trace has a handful, and what repeats one for ever is an attack.
MAX_OF_A_KIND = 200

#: Attempts at one webhook that a trace shows at most.
MAX_ATTEMPTS = 50


class SpanKind(StrEnum):
    """What happened."""

    REQUEST = "request"
    REFUSAL = "refusal"
    ERROR = "error"
    WEBHOOK = "webhook"
    ATTEMPT = "attempt"
    DELIVERY = "delivery"
    AUDIT = "audit"


class SpanOutcome(StrEnum):
    """How it went; ``attention``: somebody should look."""

    SUCCESS = "success"
    FAILURE = "failure"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One thing that happened in a trace."""

    #: What it is.
    kind: SpanKind
    #: Plane that it happened in.
    plane: str
    #: Id of the API call, webhook event, delivery or audit entry; of an error: digest of its group.
    id: str
    #: Id of what it belongs to; None when it stands by itself.
    parent: str | None
    #: Whose it is.
    tenant: str
    #: When it began, microseconds.
    at: int
    #: How long it took, microseconds; None: a moment.
    duration_us: int | None
    #: What it was, in one line.
    title: str
    #: What is known beside it; empty when nothing is.
    detail: str
    #: How it went.
    outcome: SpanOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Everything with the same trace id."""

    #: W3C trace id.
    trace_id: str
    #: Earliest first.
    spans: Sequence[Span]
    #: Whether there is more: of each kind the newest :data:`MAX_OF_A_KIND` are shown.
    cut: bool


async def read_trace(custodes: Composition, trace_id: str, *, tenant: str | None = None) -> Trace:
    """Tell everything that has this trace id, across the planes, in order of time.

    Args:
        custodes: the install.
        trace_id: the 32 hex digits of W3C, or what a caller of the audit trail gave.
        tenant: only what is this tenant's; all when None.

    Raises:
        NotFound: nothing with this trace id is known, or not in this tenant.
    """
    spans: list[Span] = []
    cut = False
    # Without an id there is no trace: what belongs to none is no story.
    for read in _SOURCES if trace_id else ():
        found, more = await read(custodes, trace_id, tenant)
        spans += found
        cut = cut or more
    if not spans:
        msg = "Nothing with this trace id is known"
        raise NotFound(msg, remedy="It may be past its retention time, or not written yet: try again in some seconds")
    return Trace(trace_id=trace_id, spans=sorted(spans, key=lambda span: (span.at, _ORDER[span.kind])), cut=cut)


#: What comes first of things that begin at the same moment.
_ORDER = {kind: place for place, kind in enumerate(SpanKind)}

_Found = tuple[list[Span], bool]


async def _calls(custodes: Composition, trace_id: str, tenant: str | None) -> _Found:
    page = await custodes.traffic.list_calls(CallFilter(trace_id=trace_id), tenant=tenant, limit=MAX_OF_A_KIND)
    return [span for call in page.items for span in _of_call(call)], page.next_cursor is not None


def _of_call(call: ApiCall) -> list[Span]:
    failed = call.status >= 500 or call.status == 0
    who = " · ".join(part for part in (call.user, call.client_ip) if part)
    status = "client left" if call.status == 0 else str(call.status)
    request = Span(
        kind=SpanKind.REQUEST, plane="traffic", id=call.id, parent=None, tenant=call.tenant, at=call.started_at,
        duration_us=call.total_us, title=f"{call.method} {call.path} → {status}", detail=who,
        outcome=SpanOutcome.FAILURE if failed else SpanOutcome.SUCCESS,
    )  # fmt: skip
    spans = [request]
    ended = call.started_at + call.total_us
    if call.limited_by:
        spans.append(
            replace(
                request, kind=SpanKind.REFUSAL, plane="ratelimit", parent=call.id, duration_us=None,
                title=f"Refused by {call.limited_by}", outcome=SpanOutcome.ATTENTION,
            )
        )  # fmt: skip
    if call.error_group:
        spans.append(
            replace(
                request, kind=SpanKind.ERROR, id=call.error_group, parent=call.id, at=ended, duration_us=None,
                title=call.error, detail=call.route or "", outcome=SpanOutcome.FAILURE,
            )
        )  # fmt: skip
    return spans


async def _webhooks(custodes: Composition, trace_id: str, tenant: str | None) -> _Found:
    page = await custodes.inbound.list_events(EventFilter(tenant=tenant, trace_id=trace_id), limit=MAX_OF_A_KIND)
    spans: list[Span] = []
    cut = page.next_cursor is not None
    for event in page.items:
        spans.append(_of_event(event))
        attempts = await custodes.inbound.list_attempts(event.id, tenant=tenant, limit=MAX_ATTEMPTS + 1)
        spans += [_of_attempt(event, attempt) for attempt in attempts[:MAX_ATTEMPTS]]
        cut = cut or len(attempts) > MAX_ATTEMPTS
    return spans, cut


def _of_event(event: EventRecord) -> Span:
    bad = event.status in (Status.DEAD, Status.FAILED)
    return Span(
        kind=SpanKind.WEBHOOK, plane="inbound", id=event.id, parent=None, tenant=event.tenant, at=event.received_at,
        duration_us=None if event.finished_at is None else event.finished_at - event.received_at,
        title=f"{event.source} {event.event_type}".rstrip(),
        detail=f"{event.status.value}, {event.verdict.value}" + (f": {event.error}" if event.error else ""),
        outcome=SpanOutcome.FAILURE if bad else SpanOutcome.SUCCESS,
    )  # fmt: skip


def _of_attempt(event: EventRecord, attempt: Attempt) -> Span:
    done = attempt.outcome is AttemptOutcome.SUCCEEDED
    error = ": ".join(part for part in (attempt.error_type, attempt.error) if part)
    return Span(
        kind=SpanKind.ATTEMPT, plane="inbound", id=event.id, parent=event.id, tenant=event.tenant,
        at=attempt.started_at, duration_us=attempt.duration_us,
        title=f"Attempt {attempt.number}: {attempt.handler} {attempt.outcome.value}", detail=error,
        outcome=SpanOutcome.SUCCESS if done else SpanOutcome.FAILURE,
    )  # fmt: skip


async def _deliveries(custodes: Composition, trace_id: str, tenant: str | None) -> _Found:
    wanted = DeliveryFilter(tenant=tenant, trace_id=trace_id)
    page = await custodes.outbound.list_deliveries(wanted, limit=MAX_OF_A_KIND)
    return [_of_delivery(delivery) for delivery in page.items], page.next_cursor is not None


def _of_delivery(delivery: Delivery) -> Span:
    attempts = f"{delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"
    answered = "" if delivery.last_status is None else f", last answer {delivery.last_status}"
    error = f": {delivery.error}" if delivery.error else ""
    outcome = {
        DeliveryStatus.FAILED: SpanOutcome.FAILURE,
        DeliveryStatus.HELD: SpanOutcome.ATTENTION,
    }.get(delivery.status, SpanOutcome.SUCCESS)
    return Span(
        kind=SpanKind.DELIVERY, plane="outbound", id=delivery.id, parent=delivery.endpoint_id, tenant=delivery.tenant,
        at=delivery.created_at,
        duration_us=None if delivery.finished_at is None else delivery.finished_at - delivery.created_at,
        title=f"{delivery.event_type} to endpoint {delivery.endpoint_id}",
        detail=f"{delivery.status.value} after {attempts}{answered}{error}", outcome=outcome,
    )  # fmt: skip


async def _audit(custodes: Composition, trace_id: str, tenant: str | None) -> _Found:
    query = AuditQuery(tenant=tenant, trace_id=trace_id, limit=MAX_OF_A_KIND)
    page = await custodes.audit.list_entries(query)
    return [_of_entry(entry) for entry in page.items], page.next_cursor is not None


def _of_entry(entry: AuditEntry) -> Span:
    targets = ", ".join(str(target) for target in entry.targets[:3])
    done = SpanOutcome.SUCCESS if entry.outcome is Outcome.SUCCESS else SpanOutcome.FAILURE
    return Span(
        kind=SpanKind.AUDIT, plane="audit", id=entry.id, parent=None, tenant=entry.tenant, at=entry.recorded_at,
        duration_us=None, title=f"{entry.action} by {entry.actor}" + (f" on {targets}" if targets else ""),
        detail=entry.reason, outcome=SpanOutcome.ATTENTION if entry.flagged else done,
    )  # fmt: skip


#: What a trace is made of: each tells its part, and whether there was more.
_SOURCES: tuple[Callable[[Composition, str, str | None], Awaitable[_Found]], ...] = (
    _calls,
    _webhooks,
    _deliveries,
    _audit,
)
