"""One request on its way through the middleware: what is measured, and where it is kept until it has passed.

A passage hands every message of the host and of the server on as it is: it looks, it counts, and at most it adds
headers to the start of an answer, in a copy. Everything it does of its own accord is behind the shield.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

from custodes.asgi.identity import Identity, clean_id, clean_tenant, user_of
from custodes.kernel.trace import Trace, open_trace
from custodes.planes.traffic.model import Exchange

if TYPE_CHECKING:
    from custodes.asgi.middleware import Middleware

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

#: Characters of a method that are kept: a client may invent methods of any length.
MAX_METHOD = 16

#: Characters of a user agent that are kept.
MAX_USER_AGENT = 256

#: Codes of a WebSocket's end that mean the connection broke (RFC 6455 §7.4.1).
BROKEN = 1006

#: Exceptions by which frameworks say that the client has left; matched by name, for we import no framework.
_LEFT = frozenset({"ClientDisconnect", "WebSocketDisconnect"})


class Verdict(Protocol):
    """**Protocol:** what the limiter decides of a request."""

    #: Whether the request may pass.
    allowed: bool
    #: Headers to add to the answer.
    headers: list[tuple[bytes, bytes]]
    #: Status and problem document of a refusal.
    problem: tuple[int, bytes]


class Passage:
    """One request; made for each, so it is slotted and does as little as it can."""

    __slots__ = (
        "_complete",
        "_door",
        "_headers",
        "_last",
        "_receive",
        "_scope",
        "_send",
        "_start",
        "exchange",
        "trace",
    )

    #: What is recorded of it.
    exchange: Exchange
    #: Where it stands in its trace.
    trace: Trace

    def __init__(self, door: Middleware, scope: Scope, receive: Receive, send: Send) -> None:
        self._door = door
        self._scope = scope
        self._receive = receive
        self._send = send
        self._complete = False
        self._last = 0
        self._headers: Headers = ()
        client = scope.get("client")
        peer = client[0] if client else ""
        raw = scope["headers"]
        found: dict[bytes, bytes] = dict(raw) if len(raw) else {}
        if len(found) == len(raw):
            parent = found.get(b"traceparent")
            states = (found[b"tracestate"],) if parent is not None and b"tracestate" in found else ()
            forwarded = found.get(door.forwarded_header, b"")
        else:  # a name came twice: its lines are one value in order, except that two parents are none
            parents = [value for name, value in raw if name == b"traceparent"]
            parent = parents[0] if len(parents) == 1 else None
            states = tuple(value for name, value in raw if name == b"tracestate")
            forwarded = b",".join(value for name, value in raw if name == door.forwarded_header)
        self.trace = trace = open_trace(parent, states, door.random_bits)
        self.exchange = exchange = Exchange()
        exchange.kind = scope["type"]
        exchange.path = scope["path"]
        exchange.route = None
        exchange.status = 0
        exchange.ttfb_us = 0
        exchange.total_us = 0
        exchange.background_us = 0
        exchange.request_bytes = 0
        exchange.response_bytes = 0
        exchange.client_ip = door.client_of(peer, forwarded)
        exchange.user = ""
        exchange.api_key = ""
        exchange.tenant = door.default_tenant
        exchange.trace_id = trace.trace_id
        exchange.span_id = trace.span_id
        exchange.parent_id = trace.parent_id
        agent = found.get(b"user-agent")
        exchange.user_agent = agent[:MAX_USER_AGENT].decode("latin-1") if agent is not None else ""
        exchange.error = None
        exchange.disconnected = False
        exchange.limited_by = ""
        exchange.started_at = door.now()
        self._start = door.monotonic()

    @property
    def client_ip(self) -> str:
        """Client address as text; empty when unknown."""
        return self.exchange.client_ip

    # ── Who calls ────────────────────────────────────────────────────────────

    def identified(self, identity: Identity | None) -> None:
        """Take what the host's ``identify`` said."""
        if identity is not None:
            self.name_caller(identity.user, identity.api_key, identity.tenant)

    def name_caller(self, user: str, api_key: str, tenant: str) -> None:
        """Note who calls; an empty text leaves what is known."""
        exchange = self.exchange
        if user:
            exchange.user = clean_id(user)
        if api_key:
            exchange.api_key = clean_id(api_key)
        if tenant:
            exchange.tenant = clean_tenant(tenant, exchange.tenant)

    # ── What passes ──────────────────────────────────────────────────────────

    def judged(self, verdict: Verdict) -> tuple[int, Headers, bytes] | None:
        """Take what the limiter decided: the answer to refuse with, or None to go on."""
        if not verdict.allowed:
            status, body = verdict.problem
            return status, list(verdict.headers), body
        if verdict.headers:
            self.add_headers(verdict.headers)
        return None

    def add_headers(self, headers: Headers) -> None:
        """Have headers added to the start of the answer."""
        self._headers = [*self._headers, *headers]

    def failed(self, error: BaseException) -> None:
        """Note what left the host application; it is raised on as it is."""
        exchange = self.exchange
        if isinstance(error, asyncio.CancelledError):
            exchange.disconnected = exchange.disconnected or not self._complete
        elif isinstance(error, Exception):
            left = type(error).__name__ in _LEFT or (exchange.disconnected and isinstance(error, OSError))
            if left:
                exchange.disconnected = exchange.disconnected or not self._complete
            else:
                exchange.error = error

    def finish(self) -> None:
        """Close the measures, once the application has returned."""
        exchange = self.exchange
        now = self._door.monotonic()
        if self._complete:
            exchange.total_us = self._last - self._start
            exchange.background_us = now - self._last
        else:
            exchange.total_us = now - self._start
        if not exchange.status:
            exchange.ttfb_us = exchange.total_us
            if not exchange.disconnected:
                exchange.status = 500  # what every server makes of an application that does not answer
        scope = self._scope
        exchange.route = self._door.templates.resolve(scope)
        if not exchange.user and ("user" in scope or "session" in scope):
            exchange.user = user_of(scope, self._door.session_user_key)

    def answered(self, status: int) -> None:
        """Note the first byte of the answer."""
        self.exchange.status = int(status)
        self.exchange.ttfb_us = self._door.monotonic() - self._start


