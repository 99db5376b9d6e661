"""The rotation of secrets: when each secret of a source last signed, so that one who rotates sees when the old can go.

A delivery leaves a moment in memory. It is written with the figures, as the latest of all processes, under a
fingerprint of the secret.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from custodes.kernel.clock import MINUTE, Clock
from custodes.kernel.sealing import NoSealer, Sealer
from custodes.planes.inbound.ports import SecretStore
from custodes.planes.inbound.rotation_model import SecretInUse, SecretUse, judge
from custodes.planes.inbound.sources.base import Source
from custodes.runtime.log import get_logger
from custodes.runtime.periodic import Periodic
from custodes.runtime.transactions import Store, Transaction

#: How often a process says which secrets it has, seconds.
SAY_SECONDS = 300.0

#: How long after it was said last a secret is taken for one that processes have, microseconds.
REMEMBERED = 11 * MINUTE

#: Bytes of a fingerprint: enough to tell ten secrets of a source apart.
_BYTES = 4

#: Cost of a fingerprint without a key (RFC 7914): 32 MB and about a tenth of a second.
_SCRYPT_N, _SCRYPT_R = 1 << 15, 8

#: Whose source, and its name.
Place = tuple[str, str]

_log = get_logger("custodes.inbound")


class Rotation:
    """Notes which secrets sign, in memory, and has it written now and then.

    Args:
        store: runs units of work.
        secrets: where it is kept.
        sources: tenant and source of all that this process has.
        sealer: has the key of the install; asked when it is first needed.
        clock: source of time.
        enabled: False: nothing is noted, and so nothing is said of any secret.
    """

    def __init__(
        self,
        *,
        store: Store,
        secrets: SecretStore,
        sources: Callable[[], Iterable[tuple[str, Source]]],
        sealer: Callable[[], Sealer],
        clock: Clock,
        enabled: bool,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._sources = sources
        self._sealer = sealer
        self._clock = clock
        self._enabled = enabled
        self._signed: dict[tuple[Source, int], int] = {}
        self._fingerprints: dict[Source, Sequence[str]] = {}
        self._failed = False
        self._says = Periodic("inbound-rotation", SAY_SECONDS, self.say)

    def signed(self, source: Source, place: object, now: int) -> None:
        """Note what signed a delivery that was accepted; asked for each of them."""
        if self._enabled and isinstance(place, int):  # a source of the host's own may say nothing, or nonsense
            self._signed[source, place] = now

    # ── To the store ─────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Say which secrets there are, now and from then on; idempotent."""
        await self._says.run_once()
        await self._says.start()

    async def stop(self) -> None:
        """Say nothing more; idempotent."""
        await self._says.stop()

    async def say(self) -> None:
        """Write that this process has the secrets it has."""
        uses = await self._mine(None) if self._enabled else None
        if uses:
            # What they signed goes with the figures.
            said = [use._replace(last_at=None) for use in uses]
            await self._store.write(lambda tx: self.put(tx, said), durable=False)

    async def changed(self) -> Sequence[SecretUse]:
        """Take out the secrets that have signed since the last time."""
        uses = await self._mine(None) if self._signed else None
        if uses is None:
            return ()
        self._signed.clear()
        return [use for use in uses if use.last_at is not None]

    def put(self, tx: Transaction, uses: Sequence[SecretUse]) -> None:
        """Write what was taken out."""
        # In one order in every process, so that no two wait for each other.
        for use in sorted(uses):
            self._secrets.put(tx, use)

    def unwritten(self, uses: Sequence[SecretUse]) -> None:
        """Take back what could not be written."""
        found = {(tenant, source.name): source for tenant, source in self._sources()}
        for use in uses:
            source = found.get((use.tenant, use.source))
            if source is not None and use.last_at is not None:
                self._signed.setdefault((source, use.place), use.last_at)

    async def _mine(self, tenant: str | None) -> list[SecretUse] | None:
        """Return the secrets of this process, or None when they cannot be told apart: figures are written all the same.

        That is so with a key file that cannot be read, or a source of the host's own with a fault in it.
        """
        try:
            owned = [(owner, source) for owner, source in self._sources() if tenant in (None, owner)]
            return [use for owner, source in owned for use in await self._of(owner, source)]
        except Exception as error:  # noqa: BLE001
            if not self._failed:
                self._failed = True
                _log.exception("secrets_not_told_apart", error=str(error))
            return None

    async def _of(self, tenant: str, source: Source) -> list[SecretUse]:
        """Return the secrets of a source with what they signed that is not written yet."""
        fingerprints = self._fingerprints.get(source)
        if fingerprints is None:
            fingerprints = self._fingerprints[source] = await _fingerprints(self._sealer(), tenant, source)
        now = self._clock.now()
        return [
            SecretUse(tenant, source.name, fingerprint, place, now, now, self._signed.get((source, place)))
            for place, fingerprint in enumerate(fingerprints)
            if fingerprint not in fingerprints[:place]  # given twice: the first is the one that signs
        ]

    # ── Asking ───────────────────────────────────────────────────────────────

    async def list_secrets(self, *, tenant: str | None = None) -> Mapping[Place, Sequence[SecretInUse]]:
        """Tell of the secrets of each source of this process, newest first, by tenant and name."""
        now = self._clock.now()
        mine = await self._mine(tenant) or ()
        kept: dict[tuple[str, str, str], SecretUse] = {}
        if self._enabled:
            kept = {use[:3]: use for use in await self._store.read(lambda tx: self._secrets.all(tx, tenant))}
        return _judged((_together(use, kept.get(use[:3])) for use in mine), now)

    async def list_said(self) -> Mapping[Place, Sequence[SecretInUse]]:
        """Tell of the secrets of each source that processes of the install have said lately to have."""
        now = self._clock.now()
        said = await self._store.read(lambda tx: self._secrets.all(tx, None))
        return _judged((use for use in said if use.said_at is not None and abs(now - use.said_at) < REMEMBERED), now)

    # ── Retention ────────────────────────────────────────────────────────────

    async def purge(self, before: int, limit: int) -> int:
        """Delete what is known of secrets that no process has had since a moment; returns how many."""
        return await self._store.write(lambda tx: self._secrets.purge(tx, before, limit))

    async def count_purgeable(self, before: int) -> int:
        """Count what :meth:`purge` would delete in the end."""
        return await self._store.read(lambda tx: self._secrets.count_purgeable(tx, before))


