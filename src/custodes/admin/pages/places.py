"""Where the pages are, and how one gets from one to another: never anywhere else."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from custodes.admin.dashboard import TABS

#: Where the pages are mounted; see ``admin/app.py``.
PLACE = "/dashboard/admin/enterprise"

#: Nothing but our own style sheet, letters and forms.
_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

#: Longest place to go to after signing in: a view with all its filters.
_MAX_PLACE = 2_048


def root_of(request: Request) -> str:
    """Return the URL path that the whole install is mounted at; often empty."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def base_of(request: Request) -> str:
    """Return the URL path of the pages, the mount prefix included."""
    return f"{root_of(request)}{PLACE}"


def with_query(request: Request, place: str) -> str:
    """Return a place with the query of this request."""
    query = request.url.query
    return f"{place}?{query}" if query else place


def safe_place(place: str) -> str:
    """Return where to go after signing in: a place of the dashboard, nowhere else."""
    if len(place) > _MAX_PLACE or not place.isprintable() or "\\" in place:
        return ""
    try:
        parts = urlsplit(place)
    except ValueError:
        return ""
    first = parts.path.split("/")[1] if parts.path.startswith("/") else ""
    if parts.scheme or parts.netloc or (parts.path and first not in TABS):
        return ""
    # A browser takes "..", also when it is written "%2e%2e", for the folder above: out of the dashboard.
    if any(part.lower().replace("%2e", ".") in {".", ".."} for part in parts.path.split("/")):
        return ""
    return place


def then_to(place: str, then: str) -> str:
    """Return a page of ours that leads to a place of the dashboard afterwards."""
    return f"{place}?next={quote(then, safe='')}" if then else place


def page_of(text: str, status: int = 200) -> HTMLResponse:
    """Answer with a page."""
    return HTMLResponse(text, status_code=status, headers={"Content-Security-Policy": _CSP})


def go(request: Request, place: str) -> RedirectResponse:
    """Send the browser to a place of ours."""
    return RedirectResponse(f"{base_of(request)}{place}", status_code=303)
