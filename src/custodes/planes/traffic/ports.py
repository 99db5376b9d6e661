"""What the traffic plane needs kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from custodes.kernel.paging import Page
from custodes.planes.traffic.batch import Batch, GroupSighting
from custodes.planes.traffic.model import ApiCall, CallCount, CallFilter, ErrorGroup, FailingEndpoint, GroupState
from custodes.planes.traffic.ranges import Stretch
from custodes.planes.traffic.rollup import Keyspace, Level, Rollups
from custodes.runtime.transactions import Work, nothing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RollupQuery:
    """Which rollups to add up, and into which buckets.

    The answer's series have an empty tenant, since the tenants of the scope are added up, and the bucket
    ``since + n · step`` that theirs falls into.
    """

    #: Tenants to add up (:func:`custodes.planes.traffic.rollup.tenants_of`).
    tenants: tuple[str, ...]
    #: Which kind of series.
    keyspace: Keyspace
    #: Where to read what.
    stretches: tuple[Stretch, ...]
    #: Begin of the first bucket of the answer.
    since: int
    #: Width of the answer's buckets.
    step: int
    #: Only these names; None for all.
    names: tuple[str, ...] | None = None
    #: Only this method; None for all.
    method: str | None = None
    #: Only these pairs of name and method; None for all.
    pairs: tuple[tuple[str, str], ...] | None = None
    #: Batches that are in memory as well and must not be counted twice.
    besides: tuple[str, ...] = ()
    #: Of :meth:`TrafficStore.sums`: the plain figures that are wanted, by their name in
    #: :class:`~custodes.planes.traffic.rollup.Figures`; the others stay 0. Empty: all.
    figures: tuple[str, ...] = ()
    #: Only the times to the last byte are wanted, in one bucket: enough to rank, and quicker.
    ranking: bool = False
    #: Requests by status are wanted.
    statuses: bool = True
    #: Of sums and counts: other kinds of series that are added up beside, each for itself.
    beside: tuple[Keyspace, ...] = ()

    @property
    def keyspaces(self) -> tuple[Keyspace, ...]:
        """All kinds of series."""
        return (self.keyspace, *self.beside)


#: Fetches an answer; what is asked before it is fetched is worked on meanwhile, where the store is a server.
Answer = Callable[[], T]


class Snapshot(Protocol):
    """**Protocol:** rollups as they were at one moment."""

    def rollups(self, query: RollupQuery) -> Answer[Rollups]:
        """Add up rollups with their times and statuses."""
        ...

    def sums(self, query: RollupQuery) -> Answer[Rollups]:
        """Add up the plain figures in the store: no histograms, no statuses, one bucket."""
        ...

    def plain(self, query: RollupQuery) -> Answer[dict[tuple[Keyspace, str, str], Sequence[Any]]]:
        """Add up the plain figures that are wanted, by keyspace, name and method: in their order, and nothing more.

        What stands behind them in a sequence is of no meaning. Thousands can be ranked by these.
        """
        ...


@dataclass(frozen=True, slots=True)
class FoldUnit:
    """Some rows of one level that belong into one bucket of the next; small enough for one transaction."""

    #: Level of the rows.
    level: Level
    #: Level that they are folded into.
    into: Level
    #: Whose.
    tenant: str
    #: Which kind of series.
    keyspace: Keyspace
    #: Begin of the coarser bucket.
    bucket: int
    #: First and last name, both included, in the store's own order.
    names: tuple[str, str]
    #: Rows, about.
    rows: int


class TrafficStore(Protocol):
    """**Protocol:** keeps rollups, raw rows and error groups."""

    @property
    def at_once(self) -> int:
        """How many batches are best written side by side."""
        ...

    async def keep(self, batch: Batch) -> Sequence[GroupSighting]:
        """Write a batch in one transaction; nothing changes when a batch of this id was written before.

        It may be lost with the power, not with the process.

        Returns:
            The kinds of errors that are new, or were resolved and have occurred again.

        Raises:
            StorageUnavailable: nothing of it was kept, or it is not known; write the same batch again.
        """
        ...

    async def look(self, about: Sequence[RollupQuery], work: Callable[[Snapshot], T]) -> T:
        """Run a work that asks several things, on one snapshot.

        Args:
            about: what it is going to ask: no other time, tenants and kinds of series.
            work: asks; has no effect on anything else, since it may be run again, in any thread.
        """
        ...

    async def rollups(self, query: RollupQuery) -> Rollups:
        """Ask one thing: :meth:`Snapshot.rollups`."""
        ...

    async def sums(self, query: RollupQuery) -> Rollups:
        """Ask one thing: :meth:`Snapshot.sums`."""
        ...

    async def foldable(self, level: Level, into: Level, before: int) -> Sequence[FoldUnit]:
        """List what waits to be folded in buckets of ``into`` that ended at or before a moment."""
        ...

    async def fold(self, unit: FoldUnit, writer_id: str) -> int:
        """Add rows up into one row a series of the coarser level and mark them as folded, in one transaction.

        Rows that come later are folded by a later call into rows of its writer. Returns how many rows were folded;
        0 when another process was faster.
        """
        ...

    async def first_buckets(self) -> Mapping[Level, int]:
        """Tell, of each level that has one, when its first bucket begins: of all tenants, microseconds."""
        ...

    async def fill_squares(self) -> bool:
        """Add squares of times to some rows of endpoints that a version before wrote without.

        On levels that are kept for months, the coarsest first, from now back; of finer ones they are soon gone.
        Returns whether some may be left.
        """
        ...

    async def calls(self, where: CallFilter, *, tenant: str | None, limit: int, cursor: str | None) -> Page[ApiCall]:
        """List raw rows, newest first."""
        ...

    async def count_calls(self, where: CallFilter, *, tenant: str | None, at_most: int) -> Sequence[CallCount]:
        """Count the newest raw rows by status, method and route.

        The newest ``at_most`` are looked at that the parts of the filter mean which have an index; its method, status,
        duration and text are held against these.
        """
        ...

    async def call(self, identifier: str, *, tenant: str | None) -> ApiCall | None:
        """Find one raw row; None when there is none for this tenant."""
        ...

    async def error_groups(
        self, *, tenant: str | None, state: GroupState | None, since: int | None, limit: int, cursor: str | None
    ) -> Page[ErrorGroup]:
        """List error groups, the latest occurrence first; their ``count`` is 0: it is in the rollups."""
        ...

    async def error_group(self, identifier: str, *, tenant: str | None) -> ErrorGroup | None:
        """Find one error group; None when there is none for this tenant."""
        ...

    async def error_group_of(self, digest: str, *, tenant: str) -> ErrorGroup | None:
        """Find the error group that calls of a tenant name by its digest; None when it is not kept any more."""
        ...

    async def failing_endpoints(self, digest: str, *, tenant: str, since: int, until: int) -> Sequence[FailingEndpoint]:
        """Tell at which endpoints a kind of error was raised, by the raw rows of a stretch of time.

        Of the newest :data:`~custodes.planes.traffic.model.FAILED_SCANNED` calls there in which it was, whatever fails
        beside it; the endpoint with most calls first, at most :data:`~custodes.planes.traffic.model.FAILING_ENDPOINTS`.
        """
        ...

    async def set_group_state(
        self, identifier: str, state: GroupState, *, tenant: str | None, at: int, by: str, also: Work = nothing
    ) -> ErrorGroup | None:
        """Set the state of a group, durably, together with ``also``; None, and nothing done, when there is none.

        Raises:
            Conflict: it is in that state already.
        """
        ...

    async def purge_calls(self, before: int, limit: int) -> int:
        """Delete raw rows that began before a moment, oldest first, at most ``limit``; returns how many."""
        ...

    async def count_purgeable_calls(self, before: int) -> int:
        """Count what :meth:`purge_calls` would delete in the end."""
        ...

    async def purge_rollups(self, level: Level, before: int, limit: int) -> int:
        """Delete folded rows of a level whose bucket began before a moment; what is not folded stays."""
        ...

    async def count_purgeable_rollups(self, level: Level, before: int) -> int:
        """Count what :meth:`purge_rollups` would delete in the end."""
        ...

    async def purge_error_groups(self, before: int, limit: int) -> int:
        """Delete groups that last occurred before a moment."""
        ...

    async def count_purgeable_error_groups(self, before: int) -> int:
        """Count what :meth:`purge_error_groups` would delete in the end."""
        ...
