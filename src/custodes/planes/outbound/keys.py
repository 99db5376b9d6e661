"""The secrets of endpoints: made, sealed, rotated, opened."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from custodes.errors import ConfigurationError, Conflict
from custodes.kernel.clock import DAY, Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.sealing import Sealer
from custodes.kernel.signing import ED25519_SEED, PRIVATE_PREFIX, SYMMETRIC_PREFIX, PrivateKey
from custodes.planes.outbound.model import Endpoint, SealedSecret, SecretKind, Signature
from custodes.planes.outbound.ports import EndpointStore
from custodes.runtime.transactions import Transaction

#: Bytes of a secret; Standard Webhooks asks for 24 to 64.
SECRET_BYTES = 32

#: How long the secret before the last stays valid unless told otherwise, and at most, microseconds.
OVERLAP = DAY
MAX_OVERLAP = 7 * DAY

#: Most secrets of a kind that are valid at once: each is a signature of every delivery.
MAX_SECRETS = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of new secrets, once."""

    #: Of HMAC, ``whsec_…``.
    secret: str = field(default="", repr=False)
    #: Of Ed25519, ``whpk_…``: it is public.
    public_key: str = ""


class Keys:
    """Makes and opens them."""

    def __init__(self, endpoints: EndpointStore, sealer: Sealer, clock: Clock, random_bits: RandomBits) -> None:
        self._endpoints = endpoints
        self._sealer = sealer
        self._clock = clock
        self._random_bits = random_bits

    def check(self, samples: Sequence[SealedSecret]) -> None:
        """Check that every key that secrets are sealed with is there and is the right one.

        Raises:
            ConfigurationError: secrets were sealed with a key that is not given, or with another one of its id.
        """
        for sample in samples:
            if not self._sealer.knows(sample.key_id):
                msg = f"Webhook secrets are sealed with key {sample.key_id}, which is not among the keys given"
                remedy = "Put the key back: CUSTODES_SECRET_KEY lists the newest first, then the older ones"
                raise ConfigurationError(msg, remedy=f"{remedy}; or restore the key file")
            self.open(sample)

    def open(self, secret: SealedSecret) -> bytes:
        """Open a secret.

        Raises:
            ConfigurationError: it does not open.
        """
        return self._sealer.open(secret.sealed, purpose(secret))

    def make(self, tx: Transaction, endpoint: Endpoint, kinds: Sequence[SecretKind]) -> Shown:
        """Make new signing secrets of these kinds."""
        shown = Shown()
        for kind in kinds:
            raw = self._random_bits(SECRET_BYTES * 8).to_bytes(SECRET_BYTES, "big")
            self._endpoints.put_secret(tx, self._sealed(endpoint, kind, raw))
            if kind is SecretKind.V1:
                shown = replace(shown, secret=SYMMETRIC_PREFIX + base64.b64encode(raw).decode("ascii"))
            else:
                shown = replace(shown, public_key=private_key(raw).public())
        return shown

    def rotate(self, tx: Transaction, endpoint: Endpoint, overlap: int) -> Shown:
        """Make a new secret of each kind in use; the ones before stay valid for a while.

        Raises:
            Conflict: it was rotated too often meanwhile.
        """
        now = self._clock.now()
        self._endpoints.remove_secrets(tx, endpoint, expired_before=now)
        kinds = kinds_of(endpoint)
        for kind in kinds:
            if len(self._endpoints.secrets(tx, endpoint, kind)) >= MAX_SECRETS:
                msg = f"The endpoint has {MAX_SECRETS} valid secrets already"
                raise Conflict(msg, remedy="Wait until an older one has ended: a day after it was replaced")
            self._endpoints.retire_secrets(tx, endpoint, kind, now + overlap)
        return self.make(tx, endpoint, kinds)

    def complete(self, tx: Transaction, endpoint: Endpoint) -> Shown:
        """Make what an endpoint needs for its kind of signature and does not have."""
        missing = [kind for kind in kinds_of(endpoint) if not self._endpoints.secrets(tx, endpoint, kind)]
        return self.make(tx, endpoint, missing)

    def keep(self, tx: Transaction, endpoint: Endpoint, kind: SecretKind, values: Mapping[str, str]) -> None:
        """Keep named values, such as credentials, instead of those there were; nothing when there are none."""
        self._endpoints.remove_secrets(tx, endpoint, kind=kind)
        if values:
            self._endpoints.put_secret(tx, self._sealed(endpoint, kind, json.dumps(dict(values)).encode()))

    def kept(self, tx: Transaction, endpoint: Endpoint, kind: SecretKind) -> dict[str, str]:
        """Return the named values that are kept; empty when there are none.

        Raises:
            ConfigurationError: they do not open.
        """
        return self.values(self._endpoints.secrets(tx, endpoint, kind), kind)

    def values(self, secrets: Iterable[SealedSecret], kind: SecretKind) -> dict[str, str]:
        """Open the named values among secrets; empty when there are none of the kind.

        Raises:
            ConfigurationError: they do not open.
        """
        for secret in secrets:
            if secret.kind is kind:
                return cast("dict[str, str]", json.loads(self.open(secret)))
        return {}

    def _sealed(self, endpoint: Endpoint, kind: SecretKind, raw: bytes) -> SealedSecret:
        now = self._clock.now()
        draft = SealedSecret(
            id=uuid7(now, self._random_bits), tenant=endpoint.tenant, endpoint_id=endpoint.id, kind=kind,
            key_id=self._sealer.key_id, sealed=b"", created_at=now,
        )  # fmt: skip
        return replace(draft, sealed=self._sealer.seal(raw, purpose(draft)))


def purpose(secret: SealedSecret) -> str:
    """What a secret is sealed for: it opens nowhere else."""
    return f"webhook_secrets:{secret.tenant}:{secret.endpoint_id}:{secret.id}"


def kinds_of(endpoint: Endpoint) -> tuple[SecretKind, ...]:
    """Tell which kinds of secrets sign for an endpoint."""
    match endpoint.options.signature:
        case Signature.V1:
            return (SecretKind.V1,)
        case Signature.V1A:
            return (SecretKind.V1A,)
        case Signature.BOTH:
            return (SecretKind.V1, SecretKind.V1A)


def private_key(seed: bytes) -> PrivateKey:
    """Make an Ed25519 key of its seed.

    Raises:
        ConfigurationError: it is none.
    """
    key = (
        PrivateKey.read(PRIVATE_PREFIX + base64.b64encode(seed).decode("ascii")) if len(seed) == ED25519_SEED else None
    )
    if key is None:
        msg = "A stored signing key is none"
        raise ConfigurationError(msg, remedy="Rotate the secrets of the endpoint")
    return key


def jwk(secret: SealedSecret, seed: bytes) -> dict[str, str]:
    """Write the public half of an Ed25519 key (RFC 8037 §2)."""
    raw = private_key(seed).key.public_key().public_bytes_raw()
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": secret.id, "x": x}
