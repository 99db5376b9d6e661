"""Any other sender that signs with an HMAC, described by options.

The template says what is signed: ``{body}`` alone, or with ``{timestamp}`` and ``{id}`` around it, which are then taken
from the headers named beside it. A signed id makes the event; without one, the signed moment and body do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from custodes.errors import ConfigurationError, SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.kernel.several import several
from custodes.kernel.signing import MAX_SIGNATURES, hmac_base64, hmac_hex, matching, unix_seconds
from custodes.planes.inbound.sources.base import (
    DEFAULT_TOLERANCE,
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

#: How signatures are written.
Spelling = Literal["hex", "base64"]

_SPELLINGS = {"hex": hmac_hex, "base64": hmac_base64}

#: What may be signed with.
_ALGORITHMS = ("sha256", "sha512")

#: A part of a template.
_PART = re.compile(r"\{([a-z]*)\}")

#: What a header may be called (RFC 9110 §5.6.2).
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


class GenericHmac(TimedSource):
    """Webhooks of a sender that signs with an HMAC.

    Args:
        secrets: As of every source.
        header: Header of the signature. Several signatures may stand in it, separated by commas.
        algorithm: ``sha256`` or ``sha512``.
        encoding: ``hex`` or ``base64``.
        prefix: What stands before each signature, for example ``sha256=``.
        template: What is signed, for example ``{timestamp}.{body}``.
        timestamp_header: Header of the signed Unix timestamp; needed when the template has ``{timestamp}``.
        id_header: Header of the id; signed when the template has ``{id}``, and marked as unsigned when not.
        type_header: Header of the type, outside the signature.
        id_field: Name of the id in the top level of a JSON body; goes before ``id_header``.
        type_field: Name of the type in the top level of a JSON body; goes before ``type_header``.
        tolerance: Seconds that the timestamp may differ from now, either way.
        retries: Whether the sender delivers again after a 5xx.
        fraud_types: Patterns of types that speak of fraud.
        name: As of every source.
        max_body: As of every source.

    Raises:
        ConfigurationError: an option that would sign nothing, or not what it seems to.
        InvalidInput: the types of fraud events are one text.
    """

    name = "hmac"
    scheme = "HMAC, as configured"

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        header: str,
        algorithm: Literal["sha256", "sha512"] = "sha256",
        encoding: Spelling = "hex",
        prefix: str = "",
        template: str = "{body}",
        timestamp_header: str = "",
        id_header: str = "",
        type_header: str = "",
        id_field: str = "",
        type_field: str = "",
        tolerance: int = DEFAULT_TOLERANCE,
        retries: bool = True,
        fraud_types: Sequence[str] = (),
        name: str = "",
        max_body: int = 0,
    ) -> None:
        self.fraud_types = several("fraud types", fraud_types)
        super().__init__(secrets, name=name, max_body=max_body, tolerance=tolerance)
        self.retries = retries
        self._prefix = prefix
        self._header = header
        self._headers = {"timestamp": timestamp_header, "id": id_header}
        self._type_header = type_header
        self._algorithm: Literal["sha256", "sha512"] = algorithm
        self._encoding: Spelling = encoding
        self._check_choices()
        self._template = self._checked_template(template)
        self._signed = {part for part in self._template[1::2] if part != "body"}
        self._beside_id = self._borders_of_id()
        self._fields = msgspec.json.Decoder(_fields_of(id_field, type_field))

    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check the signature, then its moment where one is signed, then read id and type."""
        given = self._given(request)
        values = {name: header(request, self._headers[name]) for name in self._signed}
        timestamp = values.get("timestamp")
        if timestamp is not None and unix_seconds(timestamp) is None:
            msg = f"The header {self._headers['timestamp']} is not a Unix timestamp"
            raise SignatureRefused(msg, reason="malformed-header")
        # With what parts it from its neighbours in it, one signed message could be split in two ways.
        signed_id = values.get("id", "-")
        if not is_name(signed_id) or any(border in signed_id for border in self._beside_id):
            msg = f"The header {self._headers['id']} is not an id"
            raise SignatureRefused(msg, reason="malformed-header")
        message = self._message(values, request.body)
        signed_with = matching((self._sign(key, message) for key in self._keys), given)
        if signed_with is None:
            raise no_match(self.name)
        signed_at = None if timestamp is None else int(timestamp) * SECOND
        if signed_at is not None:
            self.check_time(signed_at, now)
        return self._verified(request, values, signed_at, signed_with)

    def _given(self, request: WebhookRequest) -> list[str]:
        given = [item.strip(" ") for item in header(request, self._header).split(",")]
        signatures = [item[len(self._prefix) :] for item in given if item.startswith(self._prefix)]
        if not 0 < len(signatures) <= MAX_SIGNATURES:
            msg = f"The header {self._header} holds no signature, or more than {MAX_SIGNATURES}"
            raise SignatureRefused(msg, reason="malformed-header")
        return [item.lower() for item in signatures] if self._encoding == "hex" else signatures

    def _sign(self, key: bytes, message: bytes) -> str:
        return _SPELLINGS[self._encoding](key, message, self._algorithm)

    def _message(self, values: Mapping[str, str], body: bytes) -> bytes:
        """Fill the template: literal and field take turns in it."""
        fields = {"body": body} | {name: value.encode("latin-1") for name, value in values.items()}
        parts = [fields[part] if place % 2 else part.encode("ascii") for place, part in enumerate(self._template)]
        return b"".join(parts)

    def _verified(
        self, request: WebhookRequest, values: Mapping[str, str], signed_at: int | None, signed_with: int
    ) -> Verified:
        found = read_fields(self._fields, request.body)
        timestamp = values.get("timestamp", "")
        field_id, field_type = _text(found, "event_id"), _text(found, "event_type")
        signed_id = field_id or values.get("id", "")
        return Verified(
            event_id=signed_id or unsigned_header(request, self._headers["id"] or "-"),
            event_type=field_type or unsigned_header(request, self._type_header or "-"),
            dedupe_key=id_key(signed_id) if signed_id else content_key(timestamp.encode("ascii"), request.body),
            occurred_at=signed_at,
            signed_with=signed_with,
            unsigned=self._unsigned(signed_id, field_type),
            content_type=content_type(request),
        )

    def _unsigned(self, signed_id: str, signed_type: str) -> frozenset[str]:
        doubtful = {
            "event_id": self._headers["id"] and not signed_id,
            "event_type": self._type_header and not signed_type,
        }
        return frozenset(name for name, is_doubtful in doubtful.items() if is_doubtful)

    def _check_choices(self) -> None:
        if self._algorithm not in _ALGORITHMS or self._encoding not in _SPELLINGS:
            msg = f"Source {self.name!r} signs with {self._algorithm!r}, written in {self._encoding!r}"
            raise ConfigurationError(msg, remedy="Use sha256 or sha512, and hex or base64")
        headers = [self._header, *filter(None, [*self._headers.values(), self._type_header])]
        if not all(map(_TOKEN.fullmatch, headers)):
            msg = f"Source {self.name!r} has a header name that cannot be"
            raise ConfigurationError(msg, remedy="Give the name alone, like X-Signature")

    def _checked_template(self, template: str) -> list[str]:
        """Take the template apart: literals at even places, names of parts at odd ones."""
        parts = _PART.split(template)
        names = parts[1::2]
        if "body" not in names or len(set(names)) != len(names) or not set(names) <= {"body", *self._headers}:
            msg = f"The template of source {self.name!r} is {template!r}"
            raise ConfigurationError(
                msg, remedy="Use {body}, {timestamp} and {id}, each at most once, and {body} always"
            )
        missing = [name for name in names if name != "body" and not self._headers[name]]
        if missing or ("timestamp" not in names and self._headers["timestamp"]):
            msg = f"The template of source {self.name!r} and its headers do not go together"
            raise ConfigurationError(msg, remedy="Give timestamp_header with {timestamp}, and id_header with {id}")
        if not template.isascii():
            msg = f"The template of source {self.name!r} has characters outside ASCII"
            raise ConfigurationError(msg, remedy="Use ASCII")
        return parts

    def _borders_of_id(self) -> list[str]:
        """List the literals between the signed id and its neighbours.

        Raises:
            ConfigurationError: nothing parts it from the body, so nobody can tell where one ends.
        """
        parts = self._template
        if "id" not in self._signed:
            return []
        place = 2 * parts[1::2].index("id") + 1
        beside = [(parts[at], parts[at + step]) for step in (-1, 1) if 0 < (at := place + step) < len(parts) - 1]
        if ("", "body") in beside:
            msg = f"In the template of source {self.name!r} nothing parts {{id}} from {{body}}"
            raise ConfigurationError(msg, remedy="Take the id from the body with id_field, and sign the body alone")
        return [border for border, _ in beside if border]


def _fields_of(id_field: str, type_field: str) -> type[msgspec.Struct]:
    """Make the type that reads the two fields, by whatever name the sender gives them."""
    wanted = {"event_id": id_field, "event_type": type_field}
    return msgspec.defstruct(
        "Fields",
        [
            (ours, str | int | None, msgspec.field(name=theirs, default=None))
            for ours, theirs in wanted.items()
            if theirs
        ],
    )


def _text(found: msgspec.Struct | None, name: str) -> str:
    value: Any = getattr(found, name, None)
    text = "" if value is None else str(value)
    return text if is_name(text) else ""
