"""The URL that the sender called, for schemes that sign it."""

from __future__ import annotations

import re

from custodes.planes.inbound.sources.base import WebhookRequest

#: A query as RFC 3986 §3.4 writes it, and what senders leave unescaped besides. A brace or a quote is none of it: a
#: piece of a signed body that was moved behind the URL would begin with one.
_QUERY = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?%\[\]|]*")


def called_url(request: WebhookRequest, configured: str) -> str:
    """Return the configured URL with the query of the request, or the URL of the request when none is configured.

    Empty, which no sender calls, when the query is none.
    """
    _, mark, query = request.url.partition("?")
    if not _QUERY.fullmatch(query):
        return ""
    url = configured + mark + query if configured else request.url
    # A URL that is no text matches no signature; it must not raise either.
    return url.encode("utf-8", "replace").decode("utf-8")