class HttpPassage(Passage):
    """An HTTP request."""

    __slots__ = ("_answer", "_trailers")

    def __init__(self, door: Middleware, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(door, scope, receive, send)
        self.exchange.method = scope["method"][:MAX_METHOD]
        self._answer: Message | None = None
        self._trailers = False

    async def receive(self) -> Message:
        """Hand on what the client sends."""
        message = await self._receive()
        try:
            kind = message["type"]
            if kind == "http.request":
                self.exchange.request_bytes += len(message.get("body", b""))
            elif kind == "http.disconnect" and not self._complete:
                self.exchange.disconnected = True
        except BaseException as error:
            if not self._door.absorbs("middleware", error):
                raise
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Hand on what the application answers.

        A plain function: what the server's ``send`` returns is awaited by the application itself, so that an answer
        costs no coroutine of ours where none is needed.
        """
        try:
            kind = message["type"]
            if kind == "http.response.start":
                message = self._begin(message)
            elif kind in _PARTS:
                return self._part(kind, message)
        except BaseException as error:
            if not self._door.absorbs("middleware", error):
                raise
        return self._send(message)

    def _begin(self, message: Message) -> Message:
        self._answer = message
        self._trailers = message.get("trailers", False)
        self.answered(message["status"])
        if not self._headers:
            return message
        # A copy: the list belongs to the host, which may answer with the same one again.
        return {**message, "headers": [*message.get("headers", ()), *self._headers]}

    async def _part(self, kind: str, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self.exchange.disconnected = True  # ASGI 2.4: sending to a client that has left
            raise
        try:
            self._last = self._door.monotonic()
            self._count(kind, message)
        except BaseException as error:
            if not self._door.absorbs("middleware", error):
                raise

    def _count(self, kind: str, message: Message) -> None:
        """Add a part of the answer to the measures, and see whether it was the last."""
        if kind == "http.response.body":
            size = len(message.get("body", b""))
            more = message.get("more_body", False)
        elif kind == "http.response.trailers":
            self._complete = not message.get("more_trailers", False)
            return
        elif kind == "http.response.zerocopysend":
            size = message.get("count") or 0
            more = message.get("more_body", False)
        else:  # http.response.pathsend: the whole answer is a file that the server sends
            size = self._announced_length()
            more = False
        if self.exchange.method != "HEAD":
            self.exchange.response_bytes += size
        if not more and not self._trailers:
            self._complete = True

    def _announced_length(self) -> int:
        for name, value in (self._answer or {}).get("headers", ()):
            if name == b"content-length":
                return int(value)
        return 0

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer in the application's place."""
        start = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode("ascii")),
            *headers,
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": start})
        head = self.exchange.method == "HEAD"
        await self.send({"type": "http.response.body", "body": b"" if head else body})


#: Messages that carry a part of an answer's body.
_PARTS = frozenset(
    {
        "http.response.body",
        "http.response.pathsend",
        "http.response.trailers",
        "http.response.zerocopysend",
    }
)


class WebSocketPassage(Passage):
    """A WebSocket: accepted is 101, closed before it was accepted is 403; the sizes are of all its messages."""

    __slots__ = ()

    def __init__(self, door: Middleware, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(door, scope, receive, send)
        self.exchange.method = "WEBSOCKET"

    async def receive(self) -> Message:
        """Hand on what the client sends."""
        message = await self._receive()
        try:
            kind = message["type"]
            if kind == "websocket.receive":
                self.exchange.request_bytes += _size(message)
            elif kind == "websocket.disconnect" and not self._complete:
                self.exchange.disconnected = message.get("code") == BROKEN
                self._end()
        except BaseException as error:
            if not self._door.absorbs("middleware", error):
                raise
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Hand on what the application sends."""
        try:
            self._see(message["type"], message)
        except BaseException as error:
            if not self._door.absorbs("middleware", error):
                raise
        return self._send(message)

    def _see(self, kind: str, message: Message) -> None:
        if kind == "websocket.send":
            self.exchange.response_bytes += _size(message)
        elif kind == "websocket.accept":
            self.answered(101)
        elif kind == "websocket.close":
            if not self.exchange.status:
                self.answered(403)  # what servers answer to a handshake that is closed
            self._end()
        elif kind == "websocket.http.response.start":
            self.answered(message["status"])
        elif kind == "websocket.http.response.body":
            self.exchange.response_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._end()

    def _end(self) -> None:
        self._complete = True
        self._last = self._door.monotonic()

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Refuse the handshake: with an answer where the server can send one, else by closing (policy violation)."""
        await self.receive()  # the connect, which servers want to be read first
        if "websocket.http.response" not in (self._scope.get("extensions") or {}):
            await self.send({"type": "websocket.close", "code": 1008, "reason": "rate limited"})
            return
        start = [(b"content-type", b"application/problem+json"), *headers]
        await self.send({"type": "websocket.http.response.start", "status": status, "headers": start})
        await self.send({"type": "websocket.http.response.body", "body": body})


def _size(message: Message) -> int:
    data = message.get("bytes")
    if data is not None:
        return len(data)
    text = message.get("text") or ""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
