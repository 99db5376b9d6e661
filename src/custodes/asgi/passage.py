"""One request on its way through the middleware: what is measured, and where it is kept until it has passed.

A passage hands every message of the host and of the server on as it is: it looks, it counts, and at most it adds
headers to the start of an answer, in a copy. Everything it does of its own accord is behind the shield.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from custodes.asgi.identity import clean_id, clean_tenant, user_of
from custodes.asgi.routes import Templates
from custodes.kernel.address import Addresses
from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits
from custodes.kernel.trace import NEW_FLAGS, Trace, new_ids, new_span_id, read_parent
from custodes.planes.ratelimit.answers import Decision
from custodes.planes.traffic.model import Exchange
from custodes.runtime.shield import Shield

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

#: Characters of a method that are kept: a client may invent methods of any length.
MAX_METHOD = 16

#: What a WebSocket has for a method.
WEBSOCKET = "WEBSOCKET"

#: Characters of a user agent that are kept.
MAX_USER_AGENT = 256

#: Codes of a WebSocket's end that mean the connection broke (RFC 6455 §7.4.1).
BROKEN = 1006

#: Exceptions by which frameworks say that the client has left; matched by name, for we import no framework.
_LEFT = frozenset({"ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a request is answered with in the application's place."""

    #: HTTP status.
    status: int
    #: Headers beside the type and length of the body.
    headers: list[tuple[bytes, bytes]]
    #: Problem document (RFC 9457).
    body: bytes


class Door:
    """What all passages through one middleware need, at hand: looked up once, not once a request.

    Args:
        shield: guards the host against us.
        clock: source of time.
        addresses: finds the client's address.
        random_bits: source of randomness for trace ids.
        default_tenant: tenant of a request that nobody names one for.
        session_user_key: key of the host's session that holds the user id; empty: the session is not read.
        path_below: finds the path that the host routes by, from the scope's path and ``root_path``.
    """

    __slots__ = (
        "absorbs",
        "client_of",
        "default_tenant",
        "direct",
        "forwarded",
        "forwarded_header",
        "now",
        "path_below",
        "random_bits",
        "session_user_key",
        "templates",
        "ticks",
    )

    def __init__(
        self,
        shield: Shield,
        clock: Clock,
        addresses: Addresses,
        random_bits: RandomBits,
        *,
        default_tenant: str,
        session_user_key: str,
        path_below: Callable[[str, str], str],
    ) -> None:
        self.absorbs = shield.absorbs
        self.now = clock.now
        #: Monotonic time, nanoseconds.
        self.ticks = _ticks_of(clock)
        self.direct = addresses.direct
        self.forwarded = addresses.forwarded
        self.forwarded_header = addresses.header
        self.client_of = addresses.client
        self.random_bits = random_bits
        self.default_tenant = default_tenant
        self.session_user_key = session_user_key
        self.path_below = path_below
        self.templates = Templates()


def _ticks_of(clock: Clock) -> Callable[[], int]:
    """Return the clock's monotonic hand in nanoseconds, without a call in between where the clock has one."""
    ticks: Callable[[], int] | None = getattr(clock, "ticks", None)
    return ticks if ticks is not None else lambda: clock.monotonic() * 1_000


