"""Profiles: who may administer, and who may say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from custodes.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.paging import DEFAULT_LIMIT, Page, decode_cursor, page_of
from custodes.kernel.tenant import check_tenant
from custodes.planes.identity.model import LOCAL, Credential, Principal, Profile, Role, State
from custodes.planes.identity.passwords import Passwords, password_turn
from custodes.planes.identity.ports import IdentityStore
from custodes.planes.identity.tokens import new_one_time_password
from custodes.runtime.transactions import Transaction, Work, nothing

#: Longest texts of a profile, characters; the columns are as wide.
MAX_SUBJECT = 255
MAX_EMAIL = 254
MAX_NAME = 200

#: User name of the owner that a new install begins with.
FIRST_OWNER = "owner"

#: What those decide about, one after another, whose decision depends on how many owners there are.
_OWNERS = "owners"


@dataclass(frozen=True, slots=True)
class NewProfile:
    """A profile that was just made."""

    #: The profile.
    profile: Profile
    #: Password of a local profile, to be handed to its owner: shown once, must be changed at the first login.
    one_time_password: str | None


class Profiles:
    """Makes, lists and changes profiles.

    ``by`` is who asks: None for the operator at the command line, who may do anything. Somebody limited to a tenant
    neither sees nor makes profiles elsewhere.
    """

    def __init__(self, store: IdentityStore, clock: Clock, random_bits: RandomBits, passwords: Passwords) -> None:
        self._store = store
        self._clock = clock
        self._random_bits = random_bits
        self._passwords = passwords

    async def ensure_owner(self) -> str | None:
        """Make a first owner when there is none; idempotent, also among several workers.

        Returns:
            The one-time password of the local account ``owner``, to be shown to the operator once; None when there is
            an owner already.
        """
        if await self._store.read(self._store.count_owners) > 0:
            return None
        made = await self._new(FIRST_OWNER, Role.OWNER, LOCAL, "", "Owner", None)

        def work(tx: Transaction) -> bool:
            self._store.take_turn(tx, _OWNERS)
            if self._store.count_owners(tx) > 0 or not self._store.add_profile(tx, made.profile):
                return False
            self._store.put_credential(tx, made.credential)
            return True

        return made.password if await self._store.write(work) else None

    async def create(
        self,
        subject: str,
        *,
        role: Role,
        issuer: str = LOCAL,
        email: str = "",
        display_name: str = "",
        tenant: str | None = None,
        by: Principal | None = None,
        profile_id: str = "",
        also: Work = nothing,
    ) -> NewProfile:
        """Make a profile.

        Args:
            subject: user name of a local account, or ``sub`` at the issuer; compared exactly.
            role: what it may do.
            issuer: ``"local"``, ``"host"`` or the issuer's URL, as in ``iss``.
            email: for people to read.
            display_name: for people to read.
            tenant: the only tenant it may see; None for all.
            by: who asks.
            profile_id: its id (a UUIDv7), so that ``also`` can name it beforehand.
            also: what commits with it.

        Raises:
            InvalidInput: a text is too long or holds control characters.
            PermissionDenied: ``by`` may not give so much.
            Conflict: the issuer already has such a subject.
        """
        _check_texts(subject, issuer, email, display_name, tenant)
        if by is not None:
            tenant = _grantable(by, role, tenant)
        made = await self._new(subject, role, issuer, email, display_name, tenant, profile_id)

        def work(tx: Transaction) -> None:
            if not self._store.add_profile(tx, made.profile):
                msg = f"There is a profile for this subject of {issuer} already"
                raise Conflict(msg, remedy="Change its role instead")
            if issuer == LOCAL:
                self._store.put_credential(tx, made.credential)
            also(tx)

        await self._store.write(work)
        return NewProfile(made.profile, made.password if issuer == LOCAL else None)

    async def get(self, profile_id: str, *, tenant: str | None = None) -> Profile:
        """Find one.

        Raises:
            NotFound: no such profile, or not of this tenant.
        """
        return _found(await self._store.read(lambda tx: self._store.get_profile(tx, profile_id, tenant)))

    async def find(self, subject: str, *, issuer: str = LOCAL) -> Profile:
        """Find one by its name at its issuer.

        Raises:
            NotFound: no such profile.
        """
        return _found(await self._store.read(lambda tx: self._store.find_profile(tx, issuer, subject)))

    async def list_profiles(
        self,
        *,
        tenant: str | None = None,
        role: Role | None = None,
        state: State | None = None,
        reaching: bool = False,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Profile]:
        """List, newest first; None filters nothing. ``reaching``: with a tenant's also those that span all tenants."""
        after = None if cursor is None else decode_cursor(cursor)
        rows = await self._store.read(
            lambda tx: self._store.list_profiles(
                tx, tenant=tenant, role=role, state=state, limit=limit + 1, after=after, reaching=reaching
            )
        )
        return page_of(rows, limit, lambda profile: (profile.created_at, profile.id))

    async def set_role(
        self, profile_id: str, role: Role, *, by: Principal | None = None, also: Work = nothing
    ) -> Profile:
        """Change what a profile may do, from its next request on.

        Raises:
            NotFound: no such profile, or not of the tenant of ``by``.
            PermissionDenied: ``by`` may not give so much, or may not touch one that may do more.
            Conflict: it is the last owner.
        """
        return await self._change(profile_id, lambda profile: replace(profile, role=role), by, also)

    async def set_state(
        self, profile_id: str, state: State, *, by: Principal | None = None, also: Work = nothing
    ) -> Profile:
        """Let a profile in, or keep it out from its next request on; keeping out ends its sessions.

        Raises:
            NotFound: no such profile, or not of the tenant of ``by``.
            PermissionDenied: ``by`` may not touch one that may do more.
            Conflict: it is the last owner.
        """
        return await self._change(profile_id, lambda profile: replace(profile, state=state), by, also)

    async def reset_password(self, profile_id: str, *, by: Principal | None = None, also: Work = nothing) -> str:
        """Give a local profile a new one-time password and end its sessions.

        Raises:
            NotFound: no such profile, or not of the tenant of ``by``.
            PermissionDenied: ``by`` may not touch one that may do more.
            Conflict: it has no password here; its issuer keeps it.
        """
        password = new_one_time_password(self._random_bits)
        password_hash = await self._passwords.hash(password)
        now = self._clock.now()

        def work(tx: Transaction) -> None:
            self._store.take_turn(tx, password_turn(profile_id))
            profile = self._touchable(tx, profile_id, by)
            if profile.issuer != LOCAL:
                msg = f"This profile signs in at {profile.issuer}"
                raise Conflict(msg, remedy="Change the password there")
            self._store.put_credential(tx, _one_time(profile, password_hash, now))
            self._store.end_sessions(tx, profile_id, now)
            also(tx)

        await self._store.write(work)
        return password

    async def _change(
        self, profile_id: str, change: Callable[[Profile], Profile], by: Principal | None, also: Work
    ) -> Profile:
        now = self._clock.now()

        def work(tx: Transaction) -> Profile:
            self._store.take_turn(tx, _OWNERS, password_turn(profile_id))
            before = self._touchable(tx, profile_id, by)
            after = change(before)
            if by is not None:
                _grantable(by, after.role, after.tenant)
            if _reigns(before) and not _reigns(after) and self._store.count_owners(tx) <= 1:
                msg = "This is the last owner"
                raise Conflict(msg, remedy="Make somebody else an owner first")
            self._store.change_profile(tx, profile_id, after.role, after.state)
            if after.state is State.DISABLED:
                self._store.end_sessions(tx, profile_id, now)
            also(tx)
            return after

        return await self._store.write(work)

    def _touchable(self, tx: Transaction, profile_id: str, by: Principal | None) -> Profile:
        profile = _found(self._store.get_profile(tx, profile_id, None if by is None else by.tenant))
        if by is not None and not by.role.covers(profile.role):
            msg = f"This profile is {profile.role}, and you are {by.role}"
            raise PermissionDenied(msg, remedy="Ask an owner")
        return profile

    async def _new(
        self,
        subject: str,
        role: Role,
        issuer: str,
        email: str,
        display_name: str,
        tenant: str | None,
        profile_id: str = "",
    ) -> _Made:
        now = self._clock.now()
        profile = Profile(
            id=profile_id or uuid7(now, self._random_bits),
            tenant=tenant,
            issuer=issuer,
            subject=subject,
            email=email,
            display_name=display_name,
            role=role,
            state=State.ACTIVE,
            created_at=now,
        )
        password = new_one_time_password(self._random_bits)
        password_hash = await self._passwords.hash(password) if issuer == LOCAL else ""
        return _Made(profile, _one_time(profile, password_hash, now), password)


