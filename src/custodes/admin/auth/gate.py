"""The gate: who is asking?

Ways in, the first that is presented decides and no other is tried: an API key, a token of a configured issuer, the
session cookie, Clerk's cookie, the host app's word. The profile, and with it the role, is looked up on every request.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from starlette.requests import Request

from custodes.admin.auth.cookies import CLERK_COOKIE, SESSION_COOKIE
from custodes.admin.auth.csrf import CSRF_HEADER, SAFE_METHODS, check_origin, check_token
from custodes.admin.auth.tokens import Identification, TokenVerifier
from custodes.errors import AuthenticationFailed, PermissionDenied, SessionEnded
from custodes.kernel.bearer import MAX_TOKEN
from custodes.planes.identity.model import HOST, Method, Principal
from custodes.planes.identity.tokens import KEY_PREFIX
from custodes.runtime.current import name_caller

if TYPE_CHECKING:
    from custodes.app import Custodes


class Gate:
    """Identifies the sender of a request.

    Args:
        custodes: the install.
        verifier: verifies tokens of the configured issuers.
    """

    def __init__(self, custodes: Custodes, verifier: TokenVerifier) -> None:
        self._custodes = custodes
        self._verifier = verifier

    async def identify(self, request: Request) -> Principal:
        """Find out who sends a request.

        Raises:
            AuthenticationFailed: nothing was presented, or it does not hold.
            PermissionDenied: it holds but belongs to no active profile, or the request may be forged.
        """
        key = request.headers.get("x-api-key")
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        bearer = credentials.strip() if scheme.lower() == "bearer" else ""
        if key is None and bearer.startswith(KEY_PREFIX):
            key = bearer
        if key is not None:
            return await self._by_key(key)
        if bearer and self._verifier:
            return await self._by_token(bearer)
        if scheme and self._custodes.admin_auth is None:
            raise _refused("Authorization holds no credentials that are accepted here")
        return await self._by_cookie(request)

    async def verify(self, token: str, method: Method) -> Identification:
        """Find out whom the token of an issuer of a kind stands for.

        Raises:
            AuthenticationFailed: it does not hold.
        """
        found = await self._verifier.verify(token)
        if found.method is not method:
            raise _refused("The token is another issuer's")
        return found

    def takes_clerk_cookie(self, request: Request) -> bool:
        """Tell whether a request has a cookie of Clerk, and Clerk is asked; else one of that name is the host app's."""
        return bool(request.cookies.get(CLERK_COOKIE)) and self._verifier.accepts(Method.CLERK)

    async def _by_cookie(self, request: Request) -> Principal:
        token = request.cookies.get(SESSION_COOKIE)
        if token is not None:
            return await self._by_session(request, token)
        if self.takes_clerk_cookie(request):
            self._check_origin(request)
            return await self._by_token(request.cookies[CLERK_COOKIE])
        return await self._by_host(request)

    async def _by_key(self, key: str) -> Principal:
        principal = await self._custodes.identity.principal_of_key(key)
        if principal is None:
            raise _refused("The API key is unknown, revoked or expired")
        return principal

    async def _by_token(self, token: str) -> Principal:
        found = await self._verifier.verify(token)
        return await self._profile_of(found)

    async def _by_session(self, request: Request, token: str) -> Principal:
        principal = await self._custodes.identity.principal_of_session(token)
        if principal is None:
            raise await self._ended(token)
        if request.method not in SAFE_METHODS:
            self._check_origin(request)
            check_token(token, request.headers.get(CSRF_HEADER, ""))
        return principal

    async def _ended(self, token: str) -> AuthenticationFailed:
        known = await self._custodes.identity.sessions.known(token) if len(token) <= MAX_TOKEN else None
        if known is None:
            return _refused("There is no such session")
        return SessionEnded(
            "The session has ended",
            remedy="Sign in again",
            session_id=known.id,
            revoked=self._custodes.identity.sessions.was_ended(known),
        )

    async def _by_host(self, request: Request) -> Principal:
        ask = self._custodes.admin_auth
        if ask is None:
            raise _nothing()
        answer = ask(request.scope)
        subject = await answer if inspect.isawaitable(answer) else answer
        if not isinstance(subject, str) or not subject:
            raise _nothing()
        self._check_origin(request)
        return await self._profile_of(Identification(HOST, subject, Method.HOST, ""))

    async def _profile_of(self, found: Identification) -> Principal:
        principal = await self._custodes.identity.principal_of_subject(
            found.issuer, found.subject, found.method, impersonator=found.impersonator
        )
        if principal is None:
            msg = "You have no active profile here"
            raise PermissionDenied(msg, remedy="Ask an owner: custodes user add SUBJECT --issuer ISSUER")
        return principal

    def _check_origin(self, request: Request) -> None:
        if request.method not in SAFE_METHODS:
            check_origin(request, self._custodes.settings.public_url)


async def authenticate(request: Request) -> Principal:
    """Find out who sends a request; a FastAPI dependency.

    Raises:
        AuthenticationFailed: nothing was presented, or it does not hold.
        PermissionDenied: it holds but belongs to no active profile, or the request may be forged.
    """
    gate: Gate = request.app.state.gate
    principal = await gate.identify(request)
    request.state.principal = principal
    name_caller(
        user=principal.subject,
        api_key=principal.credential_id if principal.method is Method.API_KEY else "",
        tenant=principal.tenant or "",
    )
    return principal


def presented(request: Request) -> bool:
    """Tell whether a request carries credentials that somebody has sent on purpose, or a session cookie of ours."""
    headers = request.headers
    return "authorization" in headers or "x-api-key" in headers or SESSION_COOKIE in request.cookies


def presented_by_clerk(request: Request) -> bool:
    """Tell whether a request carries nothing but Clerk's cookie, which browsers send with whatever a page asks."""
    gate: Gate = request.app.state.gate
    return not presented(request) and gate.takes_clerk_cookie(request)


def _refused(why: str) -> AuthenticationFailed:
    return AuthenticationFailed(why, remedy="Sign in again")


def _nothing() -> AuthenticationFailed:
    msg = "No credentials"
    return AuthenticationFailed(msg, remedy="Send a session cookie, an API key or a token of a configured issuer")
