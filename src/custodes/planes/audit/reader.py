"""How the trail is read, reviewed, taken out and cleaned up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from custodes.errors import InvalidInput, NotFound
from custodes.kernel.clock import Clock
from custodes.kernel.paging import MAX_LIMIT, Page
from custodes.planes.audit.analytics import DEFAULT_TOP, MAX_TOP, AuditAnalytics, width_of
from custodes.planes.audit.model import AuditEntry
from custodes.planes.audit.ports import AuditQuery, AuditStore
from custodes.planes.audit.reviews import Verdict, next_review
from custodes.runtime.transactions import Store, Transaction, Work, nothing


class AuditReader:
    """Reads the trail; what was recorded is never changed by it.

    Args:
        store: the engine.
        entries: where the trail is kept.
        clock: source of time.
    """

    def __init__(self, store: Store, entries: AuditStore, clock: Clock) -> None:
        self._store = store
        self._entries = entries
        self._clock = clock

    async def list_entries(self, query: AuditQuery) -> Page[AuditEntry]:
        """Return a page of entries, newest first.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        return await self._store.read(lambda tx: self._entries.page(tx, query))

    async def get_entry(self, entry_id: str, *, tenant: str | None = None) -> AuditEntry:
        """Return one entry.

        Raises:
            NotFound: no such entry, or not in this tenant.
        """
        return await self._store.read(lambda tx: self._find(tx, entry_id, tenant))

    async def get_audit_analytics(
        self, since: int, until: int, *, tenant: str | None = None, top: int = DEFAULT_TOP
    ) -> AuditAnalytics:
        """Sum up the trail between two moments (microseconds, the end not included).

        Args:
            since: begin.
            until: end.
            tenant: whose trail; None: all.
            top: length of the rankings, 1 to 100.

        Raises:
            InvalidInput: the range is empty, or ``top`` is out of bounds.
            StorageUnavailable: it took too long; ask for a shorter range.
        """
        if until <= since or not 1 <= top <= MAX_TOP:
            msg = "The range is empty" if until <= since else f"top is {top}"
            raise InvalidInput(msg, remedy=f"Give since before until, and top from 1 to {MAX_TOP}")
        width = width_of(since, until)
        return await self._store.read(lambda tx: self._entries.analyse(tx, tenant, since, until, width=width, top=top))

    async def export_entries(self, query: AuditQuery) -> AsyncIterator[AuditEntry]:
        """Yield every entry that a query finds, newest first, a page at a time; ``limit`` is not looked at."""
        query = replace(query, limit=MAX_LIMIT)
        while True:
            page = await self.list_entries(query)
            for entry in page.items:
                yield entry
            if page.next_cursor is None:
                return
            query = replace(query, cursor=page.next_cursor)

    async def review(
        self, entry_id: str, verdict: Verdict, *, tenant: str | None = None, also: Work = nothing
    ) -> AuditEntry:
        """Move the review of an entry; returns the entry with its new review.

        Raises:
            NotFound: no such entry, or not in this tenant.
            Conflict: this step is not possible from the state in which the review is.
            InvalidInput: the note or a name is too long.
        """

        def move(tx: Transaction) -> AuditEntry:
            entry = self._find(tx, entry_id, tenant)
            review = next_review(entry.review, verdict, self._clock.now())
            self._entries.set_review(tx, entry_id, review)
            also(tx)
            return replace(entry, review=review)

        return await self._store.write(move)

    async def purge(self, before: int, limit: int) -> int:
        """Remove at most ``limit`` entries recorded before a moment; those waiting for a review stay.

        An entry that was never flagged needs no review and counts as reviewed. Returns how many were removed.
        """
        return await self._store.write(lambda tx: self._entries.purge(tx, before, limit))

    async def count_purgeable(self, before: int) -> int:
        """Count what :meth:`purge` would remove in the end."""
        return await self._store.read(lambda tx: self._entries.count_purgeable(tx, before))

    def _find(self, tx: Transaction, entry_id: str, tenant: str | None) -> AuditEntry:
        entry = self._entries.find(tx, tenant, entry_id)
        if entry is None:
            msg = "No such audit entry"
            raise NotFound(msg, remedy="Look at the list of entries; it may be past its retention time")
        return entry
