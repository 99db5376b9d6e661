"""Bearer secrets of the identity plane: sessions and API keys (:mod:`custodes.kernel.bearer`)."""

from __future__ import annotations

import base64

from custodes.kernel.bearer import derived, new_secret
from custodes.kernel.ids import RandomBits

#: How an API key begins: found by scanners for leaked secrets, and told apart from a JWT.
KEY_PREFIX = "ck_"


def new_api_key(random_bits: RandomBits) -> tuple[str, str]:
    """Make an API key: the key, and its public beginning to recognise it by."""
    prefix = f"{KEY_PREFIX}{random_bits(40):010x}"
    return f"{prefix}_{new_secret(random_bits)}", prefix


def new_one_time_password(random_bits: RandomBits) -> str:
    """Make a password that a person can type: 5 groups of 4 letters and digits, 100 bits."""
    text = base64.b32encode(random_bits(104).to_bytes(13, "big")).decode("ascii").lower()
    return "-".join(text[start : start + 4] for start in range(0, 20, 4))


def csrf_token(session_token: str) -> str:
    """Derive what a page must send back beside the session cookie; tells nothing about the session token."""
    return derived(session_token, b"custodes csrf")
