"""Zendesk: ``X-Zendesk-Webhook-Signature``, base64 HMAC-SHA256 of an RFC 3339 timestamp and the body.

Source: developer.zendesk.com/documentation/webhooks/verifying.
"""

from __future__ import annotations

import re

import msgspec

from custodes.errors import SignatureRefused
from custodes.kernel.clock import from_iso
from custodes.kernel.signing import hmac_base64, matching
from custodes.planes.inbound.sources.base import (
    TimedSource,
    Verified,
    WebhookRequest,
    content_key,
    content_type,
    header,
    id_key,
    is_name,
    no_match,
    unsigned_header,
)
from custodes.planes.inbound.sources.envelope import read_fields

#: The one spelling that Zendesk uses.
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class _Event(msgspec.Struct):
    """What is read of the body: events of a subscription have both, those of a trigger whatever its author wrote."""

    id: str = ""
    type: str = ""


_EVENT = msgspec.json.Decoder(_Event)


class Zendesk(TimedSource):
    """Webhooks of Zendesk: of event subscriptions and of triggers."""

    name = "zendesk"
    scheme = "HMAC-SHA256 of timestamp and body, base64"

    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check the signature, then its moment, then read id and type."""
        given = header(request, "x-zendesk-webhook-signature")
        timestamp = header(request, "x-zendesk-webhook-signature-timestamp")
        if not _TIMESTAMP.fullmatch(timestamp):
            msg = "The header x-zendesk-webhook-signature-timestamp is not like 2026-11-23T06:00:00Z"
            raise SignatureRefused(msg, reason="malformed-header")
        message = timestamp.encode("ascii") + request.body
        signed_with = matching((hmac_base64(key, message) for key in self._keys), [given])
        if signed_with is None:
            raise no_match(self.name)
        signed_at = _moment(timestamp)
        self.check_time(signed_at, now)
        event = read_fields(_EVENT, request.body) or _Event()
        event_id = event.id if is_name(event.id) else ""
        return Verified(
            event_id=event_id or unsigned_header(request, "x-zendesk-webhook-invocation-id"),
            event_type=event.type if is_name(event.type) else "",
            dedupe_key=id_key(event_id) if event_id else content_key(timestamp.encode("ascii"), request.body),
            occurred_at=signed_at,
            signed_with=signed_with,
            unsigned=frozenset() if event_id else frozenset({"event_id"}),
            content_type=content_type(request),
        )


def _moment(text: str) -> int | None:
    try:
        return from_iso(text)
    except ValueError:
        return None
