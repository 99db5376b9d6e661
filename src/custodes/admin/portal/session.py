"""Who uses the portal: a link, by the cookie that it was exchanged for; and what is written of what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request, Response

from custodes.admin.auth.csrf import CSRF_HEADER, SAFE_METHODS, check_origin, check_token
from custodes.admin.dependencies import CustodesDep
from custodes.admin.pace import Pace
from custodes.admin.problems import trace_of
from custodes.errors import AuthenticationFailed, CustodesError, PermissionDenied
from custodes.planes.audit.drafting import Changeable
from custodes.planes.outbound.customer import Customer
from custodes.planes.outbound.portal import PortalLink
from custodes.runtime.current import name_caller
from custodes.runtime.log import get_logger
from custodes.runtime.transactions import Work

if TYPE_CHECKING:
    from custodes.app import Custodes

#: Name of the cookie. ``__Secure-``, not ``__Host-``: its path is that of the portal, so that it goes nowhere else.
COOKIE = "__Secure-custodes-portal"

#: Requests of one link in a minute, of which so many may change something; of each process.
READS = 600
CHANGES = 60

#: Times that links are opened from one address in a minute, known or not.
OPENINGS = 20

#: Refusals that are written in a minute, of all links together.
REFUSALS = 60

_log = get_logger("custodes.portal")


def set_cookie(request: Request, response: Response, session: str, *, seconds: int) -> None:
    """Give the session to the browser, for the portal alone."""
    response.set_cookie(
        COOKIE, session, max_age=seconds, path=place_of(request), secure=True, httponly=True, samesite="strict"
    )


def clear_cookie(request: Request, response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(COOKIE, path=place_of(request), secure=True, httponly=True, samesite="strict")


def place_of(request: Request) -> str:
    """Return the URL path of the portal, the mount prefix included."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def session_of(request: Request) -> str:
    """Return the session that a request carries.

    Raises:
        AuthenticationFailed: it carries none.
    """
    session = request.cookies.get(COOKIE)
    if not session:
        msg = "No link was opened in this browser"
        raise AuthenticationFailed(msg, remedy="Open the link that you were given")
    return session


async def customer_of(request: Request, custodes: CustodesDep) -> Customer:
    """Find out whose link sends a request; a FastAPI dependency.

    Raises:
        AuthenticationFailed: no link was opened, or it has ended.
        PermissionDenied: the request may be forged.
        RateLimited: the link sends too many.
    """
    session = session_of(request)
    link = await custodes.portal.link_of_session(session)
    request.state.link = link
    name_caller(user=link.actor, tenant=link.tenant)
    pace: Pace = request.app.state.pace
    pace.hold("requests", link.id, READS)
    if request.method not in SAFE_METHODS:
        check_origin(request, custodes.portal.base)
        check_token(session, request.headers.get(CSRF_HEADER, ""))
        pace.hold("changes", link.id, CHANGES)
    return Customer(custodes.outbound, link)


#: The customer, within the bounds of the link.
CustomerDep = Annotated[Customer, Depends(customer_of)]


@dataclass(frozen=True, slots=True)
class LinkTrail:
    """Writes what is done through a link, in the trail of its tenant."""

    #: The install.
    custodes: Custodes
    #: Through which link.
    link: PortalLink
    #: Client address.
    ip: str
    #: Trace of the request.
    trace_id: str

    def entry(
        self,
        action: str,
        *,
        target: str,
        changes: Sequence[Changeable] = (),
        context: Mapping[str, object] | None = None,
        reason: str = "",
    ) -> Work:
        """Prepare the audit entry of a change, to pass as ``also`` to the verb: both commit, or neither."""
        return self.custodes.audit.admin_entry(
            action,
            actor=self.link.actor,
            target=target,
            changes=changes,
            context={"scope": self.link.scope.value, "made_by": self.link.made_by, **(context or {})},
            reason=reason,
            trace_id=self.trace_id,
            tenant=self.link.tenant,
            ip=self.ip,
        )


def trail_of(request: Request, custodes: Custodes, link: PortalLink) -> LinkTrail:
    """Make the trail of a link in this request."""
    return LinkTrail(custodes, link, client_ip(request), trace_of(request))


def link_trail(request: Request, custodes: CustodesDep, customer: CustomerDep) -> LinkTrail:
    """Make the trail of this request; a FastAPI dependency."""
    return trail_of(request, custodes, customer.link)


#: Writes the audit entries of this request's changes.
Trail = Annotated[LinkTrail, Depends(link_trail)]


def client_ip(request: Request) -> str:
    """Return the client address of a request, as the shell has put it there."""
    return str(getattr(request.state, "client_ip", ""))


class PortalRefusals:
    """Tells the audit trail what a link was refused, a bounded number of times a minute."""

    def __init__(self, custodes: Custodes) -> None:
        self._custodes = custodes
        self._pace = Pace(custodes.clock)

    async def note(self, request: Request, error: CustodesError) -> None:
        """Tell one refusal; never fails, the answer goes out all the same."""
        link: PortalLink | None = getattr(request.state, "link", None)
        if link is None or not isinstance(error, PermissionDenied) or not self._pace.has_room("refused", "", REFUSALS):
            return
        try:
            await self._custodes.audit.log_admin_action(
                "access.denied",
                actor=link.actor,
                outcome="denied",
                reason=error.message,
                context={"method": request.method, "path": request.url.path[:200], "code": error.code},
                trace_id=trace_of(request),
                tenant=link.tenant,
                ip=client_ip(request),
            )
        except CustodesError as failure:
            _log.warning("refusal_not_audited", code=error.code, error=str(failure), trace_id=trace_of(request))
