"""The session cookie.

``__Host-`` binds it to this very host and to Secure (RFC 6265bis §4.1.3.2). It also works on ``http://127.0.0.1`` and
``http://localhost``: Chromium 156 and curl 7.88 take both for secure origins (tried). On any other plain-http address
no browser would keep it, so nobody is asked for a password there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from custodes.admin.auth.fetch import LOOPBACK

#: Name of the session cookie.
SESSION_COOKIE = "__Host-custodes"

#: Cookie of a sign-in under way at an issuer, and how long that may take, seconds.
ATTEMPT_COOKIE = "__Host-custodes-sign-in"
ATTEMPT_SECONDS = 600

#: Cookie in which Clerk keeps its session token on the pages of the app.
CLERK_COOKIE = "__session"


def set_session(response: Response, token: str, *, seconds: int) -> None:
    """Give a session to the browser."""
    response.set_cookie(SESSION_COOKIE, token, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def clear_session(response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def set_attempt(response: Response, value: str) -> None:
    """Give the browser what it must bring back from the issuer. Lax: the issuer's answer comes from another site."""
    response.set_cookie(
        ATTEMPT_COOKIE, value, max_age=ATTEMPT_SECONDS, path="/", secure=True, httponly=True, samesite="lax"
    )


def read_attempt(request: Request) -> str:
    """Return what the browser has brought back; empty when it has nothing."""
    return request.cookies.get(ATTEMPT_COOKIE, "")


def clear_attempt(response: Response) -> None:
    """Take it: it counts once."""
    response.delete_cookie(ATTEMPT_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def can_keep_cookies(request: Request, public_url: str) -> bool:
    """Tell whether a browser would keep a Secure cookie of this address, or of the one that it really calls."""
    origin = request.headers.get("origin", "")
    if origin.startswith("http://") and not _is_loopback(origin):
        return False  # it says itself what it really calls: past the proxy that ends TLS
    if request.url.scheme == "https" or public_url.startswith("https://"):
        return True
    return (request.url.hostname or "") in LOOPBACK


def _is_loopback(origin: str) -> bool:
    try:
        return (urlsplit(origin).hostname or "") in LOOPBACK
    except ValueError:
        return False