@dataclass(frozen=True, slots=True)
class _Made:
    profile: Profile
    credential: Credential
    password: str


def _one_time(profile: Profile, password_hash: str, now: int) -> Credential:
    return Credential(
        profile_id=profile.id, tenant=profile.tenant, password_hash=password_hash, must_change=True, changed_at=now
    )


def _reigns(profile: Profile) -> bool:
    """Tell whether a profile is one of those of whom at least one must remain."""
    return profile.role is Role.OWNER and profile.state is State.ACTIVE and profile.tenant is None


def _found(profile: Profile | None) -> Profile:
    if profile is None:
        msg = "No such profile"
        raise NotFound(msg)
    return profile


def _grantable(by: Principal, role: Role, tenant: str | None) -> str | None:
    if not by.role.covers(role):
        msg = f"Nobody gives more than they have: you are {by.role}"
        raise PermissionDenied(msg, remedy="Ask an owner")
    if by.tenant is not None and tenant not in (None, by.tenant):
        msg = "This tenant is not yours"
        raise PermissionDenied(msg, remedy=f"Leave tenant out, or say {by.tenant}")
    return by.tenant if by.tenant is not None else tenant


def _check_texts(subject: str, issuer: str, email: str, display_name: str, tenant: str | None) -> None:
    for name, text, longest in (
        ("subject", subject, MAX_SUBJECT),
        ("issuer", issuer, MAX_SUBJECT),
        ("email", email, MAX_EMAIL),
        ("display_name", display_name, MAX_NAME),
    ):
        if len(text) > longest or not text.isprintable():
            msg = f"{name} is longer than {longest} characters or holds characters that cannot be shown"
            raise InvalidInput(msg)
    if not subject.strip() or not issuer.strip():
        msg = "subject and issuer must not be empty"
        raise InvalidInput(msg)
    if tenant is not None:
        check_tenant(tenant)
