"""The shell around the admin app: what holds for every request, before any route is looked at.

Pure ASGI, so that streams stream. It names the trace, bounds the body, sets the security headers and turns what nobody
caught into a 500 without a word about the inside.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from custodes.admin.problems import MEDIA_TYPE, problem_body, problem_of
from custodes.errors import CustodesError, MalformedPayload, PayloadTooLarge
from custodes.kernel.address import Addresses
from custodes.kernel.ids import RandomBits
from custodes.kernel.trace import open_trace
from custodes.runtime.current import serving
from custodes.runtime.log import get_logger

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Largest body of an admin request, bytes: forms and small documents, never a payload.
MAX_BODY = 1_048_576

#: Deepest nesting of a JSON body: ours have three levels.
MAX_DEPTH = 32

#: Methods whose body somebody may read.
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})

#: A string, also one that never ends: each byte is looked at once, whoever wrote it.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*+(?:"|\\?\Z)', re.DOTALL)

#: Sent with every answer that does not set its own.
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not "no-referrer": browsers then send "Origin: null" with our own forms (Fetch standard).
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)

_log = get_logger("custodes.admin")


class Shell:
    """ASGI middleware; see the module."""

    def __init__(self, app: App, *, addresses: Addresses, random_bits: RandomBits) -> None:
        self.app = app
        self.addresses = addresses
        self.random_bits = random_bits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await _Passage(self, scope, receive, send).run()


class _Passage:
    """One request on its way through."""

    __slots__ = ("read", "receive", "scope", "send", "shell", "started", "trace_id")

    def __init__(self, shell: Shell, scope: Scope, receive: Receive, send: Send) -> None:
        self.shell = shell
        self.scope = scope
        self.receive = receive
        self.send = send
        self.read = 0
        self.started = False
        self.trace_id = self._trace_id()

    async def run(self) -> None:
        state = self.scope.setdefault("state", {})
        state["trace_id"] = self.trace_id
        state["client_ip"] = self._client_ip()
        try:
            self._check_declared_length()
            receive = await self._checked_body() if self.scope["method"] in _WITH_BODY else self._bounded_receive
            await self.shell.app(self.scope, receive, self._send)
        except CustodesError as error:
            await self._refuse(error.status, problem_of(error, self.trace_id))
        except Exception as error:
            _log.exception("admin_request_crashed", trace_id=self.trace_id, kind=type(error).__name__)
            if self.started:
                raise
            await self._refuse(500, _crash(self.trace_id))

    def _check_declared_length(self) -> None:
        declared = self._header(b"content-length")
        if declared.isdigit() and int(declared[:20]) > MAX_BODY:
            raise _too_large()

    async def _bounded_receive(self) -> Message:
        message = await self.receive()
        self.read += len(message.get("body", b""))
        if self.read > MAX_BODY:
            raise _too_large()
        return message

    async def _checked_body(self) -> Receive:
        """Read a body whole, and hand it on once its size, and the depth of JSON, are known to be harmless.

        Of any kind: whoever reads it behind us would tell that it is too large as that it cannot be read.
        """
        body = bytearray()
        more = True
        while more:
            message = await self._bounded_receive()
            if message["type"] == "http.disconnect":
                return self.receive
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if b"json" in self._header(b"content-type").lower() and _depth(bytes(body)) > MAX_DEPTH:
            msg = f"The JSON is nested deeper than {MAX_DEPTH} levels"
            raise MalformedPayload(msg)
        pending: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await self.receive()

        return replay

    def _trace_id(self) -> str:
        """Take the trace that the middleware has begun for this request; open one otherwise."""
        outer = serving.get()
        if outer is not None:
            return outer.trace.trace_id
        parents = [value for key, value in self.scope["headers"] if key == b"traceparent"]
        return open_trace(parents[0] if len(parents) == 1 else None, (), self.shell.random_bits).trace_id

    def _client_ip(self) -> str:
        addresses = self.shell.addresses
        lines = [value for key, value in self.scope["headers"] if key == addresses.header]
        return addresses.client((self.scope.get("client") or ("", 0))[0], b",".join(lines))

    def _header(self, name: bytes) -> bytes:
        return next((value for key, value in self.scope["headers"] if key == name), b"")

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = list(message.get("headers", ()))
            present = {key.lower() for key, _ in headers}
            headers += [pair for pair in HEADERS if pair[0] not in present]
            message = {**message, "headers": headers}
        await self.send(message)

    async def _refuse(self, status: int, body: bytes) -> None:
        if self.started:
            return
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _depth(body: bytes) -> int:
    """Measure how deep JSON is nested; an upper bound when it is not JSON at all."""
    # Counting in C first: nearly every body has fewer brackets than the limit, however they are nested.
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    deepest = depth = 0
    for byte in _STRING.sub(b"", body):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        elif byte in b"]}":
            depth -= 1
    return deepest


def _too_large() -> PayloadTooLarge:
    msg = f"The body is larger than {MAX_BODY} bytes"
    return PayloadTooLarge(msg)


def _crash(trace_id: str) -> bytes:
    return problem_body(
        status=500,
        code="error",
        title="Internal error",
        detail="Something went wrong on our side",
        remedy="Look for the trace id in the logs",
        trace_id=trace_id,
    )
