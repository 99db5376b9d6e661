"""Standard Webhooks: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``, signed as ``id.timestamp.body``.

``v1`` is HMAC-SHA256 with a ``whsec_`` secret, ``v1a`` Ed25519 with a ``whpk_`` public key; both in base64, several in
one header, separated by spaces. Svix, and so Clerk and Resend, send the same under ``svix-…``.
Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import msgspec

from custodes.errors import ConfigurationError, SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.kernel.signing import (
    MAX_SIGNATURES,
    PRIVATE_PREFIX,
    PUBLIC_PREFIX,
    PublicKey,
    hmac_base64,
    matching,
    symmetric_key,
    unix_seconds,
)
from custodes.planes.inbound.sources.base import (
    DEFAULT_TOLERANCE,
    TimedSource,
    Verified,
    WebhookRequest,
    content_type,
    header,
    id_key,
    is_name,
    no_match,
)
from custodes.planes.inbound.sources.envelope import read_fields


class _Event(msgspec.Struct):
    """What is read of the body; the specification advises ``type``, Svix's own examples say ``event_type``."""

    type: str = ""
    event_type: str = ""


_EVENT = msgspec.json.Decoder(_Event)


@dataclass(frozen=True, slots=True)
class Key:
    """One secret, ready to check."""

    #: Version in the header that it can check: ``v1`` or ``v1a``.
    version: str
    #: Whether one of these signatures is its own over the message.
    explains: Callable[[Sequence[str], bytes], bool]


@dataclass(frozen=True, slots=True)
class Envelope:
    """The three headers."""

    #: The sender's id of the message; the same in each retry.
    id: str
    #: Unix seconds as they were written.
    timestamp: str
    #: Signatures by version.
    signatures: dict[str, list[str]]

    def message(self, body: bytes) -> bytes:
        """Return the bytes that are signed."""
        return b"%b.%b.%b" % (self.id.encode("ascii"), self.timestamp.encode("ascii"), body)


class Names(NamedTuple):
    """What the three headers are called."""

    #: Of the id.
    id: str
    #: Of the moment.
    timestamp: str
    #: Of the signatures.
    signature: str


#: As the specification says.
STANDARD_NAMES = Names("webhook-id", "webhook-timestamp", "webhook-signature")

#: As Svix says.
SVIX_NAMES = Names("svix-id", "svix-timestamp", "svix-signature")


class StandardWebhooks(TimedSource):
    """Webhooks after the Standard Webhooks specification; secrets are ``whsec_…`` or public keys ``whpk_…``."""

    name = "standard-webhooks"
    scheme = "Standard Webhooks: HMAC-SHA256 (v1) or Ed25519 (v1a) of id, timestamp and body"
    #: Names of the headers; the first set that has a signature is taken.
    header_names: ClassVar[tuple[Names, ...]] = (STANDARD_NAMES,)

    def __init__(
        self, secrets: Sequence[str], *, name: str = "", max_body: int = 0, tolerance: int = DEFAULT_TOLERANCE
    ) -> None:
        super().__init__(secrets, name=name, max_body=max_body, tolerance=tolerance)
        self._signing_keys = [read_key(self.name, secret) for secret in self._secrets]

    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check the signature, then its moment, then read the type of the event."""
        envelope = read_envelope(request, self.header_names)
        signed_with = explaining(self._signing_keys, envelope, request.body)
        if signed_with is None:
            raise no_match(self.name)
        signed_at = int(envelope.timestamp) * SECOND
        self.check_time(signed_at, now)
        return Verified(
            event_id=envelope.id,
            event_type=_type(request.body),
            dedupe_key=id_key(envelope.id),
            occurred_at=signed_at,
            signed_with=signed_with,
            content_type=content_type(request),
        )


class Svix(StandardWebhooks):
    """Webhooks sent by Svix, under either set of header names."""

    name = "svix"
    header_names = (SVIX_NAMES, STANDARD_NAMES)


class Clerk(Svix):
    """Webhooks of Clerk, which sends through Svix."""

    name = "clerk"


def read_key(name: str, secret: str) -> Key:
    """Read one secret of a source, or raise ``ConfigurationError``."""
    if secret.startswith(PRIVATE_PREFIX):
        msg = f"A secret of source {name!r} is a private key"
        raise ConfigurationError(msg, remedy=f"Give the public one, {PUBLIC_PREFIX}…; whoever checks needs no more")
    if secret.startswith(PUBLIC_PREFIX):
        public = PublicKey.read(secret)
        if public is not None:
            return Key("v1a", _asymmetric(public))
    else:
        symmetric = symmetric_key(secret)
        if symmetric is not None:
            return Key("v1", _symmetric(symmetric))
    msg = f"A secret of source {name!r} is neither whsec_ nor {PUBLIC_PREFIX} and base64"
    raise ConfigurationError(msg, remedy="Copy it from the sender's page as it stands there")


def read_envelope(request: WebhookRequest, choices: Sequence[Names]) -> Envelope:
    """Take the three headers apart.

    Raises:
        SignatureRefused: one is missing or malformed.
    """
    names = choices[0]
    for choice in choices[1:]:
        if names.signature not in request.headers:
            names = choice
    signatures = _by_version(header(request, names.signature))
    message_id = header(request, names.id)
    timestamp = header(request, names.timestamp)
    # A full stop in the id would let one signed message be split in two ways.
    if "." in message_id or not (message_id.isascii() and is_name(message_id)):
        msg = f"The header {names.id} is not an id"
        raise SignatureRefused(msg, reason="malformed-header")
    if unix_seconds(timestamp) is None:
        msg = f"The header {names.timestamp} is not a Unix timestamp"
        raise SignatureRefused(msg, reason="malformed-header")
    return Envelope(message_id, timestamp, signatures)


def explaining(keys: Sequence[Key], envelope: Envelope, body: bytes) -> int | None:
    """Return the place of the first key that explains a signature, or ``None``."""
    message = envelope.message(body)
    for place, key in enumerate(keys):
        if key.explains(envelope.signatures.get(key.version, ()), message):
            return place
    return None


def _by_version(value: str) -> dict[str, list[str]]:
    """Sort signatures by version; what is no signature does no harm to those that are."""
    found: dict[str, list[str]] = {}
    for item in value.split(" "):
        version, comma, signature = item.partition(",")
        if comma:
            found.setdefault(version, []).append(signature)
    if not found or any(len(signatures) > MAX_SIGNATURES for signatures in found.values()):
        msg = f"The signature header holds no signature, or more than {MAX_SIGNATURES} of a version"
        raise SignatureRefused(msg, reason="malformed-header")
    return found


def _symmetric(key: bytes) -> Callable[[Sequence[str], bytes], bool]:
    def explains(given: Sequence[str], message: bytes) -> bool:
        if not given:
            return False
        return matching([hmac_base64(key, message)], given) is not None

    return explains


def _asymmetric(key: PublicKey) -> Callable[[Sequence[str], bytes], bool]:
    def explains(given: Sequence[str], message: bytes) -> bool:
        return any(key.verifies(signature, message) for signature in given)

    return explains


def _type(body: bytes) -> str:
    """Read the type; the specification does not prescribe one, nor that the body is JSON."""
    event = read_fields(_EVENT, body)
    if event is None:
        return ""
    found = event.type or event.event_type
    return found if is_name(found) else ""
