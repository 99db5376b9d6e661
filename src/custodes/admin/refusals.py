"""Refusals of admin requests go into the audit trail, and cannot be used to flood it.

A 403 is somebody known who asks for what they may not have: each is written, up to a number per principal and minute.
A 403 of nobody known (a forged request, a token without a profile) and a 401 with credentials are anybody on the
internet, from as many addresses as they like: of each sort a sample is told. What is left out is counted, and the next
entry says how many.

A session that is over is no forged credential: a page that stays open asks with it until somebody signs in again. One
that ran out is no news; nor is an issuer's token that did hold until its time was over, and Clerk's lasts a minute. One
that somebody ended and that is used on is told once a minute: it may be a stolen one. So is a cookie of Clerk that
never held, which a browser sends with all that a page asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request

from custodes.admin.auth.gate import presented, presented_by_clerk
from custodes.admin.problems import trace_of
from custodes.errors import AuthenticationFailed, CustodesError, PermissionDenied, SessionEnded, TokenExpired
from custodes.kernel.clock import MINUTE
from custodes.kernel.signals import SecuritySignal
from custodes.planes.audit.model import ACTOR_ISSUER
from custodes.planes.identity.model import Principal
from custodes.runtime.log import get_logger

if TYPE_CHECKING:
    from custodes.app import Custodes

#: Refusals of one principal that are written in a minute, and of all who are nobody known together.
DENIED_PER_MINUTE = 60

#: Failed authentications that are told in a minute, of all addresses together.
UNAUTHENTICATED_PER_MINUTE = 60

#: Principals that are counted apart; beyond it the counts of all start anew.
_MAX_COUNTED = 1_000

_log = get_logger("custodes.admin")


class Refusals:
    """Tells the audit trail what was refused."""

    def __init__(self, custodes: Custodes) -> None:
        self._custodes = custodes
        self._minute = -1
        self._counts: dict[str, int] = {}
        #: What an open page repeats, a session that was ended or Clerk's cookie from an address, and the minute in
        #: which it was told last.
        self._told: dict[tuple[str, str], int] = {}
        #: Refusals that were not told, since the start.
        self.suppressed = 0
        self._suppressed_since = 0

    async def note(self, request: Request, error: CustodesError) -> None:
        """Tell one refusal; never fails, the answer goes out all the same."""
        try:
            if isinstance(error, PermissionDenied):
                await self._denied(request, error)
            elif isinstance(error, SessionEnded):
                self._ended(request, error)
            elif isinstance(error, AuthenticationFailed) and not isinstance(error, TokenExpired):
                self._unauthenticated(request, error)
        except CustodesError as failure:
            _log.warning("refusal_not_audited", code=error.code, error=str(failure), trace_id=trace_of(request))

    async def _denied(self, request: Request, error: PermissionDenied) -> None:
        principal: Principal | None = getattr(request.state, "principal", None)
        ip = _ip(request)
        actor = principal.actor if principal else f"ip:{ip}"
        if not self._room(actor if principal else "(nobody)", DENIED_PER_MINUTE):
            return
        await self._custodes.audit.log_admin_action(
            "admin.denied",
            actor=actor,
            outcome="denied",
            reason=error.message,
            context={**({ACTOR_ISSUER: principal.issuer} if principal else {}), **self._context(request, error)},
            trace_id=trace_of(request),
            tenant=principal.tenant if principal else None,
            ip=ip,
        )

    def _ended(self, request: Request, error: SessionEnded) -> None:
        if error.revoked and self._first_in_minute(("session", error.session_id)):
            self._tell(request, error, "auth.session_used_after_end", {"session": error.session_id})

    def _unauthenticated(self, request: Request, error: AuthenticationFailed) -> None:
        if not (
            presented(request) or (presented_by_clerk(request) and self._first_in_minute(("address", _ip(request))))
        ):
            return
        if self._room("", UNAUTHENTICATED_PER_MINUTE):
            self._tell(request, error, "auth.refused", {})

    def _first_in_minute(self, what: tuple[str, str]) -> bool:
        minute = self._custodes.clock.now() // MINUTE
        if self._told.get(what) == minute:
            return False
        if len(self._told) >= _MAX_COUNTED:
            self._told.clear()
        self._told[what] = minute
        return True

    def _tell(self, request: Request, error: AuthenticationFailed, action: str, more: dict[str, object]) -> None:
        self._custodes.bus.emit(
            SecuritySignal(
                at=self._custodes.clock.now(),
                tenant=self._custodes.settings.default_tenant,
                trace_id=trace_of(request),
                action=action,
                outcome="denied",
                actor=f"ip:{_ip(request)}",
                reason=error.message,
                ip=_ip(request),
                context={**more, **self._context(request, error)},
            )
        )

    def _room(self, who: str, most: int) -> bool:
        minute = self._custodes.clock.now() // MINUTE
        if minute != self._minute or len(self._counts) >= _MAX_COUNTED:
            self._minute = minute
            self._counts.clear()
        count = self._counts.get(who, 0)
        self._counts[who] = count + 1
        if count < most:
            return True
        self.suppressed += 1
        self._suppressed_since += 1
        return False

    def _context(self, request: Request, error: CustodesError) -> dict[str, object]:
        left_out, self._suppressed_since = self._suppressed_since, 0
        route = request.scope.get("route")
        context: dict[str, object] = {
            "method": request.method,
            # The template, never the path as sent: it may hold anything.
            "route": getattr(route, "path", "(unmatched)"),
            "code": error.code,
        }
        return {**context, "left_out_before": left_out} if left_out else context


def _ip(request: Request) -> str:
    return str(getattr(request.state, "client_ip", ""))
