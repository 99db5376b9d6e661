"""Requests forged by other sites: refused twice over.

A browser sends our cookie along with whatever another page makes it send. So a request that changes something and is
authenticated by a cookie must (1) come from our own pages, by what the browser itself says (``Sec-Fetch-Site``,
``Origin``), and (2) carry a token that only our pages know. OWASP ASVS 5.0 V3.5.1–V3.5.3.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.requests import Request

from custodes.errors import PermissionDenied
from custodes.planes.identity.tokens import csrf_token

#: Header that carries the token.
CSRF_HEADER = "x-csrf-token"

#: Methods that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


#: Ports that browsers leave out of an origin (RFC 6454 §6.2).
_PORTS = {"https": ":443", "http": ":80"}


class ForgedRequest(PermissionDenied):
    """The request looks like one that another site made the browser send."""

    code = "forged-request"


def check_origin(request: Request, public_url: str) -> None:
    """Check what the browser says of where a request comes from; a client that says nothing is no browser.

    Args:
        request: what came.
        public_url: where browsers reach the page that sends it; empty: taken from the request.

    Raises:
        ForgedRequest: it comes from another site.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise _forged("it comes from another site")
    origin = request.headers.get("origin")
    if origin is not None and not _ours(origin, request, public_url):
        raise _forged("it comes from another origin")


def check_token(session_token: str, presented: str) -> None:
    """Check the token that our own pages send.

    Raises:
        ForgedRequest: it is missing or wrong.
    """
    expected = csrf_token(session_token)
    if not hmac.compare_digest(expected.encode("ascii"), presented.encode("utf-8", "surrogatepass")):
        raise _forged("the CSRF token is missing or wrong")


def _ours(origin: str, request: Request, public_url: str) -> bool:
    try:
        found = urlsplit(origin)
    except ValueError:
        return False
    if public_url and origin == origin_of(public_url):
        return True
    # A proxy that ends TLS makes our own scheme look like http: https of the same host is ours, too, never less.
    schemes = {"https", request.url.scheme}
    return found.scheme in schemes and found.netloc.lower() == request.headers.get("host", "").lower()


def origin_of(url: str) -> str:
    """Return the origin of a URL, as browsers write it: in lower case, without the port that the scheme implies."""
    parts = urlsplit(url)
    host = parts.netloc.lower().removesuffix(_PORTS.get(parts.scheme, ""))
    return f"{parts.scheme}://{host}"


def _forged(why: str) -> ForgedRequest:
    msg = f"The request is refused: {why}"
    return ForgedRequest(msg, remedy="Reload the page; programs use an API key instead of the cookie")
