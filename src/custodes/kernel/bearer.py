"""Bearer secrets: sessions, API keys, links of the portal. Only their SHA-256 is kept.

They hold 256 random bits, so a plain hash is enough: there is nothing to guess, and looking one up by its hash takes
the same path whether it exists or not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from custodes.kernel.ids import RandomBits

#: Longest bearer secret that is looked at, characters.
MAX_TOKEN = 128

_SECRET_BYTES = 32


def new_secret(random_bits: RandomBits) -> str:
    """Make a secret of 256 bits: 43 characters, fit for a cookie and a URL."""
    raw = random_bits(8 * _SECRET_BYTES).to_bytes(_SECRET_BYTES, "big")
    return _written(raw)


def fingerprint(token: str) -> bytes:
    """Hash a secret for keeping and looking up."""
    return hashlib.sha256(_read(token)).digest()


def derived(token: str, purpose: bytes) -> str:
    """Derive another secret for a purpose; it tells nothing about the one it comes from."""
    return _written(hmac.digest(_read(token), purpose, "sha256"))


def _read(token: str) -> bytes:
    return token.encode("utf-8", "surrogatepass")


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
