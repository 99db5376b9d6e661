"""The pages below ``/dashboard/admin/enterprise``: the dashboard, and the plain forms that lead to it.

The forms are plain HTML without a script, so that one can sign in whatever a browser allows.
"""

from __future__ import annotations

import contextlib
from importlib.resources import files
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import Response

from custodes.admin.auth.cookies import SESSION_COOKIE, can_keep_cookies, clear_session, set_session
from custodes.admin.auth.csrf import check_origin, check_token
from custodes.admin.auth.gate import Gate
from custodes.admin.dashboard import TABS, Dashboard
from custodes.admin.dependencies import CustodesDep, audit_trail, custodes_of, require_admin
from custodes.admin.pages.elsewhere import way_elsewhere
from custodes.admin.pages.forms import login_form, message, password_form
from custodes.admin.pages.places import base_of, go, page_of, root_of, safe_place, then_to, with_query
from custodes.admin.routes.session import set_password, sign_in
from custodes.app import Custodes
from custodes.errors import AuthenticationFailed, CustodesError, InvalidInput, MalformedPayload, PermissionDenied
from custodes.planes.identity.model import Method, Principal
from custodes.planes.identity.tokens import csrf_token

router = APIRouter()

#: Largest form, bytes, and most fields of it.
_MAX_FORM = 8_192
_MAX_FIELDS = 10

_ICON = files("custodes.admin.pages").joinpath("icon.svg").read_bytes()
_STYLE = files("custodes.admin.pages").joinpath("style.css").read_text("utf-8")

#: How the asset with the letters of the dashboard begins, whatever its digest.
_LETTERS = "inter-latin-wght-normal"


@router.get("/style.css")
async def style(request: Request) -> Response:
    """Serve the style sheet."""
    dashboard: Dashboard = request.app.state.dashboard
    text = _STYLE.replace("{inter}", dashboard.asset_like(_LETTERS) or "")
    return Response(text, media_type="text/css", headers={"Cache-Control": "public, max-age=300"})


