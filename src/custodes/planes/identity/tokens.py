"""Bearer secrets: sessions and API keys. Only their SHA-256 is kept.

They hold 256 random bits, so a plain hash is enough: there is nothing to guess, and looking one up by its hash takes
the same path whether it exists or not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from custodes.kernel.ids import RandomBits

#: How an API key begins: found by scanners for leaked secrets, and told apart from a JWT.
KEY_PREFIX = "ck_"

#: Longest bearer secret that is looked at, characters.
MAX_TOKEN = 128

_SECRET_BYTES = 32


def new_session_token(random_bits: RandomBits) -> str:
    """Make the token of a session: 43 characters, fit for a cookie."""
    return _secret(random_bits)


def new_api_key(random_bits: RandomBits) -> tuple[str, str]:
    """Make an API key: the key, and its public beginning to recognise it by."""
    prefix = f"{KEY_PREFIX}{random_bits(40):010x}"
    return f"{prefix}_{_secret(random_bits)}", prefix


def new_one_time_password(random_bits: RandomBits) -> str:
    """Make a password that a person can type: 5 groups of 4 letters and digits, 100 bits."""
    text = base64.b32encode(random_bits(104).to_bytes(13, "big")).decode("ascii").lower()
    return "-".join(text[start : start + 4] for start in range(0, 20, 4))


def fingerprint(token: str) -> bytes:
    """Hash a secret for keeping and looking up."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def csrf_token(session_token: str) -> str:
    """Derive what a page must send back beside the session cookie; tells nothing about the session token."""
    digest = hmac.digest(session_token.encode("utf-8", "surrogatepass"), b"custodes csrf", "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _secret(random_bits: RandomBits) -> str:
    raw = random_bits(8 * _SECRET_BYTES).to_bytes(_SECRET_BYTES, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
