"""The middleware: every request of the host passes here, measured and limited, unharmed.

One pure-ASGI class; what belongs to one request lives in its :class:`~custodes.asgi.passage.Passage`. The order is:
open the passage (trace, client address), ask who calls, ask the limiter, call the host, record.
Each step but the host's own is behind the shield, so whatever fails of ours,
the host answers as if we were not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any, cast

from custodes.asgi.cross_origin import as_the_host_allows, comes_from_a_page
from custodes.asgi.http_passage import HttpPassage
from custodes.asgi.passage import Message, Passage, Receive, Refusal, Scope, Send
from custodes.asgi.passages import EachDoor, EachPassage
from custodes.asgi.routes import cut_of
from custodes.asgi.websocket_passage import WebSocketPassage
from custodes.asgi.weighing import WeighedPassage, turns
from custodes.kernel.caller import Identity
from custodes.planes.ratelimit.answers import Admitted, Decision
from custodes.planes.ratelimit.pending import Pending
from custodes.planes.traffic.model import Exchange
from custodes.runtime.current import serving

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
        divert: finds another application for a connection; None: it is the host's.
    """

    def __init__(
        self,
        app: ASGIApp,
        custodes: Custodes,
        *,
        own: bool = False,
        divert: Callable[[Scope], ASGIApp | None] | None = None,
    ) -> None:
        settings = custodes.settings
        #: The host; named as every middleware names it, for those who walk the stack.
        self.app = app
        self.shield = custodes.shield
        self.absorbs = custodes.shield.absorbs
        self._door = EachDoor(
            custodes.shield,
            custodes.clock,
            custodes.addresses,
            custodes.trace_bits,
            default_tenant=settings.default_tenant,
            session_user_key=settings.session_user_key,
            path_below=cut_of(app),
        )
        self._divert = divert
        self._tells_trace = settings.trace_response
        self._identify = None if own else custodes.identify
        self._record: Callable[[Exchange], None] | None = None
        self._check: Callable[[Any], Decision | Pending] | None = None
        if settings.enterprise_monitoring_enabled and not own:
            self._record = custodes.traffic.record
        if settings.rate_limiting_enabled and not own:
            self._check = custodes.ratelimit.check
        #: Longest that a decision is waited for, seconds: longer than the engine takes to give up by itself, as told.
        self._decision_limit = (settings.hook_limit_ms + settings.rate_limit_deadline_ms) / 1_000
        self._passages: dict[str, type[HttpPassage | WebSocketPassage]] = {}
        if own or self._record or self._check:
            self._passages = {"http": EachPassage, "websocket": WebSocketPassage}
        self._weighed = {**self._passages, "http": WeighedPassage}
        self._weighs: Iterator[bool] = turns() if self._passages and not own else repeat(False)
        self._note_cost = custodes.traffic.overhead.note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: C901 - see below
        """Serve one connection.

        In one piece where nearly every request passes: what a host does between two requests of ours leaves nothing of
        ours in the processor's caches, so each call weighs more than it does in a loop (a passage without limits and
        record: 3.2 µs in a loop, 8.5 µs around FastAPI).
        """
        began = self._begin() if next(self._weighs) else 0
        app = (self._divert(scope) if self._divert is not None else None) or self.app
        passage: HttpPassage | WebSocketPassage | None = None
        if app is self.app:
            try:
                kind = scope["type"]
                opens = (self._weighed if began else self._passages).get(kind)
                if opens is not None:
                    opening = opens()
                    opening.open(self._door, kind, scope, receive, send)
                    if self._tells_trace:
                        opening.add_headers([(b"traceresponse", opening.seen.trace.traceresponse.encode("ascii"))])
                    passage = opening
            except BaseException as error:
                if not self.absorbs("middleware", error):
                    raise
        if passage is None:
            await app(scope, receive, send)
            return
        token = serving.set(passage)
        try:
            if self._identify is not None:
                asked = self._begin() if began else 0
                await self._ask_who(passage, scope)
                if asked:  # what the host takes to tell who calls is the host's
                    began += max(0, self._begin() - asked)
            refusal = None
            if self._check is not None:
                try:
                    verdict = self._check(passage.seen)
                    if type(verdict) is Admitted:  # nearly always; whatever else it is, is looked at more closely
                        passage.add_headers(verdict.headers)
                    else:
                        refusal = _judged(passage, verdict)
                except BaseException as error:
                    if not self.absorbs("limiter", error):
                        raise
                if refusal is not None and not isinstance(refusal, Refusal):
                    refusal = await self._judge_later(passage, refusal)
            if refusal is None:
                if began and type(passage) is WeighedPassage:
                    passage.enter(began)
                await app(scope, passage.receive, passage.send)
            else:
                await passage.refuse(refusal, lambda answer: self._dress(scope, answer))
        except BaseException as error:
            passage.failed(error)
            raise
        finally:
            weighed = passage if began and type(passage) is WeighedPassage else None
            if weighed is not None:
                weighed.leave()
            try:
                if passage.release is not None:
                    self._give_back(passage.release)
                if self._record is not None:
                    self._record(passage.close())
                serving.reset(token)
            except BaseException as error:
                if not self.absorbs("recorder", error):
                    raise
            finally:
                # The exception holds the frames, the frames hold the passage, which the collector cannot look into.
                passage.error = passage.seen.error = None
            if weighed is not None:
                weighed.left(self._note_cost)

    def _begin(self) -> int:
        """Read the clock when a request comes that is to be weighed; 0 where the clock is broken: then it is not."""
        try:
            return self._door.ticks()
        except BaseException as error:
            if not self.absorbs("middleware", error):
                raise
            return 0

    async def _ask_who(self, passage: Passage, scope: Scope) -> None:
        """Ask the host's ``identify`` who calls; without an answer the caller is anonymous."""
        try:
            who = self._identify(scope) if self._identify is not None else None
            if hasattr(who, "__await__"):
                who = await self.shield.wait("identify", cast("Awaitable[Identity | None]", who), None)
            if who is not None:
                identity = cast("Identity", who)
                passage.name_caller(identity.user, identity.api_key, identity.tenant)
        except BaseException as error:
            if not self.absorbs("identify", error):
                raise

    async def _judge_later(self, passage: Passage, answer: Pending) -> Refusal | None:
        """Wait for the limiter; when it hangs or fails, the failure mode of the rules decides."""
        limit = self._decision_limit
        verdict = await self.shield.wait("limiter", answer, None, seconds=limit, unclaimed=self._let_go)
        try:
            return passage.judged(answer.undecided() if verdict is None else verdict)
        except BaseException as error:
            if not self.absorbs("limiter", error):
                raise
            return None

    async def _dress(self, scope: Scope, answer: list[Message]) -> list[Message]:
        """Have a refusal be such that the page can read it that asks."""
        try:
            return await as_the_host_allows(self.app, scope, answer) if comes_from_a_page(scope) else answer
        except BaseException as error:
            if not self.absorbs("cors", error):
                raise
            return answer

    def _let_go(self, verdict: Decision | None) -> None:
        """Give back what a decision holds whose request has gone."""
        if verdict is not None and verdict.release is not None:
            self._give_back(verdict.release)

    def _give_back(self, release: Callable[[], object]) -> None:
        try:
            pending = release()
            if hasattr(pending, "__await__"):
                self.shield.later("limiter", cast("Awaitable[object]", pending))
        except BaseException as error:
            if not self.absorbs("limiter", error):
                raise


def _judged(passage: Passage, verdict: Decision | Pending) -> Refusal | Pending | None:
    """Take the limiter's answer; one that has to ask a store comes later."""
    try:
        return passage.judged(cast("Decision", verdict))
    except AttributeError:  # no decision, so one to be awaited
        return cast("Pending", verdict)
