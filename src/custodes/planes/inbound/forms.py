"""JSON that comes in a form: GitHub's content type ``application/x-www-form-urlencoded``, Slack's interactions.

The body is ``payload=`` and the JSON text, percent-encoded, and nothing else. Whether it is such a form is told by the
signed bytes alone: the content type is a header, which anyone with a copy of a delivery can change, and no JSON text
begins with a ``p``. Source: docs.github.com/webhooks/using-webhooks/creating-webhooks ("Content type").
"""

from __future__ import annotations

import binascii
import re
from urllib.parse import quote_plus

from custodes.errors import MalformedPayload

#: Media type of forms (WHATWG URL standard §5).
MEDIA_TYPE = "application/x-www-form-urlencoded"

#: How the one field begins.
_FIELD = b"payload="

#: What a value may be written with: what is printable, but for what parts fields.
_WRITTEN = re.compile(rb"[!-%'-:<-~]*")

#: A percent sign that begins no escape.
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def json_text(body: bytes) -> bytes:
    """Return the JSON text of a delivery: the body itself, or what the one field of a form holds.

    Raises:
        MalformedPayload: the form has another field, or is not written as forms are.
    """
    if not body.startswith(_FIELD):
        return body
    value = body[len(_FIELD) :]
    if not _WRITTEN.fullmatch(value) or _BROKEN.search(value):
        msg = "The form has more than the field payload, or is not percent-encoded"
        raise MalformedPayload(msg, remedy="Look at the raw bytes")
    # Quoted-printable with another sign, in which it is decoded in one go: 25 MB of escapes would otherwise be eight
    # million parts.
    return binascii.a2b_qp(value.replace(b"+", b" ").replace(b"=", b"=3D").replace(b"%", b"="))


def forms_of(text: bytes) -> tuple[bytes, ...]:
    """Write a JSON text as a form, in each of the ways of senders: they differ in what they leave as it is."""
    plain = quote_plus(text, safe="*")
    # Ruby and the WHATWG standard leave * and escape ~; RFC 3986 does it the other way round.
    return tuple(_FIELD + each.encode("ascii") for each in (plain.replace("~", "%7E"), plain.replace("*", "%2A")))
