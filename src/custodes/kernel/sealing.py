"""Sealing: secrets at rest, encrypted and bound to where they belong.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce, keys derived by HKDF-SHA-256 (RFC 5869). A sealed value is::

    0x01 · key id (4 bytes) · nonce (12) · ciphertext and tag

The *purpose* is authenticated with it, so that a value moved to another row does not open. Random nonces are good for
2^32 seals under one key (SP 800-38D §8.3); these are secrets of endpoints, not records.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from custodes.errors import ConfigurationError
from custodes.kernel.ids import RandomBits

#: Shortest text that may serve as a key, characters: 32 of base64 or hex hold at least 128 bits.
MIN_KEY_LENGTH = 32

_MAKE_ONE = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"

_VERSION = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = 12
_OVERHEAD = len(_VERSION) + _ID_BYTES + _NONCE_BYTES


class Sealer:
    """Seals with the first key, opens with any.

    Args:
        keys: key texts of at least 32 characters each; random, not a phrase: HKDF does not slow down a guesser.
        random_bits: cryptographic source of randomness for nonces.

    Raises:
        ConfigurationError: no key, or one that is too short.
    """

    def __init__(self, keys: Sequence[str], random_bits: RandomBits) -> None:
        if not keys or any(len(key) < MIN_KEY_LENGTH for key in keys):
            msg = f"A secret key needs at least {MIN_KEY_LENGTH} characters"
            raise ConfigurationError(msg, remedy=_MAKE_ONE)
        self._random_bits = random_bits
        self._oldest = keys[-1]
        self._ciphers = {_derive(key, b"id", _ID_BYTES): AESGCM(_derive(key, b"key", 32)) for key in keys}
        self._current = next(iter(self._ciphers))

    @property
    def key_id(self) -> str:
        """Id of the key that seals, 8 hex digits; tells nothing of the key."""
        return self._current.hex()

    def knows(self, key_id: str) -> bool:
        """Tell whether values sealed under this key id can be opened."""
        return key_id in {known.hex() for known in self._ciphers}

    def derive(self, purpose: bytes, size: int) -> bytes:
        """Make a key for something else; of the oldest key, so that a new one in front changes nothing."""
        return _derive(self._oldest, purpose, size)

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """Encrypt a secret for a purpose, such as ``"webhook_secrets:<tenant>:<id>"``."""
        nonce = self._random_bits(_NONCE_BYTES * 8).to_bytes(_NONCE_BYTES, "big")
        sealed = self._ciphers[self._current].encrypt(nonce, secret, purpose.encode())
        return _VERSION + self._current + nonce + sealed

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what was sealed for the same purpose.

        Raises:
            ConfigurationError: the key is not among ours, or the value was changed or moved.
        """
        cipher = self._ciphers.get(key_id_bytes(sealed))
        if cipher is None:
            msg = f"A secret was sealed with key {key_id_bytes(sealed).hex()}, which is not among the keys given"
            raise ConfigurationError(
                msg, remedy="Add the key it was sealed with to CUSTODES_SECRET_KEY, after the first"
            )
        nonce = sealed[_OVERHEAD - _NONCE_BYTES : _OVERHEAD]
        try:
            return cipher.decrypt(nonce, sealed[_OVERHEAD:], purpose.encode())
        except InvalidTag:
            msg = f"A sealed secret does not open for {purpose!r}: it was changed, or moved from elsewhere"
            raise ConfigurationError(msg, remedy="Restore the row from a backup, or make a new secret") from None


class NoSealer(Sealer):
    """Stands in where no key was given: says so as soon as a secret is to be sealed or opened."""

    def __init__(self) -> None:
        """Take no keys."""

    @property
    def key_id(self) -> str:
        """Id of the key that seals: there is none."""
        raise _no_key()

    def knows(self, key_id: str) -> bool:
        """Tell whether values sealed under this key id can be opened: none can."""
        del key_id
        return False

    def derive(self, purpose: bytes, size: int) -> bytes:
        """Refuse."""
        raise _no_key()

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """Refuse."""
        raise _no_key()

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Refuse."""
        raise _no_key()


def _no_key() -> ConfigurationError:
    msg = "There is no key to seal secrets with: several processes share this database, and each must have the same"
    return ConfigurationError(msg, remedy=f"Set CUSTODES_SECRET_KEY in every process. {_MAKE_ONE}")


def key_id_bytes(sealed: bytes) -> bytes:
    """Read the id of the key that a value was sealed with; empty when it is not a sealed value."""
    return sealed[1 : 1 + _ID_BYTES] if sealed[:1] == _VERSION and len(sealed) > _OVERHEAD else b""


def _derive(key: str, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=b"custodes sealing v1 " + purpose).derive(key.encode())
