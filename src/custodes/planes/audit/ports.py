"""What the audit trail needs kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.planes.audit.activity import Past
from custodes.planes.audit.analytics import AuditAnalytics
from custodes.planes.audit.behaviour import Behaviour, Compliance
from custodes.planes.audit.model import AuditEntry, Kind, Review, ReviewState
from custodes.runtime.transactions import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries; every filter that is given must hold."""

    #: Whose trail; None: every tenant's.
    tenant: str | None = None
    #: Who, as ``type:id``; ends with ``*`` for a prefix.
    actor: str = ""
    #: Action name; ``*`` stands for any characters: ``webhook.*``, ``*.deleted``.
    action: str = ""
    #: Only events that came this way.
    kind: Kind | None = None
    #: Category of the action.
    category: str = ""
    #: Any of the targets, as ``type:id``.
    target: str = ""
    #: ``success``, ``failure`` or ``denied``.
    outcome: str = ""
    #: Client address.
    ip: str = ""
    #: Trace id.
    trace_id: str = ""
    #: Only entries that belong to the review of this entry.
    flag_id: str = ""
    #: Only entries with a review (True) or without one (False).
    flagged: bool | None = None
    #: Only entries whose review is in this state.
    review_state: ReviewState | None = None
    #: Only entries assigned to this person.
    assignee: str = ""
    #: Only entries with at least this score.
    min_risk: int = 0
    #: Recorded at or after, microseconds.
    since: int | None = None
    #: Recorded before, microseconds.
    until: int | None = None
    #: Part of the reason, an id, a name or a changed path; compared without case. Reads every entry of the range.
    text: str = ""
    #: Rows of a page.
    limit: int = DEFAULT_LIMIT
    #: Cursor of the page before.
    cursor: str = ""

    def paged(self, limit: int, cursor: str) -> AuditQuery:
        """Make the same query for another page."""
        return replace(self, limit=limit, cursor=cursor)


@dataclass(frozen=True, slots=True)
class ReviewChange:
    """What many reviews become."""

    #: State that all get.
    state: ReviewState
    #: Who decides, as ``type:id``.
    by: str
    #: When, microseconds.
    at: int
    #: Who is to look; None: each as before.
    assignee: str | None = None
    #: What was found; None: each as before.
    note: str | None = None


#: Reviews by their state.
ReviewCounts = dict[ReviewState, int]


class AuditStore(Protocol):
    """**Protocol:** the trail. Entries are only ever added; the review beside them is what changes."""

    async def append(self, entry: AuditEntry) -> str:
        """Add an entry durably, sharing the commit with others that arrive.

        Returns the id under which the event is in the trail: another one than the entry's when the tenant's trail
        already holds its idempotency key, in which case nothing is written.

        Raises:
            StorageUnavailable: nothing was kept.
        """
        ...

    def add(self, tx: Transaction, entries: Sequence[AuditEntry]) -> list[str]:
        """Add entries within a transaction; the ids as :meth:`append` returns them, in the same order.

        Both ways, a flagged entry whose ``flag_key`` an entry with an unfinished review has, not older than
        :data:`custodes.planes.audit.risk.FLAG_WINDOW`, gets no review of its own and belongs to that one.
        """
        ...

    def past(self, tx: Transaction, tenant: str, actor: str, ip: str, since: int = 0) -> Past:
        """Build the past of an actor and an address from their newest entries; empty for an empty name.

        Args:
            tx: transaction to read in.
            tenant: whose trail.
            actor: ``type:id``; empty: nobody is asked about.
            ip: client address; empty: none is asked about.
            since: only entries recorded from this moment on, microseconds.
        """
        ...

    def find(self, tx: Transaction, tenant: str | None, entry_id: str) -> AuditEntry | None:
        """Read one entry; None when there is none of this id, or not in this tenant."""
        ...

    def page(self, tx: Transaction, query: AuditQuery) -> Page[AuditEntry]:
        """Read a page of entries, newest first.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        ...

    def analyse(
        self, tx: Transaction, tenant: str | None, since: int, until: int, *, width: int, top: int
    ) -> AuditAnalytics:
        """Sum up a range of time; ``width`` is that of a point of the risk trend, ``top`` the length of rankings."""
        ...

    def set_review(self, tx: Transaction, entry_id: str, review: Review, *, before: ReviewState | None) -> bool:
        """Put a review beside an entry whose review is in the state ``before``; what was recorded stays as it is.

        False, and nothing done, when it is in another one: somebody was faster.
        """
        ...

    def count_reviews(self, tx: Transaction, query: AuditQuery, states: Collection[ReviewState]) -> ReviewCounts:
        """Count the reviews that a query finds in these states; its page is not looked at."""
        ...

    def review_many(
        self, tx: Transaction, query: AuditQuery, states: Collection[ReviewState], change: ReviewChange, limit: int
    ) -> list[str]:
        """Change the reviews that a query finds in these states, oldest first, at most ``limit``; returns the ids."""
        ...

    def behaviour(
        self, tx: Transaction, tenant: str | None, actor: str, since: int, until: int, shift: int
    ) -> Behaviour:
        """Sum up what one actor did in a range; ``shift`` is the reader's offset from UTC, microseconds."""
        ...

    def compliance(self, tx: Transaction, tenant: str | None, since: int, until: int) -> Compliance:
        """Sum up what a compliance report says of the trail in a range."""
        ...

    def unreviewed(self, tx: Transaction) -> tuple[int, int]:
        """Count what waits for a review, all tenants: (entries, moment of the oldest or 0)."""
        ...

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count what :meth:`purge` would remove, were it called until it returns 0."""
        ...

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Remove the oldest entries recorded before a moment, at most ``limit``, except those waiting for a review.

        Returns how many were removed; 0 when none is left.
        """
        ...

    def fold(self, tx: Transaction, limit: int) -> int:
        """Add the next entries of the trail to the figures that :meth:`analyse` reads, in one step; at most ``limit``.

        Returns by how many places it went on; 0 when there is none left. Never needed for a right answer, only for a
        fast one.
        """
        ...
