"""The identity plane in one object: ``custodes.identity``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from argon2 import PasswordHasher

from custodes.errors import StorageUnavailable
from custodes.kernel.bearer import MAX_TOKEN
from custodes.kernel.clock import HOUR, MINUTE, Clock
from custodes.kernel.health import SystemHealth, Threshold, judge
from custodes.kernel.ids import RandomBits
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.identity.api_keys import ApiKeys
from custodes.planes.identity.logins import Logins
from custodes.planes.identity.model import Method, Principal, Profile, State
from custodes.planes.identity.passwords import Passwords
from custodes.planes.identity.ports import IdentityStore
from custodes.planes.identity.profiles import Profiles
from custodes.planes.identity.saved_views import SavedViews
from custodes.planes.identity.sessions import SEEN_EVERY, Sessions
from custodes.runtime.bus import Bus
from custodes.runtime.transactions import Transaction

#: When the identity system is not as it should be.
THRESHOLDS: tuple[Threshold, ...] = (
    # Nobody can sign in, yet everything else works: never worse than degraded.
    Threshold(
        "owners", degraded=0.0, unhealthy=-1.0, below=True, says="No owner is left, so nobody can give or take rights"
    ),
    Threshold(
        "failed_logins_per_hour",
        degraded=100.0,
        unhealthy=1_000.0,
        says="Failed logins in a row of those who failed in the last hour: {}",
    ),
)

#: How exactly it is known when a profile last asked for something.
_PROFILE_SEEN_EVERY = 5 * MINUTE


class Identity:
    """Who may administer. Its parts: :attr:`profiles`, :attr:`logins`, :attr:`sessions`, :attr:`keys`, :attr:`views`.

    Args:
        store: where it is kept.
        clock: source of time.
        random_bits: source of ids and secrets; must be fit for cryptography.
        bus: hears of failed logins.
        session_lifetime: how long a local login lasts, microseconds.
        thresholds: when the system is degraded or unhealthy.
        hasher: parameters of Argon2id.
        client_of: names the client behind an address, for the count of failed logins; default: the address itself.
        default_tenant: in whose trail failed logins stand that no profile of a tenant is known of.
    """

    def __init__(
        self,
        store: IdentityStore,
        *,
        clock: Clock,
        random_bits: RandomBits,
        bus: Bus,
        session_lifetime: int = 12 * HOUR,
        thresholds: Sequence[Threshold] = THRESHOLDS,
        hasher: PasswordHasher | None = None,
        client_of: Callable[[str], str] = str,
        default_tenant: str = DEFAULT_TENANT,
    ) -> None:
        self._store = store
        self._clock = clock
        self._thresholds = thresholds
        passwords = Passwords(hasher)
        self.profiles = Profiles(store, clock, random_bits, passwords)
        self.sessions = Sessions(store, clock, random_bits, lifetime=session_lifetime)
        self.keys = ApiKeys(store, clock, random_bits)
        self.views = SavedViews(store, clock, random_bits)
        self.logins = Logins(store, clock, passwords, self.sessions, bus, client_of, default_tenant)

    async def ensure_owner(self) -> str | None:
        """Make the first owner when there is none; see :meth:`Profiles.ensure_owner`."""
        return await self.profiles.ensure_owner()

    async def has_owner(self) -> bool:
        """Tell whether anybody owns this install."""
        return await self._store.read(self._store.count_owners) > 0

    # ── Who is asking: looked up on every request, nothing is remembered ─────

    async def principal_of_session(self, token: str) -> Principal | None:
        """Find who a session token stands for; None when it stands for nobody any more."""
        found = await self.sessions.find(token) if len(token) <= MAX_TOKEN else None
        if found is None or not _may_enter(found[1]):
            return None
        session, profile, must_change = found
        await self._seen(
            profile,
            session.last_seen_at,
            lambda tx, now: self._store.session_seen(tx, session.id, now),
        )
        return _principal(profile, Method.SESSION, credential_id=session.id, must_change_password=must_change)

    async def principal_of_key(self, secret: str) -> Principal | None:
        """Find who an API key stands for; None when it stands for nobody any more."""
        found = await self.keys.find(secret) if len(secret) <= MAX_TOKEN else None
        if found is None or not _may_enter(found[1]):
            return None
        key, profile = found
        # A profile may have been limited to a tenant after the key was made for another.
        if profile.tenant is not None and key.tenant != profile.tenant:
            return None
        await self._seen(profile, key.last_used_at, lambda tx, now: self._store.key_used(tx, key.id, now))
        role = key.role if profile.role.covers(key.role) else profile.role
        return Principal(
            profile_id=profile.id,
            subject=profile.subject,
            role=role,
            tenant=key.tenant,
            method=Method.API_KEY,
            issuer=profile.issuer,
            credential_id=key.id,
        )

    async def principal_of_subject(
        self, issuer: str, subject: str, method: Method, *, impersonator: str = ""
    ) -> Principal | None:
        """Find who a subject that an issuer vouches for is; None without an active profile: none is ever made here."""
        profile = await self._store.read(lambda tx: self._store.find_profile(tx, issuer, subject))
        if profile is None or not _may_enter(profile):
            return None
        await self._seen(profile, profile.last_seen_at, lambda _tx, _now: None)
        return _principal(profile, method, impersonator=impersonator)

    async def get_health_status(self) -> SystemHealth:
        """Judge: is there an owner, are logins failing in numbers?"""
        since = self._clock.now() - HOUR

        def work(tx: Transaction) -> dict[str, float]:
            _, failures = self._store.count_attempts(tx, since)
            # A failure counts for its account and for its address.
            return {"owners": float(self._store.count_owners(tx)), "failed_logins_per_hour": failures / 2}

        return judge("identity", await self._store.read(work), self._thresholds)

    async def _seen(self, profile: Profile, last: int | None, note: Callable[[Transaction, int], None]) -> None:
        now = self._clock.now()
        credential_due = last is None or now - last >= SEEN_EVERY
        profile_due = profile.last_seen_at is None or now - profile.last_seen_at >= _PROFILE_SEEN_EVERY
        if not credential_due and not profile_due:
            return

        def work(tx: Transaction) -> None:
            if credential_due:
                note(tx, now)
            if profile_due:
                self._store.profile_seen(tx, profile.id, now)

        # Nobody is locked out of a dashboard because its disk is full.
        with contextlib.suppress(StorageUnavailable):
            await self._store.write(work, durable=False)


def _may_enter(profile: Profile) -> bool:
    return profile.state is State.ACTIVE


def _principal(
    profile: Profile,
    method: Method,
    *,
    credential_id: str = "",
    impersonator: str = "",
    must_change_password: bool = False,
) -> Principal:
    return Principal(
        profile_id=profile.id,
        subject=profile.subject,
        role=profile.role,
        tenant=profile.tenant,
        method=method,
        issuer=profile.issuer,
        credential_id=credential_id,
        impersonator=impersonator,
        must_change_password=must_change_password,
    )
