"""How the trail is read, reviewed, taken out and cleaned up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from custodes.errors import Conflict, InvalidInput, NotFound
from custodes.kernel.clock import Clock
from custodes.kernel.paging import MAX_LIMIT, Page
from custodes.kernel.time_range import range_of
from custodes.planes.audit.analytics import DEFAULT_TOP, MAX_TOP, AuditAnalytics, width_of
from custodes.planes.audit.behaviour import Behaviour, Compliance
from custodes.planes.audit.model import AuditEntry, ReviewState
from custodes.planes.audit.ports import AuditQuery, AuditStore
from custodes.planes.audit.reviews import (
    MAX_REVIEWS,
    ReviewedMany,
    Verdict,
    change_of_many,
    next_review,
    states_before,
)
from custodes.runtime.transactions import Store, Transaction, Work, nothing

#: Seconds between two turns of folding, entries of one transaction (it holds the one writer of SQLite meanwhile), and
#: transactions of one turn.
FOLD_SECONDS = 10.0
FOLD_LIMIT = 1_000
FOLD_STEPS = 50

#: Makes the entry of an action on many, of their ids.
EntryOf = Callable[[Sequence[str]], Work]


def nothing_of(_ids: Sequence[str]) -> Work:
    """Make nothing of the ids."""
    return nothing


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
        self, since: int | None = None, until: int | None = None, *, tenant: str | None = None, top: int = DEFAULT_TOP
    ) -> AuditAnalytics:
        """Sum up the trail between two moments (microseconds, the end not included).

        Args:
            since: begin; a day before the end when None.
            until: end; now when None.
            tenant: whose trail; None: all.
            top: length of the rankings, 1 to 100.

        Raises:
            InvalidInput: the range is empty, or ``top`` is out of bounds.
            StorageUnavailable: it took too long; ask for a shorter range.
        """
        begin, end = range_of(since, until, self._clock.now())
        if not 1 <= top <= MAX_TOP:
            msg = f"top is {top}"
            raise InvalidInput(msg, remedy=f"Give 1 to {MAX_TOP}")
        width = width_of(begin, end)
        return await self._store.read(lambda tx: self._entries.analyse(tx, tenant, begin, end, width=width, top=top))

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
            if not self._entries.set_review(tx, entry_id, review, before=entry.review.state if entry.review else None):
                msg = "Somebody else has moved this review just now"
                raise Conflict(msg, remedy="Read the entry again, and decide")
            also(tx)
            return replace(entry, review=review)

        return await self._store.write(move)

    async def review_many(
        self,
        query: AuditQuery,
        verdict: Verdict,
        *,
        limit: int = MAX_REVIEWS,
        dry_run: bool,
        also: EntryOf = nothing_of,
    ) -> ReviewedMany:
        """Move the reviews that a query finds, all in one transaction, or only count them.

        Reviews that cannot take this step are left as they are; entries without a review are not touched.

        Args:
            query: which entries.
            verdict: where the reviews go, by whom, with which note and assignee.
            limit: reviews moved at most, 1 to 5,000, oldest first; the answer says whether there are more.
            dry_run: nothing is changed.
            also: makes of the ids moved what commits with it, when anything was moved.

        Raises:
            InvalidInput: the limit is out of bounds, the state is none to move many to, or a text is too long.
        """
        if not 1 <= limit <= MAX_REVIEWS:
            msg = f"The limit is {limit}"
            raise InvalidInput(msg, remedy=f"Give 1 to {MAX_REVIEWS}, and call again while there are more")
        change = change_of_many(verdict, self._clock.now())
        states = states_before(verdict.state)

        def move(tx: Transaction) -> ReviewedMany:
            counts = self._entries.count_reviews(tx, query, tuple(ReviewState))
            matched = sum(counts.values())
            fit = sum(count for state, count in counts.items() if state in states)
            if dry_run:
                return ReviewedMany(matched, min(fit, limit), matched - fit, fit > limit, dry_run=True)
            moved = self._entries.review_many(tx, query, states, change, limit)
            if moved:
                also(moved)(tx)
            return ReviewedMany(matched, len(moved), matched - fit, fit > len(moved), dry_run=False)

        return await (self._store.read(move) if dry_run else self._store.write(move))

    async def get_actor_behaviour(
        self, actor: str, since: int, until: int, *, tenant: str | None = None, shift: int = 0
    ) -> Behaviour:
        """Sum up what one actor did between two moments, and its usual hours in a zone.

        Args:
            actor: who, as ``type:id``.
            since: begin, microseconds.
            until: end, not included.
            tenant: whose trail; None: all.
            shift: the reader's offset from UTC, microseconds.

        Raises:
            NotFound: the trail knows no such actor, or not in this tenant.
        """
        found = await self._store.read(lambda tx: self._entries.behaviour(tx, tenant, actor, since, until, shift))
        if not found.first_seen_at:
            msg = "The trail knows no such actor"
            raise NotFound(msg, remedy="Write it as type:id, as in the list of actors")
        return found

    async def get_compliance(self, since: int, until: int, *, tenant: str | None = None) -> Compliance:
        """Sum up what a compliance report says of the trail between two moments."""
        return await self._store.read(lambda tx: self._entries.compliance(tx, tenant, since, until))

    async def purge(self, before: int, limit: int) -> int:
        """Remove at most ``limit`` entries recorded before a moment; those waiting for a review stay.

        An entry that was never flagged needs no review and counts as reviewed. Returns how many were removed.
        """
        return await self._store.write(lambda tx: self._entries.purge(tx, before, limit))

    async def count_purgeable(self, before: int) -> int:
        """Count what :meth:`purge` would remove in the end."""
        return await self._store.read(lambda tx: self._entries.count_purgeable(tx, before))

    async def fold(self) -> int:
        """Fold what was recorded since the last time into figures; returns how many entries.

        At most :data:`FOLD_STEPS` short transactions: after an upgrade it catches up in several turns.
        """
        folded = 0
        for _ in range(FOLD_STEPS):
            count = await self._store.write(lambda tx: self._entries.fold(tx, FOLD_LIMIT))
            folded += count
            if count < FOLD_LIMIT:
                break
        return folded

    def _find(self, tx: Transaction, entry_id: str, tenant: str | None) -> AuditEntry:
        entry = self._entries.find(tx, tenant, entry_id)
        if entry is None:
            msg = "No such audit entry"
            raise NotFound(msg, remedy="Look at the list of entries; it may be past its retention time")
        return entry
