"""Square: ``X-Square-HmacSha256-Signature``, base64 HMAC-SHA256 of the notification URL and the body.

Source: developer.squareup.com/docs/webhooks/step3validate.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from custodes.kernel.clock import from_iso
from custodes.kernel.signing import hmac_base64, matching
from custodes.planes.inbound.sources.base import (
    Source,
    Verified,
    WebhookRequest,
    content_key,
    content_type,
    header,
    id_key,
    is_name,
    no_match,
)
from custodes.planes.inbound.sources.envelope import read_fields
from custodes.planes.inbound.sources.public_url import called_url


class _Event(msgspec.Struct):
    """What is read of the body."""

    event_id: str = ""
    type: str = ""
    created_at: str = ""


_EVENT = msgspec.json.Decoder(_Event)


class Square(Source):
    """Webhooks of Square.

    Args:
        secrets: Signature keys of the subscription.
        url: The notification URL as it is registered, where it is not what the request says (behind a proxy).
        name: As of every source.
        max_body: As of every source.
    """

    name = "square"
    scheme = "HMAC-SHA256 of URL and body, base64"
    fraud_types = ("dispute.*",)

    def __init__(self, secrets: Sequence[str], *, url: str = "", name: str = "", max_body: int = 0) -> None:
        super().__init__(secrets, name=name, max_body=max_body)
        self._url = url

    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check the signature, then read id, type and moment of the event."""
        del now
        given = header(request, "x-square-hmacsha256-signature")
        message = called_url(request, self._url).encode() + request.body
        signed_with = matching((hmac_base64(key, message) for key in self._keys), [given])
        if signed_with is None:
            raise no_match(self.name)
        event = read_fields(_EVENT, request.body) or _Event()
        event_id = event.event_id if is_name(event.event_id) else ""
        return Verified(
            event_id=event_id,
            event_type=event.type if is_name(event.type) else "",
            dedupe_key=id_key(event_id) if event_id else content_key(request.body),
            occurred_at=_moment(event.created_at),
            signed_with=signed_with,
            content_type=content_type(request),
        )


def _moment(text: str) -> int | None:
    try:
        return from_iso(text)
    except (ValueError, OverflowError):
        return None
