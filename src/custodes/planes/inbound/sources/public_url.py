"""The URL that the sender called, for schemes that sign it."""

from __future__ import annotations

from custodes.planes.inbound.sources.base import WebhookRequest


def called_url(request: WebhookRequest, configured: str) -> str:
    """Return the configured URL with the query of the request, or the URL of the request when none is configured."""
    _, mark, query = request.url.partition("?")
    url = configured + mark + query if configured else request.url
    # A URL that is no text matches no signature; it must not raise either.
    return url.encode("utf-8", "replace").decode("utf-8")
