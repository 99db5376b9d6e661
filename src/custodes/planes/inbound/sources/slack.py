"""Slack: ``X-Slack-Signature: v0=…``, hex HMAC-SHA256 of ``v0:timestamp:body`` with the app's signing secret.

Events come as JSON with a signed id, slash commands and interactions as forms without one. The handshake
``url_verification`` is signed too and answered by :meth:`Slack.challenge`.
Source: docs.slack.dev/authentication/verifying-requests-from-slack.
"""

from __future__ import annotations

import msgspec

from custodes.errors import SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.kernel.signing import hmac_hex, matching, unix_seconds
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
)
from custodes.planes.inbound.sources.envelope import read_fields


class _Inner(msgspec.Struct):
    """The event inside the callback."""

    type: str = ""


class _Callback(msgspec.Struct):
    """What is read of a JSON body."""

    type: str = ""
    event_id: str = ""
    challenge: str = ""
    event: _Inner | None = None


_CALLBACK = msgspec.json.Decoder(_Callback)

#: What a form is, by the name of a field that only it has.
_FORMS = {b"command=": "slash_command", b"payload=": "interaction"}


class Slack(TimedSource):
    """Webhooks of Slack: Events API, slash commands, interactions."""

    name = "slack"
    scheme = "HMAC-SHA256 of version, timestamp and body, hex (v0)"

    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check the signature, then its moment, then read id and type."""
        given = header(request, "x-slack-signature")
        timestamp = header(request, "x-slack-request-timestamp")
        if unix_seconds(timestamp) is None:
            msg = "The header x-slack-request-timestamp is not a Unix timestamp"
            raise SignatureRefused(msg, reason="malformed-header")
        message = b"v0:%b:%b" % (timestamp.encode("ascii"), request.body)
        signed_with = matching(("v0=" + hmac_hex(key, message) for key in self._keys), [given])
        if signed_with is None:
            raise no_match(self.name)
        signed_at = int(timestamp) * SECOND
        self.check_time(signed_at, now)
        event_id, event_type = _identity(request.body)
        return Verified(
            event_id=event_id,
            event_type=event_type,
            dedupe_key=id_key(event_id) if event_id else content_key(request.body),
            occurred_at=signed_at,
            signed_with=signed_with,
            content_type=content_type(request),
        )

    def challenge(self, request: WebhookRequest) -> bytes | None:
        """Answer Slack's ``url_verification``: the challenge itself, as plain text."""
        callback = read_fields(_CALLBACK, request.body)
        if callback is None or callback.type != "url_verification":
            return None
        return callback.challenge.encode()


def _identity(body: bytes) -> tuple[str, str]:
    """Return id and type; both may be empty."""
    callback = read_fields(_CALLBACK, body)
    if callback is None:
        return "", next((kind for field, kind in _FORMS.items() if _has_field(body, field)), "")
    event_type = callback.event.type if callback.event else callback.type
    return (
        callback.event_id if is_name(callback.event_id) else "",
        event_type if is_name(event_type) else "",
    )


def _has_field(form: bytes, field: bytes) -> bool:
    return form.startswith(field) or b"&" + field in form
