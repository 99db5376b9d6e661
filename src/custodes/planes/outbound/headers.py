"""The headers of a delivery: what an endpoint may ask for, what is forwarded, the signature, what is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from custodes.errors import InvalidInput
from custodes.kernel.clock import SECOND
from custodes.kernel.redact import MASK, redact_text, sensitive_name, storable
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

#: Of the headers that came with a webhook, those of its connection, of the proxies before us, and of ours.
_NOT_FORWARDED = frozenset(
    """
    accept-encoding connection content-length cookie expect forwarded host keep-alive proxy-authenticate
    proxy-authorization proxy-connection te trailer transfer-encoding traceparent tracestate upgrade via
    cf-connecting-ip fastly-client-ip true-client-ip x-client-ip x-cluster-client-ip x-original-url x-real-ip
    x-rewrite-url
    """.split()  # noqa: SIM905 - a table is easier to read so
)
_PREFIXES_NOT_FORWARDED = ("x-forwarded-", "proxy-", "custodes-", "original-webhook-")

#: Our own signature takes the names of Standard Webhooks: those of the sender go on with this before theirs.
ORIGINAL = "original-"

#: Characters of the headers of an attempt that are kept.
MAX_SHOWN = 16_384

#: Headers of an answer that are kept, characters of one value, and characters of all: strangers write them.
MAX_ANSWERED = 40
MAX_ANSWERED_VALUE = 500
MAX_ANSWERED_SHOWN = 4_096

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")


def checked_headers(headers: Mapping[str, str | None]) -> dict[str, str | None]:
    """Check the headers that an endpoint asks for; returns them with names in lower case.

    None stands for a value that is sealed.

    Raises:
        InvalidInput: a name or a value is none, or the name is ours.
    """
    if len(headers) > MAX_HEADERS:
        raise _wrong(f"There are {len(headers)} headers", f"Use at most {MAX_HEADERS}")
    kept: dict[str, str | None] = {}
    for name, value in headers.items():
        lower = name.lower()
        if not _TOKEN.fullmatch(name) or len(name) > MAX_NAME:
            raise _wrong("A header's name is none", "Use letters, digits and -")
        if lower in RESERVED or lower.startswith(_RESERVED_PREFIXES):
            raise _wrong(f"The header {lower} is reserved", "Choose another name; credentials belong in the auth")
        if value is not None and not _acceptable(value):
            raise _wrong(f"The value of {lower} is none", f"Use printable ASCII, at most {MAX_VALUE} characters")
        if lower in kept:
            raise _wrong(f"The header {lower} is there twice", "Names differ not by case")
        kept[lower] = value
    return kept


def _acceptable(value: str) -> bool:
    return bool(_VALUE.fullmatch(value)) and len(value) <= MAX_VALUE and value == value.strip()


def filled(asked: Mapping[str, str | None], kept: Mapping[str, str]) -> dict[str, str]:
    """Return headers with their values: what is given, and for None what was kept under the name.

    Raises:
        InvalidInput: nothing was.
    """
    values = {name: kept.get(name) if value is None else value for name, value in asked.items()}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise _wrong(f"The header {missing[0]} has no value that could be kept", "Give its value")
    return {name: value for name, value in values.items() if value is not None}


def forwarded_headers(raw: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Choose, of the headers that a webhook came with, those that go on with it.

    Left out are those of its connection and of proxies, cookies, and those whose value was masked when it came
    (``authorization``, ``x-gitlab-token``): what is secret was not kept. Repeated ones are joined (RFC 9110 §5.3).

    Args:
        raw: names in lower case, values as latin-1: each character a byte.
    """
    came = [(name.lower(), value) for name, value in raw]
    # What the sender named as its connection's ends here (RFC 9110 §7.6.1).
    nominated = {one.strip().lower() for name, value in came if name == "connection" for one in value.split(",")}
    kept: dict[str, str] = {}
    for lower, value in came:
        if value == MASK or lower in _NOT_FORWARDED | nominated or lower.startswith(_PREFIXES_NOT_FORWARDED):
            continue
        text = _as_sent(value)
        if text is None or not _TOKEN.fullmatch(lower):
            continue
        lower = ORIGINAL + lower if lower.startswith("webhook-") else lower
        kept[lower] = f"{kept[lower]}, {text}" if lower in kept else text
    return kept


def _as_sent(value: str) -> str | None:
    """Return the text that the client writes as these bytes: it writes UTF-8. None: no text does, or it is no value."""
    try:
        text = value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None
    return None if any((ord(one) < 32 and one != "\t") or ord(one) == 127 for one in text) else text


def shown_headers(headers: Mapping[str, str], own: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the headers of a request as they may be kept and shown: without secrets.

    Args:
        headers: what was sent.
        own: names that the endpoint asked for: their values may be secret.
    """
    asked, left, shown = frozenset(own), MAX_SHOWN, list[tuple[str, str]]()
    for name, value in headers.items():
        told = MASK if name in asked or sensitive_name(name) else value
        left -= len(name) + len(told)
        if left < 0:
            shown.append(("…", f"{len(headers) - len(shown)} more"))
            break
        shown.append((name, told))
    return tuple(shown)


def answered_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer as they may be kept and shown: without secrets, and bounded.

    Masked are values whose name says that they are secret (``set-cookie``), and what looks like a secret in any other.
    """
    left, shown = MAX_ANSWERED_SHOWN, list[tuple[str, str]]()
    for name, value in headers.items():
        told = MASK if sensitive_name(name) else _cut(redact_text(storable(value), cards=False))
        left -= len(name) + len(told)
        if left < 0 or len(shown) == MAX_ANSWERED:
            shown.append(("…", f"{len(headers) - len(shown)} more"))
            break
        shown.append((storable(name), told))
    return tuple(shown)


def _cut(value: str) -> str:
    return value if len(value) <= MAX_ANSWERED_VALUE else f"{value[:MAX_ANSWERED_VALUE]}… [{len(value)} characters]"


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
