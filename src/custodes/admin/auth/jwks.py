"""The keys of one issuer: fetched when needed, remembered, never asked for more often than is decent.

Three rules hold whatever tokens arrive:

- at most one fetch at a time and one in :data:`MIN_INTERVAL`, so that tokens with invented key ids cannot make us a
  hammer;
- keys that are known go on working for :data:`MAX_AGE` while the issuer cannot be reached, and no request waits for a
  refresh of keys that are known;
- only asymmetric signature keys are taken, so a public key can never be used as an HMAC secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from custodes.kernel.clock import HOUR, MINUTE, SECOND, Clock
from custodes.runtime.log import get_logger

#: Algorithms that are accepted, and the one kind of key each may be used with (key type, curve).
ALGORITHMS: Mapping[str, tuple[str, str]] = {
    "RS256": ("RSA", ""),
    "PS256": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}

#: After this long the keys are fetched again, in the background.
REFRESH_AFTER = 5 * MINUTE

#: Least time between two fetches, whatever happens.
MIN_INTERVAL = 30 * SECOND

#: Age up to which known keys are used when the issuer cannot be reached: one hour beyond the usual refresh.
MAX_AGE = HOUR + REFRESH_AFTER

#: Keys of one set that are looked at.
MAX_KEYS = 50

#: Shortest RSA modulus, bits (NIST SP 800-131A).
_MIN_RSA_BITS = 2048

#: Longest key id, characters.
MAX_KID = 256

_log = get_logger("custodes.admin.auth")


class VerificationKey:
    """A public key and what it may be used for."""

    __slots__ = ("algorithm", "curve", "key", "kid", "kind")

    def __init__(self, key: Key, *, kid: str | None, kind: str, curve: str, algorithm: str | None) -> None:
        self.key = key
        #: Its id; None when it has none.
        self.kid = kid
        #: ``RSA``, ``EC`` or ``OKP``.
        self.kind = kind
        #: Curve; empty for RSA.
        self.curve = curve
        #: The only algorithm that the issuer uses it with; None when it does not say.
        self.algorithm = algorithm

    def serves(self, algorithm: str) -> bool:
        """Tell whether it may verify a signature of this algorithm."""
        return ALGORITHMS[algorithm] == (self.kind, self.curve) and self.algorithm in (None, algorithm)


class Jwks:
    """The key set of one issuer.

    Args:
        fetch: fetches the set: ``{"keys": [...]}``.
        clock: source of time; only the monotonic hand is used.
        issuer: for the log.
    """

    def __init__(self, fetch: Callable[[], Awaitable[dict[str, Any]]], clock: Clock, issuer: str) -> None:
        self._fetch = fetch
        self._clock = clock
        self._issuer = issuer
        self._keys: tuple[VerificationKey, ...] = ()
        self._fetched_at: int | None = None
        self._tried_at: int | None = None
        self._flight: asyncio.Task[None] | None = None

    async def candidates(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        """Return the keys that may have signed a token; empty when there are none.

        Args:
            kid: the token's key id; None when it names none, which only serves when one key alone comes into question.
            algorithm: the token's algorithm, one of :data:`ALGORITHMS`.
        """
        age = self._age()
        if age is not None and age <= MAX_AGE:
            if age > REFRESH_AFTER:
                self._begin()
            found = self._matching(kid, algorithm)
            if found:
                return found
        flight = self._begin()
        if flight is not None:
            # Shielded: a caller who leaves must not take the others' fetch along.
            await asyncio.shield(flight)
        age = self._age()
        return self._matching(kid, algorithm) if age is not None and age <= MAX_AGE else ()

    def _matching(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        fit = tuple(key for key in self._keys if key.serves(algorithm))
        if kid is None:
            return fit if len(fit) == 1 else ()
        return tuple(key for key in fit if key.kid == kid)

    def _age(self) -> int | None:
        return None if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    def _begin(self) -> asyncio.Task[None] | None:
        """Join the fetch under way, or begin one; None when it is too early for another."""
        if self._flight is not None and not self._flight.done():
            return self._flight
        now = self._clock.monotonic()
        if self._tried_at is not None and now - self._tried_at < MIN_INTERVAL:
            return None
        self._tried_at = now
        self._flight = asyncio.create_task(self._refresh(), name="custodes-jwks")
        return self._flight

    async def _refresh(self) -> None:
        try:
            keys = tuple(_read_keys(await self._fetch()))
        except Exception as error:  # noqa: BLE001 - an issuer's fault must not become ours; the known keys stay
            _log.warning("jwks_fetch_failed", issuer=self._issuer, error=str(error)[:200])
            return
        if not keys:
            _log.warning("jwks_without_usable_keys", issuer=self._issuer)
            return
        self._keys = keys
        self._fetched_at = self._clock.monotonic()


def _read_keys(document: Mapping[str, Any]) -> Iterator[VerificationKey]:
    keys: object = document.get("keys")
    if not isinstance(keys, list):
        return
    for entry in cast("list[object]", keys)[:MAX_KEYS]:
        key = _read_key(cast("dict[str, Any]", entry)) if isinstance(entry, dict) else None
        if key is not None:
            yield key


def _read_key(entry: dict[str, Any]) -> VerificationKey | None:
    """Read one key; None when it is not an asymmetric key for signatures."""
    kid = entry.get("kid")
    if entry.get("use", "sig") != "sig" or not (kid is None or (isinstance(kid, str) and len(kid) <= MAX_KID)):
        return None
    operations: object = entry.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations:
        return None
    key = _public_key(entry)
    if key is None:
        return None
    algorithm = entry.get("alg")
    return VerificationKey(
        key,
        kid=kid,
        kind=str(entry["kty"]),
        curve=str(entry.get("crv", "")),
        algorithm=algorithm if isinstance(algorithm, str) else None,
    )


def _public_key(entry: dict[str, Any]) -> Key | None:
    # Only the numbers: "x5c", "x5u" and the like are never followed, and a private part is never taken.
    try:
        match entry.get("kty"):
            case "RSA":
                rsa = RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e")})
                return rsa if rsa.raw_value.key_size >= _MIN_RSA_BITS else None
            case "EC" if entry.get("crv") == "P-256":
                return ECKey.import_key({name: entry[name] for name in ("kty", "crv", "x", "y")})
            case "OKP" if entry.get("crv") == "Ed25519":
                return OKPKey.import_key({name: entry[name] for name in ("kty", "crv", "x")})
            case _:
                return None
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
