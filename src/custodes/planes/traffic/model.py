"""What an API call is, from the moment its first byte is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

#: Trace id (32 hex digits), our span id (16), that of the caller (16; empty when the trace starts here), flags (2).
TraceIds: TypeAlias = tuple[str, str, str, str]

#: What an exchange says of itself, in the order of the columns of the raw row.
CALL_FIELDS = (
    "tenant",
    "started_at",
    "kind",
    "method",
    "route",
    "path",
    "status",
    "total_us",
    "ttfb_us",
    "background_us",
    "request_bytes",
    "response_bytes",
    "user",
    "api_key",
    "client_ip",
    "trace_id",
    "span_id",
    "parent_id",
    "user_agent",
    "limited_by",
    "disconnected",
)

#: A raw row: the fields of :data:`CALL_FIELDS`, the error's group and its text.
RawCall = tuple[Any, ...]


class Exchange:
    """One request and its answer, filled in while it passes; mutable and slotted because it is made for every request.

    The middleware makes it, the limiter and the recorder read it. All times are microseconds; sizes are bytes.
    """

    __slots__ = (
        "api_key",
        "background_us",
        "client_ip",
        "disconnected",
        "error",
        "ids",
        "kind",
        "limited_by",
        "method",
        "path",
        "request_bytes",
        "response_bytes",
        "route",
        "started_at",
        "status",
        "tenant",
        "total_us",
        "ttfb_us",
        "user",
        "user_agent",
    )

    #: ``"http"``, ``"websocket"`` or ``"call"`` (a wrapped callable).
    kind: str
    #: Upper-case method; ``"WEBSOCKET"`` for a WebSocket, ``"CALL"`` for a wrapped callable.
    method: str
    #: Path as requested, percent-decoded, without the query; below the app's ``root_path``, as routes and limits are.
    path: str
    #: Route template such as ``/items/{id}``; None when no route matched (one bounded series ``(unmatched)``).
    route: str | None
    #: Answer's status; 0 when the client left before there was one; 101 for an accepted WebSocket.
    status: int
    #: Wall clock at the first byte of the request.
    started_at: int
    #: Until the first byte of the answer.
    ttfb_us: int
    #: Until the last byte of the answer.
    total_us: int
    #: After the last byte: background tasks of the host.
    background_us: int
    #: Body bytes received.
    request_bytes: int
    #: Body bytes sent.
    response_bytes: int
    #: Client address as text; empty when unknown.
    client_ip: str
    #: User as the host says; empty when anonymous.
    user: str
    #: Id of the API key (never the key itself); empty when none.
    api_key: str
    #: Tenant.
    tenant: str
    #: Where it stands in its trace; None when nobody has asked yet.
    ids: TraceIds | None
    #: User agent, as sent, cut to 256 characters.
    user_agent: str
    #: Exception that left the host app; None when none did.
    error: BaseException | None
    #: True when the client left before the last byte.
    disconnected: bool
    #: Name of the rule that refused it; empty when it was let through.
    limited_by: str

    @property
    def trace_id(self) -> str:
        """W3C trace id, 32 hex digits; empty when there is none."""
        return (self.ids or self.read_ids())[0]

    def read_ids(self) -> TraceIds:
        """Find out where it stands in its trace."""
        return ("", "", "", "")

    def settle(self) -> None:
        """Work out what could wait until it was over: times, status, user agent; again is the same as once."""

    def row(self, error_group: str = "", error: str = "") -> RawCall:
        """Settle it and make its raw row.

        The fields of :data:`CALL_FIELDS`, written out: operator.attrgetter takes four times as long. A tuple of texts
        and numbers is smaller than the exchange, and the garbage collector soon ignores it.
        """
        self.settle()
        trace_id, span_id, parent_id, _ = self.ids or self.read_ids()
        return (
            self.tenant,
            self.started_at,
            self.kind,
            self.method,
            self.route,
            self.path,
            self.status,
            self.total_us,
            self.ttfb_us,
            self.background_us,
            self.request_bytes,
            self.response_bytes,
            self.user,
            self.api_key,
            self.client_ip,
            trace_id,
            span_id,
            parent_id,
            self.user_agent,
            self.limited_by,
            self.disconnected,
            error_group,
            error,
        )


#: Calls that one page looks through for a text, which no index finds: some 20 ms of reading.
TEXT_SCANNED = 5_000

#: Calls that are looked through, the newest first, for where one kind of error was raised, and endpoints told.
FAILED_SCANNED = 10_000
FAILING_ENDPOINTS = 20


class GroupState(StrEnum):
    """State of an error group."""

    #: Somebody should look at it; also what a resolved one becomes when it occurs again.
    OPEN = "open"
    #: Somebody says that it is mended.
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One recorded call, as it is read back."""

    #: UUIDv7; the moment in it is :attr:`started_at`.
    id: str
    #: Whose.
    tenant: str
    #: First byte of the request, microseconds since the epoch.
    started_at: int
    #: ``"http"``, ``"websocket"`` or ``"call"`` (a wrapped callable).
    kind: str
    #: Method; ``"WEBSOCKET"`` and ``"CALL"`` for what has none.
    method: str
    #: Route template; None when no route matched.
    route: str | None
    #: Path as requested, without the query.
    path: str
    #: Answer's status; 0 when the client left before there was one.
    status: int
    #: Until the last byte of the answer, microseconds.
    total_us: int
    #: Until the first byte of the answer, microseconds.
    ttfb_us: int
    #: After the last byte, microseconds.
    background_us: int
    #: Body bytes received.
    request_bytes: int
    #: Body bytes sent.
    response_bytes: int
    #: User; empty when anonymous.
    user: str
    #: Id of the API key; empty when none.
    api_key: str
    #: Client address; empty when unknown.
    client_ip: str
    #: W3C trace id.
    trace_id: str
    #: Our span.
    span_id: str
    #: Caller's span; empty when the trace starts here.
    parent_id: str
    #: User agent.
    user_agent: str
    #: Rule that refused it; empty when let through.
    limited_by: str
    #: Whether the client left before the last byte.
    disconnected: bool
    #: Digest of its error group; empty when there was no exception.
    error_group: str
    #: Type and message of the exception, secrets masked; empty when there was none.
    error: str


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """One kind of error."""

    #: UUIDv7.
    id: str
    #: Whose.
    tenant: str
    #: Fingerprint: what its occurrences have in common.
    digest: str
    #: Type and where it was raised.
    title: str
    #: Method and route of the first occurrence.
    method: str
    route: str | None
    #: First and last occurrence, microseconds since the epoch.
    first_seen_at: int
    last_seen_at: int
    #: Occurrences in the stretch of time that was asked for.
    count: int
    #: Trace of the last occurrence that was reported.
    trace_id: str
    #: Traceback of the first occurrence, secrets masked.
    traceback: str
    #: Open or resolved.
    state: GroupState
    #: When and by whom the state was last set; by nobody when it occurred again.
    state_at: int
    state_by: str


