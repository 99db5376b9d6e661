"""The headers of a delivery: what an endpoint may ask for, and the signature."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from custodes.errors import InvalidInput
from custodes.kernel.clock import SECOND
from custodes.kernel.signing import PrivateKey, hmac_base64

#: Most headers of one endpoint, and longest name and value, characters.
MAX_HEADERS = 20
MAX_NAME = 100
MAX_VALUE = 1_000

#: Names that are ours or the connection's.
RESERVED = frozenset(
    """
    accept-encoding authorization connection content-encoding content-length content-type cookie date expect forwarded
    host keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade
    user-agent via traceparent
    """.split()  # noqa: SIM905 - a table is easier to read so
)  # fmt: skip
_RESERVED_PREFIXES = ("webhook-", "svix-", "x-forwarded-", "proxy-", "sec-")

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Check the headers that an endpoint asks for; returns them with names in lower case.

    Raises:
        InvalidInput: a name or a value is none, or the name is ours.
    """
    if len(headers) > MAX_HEADERS:
        raise _wrong(f"There are {len(headers)} headers", f"Use at most {MAX_HEADERS}")
    kept: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if not _TOKEN.fullmatch(name) or len(name) > MAX_NAME:
            raise _wrong("A header's name is none", "Use letters, digits and -")
        if lower in RESERVED or lower.startswith(_RESERVED_PREFIXES):
            raise _wrong(f"The header {lower} is reserved", "Choose another name; credentials belong in the auth")
        if not _VALUE.fullmatch(value) or len(value) > MAX_VALUE or value != value.strip():
            raise _wrong(f"The value of {lower} is none", f"Use printable ASCII, at most {MAX_VALUE} characters")
        if lower in kept:
            raise _wrong(f"The header {lower} is there twice", "Names differ not by case")
        kept[lower] = value
    return kept


def signed_headers(
    message_id: str, now: int, body: bytes, secrets: Sequence[bytes], keys: Sequence[PrivateKey] = ()
) -> dict[str, str]:
    """Sign a body (Standard Webhooks): ``webhook-id``, ``webhook-timestamp``, ``webhook-signature``.

    Args:
        message_id: the same at each attempt.
        now: when it is sent, microseconds.
        body: exact bytes.
        secrets: of HMAC (``v1``), one signature each, newest first.
        keys: of Ed25519 (``v1a``), the same.
    """
    timestamp = str(now // SECOND)
    signed = b".".join([message_id.encode(), timestamp.encode(), body])
    signatures = [f"v1,{hmac_base64(secret, signed)}" for secret in secrets]
    signatures += [f"v1a,{key.sign(signed)}" for key in keys]
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def _wrong(fault: str, remedy: str) -> InvalidInput:
    return InvalidInput(fault, remedy=remedy)
