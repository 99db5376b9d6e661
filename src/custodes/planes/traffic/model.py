"""What an API call is, from the moment its first byte is seen."""

from __future__ import annotations


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
        "kind",
        "limited_by",
        "method",
        "parent_id",
        "path",
        "request_bytes",
        "response_bytes",
        "route",
        "span_id",
        "started_at",
        "status",
        "tenant",
        "total_us",
        "trace_id",
        "ttfb_us",
        "user",
        "user_agent",
    )

    #: ``"http"`` or ``"websocket"``.
    kind: str
    #: Upper-case method; ``"WEBSOCKET"`` for a WebSocket.
    method: str
    #: Path as requested, percent-decoded, without the query.
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
    #: W3C trace id, 32 hex digits.
    trace_id: str
    #: Our span id, 16 hex digits.
    span_id: str
    #: Caller's span id, 16 hex digits; empty when the trace starts here.
    parent_id: str
    #: User agent, as sent, cut to 256 characters.
    user_agent: str
    #: Exception that left the host app; None when none did.
    error: BaseException | None
    #: True when the client left before the last byte.
    disconnected: bool
    #: Name of the rule that refused it; empty when it was let through.
    limited_by: str