def _together(mine: SecretUse, kept: SecretUse | None) -> SecretUse:
    if kept is None:
        return mine._replace(since=None)
    moments = [at for at in (mine.last_at, kept.last_at) if at is not None]
    return mine._replace(since=kept.since, last_at=max(moments, default=None))


def _judged(uses: Iterable[SecretUse], now: int) -> dict[Place, list[SecretInUse]]:
    ordered = sorted(uses, key=lambda use: use[:2])
    return {place: judge(list(those), now) for place, those in groupby(ordered, lambda use: use[:2])}


async def _fingerprints(sealer: Sealer, tenant: str, source: Source) -> list[str]:
    """Tell the secrets of a source apart, by what says nothing of them to who reads it.

    Most are random, and nobody finds them from any hash. But some are words that somebody thought up, and of those a
    plain hash is as good as the word: one tries the dictionary. So it is an HMAC under a key of the install, which
    stands in no database and no answer. Where there is no key (PostgreSQL without ``CUSTODES_SECRET_KEY``), each try is
    made as dear as that of a password; ``custodes doctor`` advises a key. The source is part of it, so that two sources
    with one secret do not show that they share it.
    """
    place = f"custodes webhook source\0{tenant}\0{source.name}\0".encode()
    secrets = [secret.encode() for secret in source.secrets_for_diagnosis()]
    if isinstance(sealer, NoSealer):
        return await asyncio.to_thread(lambda: [_slow(secret, place) for secret in secrets])
    key = sealer.derive(b"webhook source secrets", 32)
    return [hmac.new(key, place + secret, hashlib.sha256).digest()[:_BYTES].hex() for secret in secrets]


def _slow(secret: bytes, salt: bytes) -> str:
    memory = 2 * 128 * _SCRYPT_N * _SCRYPT_R
    return hashlib.scrypt(secret, salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=1, maxmem=memory, dklen=_BYTES).hex()