@router.get("/icon.svg")
async def icon() -> Response:
    """Serve the icon of the window."""
    return Response(_ICON, media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=300"})


@router.get("/")
async def show_dashboard_without_slash(request: Request) -> Response:
    """Go to where the dashboard is."""
    return go(request, with_query(request, ""))


@router.get("")
async def show_overview(request: Request) -> Response:
    """Show the dashboard; asks to sign in first."""
    return await _show_dashboard(request, "")


@router.get("/assets/{name}")
async def show_asset(name: str, request: Request) -> Response:
    """Serve a script or a style sheet of the dashboard; there is nothing secret in it."""
    dashboard: Dashboard = request.app.state.dashboard
    return dashboard.asset(name, request)


@router.get("/login")
async def show_login(request: Request, custodes: CustodesDep) -> Response:
    """Ask for user name and password."""
    if not can_keep_cookies(request, custodes.settings.public_url):
        text = "Signing in needs https. Put TLS in front and set CUSTODES_PUBLIC_URL to the https address."
        return page_of(message(base_of(request), "Sign in", text), 403)
    then = safe_place(request.query_params.get("next", ""))
    with contextlib.suppress(CustodesError):
        if (await _identify(request)).method is Method.SESSION:
            return go(request, then)
    return page_of(login_form(base_of(request), then=then, elsewhere=way_elsewhere(request, custodes)))


@router.post("/login")
async def do_login(request: Request, custodes: CustodesDep) -> Response:
    """Sign in and go where one wanted to go."""
    form = await _form(request)
    username = form.get("username", "")
    then = safe_place(form.get("next", ""))
    try:
        login = await sign_in(request, custodes, username, form.get("password", ""))
    except CustodesError as error:
        await _note(request, error)
        way = way_elsewhere(request, custodes)
        again = login_form(base_of(request), alarm=str(error), username=username[:255], then=then, elsewhere=way)
        return page_of(again, error.status)
    response = go(request, then_to("/password", then) if login.must_change_password else then)
    set_session(response, login.opened.token, seconds=custodes.settings.session_hours * 3600)
    return response


@router.get("/password")
async def show_password(request: Request) -> Response:
    """Ask for a new password."""
    try:
        principal = await _identify(request)
    except AuthenticationFailed:
        return go(request, "/login")
    if principal.method is not Method.SESSION:
        return page_of(message(base_of(request), "Password", "Your password is kept where you sign in."), 409)
    return page_of(_password_form(request, principal, then=safe_place(request.query_params.get("next", ""))))


@router.post("/password")
async def do_password(request: Request, custodes: CustodesDep) -> Response:
    """Change the password and go to the dashboard."""
    form = await _form(request)
    try:
        principal = await _own_request(request, custodes, form)
    except AuthenticationFailed:
        return go(request, "/login")
    new = form.get("new", "")
    then = safe_place(form.get("next", ""))
    try:
        if new != form.get("again", ""):
            msg = "The new password was not typed the same twice"
            raise InvalidInput(msg)
        trail = audit_trail(request, custodes, principal)
        login = await set_password(request, custodes, principal, trail, form.get("current", ""), new)
    except CustodesError as error:
        await _note(request, error)
        return page_of(_password_form(request, principal, then=then, alarm=str(error)), error.status)
    response = go(request, then)
    set_session(response, login.opened.token, seconds=custodes.settings.session_hours * 3600)
    return response


@router.post("/logout")
async def do_logout(request: Request, custodes: CustodesDep) -> Response:
    """End the session."""
    form = await _form(request)
    response = go(request, "/login")
    try:
        principal = await _own_request(request, custodes, form)
    except AuthenticationFailed:
        return response
    trail = audit_trail(request, custodes, principal)
    entry = trail.entry("auth.logout", target=f"admin_session:{principal.credential_id}")
    await custodes.identity.sessions.end(principal.credential_id, also=entry)
    clear_session(response)
    return response


@router.get("/{path:path}")
async def show_tab(path: str, request: Request) -> Response:
    """Show the dashboard at one of its own paths."""
    return await _show_dashboard(request, f"/{path}")


async def _show_dashboard(request: Request, place: str) -> Response:
    try:
        principal = await _identify(request)
    except AuthenticationFailed:
        way = way_elsewhere(request, custodes_of(request))
        login = way[0] if way else "/login"
        return go(request, then_to(login, with_query(request, place)))
    if principal.must_change_password:
        return go(request, then_to("/password", with_query(request, place)))
    try:
        require_admin(principal)
    except PermissionDenied as error:
        # No entry of the trail: somebody known has opened the page that one is led to after signing in, and asked for
        # nothing yet. What they ask of the API is refused, and written.
        return page_of(message(base_of(request), "Not allowed", error.message, csrf=_csrf(request, principal)), 403)
    dashboard: Dashboard = request.app.state.dashboard
    known = place.split("/")[1] in TABS if place else True
    way = way_elsewhere(request, custodes_of(request))
    return dashboard.page(root_of(request), base_of(request), elsewhere=way, status=200 if known else 404)


# ── Between request and answer ───────────────────────────────────────────────


async def _identify(request: Request) -> Principal:
    gate: Gate = request.app.state.gate
    principal = await gate.identify(request)
    request.state.principal = principal
    return principal


async def _own_request(request: Request, custodes: Custodes, form: dict[str, str]) -> Principal:
    """Identify who sends one of our forms; a form carries the CSRF token in a field instead of a header.

    Raises:
        AuthenticationFailed: the session has ended.
        PermissionDenied: the request may be forged.
    """
    token = request.cookies.get(SESSION_COOKIE, "")
    check_origin(request, custodes.settings.public_url)
    check_token(token, form.get("csrf", ""))
    principal = await custodes.identity.principal_of_session(token)
    if principal is None:
        msg = "The session has ended"
        raise AuthenticationFailed(msg)
    request.state.principal = principal
    return principal


async def _form(request: Request) -> dict[str, str]:
    """Read a form of ours.

    Raises:
        MalformedPayload: it is too large or not such a form.
    """
    raw = await request.body()
    if len(raw) <= _MAX_FORM and request.headers.get("content-type", "").startswith(
        "application/x-www-form-urlencoded"
    ):
        try:
            fields = parse_qs(raw.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
            return {name: values[0] for name, values in fields.items()}
        except ValueError:
            pass
    msg = "The form cannot be read"
    raise MalformedPayload(msg, remedy="Go back, reload the page and try again")


def _csrf(request: Request, principal: Principal) -> str:
    return csrf_token(request.cookies.get(SESSION_COOKIE, "")) if principal.method is Method.SESSION else ""


def _password_form(request: Request, principal: Principal, *, then: str, alarm: str = "") -> str:
    return password_form(
        base_of(request),
        username=principal.subject,
        csrf=_csrf(request, principal),
        then=then,
        forced=principal.must_change_password,
        alarm=alarm,
    )


async def _note(request: Request, error: CustodesError) -> None:
    await request.app.state.refusals.note(request, error)