class Passage(Exchange):
    """One request; made for each, so it is slotted and does as little as it can while the request passes.

    It is the exchange that the limiter and the recorder see. What they need at once is set when it opens, what can
    wait is set by :meth:`settle`.
    """

    __slots__ = (
        "_answer",
        "_complete",
        "_door",
        "_first",
        "_flags",
        "_found",
        "_headers",
        "_last",
        "_receive",
        "_scope",
        "_send",
        "_start",
        "_trace",
        "release",
    )

    #: Gives back to the limiter what the request holds; None when it holds nothing.
    release: Callable[[], object] | None

    def open(self, door: Door, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin: what ``__init__`` would do, without the cost of going through ``type.__call__``.

        Args:
            door: of the middleware that it passes through.
            kind: ``"http"`` or ``"websocket"``.
            scope: the request's ASGI scope.
            receive: the server's.
            send: the server's.
        """
        self._door = door
        self._scope = scope
        self._receive = receive
        self._send = send
        self._answer: Message | None = None
        self._complete = False
        self._headers: Headers | None = None
        self._first = self._last = 0
        self._trace: Trace | None = None
        self.release = None
        self.kind = kind
        root = scope.get("root_path")
        self.path = door.path_below(scope["path"], root) or "/" if root else scope["path"]
        self.route = None
        self.status = 0
        self.request_bytes = 0
        self.response_bytes = 0
        self.user = ""
        self.api_key = ""
        self.tenant = door.default_tenant
        self.error = None
        self.disconnected = False
        self.limited_by = ""
        raw = scope["headers"]
        found: dict[bytes, bytes] = dict(raw) if len(raw) else {}
        parent = found.get(b"traceparent") if len(found) == len(raw) else _join_lines(raw, found)
        self._found = found
        ids = None if parent is None else read_parent(parent)
        if ids is None:
            self.trace_id, self.span_id = new_ids(door.random_bits)
            self.parent_id = ""
            self._flags = NEW_FLAGS
        else:
            self.trace_id, self.parent_id, self._flags = ids
            self.span_id = new_span_id(door.random_bits)
        client = scope.get("client")
        peer = client[0] if client else ""
        line = found.get(door.forwarded_header, b"")
        self.client_ip = door.direct.get(peer) or door.forwarded.get((peer, line)) or door.client_of(peer, line)
        self.method = scope["method"][:MAX_METHOD] if kind == "http" else WEBSOCKET
        self._start = door.ticks()

    @property
    def trace(self) -> Trace:
        """Where the request stands in its trace."""
        trace = self._trace
        if trace is None:
            state = self._found.get(b"tracestate") if self.parent_id else None
            trace = self._trace = Trace(
                self.trace_id,
                self.span_id,
                self.parent_id,
                self._flags,
                (state,) if state else (),
                self._door.random_bits,
            )
        return trace

    # ── Who calls ────────────────────────────────────────────────────────────

    def name_caller(self, user: str, api_key: str, tenant: str) -> None:
        """Note who calls; an empty text leaves what is known."""
        if user:
            self.user = clean_id(user)
        if api_key:
            self.api_key = clean_id(api_key)
        if tenant:
            self.tenant = clean_tenant(tenant, self.tenant)

    # ── What passes ──────────────────────────────────────────────────────────

    def judged(self, verdict: Decision) -> Refusal | None:
        """Take what the limiter decided: what to refuse with, or None to go on."""
        self.release = verdict.release
        if not verdict.allowed:
            status, body = verdict.problem
            self.limited_by = self.limited_by or verdict.rule
            return Refusal(status, list(verdict.headers), body)
        if verdict.headers:
            self.add_headers(verdict.headers)
        return None

    def add_headers(self, headers: Headers) -> None:
        """Have headers added to the start of the answer."""
        self._headers = headers if self._headers is None else [*self._headers, *headers]

    def failed(self, error: BaseException) -> None:
        """Note what left the host application; it is raised on as it is."""
        if isinstance(error, asyncio.CancelledError):
            self.disconnected = self.disconnected or not self._complete
        elif isinstance(error, Exception):
            if type(error).__name__ in _LEFT or (self.disconnected and isinstance(error, OSError)):
                self.disconnected = self.disconnected or not self._complete
            else:
                self.error = error

    def settle(self) -> None:
        """Work out the measures, once the application has returned."""
        door = self._door
        start = self._start
        end = door.ticks()
        last = self._last
        if self._complete:
            self.total_us = (last - start) // 1_000
            self.background_us = (end - last) // 1_000
        else:
            self.total_us = (end - start) // 1_000
            self.background_us = 0
        self.started_at = door.now() - (end - start) // 1_000
        if self.status:
            self.ttfb_us = (self._first - start) // 1_000
        else:
            self.ttfb_us = self.total_us
            if not self.disconnected:
                self.status = 500  # what every server makes of an application that does not answer
        scope = self._scope
        self.route = door.templates.likely(self.path) if self.limited_by else door.templates.resolve(scope)
        agent = self._found.get(b"user-agent", b"")
        self.user_agent = agent[:MAX_USER_AGENT].decode("latin-1")
        if self.method == "HEAD":
            self.response_bytes = 0  # the body of an answer to HEAD is never sent
        if not self.user and ("user" in scope or "session" in scope):
            self.user = user_of(scope, door.session_user_key)


def _join_lines(raw: Headers, found: dict[bytes, bytes]) -> bytes | None:
    """Make one value of the lines of a header that came several times; two parents are none."""
    for name in (b"tracestate", b"x-forwarded-for", b"forwarded"):
        if name in found:
            found[name] = b",".join(value for key, value in raw if key == name)
    parents = [value for key, value in raw if key == b"traceparent"]
    return parents[0] if len(parents) == 1 else None


class HttpPassage(Passage):
    """An HTTP request."""

    __slots__ = ()

    async def receive(self) -> Message:
        """Hand on what the client sends."""
        message = await self._receive()
        try:
            kind = message["type"]
            if kind == "http.request":
                self.request_bytes += len(message.get("body", b""))
            elif kind == "http.disconnect" and not self._complete:
                self.disconnected = True
        except BaseException as error:
            if not self._door.absorbs("middleware", error):
                raise
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Hand on what the application answers.

        A plain function: what the server's ``send`` returns is awaited by the application itself, so that an answer in
        one piece costs no coroutine of ours.
        """
        try:
            kind = message["type"]
            if kind == "http.response.start":
                if not self.disconnected:  # an answer to a client that has left is none
                    self.status = int(message["status"])
                self._answer = message
                self._first = self._door.ticks()
                if self._headers is not None:
                    # A copy: the list belongs to the host, which may answer with the same one again.
                    message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            elif kind == "http.response.body":
                self.response_bytes += len(message.get("body", b""))
                if self._last or message.get("more_body", False):
                    return self._part(message, message.get("more_body", False))
                self._complete = True
                self._last = self._door.ticks()  # nothing was written before, so nothing holds up this write
            elif kind in _PARTS:
                return self._part(message, self._count_part(kind, message))
        except BaseException as error:
            if not self._door.absorbs("middleware", error):
                raise
        return self._send(message)

    async def _part(self, message: Message, more: bool) -> None:
        """Send a part of an answer in several, and see when it was taken: the client may be slow, or gone."""
        try:
            await self._send(message)
        except OSError:
            self.disconnected = True  # ASGI 2.4: sending to a client that has left
            raise
        try:
            self._last = self._door.ticks()
            if not more:
                self._complete = True
        except BaseException as error:
            if not self._door.absorbs("middleware", error):
                raise

    def _count_part(self, kind: str, message: Message) -> bool:
        """Count a part that is not in the message itself; tell whether more will follow."""
        if kind == "http.response.trailers":
            return message.get("more_trailers", False)
        if kind == "http.response.zerocopysend":
            self.response_bytes += message.get("count") or 0
            return message.get("more_body", False)
        for name, value in (self._answer or {}).get("headers", ()):  # pathsend: the answer is a file
            if name == b"content-length":
                self.response_bytes += int(value)
        return False

    async def refuse(self, refusal: Refusal) -> None:
        """Answer in the application's place."""
        start = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(refusal.body)).encode("ascii")),
            *refusal.headers,
        ]
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": start})
        await self.send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else refusal.body})


