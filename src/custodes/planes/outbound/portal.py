"""The customer portal: links that let a customer see, and manage, the endpoints of one tenant.

A link carries a token of 256 bits, shown once; only its hash is kept. Whoever opens the link exchanges the token for a
session, which is derived from it: so a link can be opened again until it expires, and ends everywhere when it is
revoked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from custodes.errors import AuthenticationFailed, InvalidInput, NotFound
from custodes.kernel.bearer import MAX_TOKEN, derived, fingerprint, new_secret
from custodes.kernel.clock import DAY, HOUR, MINUTE, Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.kernel.tenant import valid_tenant
from custodes.planes.outbound.rules import checked_channels, checked_text
from custodes.runtime.transactions import Store, Transaction, Work, nothing

#: Where the portal is, below the mount point; its cookie goes nowhere else.
PLACE = "/portal/webhooks"

#: How long a link works unless told otherwise, and at least and at most, microseconds.
LIFETIME = DAY
MIN_LIFETIME = 5 * MINUTE
MAX_LIFETIME = 30 * DAY

#: Endpoints that a customer may have through a link unless told otherwise, and at most.
ENDPOINTS = 10
MAX_ENDPOINTS = 100

#: Type of who acts through a link, in the audit trail.
ACTOR_KIND = "portal_link"

#: How exactly the last use is known; each note of it costs a write.
USED_EVERY = MINUTE

#: What the session is derived from the token for.
_SESSION = b"custodes portal session"


class Scope(StrEnum):
    """What a link lets do."""

    #: Look: endpoints, what was sent, what was answered.
    VIEW = "view"
    #: Also add, change, pause and delete endpoints, replace their secrets, send tests and send again.
    MANAGE = "manage"


class LinkEnded(AuthenticationFailed):
    """The link of the portal has expired or was revoked."""

    code = "link-ended"
    title = "Link ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalLink:
    """A link to the portal, as it is kept."""

    #: UUIDv7.
    id: str
    #: Whose endpoints it shows.
    tenant: str
    #: What it lets do.
    scope: Scope
    #: Only endpoints of this channel and no other; empty: all of the tenant.
    channel: str
    #: Who gets it, for people.
    note: str
    #: Endpoints that there may be before no more can be added through it.
    max_endpoints: int
    #: SHA-256 of the token in the link.
    token_hash: bytes = field(repr=False)
    #: SHA-256 of the session that it is exchanged for.
    session_hash: bytes = field(repr=False)
    #: Who made it, as the audit trail names them.
    made_by: str
    #: When it was made, microseconds.
    created_at: int
    #: When it ends, microseconds.
    expires_at: int
    #: How often it was opened.
    opened: int = 0
    #: When it was used last, to the minute, microseconds; None when never.
    last_used_at: int | None = None
    #: When it was revoked, microseconds; None while it is not.
    revoked_at: int | None = None

    @property
    def actor(self) -> str:
        """How the audit trail names who acts through it."""
        return f"{ACTOR_KIND}:{self.id}"

    def works(self, now: int) -> bool:
        """Tell whether it still lets somebody in."""
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link that was just made."""

    #: The link.
    link: PortalLink
    #: Its token: nobody sees it again.
    token: str = field(repr=False)

    def url(self, base: str) -> str:
        """Write the address to give to the customer; the token is in the fragment, which no browser sends.

        Args:
            base: where browsers reach the install, its path too: ``https://app.example.com``.
        """
        return f"{base.rstrip('/')}{PLACE}/#{self.token}"


