"""Sessions: what a browser signs in with after a local login.

The store knows only the SHA-256 of a token, so reading the store lets nobody in.
"""

from __future__ import annotations

from dataclasses import dataclass

from custodes.errors import NotFound
from custodes.kernel.bearer import fingerprint, new_secret
from custodes.kernel.clock import DAY, HOUR, MINUTE, Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.paging import DEFAULT_LIMIT, Page, decode_cursor, page_of
from custodes.planes.identity.model import Profile, Session
from custodes.planes.identity.ports import IdentityStore
from custodes.runtime.transactions import Transaction, Work, nothing

#: A session that is not used for so long has ended.
IDLE = 2 * HOUR

#: How exactly the last use is known; each note of it costs a write.
SEEN_EVERY = MINUTE

#: How long ended sessions are still listed.
KEEP = 30 * DAY

#: Longest user agent and address that are kept, characters.
_MAX_AGENT = 256
_MAX_IP = 64

#: Old sessions that one login cleans away at most.
_CLEAN_UP = 20


@dataclass(frozen=True, slots=True)
class Client:
    """Where a login comes from."""

    #: Address as text; empty when unknown.
    ip: str = ""
    #: User agent as sent.
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was just opened."""

    #: The session.
    session: Session
    #: Its token, for the cookie: nobody else ever sees it.
    token: str


class Sessions:
    """Opens, finds, lists and ends sessions.

    Args:
        store: where they are kept.
        clock: source of time.
        random_bits: source of tokens.
        lifetime: how long a session lasts at most, microseconds.
        idle: how long it lasts unused, microseconds.
    """

    def __init__(
        self, store: IdentityStore, clock: Clock, random_bits: RandomBits, *, lifetime: int, idle: int = IDLE
    ) -> None:
        self._store = store
        self._clock = clock
        self._random_bits = random_bits
        self._lifetime = lifetime
        self._idle = idle

    def draw(self, profile: Profile, client: Client) -> Opened:
        """Make a session with a fresh token, to be kept by :meth:`keep`."""
        now = self._clock.now()
        token = new_secret(self._random_bits)
        session = Session(
            id=uuid7(now, self._random_bits),
            profile_id=profile.id,
            tenant=profile.tenant,
            token_hash=fingerprint(token),
            created_at=now,
            last_seen_at=now,
            expires_at=now + self._lifetime,
            revoked_at=None,
            ip=client.ip[:_MAX_IP],
            user_agent=client.user_agent[:_MAX_AGENT],
        )
        return Opened(session, token)

    def keep(self, tx: Transaction, opened: Opened) -> None:
        """Keep a new session, and forget a few that ended long ago."""
        self._store.add_session(tx, opened.session)
        self._store.drop_sessions(tx, self._clock.now() - KEEP, _CLEAN_UP)

    async def purge(self, before: int, limit: int) -> int:
        """Forget sessions that would have expired before a moment, at most ``limit``; returns how many."""
        return await self._store.write(lambda tx: self._store.drop_sessions(tx, before, limit))

    async def count_purgeable(self, before: int) -> int:
        """Count what :meth:`purge` would forget in the end."""
        return await self._store.read(lambda tx: self._store.count_droppable_sessions(tx, before))

    async def find(self, token: str) -> tuple[Session, Profile, bool] | None:
        """Find the session of a token, while it lasts; its profile; whether the password must be changed."""
        found = await self._store.read(lambda tx: self._store.find_session(tx, fingerprint(token)))
        return found if found is not None and self.lasts(found[0]) else None

    async def known(self, token: str) -> Session | None:
        """Find the session that a token was made for, also when it has ended; None: it never was one, or long ago."""
        found = await self._store.read(lambda tx: self._store.find_session(tx, fingerprint(token)))
        return None if found is None else found[0]

    def was_ended(self, session: Session) -> bool:
        """Tell whether somebody ended a session before it ran out."""
        at = session.revoked_at
        return at is not None and at < session.expires_at and at < session.last_seen_at + self._idle

    def lasts(self, session: Session) -> bool:
        """Tell whether a session still lets somebody in."""
        now = self._clock.now()
        return session.revoked_at is None and now < session.expires_at and now < session.last_seen_at + self._idle

    async def list_sessions(
        self,
        *,
        tenant: str | None = None,
        profile_id: str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Session]:
        """List, ended ones too, newest first; None filters nothing."""
        after = None if cursor is None else decode_cursor(cursor)
        rows = await self._store.read(
            lambda tx: self._store.list_sessions(tx, tenant=tenant, profile_id=profile_id, limit=limit + 1, after=after)
        )
        return page_of(rows, limit, lambda session: (session.created_at, session.id))

    async def get(self, session_id: str, *, tenant: str | None = None) -> Session:
        """Find one by id.

        Raises:
            NotFound: no such session, or not of this tenant.
        """
        found = await self._store.read(lambda tx: self._store.get_session(tx, session_id, tenant))
        if found is None:
            msg = "No such session"
            raise NotFound(msg)
        return found

    async def end(self, session_id: str, *, tenant: str | None = None, also: Work = nothing) -> None:
        """End one; idempotent.

        Raises:
            NotFound: no such session, or not of this tenant.
        """
        now = self._clock.now()

        def work(tx: Transaction) -> None:
            if self._store.get_session(tx, session_id, tenant) is None:
                msg = "No such session"
                raise NotFound(msg)
            self._store.end_session(tx, session_id, now)
            also(tx)

        await self._store.write(work)
