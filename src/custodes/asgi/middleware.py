"""The middleware: every request of the host passes here, measured and limited, unharmed.

One pure-ASGI class; what belongs to one request lives in its :class:`~custodes.asgi.passage.Passage`. The order is:
open the passage (trace, client address), ask who calls, ask the limiter, call the host, record. Each step but
the host's own is behind the shield, so whatever fails of ours, the host answers as if we were not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Token
from typing import TYPE_CHECKING, Any, cast

from custodes.asgi.identity import Identity
from custodes.asgi.passage import HttpPassage, Receive, Scope, Send, Verdict, WebSocketPassage
from custodes.asgi.routes import Templates
from custodes.planes.traffic.model import Exchange
from custodes.runtime.current import Serving, serving

if TYPE_CHECKING:
    from custodes.app import Custodes

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


class Middleware:
    """Watches and limits an ASGI application.

    Args:
        app: the host.
        custodes: the install that watches.
        own: the application is one of ours: its requests have a trace and a client address, and are neither recorded
            nor limited here.
    """

    def __init__(self, app: ASGIApp, custodes: Custodes, *, own: bool = False) -> None:
        settings = custodes.settings
        #: The host; named as every middleware names it, for those who walk the stack.
        self.app = app
        self.shield = custodes.shield
        self.absorbs = custodes.shield.absorbs
        self.random_bits = custodes.trace_bits
        self.now = custodes.clock.now
        self.monotonic = custodes.clock.monotonic
        self.client_of = custodes.addresses.client
        self.forwarded_header = custodes.addresses.header
        self.default_tenant = settings.default_tenant
        self.session_user_key = settings.session_user_key
        self.templates = Templates()
        self._tells_trace = settings.trace_response
        self._identify = None if own else custodes.identify
        self._record: Callable[[Exchange], None] | None = None
        self._check: Callable[[Exchange], Verdict | Awaitable[Verdict]] | None = None
        if settings.enterprise_monitoring_enabled and not own:
            self._record = custodes.traffic.record
        if settings.rate_limiting_enabled and not own:
            self._check = custodes.ratelimit.check
        self._passages: dict[str, type[HttpPassage | WebSocketPassage]] = {}
        if own or self._record or self._check:
            self._passages = {"http": HttpPassage, "websocket": WebSocketPassage}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the host."""
        kind = self._passages.get(scope["type"])
        if kind is None:
            await self.app(scope, receive, send)
            return
        try:
            passage = kind(self, scope, receive, send)
            token = serving.set(passage)
        except BaseException as error:
            if not self.absorbs("middleware", error):
                raise
            await self.app(scope, receive, send)
            return
        try:
            refusal = None
            try:
                if self._identify is not None:
                    await self._ask_who(passage, scope)
                if self._check is not None:
                    verdict = self._check(passage.exchange)
                    if hasattr(verdict, "__await__"):
                        verdict = await self.shield.wait("limiter", cast("Awaitable[Verdict | None]", verdict), None)
                    refusal = None if verdict is None else passage.judged(cast("Verdict", verdict))
                if self._tells_trace:
                    passage.add_headers([(b"traceresponse", passage.trace.traceresponse.encode("ascii"))])
            except BaseException as error:
                if not self.absorbs("limiter", error):
                    raise
            if refusal is None:
                await self.app(scope, passage.receive, passage.send)
            else:
                await passage.refuse(*refusal)
        except BaseException as error:
            passage.failed(error)
            raise
        finally:
            self._close(passage, token)

    async def _ask_who(self, passage: HttpPassage | WebSocketPassage, scope: Scope) -> None:
        """Ask the host's ``identify`` who calls; without an answer the caller is anonymous."""
        try:
            who = self._identify(scope) if self._identify is not None else None
            if hasattr(who, "__await__"):
                who = await self.shield.wait("identify", cast("Awaitable[Identity | None]", who), None)
            passage.identified(cast("Identity | None", who))
        except BaseException as error:
            if not self.absorbs("identify", error):
                raise

    def _close(self, passage: HttpPassage | WebSocketPassage, token: Token[Serving | None]) -> None:
        """Record what has passed."""
        try:
            passage.finish()
            if self._record is not None:
                self._record(passage.exchange)
            # The exception holds the frames, the frames hold the exchange: end the cycle here, not in the collector.
            passage.exchange.error = None
        except BaseException as error:
            if not self.absorbs("recorder", error):
                raise
        finally:
            with suppress(ValueError):  # a host that switched contexts under us keeps its own
                serving.reset(token)