class PortalLinkStore(Protocol):
    """**Protocol:** the links of the portal."""

    def add(self, tx: Transaction, link: PortalLink) -> None:
        """Add one."""
        ...

    def by_token(self, tx: Transaction, token_hash: bytes) -> PortalLink | None:
        """Find one by the hash of its token, ended ones too."""
        ...

    def by_session(self, tx: Transaction, session_hash: bytes) -> PortalLink | None:
        """Find one by the hash of its session, ended ones too."""
        ...

    def find(self, tx: Transaction, tenant: str | None, link_id: str) -> PortalLink | None:
        """Find one by id; None when there is none, or not in this tenant."""
        ...

    def page(self, tx: Transaction, tenant: str | None, limit: int, cursor: str) -> Page[PortalLink]:
        """Read a page, ended ones too, newest first.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        ...

    def note_use(self, tx: Transaction, link: PortalLink, now: int, *, opened: bool) -> None:
        """Note that one was used, and that it was opened."""
        ...

    def revoke(self, tx: Transaction, link: PortalLink, now: int) -> None:
        """End one; the first moment stays."""
        ...

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count the links that :meth:`purge` would remove."""
        ...

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Remove links that expired before a moment; returns how many."""
        ...


class PortalLinks:
    """Makes, opens, lists and revokes links: ``custodes.portal``.

    Args:
        store: the engine.
        links: where they are kept.
        clock: source of time.
        random_bits: source of tokens; never a seeded one.
        base: where browsers reach the install; may be empty. With a path: at this very place, where it is mounted.
    """

    def __init__(
        self, store: Store, links: PortalLinkStore, clock: Clock, random_bits: RandomBits, *, base: str = ""
    ) -> None:
        self._store = store
        self._links = links
        self._clock = clock
        self._random_bits = random_bits
        #: Where browsers reach the install; empty when no setting says so.
        self.base = base.rstrip("/")

    def base_at(self, root: str) -> str:
        """Return what :meth:`NewLink.url` takes: the base, with the path of the install where it has none itself.

        Args:
            root: path that the install is mounted at, as far as a request or a command knows: ``/ops``.
        """
        return self.base if urlsplit(self.base).path else f"{self.base}{root.rstrip('/')}"

    async def create_link(
        self,
        tenant: str,
        *,
        scope: Scope = Scope.VIEW,
        channel: str = "",
        lifetime: int = LIFETIME,
        max_endpoints: int = ENDPOINTS,
        note: str = "",
        made_by: str = "",
        link_id: str = "",
        also: Work = nothing,
    ) -> NewLink:
        """Make a link for a customer.

        ::

            made = await custodes.portal.create_link("acme", scope=Scope.MANAGE)
            return RedirectResponse(made.url("https://app.example.com"))

        Args:
            tenant: whose endpoints it shows; never more than one tenant's.
            scope: what it lets do.
            channel: only endpoints of this channel and no other.
            lifetime: how long it works, microseconds; five minutes to thirty days.
            max_endpoints: endpoints that there may be before no more can be added through it.
            note: who gets it, for people.
            made_by: who makes it, as the audit trail names them.
            link_id: its id (a UUIDv7), so that ``also`` can name it beforehand.
            also: commits with it.

        Raises:
            InvalidInput: a value is not acceptable.
        """
        if not valid_tenant(tenant):
            msg = "The tenant is not acceptable"
            raise InvalidInput(msg, remedy="Use 1–64 of A–Z a–z 0–9 . _ : @ -, starting with a letter or digit")
        if not MIN_LIFETIME <= lifetime <= MAX_LIFETIME:
            msg = f"The link would work for {lifetime / HOUR:g} hours"
            raise InvalidInput(msg, remedy=f"Use {MIN_LIFETIME // MINUTE} minutes to {MAX_LIFETIME // DAY} days")
        if not 0 <= max_endpoints <= MAX_ENDPOINTS:
            msg = f"The link would allow {max_endpoints} endpoints"
            raise InvalidInput(msg, remedy=f"Use up to {MAX_ENDPOINTS}")
        now, token = self._clock.now(), new_secret(self._random_bits)
        link = PortalLink(
            id=link_id or uuid7(now, self._random_bits),
            tenant=tenant,
            scope=scope,
            channel=checked_channels((channel,))[0] if channel else "",
            note=checked_text(note),
            max_endpoints=max_endpoints,
            token_hash=fingerprint(token),
            session_hash=fingerprint(derived(token, _SESSION)),
            made_by=checked_text(made_by),
            created_at=now,
            expires_at=now + lifetime,
        )

        def work(tx: Transaction) -> None:
            self._links.add(tx, link)
            also(tx)

        await self._store.write(work)
        return NewLink(link, token)

    async def list_links(
        self, *, tenant: str | None = None, limit: int = DEFAULT_LIMIT, cursor: str = ""
    ) -> Page[PortalLink]:
        """List links, ended ones too, newest first; None as tenant: of all tenants."""
        return await self._store.read(lambda tx: self._links.page(tx, tenant, limit, cursor))

    async def get_link(self, link_id: str, *, tenant: str | None = None) -> PortalLink:
        """Return one link.

        Raises:
            NotFound: no such link, or not in this tenant.
        """
        return await self._store.read(lambda tx: self._found(tx, link_id, tenant))

    async def revoke_link(self, link_id: str, *, tenant: str | None = None, also: Work = nothing) -> PortalLink:
        """End a link and whatever was opened with it, from the next request on; idempotent.

        Raises:
            NotFound: no such link, or not in this tenant.
        """

        def work(tx: Transaction) -> PortalLink:
            self._links.revoke(tx, self._found(tx, link_id, tenant), self._clock.now())
            also(tx)
            return self._found(tx, link_id, tenant)

        return await self._store.write(work)

    # ── Use ──────────────────────────────────────────────────────────────────

    async def open_link(self, token: str, also_of: Callable[[PortalLink], Work]) -> tuple[PortalLink, str]:
        """Exchange a token for a session.

        Args:
            token: as it stands in the link.
            also_of: makes what commits with it.

        Returns:
            The link, and the session: a secret for a cookie.

        Raises:
            AuthenticationFailed: no such link.
            LinkEnded: it has expired or was revoked.
        """

        def find(tx: Transaction) -> PortalLink:
            return self._checked(self._links.by_token(tx, fingerprint(token)) if len(token) <= MAX_TOKEN else None)

        def work(tx: Transaction) -> PortalLink:
            link = find(tx)
            self._links.note_use(tx, link, self._clock.now(), opened=True)
            also_of(link)(tx)
            return link

        await self._store.read(find)  # who has no link must not queue at the one writer
        return await self._store.write(work), derived(token, _SESSION)

    async def link_of_session(self, session: str) -> PortalLink:
        """Return the link that a session comes from, and note that it was used.

        Raises:
            AuthenticationFailed: no such session.
            LinkEnded: the link has expired or was revoked.
        """
        known = len(session) <= MAX_TOKEN
        link = self._checked(
            await self._store.read(lambda tx: self._links.by_session(tx, fingerprint(session))) if known else None
        )
        now = self._clock.now()
        if link.last_used_at is None or now - link.last_used_at >= USED_EVERY:
            await self._store.write(lambda tx: self._links.note_use(tx, link, now, opened=False), durable=False)
        return link

    # ── Retention ────────────────────────────────────────────────────────────

    async def purge(self, before: int, limit: int) -> int:
        """Forget links that expired before a moment."""
        return await self._store.write(lambda tx: self._links.purge(tx, before, limit))

    async def count_purgeable(self, before: int) -> int:
        """Count the links that :meth:`purge` would forget."""
        return await self._store.read(lambda tx: self._links.count_purgeable(tx, before))

    # ── Parts ────────────────────────────────────────────────────────────────

    def _found(self, tx: Transaction, link_id: str, tenant: str | None) -> PortalLink:
        link = self._links.find(tx, tenant, link_id)
        if link is None:
            msg = "No such link"
            raise NotFound(msg, remedy="Look at the list of links; it may have been removed by retention")
        return link

    def _checked(self, link: PortalLink | None) -> PortalLink:
        if link is None:
            msg = "This link is not known"
            raise AuthenticationFailed(msg, remedy="Copy the whole link, or ask for a new one")
        if not link.works(self._clock.now()):
            msg = "This link has expired" if link.revoked_at is None else "This link was withdrawn"
            raise LinkEnded(msg, remedy="Ask for a new one")
        return link
