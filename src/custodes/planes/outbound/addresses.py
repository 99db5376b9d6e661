"""Which URLs may be endpoints, or be asked for tokens, as far as their text tells.

Where they lead is checked when they are called.
"""

from __future__ import annotations

from typing import NoReturn
from urllib.parse import urlsplit

from custodes.errors import InvalidInput

#: Longest URL, characters.
MAX_URL = 2_000


def checked_url(url: str, *, allow_http: bool = False, name: str = "The URL of the endpoint") -> str:
    """Check the URL of an endpoint, or another one that ``name`` names; returns it.

    Raises:
        InvalidInput: not an absolute https URL, with user information or a fragment, or too long. The message never
            holds the URL, which may carry a secret.
    """
    if len(url) > MAX_URL:
        _refuse(name, f"has {len(url)} characters", f"Use at most {MAX_URL}")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        _refuse(name, "has characters that a URL cannot have", "Percent-encode them; write the host in punycode")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        _refuse(name, "is not a URL", "Write https://host/path")
    if allow_http and parts.scheme not in ("https", "http"):
        _refuse(name, "is neither an https nor an http URL", "Write https://host/path or http://host/path")
    if not allow_http and parts.scheme != "https":
        _refuse(name, "is not an https URL", "Use https, or allow http with CUSTODES_OUTBOUND_ALLOW_HTTP for tests")
    if not host or port == 0:
        _refuse(name, "names no host", "Write https://host/path")
    if "@" in parts.netloc:
        _refuse(
            name, "carries a user name or password", "Leave them out: what proves who we are goes into the credentials"
        )
    if parts.fragment:
        _refuse(name, "carries a fragment", "Leave out everything from #")
    return url


def _refuse(name: str, fault: str, remedy: str) -> NoReturn:
    msg = f"{name} {fault}"
    raise InvalidInput(msg, remedy=remedy)