#: Messages that carry a part of an answer, other than its body in bytes.
_PARTS = frozenset({"http.response.pathsend", "http.response.trailers", "http.response.zerocopysend"})


class WebSocketPassage(Passage):
    """A WebSocket: accepted is 101, closed before it was accepted is 403; the sizes are of all its messages."""

    __slots__ = ()

    async def receive(self) -> Message:
        """Hand on what the client sends."""
        message = await self._receive()
        try:
            kind = message["type"]
            if kind == "websocket.receive":
                self.request_bytes += _size(message)
            elif kind == "websocket.disconnect" and not self._complete:
                self.disconnected = message.get("code") == BROKEN
                self._over()
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
            self.response_bytes += _size(message)
        elif kind == "websocket.accept":
            self._answered(101)
        elif kind == "websocket.close":
            if not self.status:
                self._answered(403)  # what servers answer to a handshake that is closed
            self._over()
        elif kind == "websocket.http.response.start":
            self._answered(message["status"])
        elif kind == "websocket.http.response.body":
            self.response_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._over()

    def _answered(self, status: int) -> None:
        self.status = status
        self._first = self._door.ticks()

    def _over(self) -> None:
        self._complete = True
        self._last = self._door.ticks()

    async def refuse(self, refusal: Refusal) -> None:
        """Refuse the handshake: with an answer where the server can send one, else by closing (policy violation)."""
        await self.receive()  # the connect, which servers want to be read first
        if "websocket.http.response" not in (self._scope.get("extensions") or {}):
            await self.send({"type": "websocket.close", "code": 1008, "reason": "rate limited"})
            return
        start = [(b"content-type", b"application/problem+json"), *refusal.headers]
        await self.send({"type": "websocket.http.response.start", "status": refusal.status, "headers": start})
        await self.send({"type": "websocket.http.response.body", "body": refusal.body})


def _size(message: Message) -> int:
    data = message.get("bytes")
    if data is not None:
        return len(data)
    text = message.get("text") or ""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