@dataclass(frozen=True, slots=True)
class FailingEndpoint:
    """An endpoint at which one kind of error was raised."""

    #: Method.
    method: str
    #: Route template; None when no route matched.
    route: str | None
    #: Single calls that are kept in which it was raised there.
    calls: int
    #: The last of them, microseconds since the epoch.
    last_at: int


@dataclass(frozen=True, slots=True)
class ErrorCourse:
    """How one kind of error occurred over a stretch of time."""

    #: The stretch, widened to whole steps, microseconds since the epoch.
    since: int
    until: int
    #: Width of a step, microseconds.
    step: int
    #: Begin of a step → occurrences in it, in order; steps without any are left out.
    points: Mapping[int, int]
    #: Where it was raised, the endpoint with most calls first.
    endpoints: tuple[FailingEndpoint, ...]

    @property
    def count(self) -> int:
        """Occurrences in all steps."""
        return sum(self.points.values())


@dataclass(frozen=True, slots=True)
class CallCount:
    """How many calls had one status, method and route."""

    #: HTTP status; 0 when there was none.
    status: int
    #: Method.
    method: str
    #: Route template; None when no route matched.
    route: str | None
    #: Calls that were looked at.
    looked: int
    #: Of these, those that the whole filter means.
    fit: int


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls to list; what is left at its default does not narrow."""

    #: From this moment on, microseconds.
    since: int | None = None
    #: Before this moment, microseconds.
    until: int | None = None
    #: Route template; ``"(unmatched)"`` for those that no route matched.
    route: str | None = None
    #: Method.
    method: str | None = None
    #: Exact status, or a class: 4 means 400–499.
    status: int | None = None
    #: At least this long until the last byte, microseconds.
    min_total_us: int | None = None
    #: User.
    user: str | None = None
    #: Id of the API key.
    api_key: str | None = None
    #: Client address.
    client_ip: str | None = None
    #: Trace.
    trace_id: str | None = None
    #: Digest of an error group.
    error_group: str | None = None
    #: Part of the path, user agent, error, user, key or address, whatever its case; a page then looks through
    #: :data:`TEXT_SCANNED` calls at most, so it may hold fewer than asked for though a cursor leads on.
    text: str | None = None
    #: Only answers of 500 and above and exceptions.
    errors_only: bool = False
