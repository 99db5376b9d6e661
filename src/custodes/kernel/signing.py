"""Signatures: HMAC in its spellings, Ed25519, and the strict reading of what comes with them.

Signatures are compared in their written form and in constant time. What a stranger writes is never decoded by a
function that forgives (``int`` takes ``1_0``, ``b64decode`` skips junk), and nothing here raises on it.

Sources: RFC 2104 and RFC 4231 (HMAC), RFC 4648 (base64), RFC 8032 (Ed25519), Standard Webhooks (keys and prefixes).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: Hash functions that an HMAC may use. SHA-1 is there for Twilio only: in HMAC it is not broken.
Algorithm = Literal["sha1", "sha256", "sha512"]

#: Signatures of one request that are looked at: enough for every rotation, few enough to cost nothing.
MAX_SIGNATURES = 10

#: Digits of a Unix timestamp that are read, seconds: up to the year 5138.
MAX_TIMESTAMP_DIGITS = 11

#: Sizes of Ed25519, bytes (RFC 8032): seed, public key, signature.
ED25519_SEED = 32
ED25519_PUBLIC = 32
ED25519_SIGNATURE = 64

#: Prefixes of keys in Standard Webhooks: symmetric, private, public.
SYMMETRIC_PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"


def hmac_hex(key: bytes, message: bytes, algorithm: Algorithm = "sha256") -> str:
    """Sign a message; lower-case hexadecimal."""
    return hmac.digest(key, message, algorithm).hex()


def hmac_base64(key: bytes, message: bytes, algorithm: Algorithm = "sha256") -> str:
    """Sign a message; standard base64 with padding."""
    return binascii.b2a_base64(hmac.digest(key, message, algorithm), newline=False).decode("ascii")


def same(given: str, expected: str) -> bool:
    """Compare two texts in a time that tells nothing of where they differ.

    Both are compared as bytes: ``compare_digest`` raises on text outside ASCII, and strangers send such text.
    """
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))


def matching(expected: Iterable[str], given: Sequence[str]) -> int | None:
    """Return the place of the first expected signature that is among the given ones, or ``None``."""
    for place, signature in enumerate(expected):
        for candidate in given:
            if same(candidate, signature):
                return place
    return None


def unix_seconds(text: str) -> int | None:
    """Read a Unix timestamp: ASCII digits only, at most :data:`MAX_TIMESTAMP_DIGITS`; ``None`` when it is none."""
    if 0 < len(text) <= MAX_TIMESTAMP_DIGITS and text.isascii() and text.isdigit():
        return int(text)
    return None


def base64_bytes(text: str) -> bytes | None:
    """Read standard base64 with padding and nothing else in it; ``None`` when it is not that."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def symmetric_key(secret: str) -> bytes | None:
    """Read a Standard Webhooks secret, ``whsec_`` and base64 (padding optional); ``None`` when it is not one."""
    return _key_bytes(secret.removeprefix(SYMMETRIC_PREFIX))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 key that verifies (``whpk_`` and base64)."""

    #: The key as the library holds it.
    key: Ed25519PublicKey

    @classmethod
    def read(cls, text: str) -> PublicKey | None:
        """Read a key; ``None`` when it is not one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        raw = _key_bytes(text.removeprefix(PUBLIC_PREFIX))
        if raw is None or len(raw) != ED25519_PUBLIC:
            return None
        try:
            return cls(Ed25519PublicKey.from_public_bytes(raw))
        except ValueError:
            return None

    def verifies(self, signature: str, message: bytes) -> bool:
        """Tell whether a base64 signature is this key's over the message."""
        from cryptography.exceptions import InvalidSignature

        raw = base64_bytes(signature)
        if raw is None or len(raw) != ED25519_SIGNATURE:
            return False
        try:
            self.key.verify(raw, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """An Ed25519 key that signs: ``whsk_`` and base64 of the seed, with or without the public key after it."""

    #: The key as the library holds it.
    key: Ed25519PrivateKey

    @classmethod
    def read(cls, text: str) -> PrivateKey | None:
        """Read a key; ``None`` when it is not one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        raw = _key_bytes(text.removeprefix(PRIVATE_PREFIX))
        if raw is None or len(raw) not in (ED25519_SEED, ED25519_SEED + ED25519_PUBLIC):
            return None
        return cls(Ed25519PrivateKey.from_private_bytes(raw[:ED25519_SEED]))

    def sign(self, message: bytes) -> str:
        """Sign a message; standard base64."""
        return base64.b64encode(self.key.sign(message)).decode("ascii")

    def public(self) -> str:
        """Write the key that verifies: ``whpk_…``."""
        return PUBLIC_PREFIX + base64.b64encode(self.key.public_key().public_bytes_raw()).decode("ascii")


def _key_bytes(text: str) -> bytes | None:
    return base64_bytes(text + "=" * (-len(text) % 4)) or None
