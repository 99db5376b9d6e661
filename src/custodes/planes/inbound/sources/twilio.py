"""Twilio: ``X-Twilio-Signature``, base64 HMAC-SHA1 of the URL and the form's fields with the account's auth token.

The scheme signs decoded fields, so this is the one source that reads the form (bounded) before the signature is
checked. JSON bodies are signed by way of ``bodySHA256`` in the URL. Nothing signed says when: two deliveries with the
same URL and fields are the same event. The URL must be the one Twilio called; some of its products sign it with the
port and some without, so both are tried.
Source: twilio.com/docs/usage/webhooks/webhooks-security.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from custodes.errors import SignatureRefused
from custodes.kernel.signing import hmac_base64, matching, same
from custodes.planes.inbound.sources.base import (
    Source,
    Verified,
    WebhookRequest,
    content_key,
    content_type,
    header,
    is_name,
    no_match,
)
from custodes.planes.inbound.sources.public_url import called_url

#: Fields of one form that are read; Twilio sends some dozens.
MAX_FIELDS = 500

#: Ports that may stand in a URL or not.
_PORTS = {"https": 443, "http": 80}

#: Fields that hold the id of what the webhook is about.
_IDS = ("MessageSid", "SmsSid", "CallSid", "EventSid", "Sid")

#: Fields that tell how far it is, with the type they stand for.
_STATES = (("MessageStatus", "message"), ("SmsStatus", "message"), ("CallStatus", "call"))


class Twilio(Source):
    """Webhooks of Twilio; the type is ``message.STATUS``, ``call.STATUS`` or the field ``EventType``.

    Args:
        secrets: Auth tokens: the primary one and, while it is changed, the secondary.
        url: Scheme, host and path that Twilio calls, where it is not what the request says (behind a proxy).
        name: As of every source.
        max_body: As of every source.
    """

    name = "twilio"
    scheme = "HMAC-SHA1 of URL and form fields, base64"
    retries = False

    def __init__(self, secrets: Sequence[str], *, url: str = "", name: str = "", max_body: int = 0) -> None:
        super().__init__(secrets, name=name, max_body=max_body)
        self._url = url

    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check the signature, then read what it is about."""
        del now
        given = header(request, "x-twilio-signature")
        url = called_url(request, self._url)
        spellings = _spellings(url)
        body_hash = _body_hash(url)
        fields = [] if body_hash else _fields(request.body)
        signed = _signed_fields(fields)
        # All spellings of one secret stand together, so that the place tells the secret.
        expected = [hmac_base64(key, spelling + signed, "sha1") for key in self._keys for spelling in spellings]
        place = matching(expected, [given])
        if place is None or (body_hash and not same(body_hash.lower(), hashlib.sha256(request.body).hexdigest())):
            raise no_match(self.name)
        known = dict(fields)
        return Verified(
            event_id=next((known[field] for field in _IDS if is_name(known.get(field, ""))), ""),
            event_type=_type(known),
            dedupe_key=content_key(spellings[0], signed),
            signed_with=place // len(spellings),
            content_type=content_type(request),
        )


def _spellings(url: str) -> list[bytes]:
    """Return the URL without its port and with it; the first is the same for both."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return [_bytes(url)]
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    return [_bytes(url.replace(parts.netloc, netloc, 1)) for netloc in (host, f"{host}:{port}")]


def _body_hash(url: str) -> str:
    """Return the hash of the body that the URL states; empty when it states none."""
    _, _, query = url.partition("?")
    return next((text.partition("=")[2] for text in query.split("&") if text.startswith("bodySHA256=")), "")


def _fields(body: bytes) -> list[tuple[str, str]]:
    """Read a form. Every byte of it ends up in a field, so that none goes unsigned."""
    try:
        return parse_qsl(
            body.decode("latin-1"), keep_blank_values=True, errors="surrogateescape", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        msg = f"The form has more than {MAX_FIELDS} fields"
        raise SignatureRefused(msg, reason="malformed-body") from error


def _signed_fields(fields: list[tuple[str, str]]) -> bytes:
    """Write the fields as Twilio signs them: sorted, each pair once, names and values run together."""
    return b"".join(_bytes(name + value) for name, value in sorted(set(fields)))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _type(fields: dict[str, str]) -> str:
    for field, kind in _STATES:
        if field in fields:
            found = f"{kind}.{fields[field]}"
            return found if is_name(found) else ""
    found = fields.get("EventType", "")
    return found if is_name(found) else ""
