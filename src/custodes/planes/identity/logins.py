"""Local logins: user name and password become a session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from custodes.errors import AuthenticationFailed, Conflict, PermissionDenied
from custodes.kernel.clock import MINUTE, Clock
from custodes.kernel.signals import SecuritySignal
from custodes.planes.identity.model import LOCAL, Credential, Profile, State
from custodes.planes.identity.passwords import Passwords, check_password, password_turn
from custodes.planes.identity.ports import IdentityStore
from custodes.planes.identity.profiles import MAX_SUBJECT
from custodes.planes.identity.sessions import Client, Opened, Sessions
from custodes.planes.identity.throttle import KNOWN_FOR, Reserved, Throttle, TooManyAttempts
from custodes.runtime.bus import Bus
from custodes.runtime.transactions import Transaction, Work, nothing

#: Attempts turned away unseen that are told in a minute; they cost a stranger nothing, and must not fill the trail.
LOCKED_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Login:
    """A login that succeeded."""

    #: The session and its token.
    opened: Opened
    #: Who it is.
    profile: Profile
    #: True when the password must be changed before anything else is allowed.
    must_change_password: bool


#: Makes what commits with a login, for the profile that signs in.
AlsoOf = Callable[[Profile], Work]


def _same_password(current: Credential | None, verified: Credential) -> bool:
    """Tell whether a password is still the one that was verified; another login may have renewed its hash."""
    return current is not None and (current.changed_at, current.must_change) == (
        verified.changed_at,
        verified.must_change,
    )


def _no_profile(issuer: str, subject: str) -> PermissionDenied:
    msg = f"You have no active profile here: {subject[:MAX_SUBJECT]} of {issuer}"
    return PermissionDenied(msg, remedy="Ask an owner: custodes user add SUBJECT --issuer ISSUER")


def _nothing_of(_profile: Profile) -> Work:
    return nothing


class Logins:
    """Signs local accounts in and changes their passwords."""

    def __init__(
        self,
        store: IdentityStore,
        clock: Clock,
        passwords: Passwords,
        sessions: Sessions,
        bus: Bus,
        client_of: Callable[[str], str],
        default_tenant: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._sessions = sessions
        self._bus = bus
        self._default_tenant = default_tenant
        self._throttle = Throttle(store, clock, client_of)
        self._minute = -1
        self._locked = 0
        #: Attempts turned away unseen that were not told, since the start.
        self.suppressed = 0

    async def sign_in(
        self, subject: str, password: str, client: Client, *, trace_id: str = "", also: AlsoOf = _nothing_of
    ) -> Login:
        """Open a session.

        Which of the two was wrong is never told, neither in words nor by time. ``also`` makes what commits with the
        session, once it is known whose it is.

        Raises:
            TooManyAttempts: wait first; the password was not looked at.
            RateLimited: so many sign in just now that it was not looked at; it does not count as an attempt.
            AuthenticationFailed: user name or password is wrong, the account is disabled, or was disabled or
                given another password while this one was looked at.
        """
        subject = subject[:MAX_SUBJECT]
        profile, credential, reserved = await self._admit(subject, client, trace_id)
        right = await self._passwords.verify(credential.password_hash if credential else None, password)
        if profile is None or credential is None or not right or profile.state is not State.ACTIVE:
            raise self._refused(profile, client, trace_id)
        fresh = await self._rehash(credential, password)
        opened = self._sessions.draw(profile, client)
        beside = also(profile)

        def work(tx: Transaction) -> bool:
            self._store.take_turn(tx, password_turn(profile.id))
            current = self._store.get_credential(tx, profile.id)
            if not (_same_password(current, credential) and self._may_come_in(tx, profile)):
                return False
            self._throttle.forgive(tx, subject, client.ip, reserved)
            if fresh is not credential and current == credential:
                self._store.put_credential(tx, fresh)
            self._sessions.keep(tx, opened)
            beside(tx)
            return True

        if not await self._store.write(work):
            raise self._refused(profile, client, trace_id)
        return Login(opened, profile, credential.must_change)

    def _refused(self, profile: Profile | None, client: Client, trace_id: str) -> AuthenticationFailed:
        msg = "User name or password is wrong"
        self._tell("auth.login", profile, client, trace_id, msg)
        return AuthenticationFailed(msg)

    async def sign_in_as(self, issuer: str, subject: str, client: Client, *, also: AlsoOf = _nothing_of) -> Login:
        """Open a session for somebody whom an issuer has vouched for: no profile is ever made here.

        Raises:
            PermissionDenied: no active profile.
        """
        profile = await self._store.read(lambda tx: self._store.find_profile(tx, issuer, subject))
        if profile is None or profile.state is not State.ACTIVE:
            raise _no_profile(issuer, subject)
        opened = self._sessions.draw(profile, client)
        beside = also(profile)

        def work(tx: Transaction) -> None:
            self._store.take_turn(tx, password_turn(profile.id))
            if not self._may_come_in(tx, profile):
                raise _no_profile(issuer, subject)
            self._sessions.keep(tx, opened)
            beside(tx)

        await self._store.write(work)
        return Login(opened, profile, must_change_password=False)

    async def change_password(
        self, profile_id: str, current: str, new: str, client: Client, *, also: Work = nothing
    ) -> Login:
        """Change one's own password: all sessions end and a new one begins, with a new token.

        Raises:
            TooManyAttempts: wait first.
            AuthenticationFailed: the current password is wrong.
            InvalidInput: the new one is not fit for use.
            Conflict: the password was changed or the profile disabled meanwhile, or its issuer keeps it.
        """
        profile, credential = await self._store.read(lambda tx: self._load(tx, profile_id))
        if profile is None or credential is None:
            msg = "This profile has no password here"
            raise Conflict(msg, remedy="Change the password where you sign in")
        # First: what is wrong with the new one is no wrong guess at the current one.
        check_password(new, profile.subject)
        if new == current:
            msg = "The new password is the old one"
            raise Conflict(msg, remedy="Choose another one")
        *_, reserved = await self._admit(profile.subject, client, "")
        if not await self._passwords.verify(credential.password_hash, current):
            self._tell("auth.password_changed", profile, client, "", "The current password is wrong")
            msg = "The current password is wrong"
            raise AuthenticationFailed(msg)
        password_hash = await self._passwords.hash(new)
        return await self._set_password(profile, credential, password_hash, client, also, reserved)

    async def _set_password(
        self,
        profile: Profile,
        before: Credential,
        password_hash: str,
        client: Client,
        also: Work,
        reserved: Reserved,
    ) -> Login:
        now = self._clock.now()
        opened = self._sessions.draw(profile, client)
        after = replace(before, password_hash=password_hash, must_change=False, changed_at=now)

        def work(tx: Transaction) -> None:
            self._store.take_turn(tx, password_turn(profile.id))
            if self._store.get_credential(tx, profile.id) != before:
                msg = "The password was changed meanwhile"
                raise Conflict(msg, remedy="Sign in again")
            if not self._may_come_in(tx, profile):
                msg = "The profile was disabled meanwhile"
                raise Conflict(msg, remedy="Ask an owner")
            self._throttle.forgive(tx, profile.subject, client.ip, reserved)
            self._store.put_credential(tx, after)
            self._store.end_sessions(tx, profile.id, now)
            self._sessions.keep(tx, opened)
            also(tx)

        await self._store.write(work)
        return Login(opened, profile, must_change_password=False)

    async def _admit(
        self, subject: str, client: Client, trace_id: str
    ) -> tuple[Profile | None, Credential | None, Reserved]:
        """Count the attempt, and find the account; what nobody has time to look at is no guess."""
        self._passwords.check_room()
        now = self._clock.now()

        def work(tx: Transaction) -> tuple[Profile | None, Credential | None, Reserved]:
            profile = self._store.find_profile(tx, LOCAL, subject)
            known = profile is not None and self._store.signed_in_from(tx, profile.id, client.ip, now - KNOWN_FOR)
            reserved = self._throttle.reserve(tx, subject, client.ip, known_address=known)
            return profile, None if profile is None else self._store.get_credential(tx, profile.id), reserved

        profile, credential, reserved = await self._store.write(work)
        if reserved.wait:
            if self._room(now):
                self._tell("auth.locked", None, client, trace_id, f"{reserved.wait} s to wait")
            raise TooManyAttempts(reserved.wait)
        return profile, credential, reserved

    def _room(self, now: int) -> bool:
        if now // MINUTE != self._minute:
            self._minute, self._locked = now // MINUTE, 0
        self._locked += 1
        self.suppressed += self._locked > LOCKED_PER_MINUTE
        return self._locked <= LOCKED_PER_MINUTE

    def _may_come_in(self, tx: Transaction, profile: Profile) -> bool:
        """Look again, in one's turn: whoever disables a profile ends its sessions, and this one is not there yet."""
        current = self._store.get_profile(tx, profile.id, None)
        return current is not None and current.state is State.ACTIVE

    def _load(self, tx: Transaction, profile_id: str) -> tuple[Profile | None, Credential | None]:
        return self._store.get_profile(tx, profile_id, None), self._store.get_credential(tx, profile_id)

    async def _rehash(self, credential: Credential, password: str) -> Credential:
        if not await asyncio.to_thread(self._passwords.outdated, credential.password_hash):
            return credential
        return replace(credential, password_hash=await self._passwords.hash(password))

    def _tell(self, action: str, profile: Profile | None, client: Client, trace_id: str, reason: str) -> None:
        self._bus.emit(
            SecuritySignal(
                at=self._clock.now(),
                tenant=(profile.tenant if profile else None) or self._default_tenant,
                trace_id=trace_id,
                action=action,
                actor=f"ip:{client.ip}",
                # What was typed as a user name may be a password: only accounts that exist are named.
                target=f"user_profile:{profile.id}" if profile else "",
                reason=reason,
                ip=client.ip,
            )
        )
