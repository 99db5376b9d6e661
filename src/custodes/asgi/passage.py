"""One request on its way through the middleware.

A passage hands every message of the host and of the server on as it is: it looks, it counts, and at most it adds
headers to the start of an answer, in a copy. Everything it does of its own accord is behind the shield. What it sees is
noted in its :class:`~custodes.asgi.observation.Observation`, which outlives it: a passage holds the server's and the
host's objects, so nothing of ours keeps one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, cast

from custodes.asgi.identity import clean_id, clean_tenant, unacceptable, user_of
from custodes.asgi.observation import Door, Observation, cut
from custodes.kernel.tenant import UNACCEPTABLE_TENANT
from custodes.kernel.trace import Trace
from custodes.planes.ratelimit.answers import Decision

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Adds to an answer of ours what whoever asks needs to read it.
Dress = Callable[[list[Message]], Awaitable[list[Message]]]
Headers = Iterable[tuple[bytes, bytes]]

#: Characters of a method that are kept: a client may invent methods of any length.
MAX_METHOD = 16

#: What a WebSocket has for a method.
WEBSOCKET = "WEBSOCKET"

#: What a passage keeps.
FIELDS = ("_answer", "_headers", "_receive", "_scope", "_send", "door", "error", "release", "seen")

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


class Passage:
    """One request; made for each, so it does as little as it can while the request passes.

    Has no room for :data:`FIELDS` itself: whoever is made of it says what they are kept in.
    """

    __slots__ = ()

    #: What is noted of one is an object of this class.
    observation: type[Observation] = Observation

    #: Of the middleware that it passes through.
    door: Door
    #: What is seen of it.
    seen: Observation
    #: What left the host, or what it made an answer of. Here until all is over, and not in what is seen: an exception
    #: holds the frames, the frames hold the passage.
    error: BaseException | None
    #: Gives back to the limiter what the request holds; None when it holds nothing.
    release: Callable[[], object] | None
    _scope: Scope
    _receive: Receive
    _send: Send
    _answer: Message | None
    _headers: Headers | None

    def open(self, door: Door, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin: what ``__init__`` would do, without the cost of going through ``type.__call__``.

        Args:
            door: of the middleware that it passes through.
            kind: ``"http"`` or ``"websocket"``.
            scope: the request's ASGI scope.
            receive: the server's.
            send: the server's.
        """
        self.door = door
        self._scope = scope
        self._receive = receive
        self._send = send
        self._answer = None
        self._headers = None
        self.release = self.error = None
        seen = self.seen = self.observation()
        seen.open(door)
        seen.kind = kind
        root = scope.get("root_path")
        seen.path = door.path_below(scope["path"], root) or "/" if root else scope["path"]
        seen.method = scope["method"][:MAX_METHOD] if kind == "http" else WEBSOCKET
        raw = scope["headers"]
        found: dict[bytes, bytes] = dict(raw) if len(raw) else {}
        seen.parent = found.get(b"traceparent") if len(found) == len(raw) else _join_lines(raw, found)
        seen.state = found.get(b"tracestate")
        seen.agent = found.get(b"user-agent", b"")
        client = scope.get("client")
        peer = client[0] if client else ""
        line = found.get(door.forwarded_header, b"")
        seen.client_ip = door.direct.get(peer) or door.forwarded.get((peer, line)) or door.client_of(peer, line)
        seen.start = door.ticks()

    @property
    def trace(self) -> Trace:
        """Where the request stands in its trace."""
        return self.seen.trace

    @property
    def client_ip(self) -> str:
        """Client address as text; empty when unknown."""
        return self.seen.client_ip

    @property
    def user_agent(self) -> str:
        """User agent as text; empty when none was sent."""
        return self.door.agent(self.seen.agent)

    # ── Who calls ────────────────────────────────────────────────────────────

    def note_exception(self, error: Exception) -> None:
        """Note what the host made an answer of itself."""
        self.error = error

    def name_caller(self, user: str, api_key: str, tenant: str) -> None:
        """Note who calls; an empty text leaves what is known.

        What cannot be a tenant id never leaves the request with another tenant, whose figures and limits it would
        change: it has one of its own, and the shield counts and tells it.
        """
        seen = self.seen
        if user:
            seen.user = clean_id(user)
        if api_key:
            seen.api_key = clean_id(api_key)
        # Whatever the annotation says: hosts have numbers, 0 among them, and None.
        given = cast("object", tenant)
        if given is not None and given != "":
            named = clean_tenant(given)
            if named is None:
                self.door.absorbs("tenant", unacceptable(given))
            seen.tenant = UNACCEPTABLE_TENANT if named is None else named

    # ── What passes ──────────────────────────────────────────────────────────

    def judged(self, verdict: Decision) -> Refusal | None:
        """Take what the limiter decided: what to refuse with, or None to go on."""
        self.release = verdict.release
        if not verdict.allowed:
            status, body = verdict.problem
            self.seen.limited_by = self.seen.limited_by or verdict.rule
            return Refusal(status, list(verdict.headers), body)
        if verdict.headers:
            self.add_headers(verdict.headers)
        return None

    def add_headers(self, headers: Headers) -> None:
        """Have headers added to the start of the answer."""
        self._headers = headers if self._headers is None else [*self._headers, *headers]

    def failed(self, error: BaseException) -> None:
        """Note what left the host application; it is raised on as it is."""
        seen = self.seen
        if isinstance(error, asyncio.CancelledError):
            seen.disconnected = seen.disconnected or not seen.complete
        elif isinstance(error, Exception):
            if type(error).__name__ in _LEFT or (seen.disconnected and isinstance(error, OSError)):
                seen.disconnected = seen.disconnected or not seen.complete
            else:
                self.error = error

    def close(self) -> Observation:
        """Note what only the scope tells, once the application has returned; what was seen is complete now."""
        seen = self.seen
        door = self.door
        seen.end = door.ticks()
        seen.error = self.error
        scope = self._scope
        if seen.limited_by:
            # Templates begin at the outermost app, paths at the one that we are in, as its rules do.
            mounted = "app_root_path" in scope
            path = door.path_below(scope["path"], scope["app_root_path"]) if mounted else seen.path
            seen.route = door.templates.likely(path)
        else:
            seen.route = door.templates.resolve(scope)
        if not seen.user and ("user" in scope or "session" in scope):
            seen.user = user_of(scope, door.session_user_key)
        cut(seen)
        return seen


def _join_lines(raw: Headers, found: dict[bytes, bytes]) -> bytes | None:
    """Make one value of the lines of a header that came several times; two parents are none."""
    for name in (b"tracestate", b"x-forwarded-for", b"forwarded"):
        if name in found:
            found[name] = b",".join(value for key, value in raw if key == name)
    parents = [value for key, value in raw if key == b"traceparent"]
    return parents[0] if len(parents) == 1 else None
