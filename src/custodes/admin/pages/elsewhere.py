"""Signing in where people have their accounts already: at an OIDC issuer, or at Clerk.

Whoever comes back gets a session of ours, in our own cookie: tokens of issuers are short-lived.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from custodes.admin.auth.cookies import (
    CLERK_COOKIE,
    can_keep_cookies,
    clear_attempt,
    read_attempt,
    set_attempt,
    set_session,
)
from custodes.admin.auth.csrf import origin_of
from custodes.admin.auth.fetch import LOOPBACK
from custodes.admin.auth.gate import Gate
from custodes.admin.auth.oidc import OidcLogin
from custodes.admin.auth.tokens import Identification
from custodes.admin.dependencies import CustodesDep
from custodes.admin.pace import Pace
from custodes.admin.pages.forms import message
from custodes.admin.pages.places import base_of, go, page_of, safe_place
from custodes.admin.routes.session import client_of, login_entry
from custodes.app import Custodes
from custodes.errors import CustodesError, PermissionDenied
from custodes.planes.identity.model import Method

router = APIRouter()

#: Steps of sign-ins at the issuer that one address takes in a minute, of each process: an office signs in by two each.
SIGN_INS = 60


def way_elsewhere(request: Request, custodes: Custodes) -> tuple[str, str] | None:
    """Return the place that leads to where people sign in, and whose it is; None when they sign in here."""
    login: OidcLogin | None = request.app.state.oidc_login
    if login is not None:
        return "/login/oidc", login.name
    if custodes.settings.clerk_sign_in_url:
        return "/login/clerk", urlsplit(custodes.settings.clerk_sign_in_url).hostname or "Clerk"
    return None


@router.get("/login/oidc")
async def leave_for_issuer(request: Request, custodes: CustodesDep) -> Response:
    """Go to the issuer to sign in."""
    login: OidcLogin | None = request.app.state.oidc_login
    if login is None:
        return go(request, "/login")
    try:
        _hold(request, custodes)
        back = _address(request, custodes, "/login/callback")
        url, attempt = await login.begin(back, safe_place(request.query_params.get("next", "")))
    except CustodesError as error:
        return await _failed(request, error)
    response = RedirectResponse(url, status_code=303)
    set_attempt(response, login.keep(attempt))
    return response


@router.get("/login/callback")
async def come_back_from_issuer(request: Request, custodes: CustodesDep) -> Response:
    """Take somebody back whom the issuer has signed in."""
    login: OidcLogin | None = request.app.state.oidc_login
    attempt = None if login is None else login.recall(read_attempt(request))
    if login is None or attempt is None:
        return go(request, "/login")
    try:
        _hold(request, custodes)
        back = _address(request, custodes, "/login/callback")
        found = await login.finish(attempt, dict(request.query_params), back)
        response = await _open_session(request, custodes, found, attempt.then)
    except CustodesError as error:
        response = await _failed(request, error)
    clear_attempt(response)
    return response


@router.get("/login/clerk")
async def leave_for_clerk(request: Request, custodes: CustodesDep) -> Response:
    """Take the session that Clerk's pages have left in a cookie of this host; without one, go to them first."""
    sign_in = custodes.settings.clerk_sign_in_url
    if not sign_in:
        return go(request, "/login")
    then = safe_place(request.query_params.get("next", ""))
    token = request.cookies.get(CLERK_COOKIE)
    returned = request.query_params.get("returned") == "1"
    try:
        if token:
            gate: Gate = request.app.state.gate
            return await _open_session(request, custodes, await gate.verify(token, Method.CLERK), then)
    except PermissionDenied as error:
        return await _failed(request, error)
    except CustodesError as error:
        if returned:
            return await _failed(request, error)
    if returned:
        text = "Clerk has left no session on this host. Serve the dashboard on a host of your Clerk app."
        return page_of(message(base_of(request), "Sign in", text), 401)
    try:
        back = f"{_address(request, custodes, '/login/clerk')}?{urlencode({'returned': '1', 'next': then})}"
    except CustodesError as error:
        return await _failed(request, error)
    joined = "&" if urlsplit(sign_in).query else "?"
    return RedirectResponse(f"{sign_in}{joined}redirect_url={quote(back, safe='')}", status_code=303)


async def _open_session(request: Request, custodes: Custodes, found: Identification, then: str) -> Response:
    """Open a session for somebody who has proven elsewhere who it is.

    Raises:
        PermissionDenied: no active profile, or one person acts as another.
    """
    if found.impersonator:
        msg = "Somebody who acts as another opens no session here"
        raise PermissionDenied(msg, remedy="Sign in as yourself")
    client = client_of(request)
    login = await custodes.identity.logins.sign_in_as(
        found.issuer, found.subject, client, also=login_entry(request, custodes, client, found.method)
    )
    response = go(request, then)
    set_session(response, login.opened.token, seconds=custodes.settings.session_hours * 3600)
    return response


def _address(request: Request, custodes: Custodes, place: str) -> str:
    """Return the URL of a page as browsers reach it: never taken from what a request from afar says of itself.

    Raises:
        PermissionDenied: nothing says where browsers reach us, or none would keep the session there.
    """
    settings = custodes.settings
    if not can_keep_cookies(request, settings.public_url):
        msg = "Signing in needs https, or an address of this machine"
        raise PermissionDenied(msg, remedy="Put TLS in front and set CUSTODES_PUBLIC_URL=https://…")
    if settings.public_url:
        return f"{origin_of(settings.public_url)}{base_of(request)}{place}"
    if (request.url.hostname or "") in LOOPBACK:
        return f"{request.url.scheme}://{request.url.netloc}{base_of(request)}{place}"
    msg = "Nothing says where browsers reach this server"
    raise PermissionDenied(msg, remedy="Set CUSTODES_PUBLIC_URL, and register its callback at the issuer")


def _hold(request: Request, custodes: Custodes) -> None:
    """Keep one address from having us ask the issuer again and again.

    Raises:
        TooFast: it has, this minute.
    """
    pace: Pace = request.app.state.pace
    pace.hold("sign-ins", custodes.addresses.limit_key(client_of(request).ip), SIGN_INS)


async def _failed(request: Request, error: CustodesError) -> Response:
    await request.app.state.refusals.note(request, error)
    return page_of(message(base_of(request), "Sign in", str(error), again=True), error.status)
