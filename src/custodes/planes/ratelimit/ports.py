"""What the plane needs kept."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from custodes.kernel.paging import Page
from custodes.kernel.window import Ask, Cells, Meter, Outcome
from custodes.kernel.window.cells import Key
from custodes.planes.ratelimit.model import Access, Effect, Rule, Window
from custodes.runtime.transactions import Store, Transaction


class States(Protocol):
    """**Protocol:** keeps the states of limits."""

    #: True when decisions are always made at once, False when they may have to be awaited.
    synchronous: bool

    def cells(self, name: str, meter: Meter, *, shadow: bool = False, together: str = "") -> Cells:
        """Return the states of a limit; those with the same name are the same.

        Args:
            name: name.
            meter: how it counts.
            shadow: whether it refuses nobody.
            together: the same for limits that are asked together: an engine may keep what a subject has used of them
                in one place. What it counted under another word, it may forget.
        """
        ...


class Windows(States, Protocol):
    """**Protocol:** an engine that keeps the states of limits and decides."""

    #: Whether it takes leases, of limits for which they are allowed.
    lends: bool

    def decide(self, asks: Sequence[Ask], now: int) -> Outcome | Awaitable[Outcome]:
        """Decide on all limits of a request at once: all are charged, or none.

        Raises:
            StorageUnavailable: no decision could be made in time (only engines that are awaited).
        """
        ...

    def release(self, cells: Any, key: Key, taken_at: int, cost: int) -> None:
        """Give back slots taken at a moment; soon, and never waited for."""
        ...

    async def near(self, cells: Any, now: int) -> list[tuple[Key, int]]:
        """List subjects that have used 80 % of a limit or more, and what each has left.

        Bounded: those that this worker has decided on lately. Never raises: what cannot be asked for is told as it was
        last seen.
        """
        ...

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the limits of other names."""
        ...

    @property
    def overflowed(self) -> int:
        """Decisions on subjects that had to share a state, because there were too many."""
        ...

    @property
    def failures(self) -> int:
        """Decisions that could not be made."""
        ...

    @property
    def instances(self) -> int:
        """Instances that share these states and lived when that was last known, at least 1."""
        ...

    @property
    def available(self) -> bool:
        """False while the engine is known not to answer."""
        ...

    @property
    def trouble(self) -> str:
        """Why it is known not to answer, in words and without a secret; empty while it answers."""
        ...

    async def start(self) -> None:
        """Open what is to be opened; idempotent."""
        ...

    async def stop(self) -> None:
        """Close it; idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What all workers of an install have in common."""

    #: Grows with each change.
    version: int
    #: Entries that have not ended.
    access: Sequence[Access]
    #: Rules made at run time.
    rules: Sequence[Rule]


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over a stretch of time."""

    #: What it is about: a moment, an identifier, an endpoint, a rule.
    label: str
    #: Units admitted.
    allowed: int
    #: Requests refused.
    refused: int
    #: Requests that a rule in shadow would have refused.
    would_refuse: int


@dataclass(frozen=True, slots=True)
class Usages:
    """Sums of the windows of a stretch of time, each way."""

    #: By time, in order; the label is the begin of the point, microseconds as text.
    points: Sequence[Total]
    #: By rule and by endpoint, most refused first.
    rules: Sequence[Total]
    endpoints: Sequence[Total]
    #: Kind → by identifier (``ip:203.0.113.9``), most refused first: those who were refused, or would have been.
    identifiers: Mapping[str, Sequence[Total]]


class RateLimitStore(Protocol):
    """**Protocol:** rules, blocks and counted windows, shared by all workers.

    Methods that take a transaction belong to a unit of work; each change of access or rules must be in one with
    :meth:`bump`, which tells the other workers.
    """

    @property
    def units(self) -> Store:
        """Where works run."""
        ...

    def bump(self, tx: Transaction) -> int:
        """Note that access or rules have changed; return the new version."""
        ...

    def put_access(self, tx: Transaction, entry: Access) -> None:
        """Keep an entry in place of those that stand for the same tenant, effect, kind and identifier, which end then.

        They count as not lifted. A ban takes the place of bans only: what a person decided goes on.
        """
        ...

    def end_access(self, tx: Transaction, ids: Sequence[str], at: int, by: str) -> None:
        """Have entries end at a moment; ids that are not there are passed over."""
        ...

    def standing(
        self, tx: Transaction, *, tenant: str | None, kind: str, identifier: str, effects: Sequence[Effect], now: int
    ) -> list[Access]:
        """List the entries for an identifier that have not ended; of every tenant when None."""
        ...

    def access(self, tx: Transaction, entry_id: str) -> Access | None:
        """Return one entry."""
        ...

    def add_rule(self, tx: Transaction, rule: Rule) -> None:
        """Keep a new rule.

        Raises:
            Conflict: another rule of this tenant, or one for all, has this name; for a rule for all: any other.
        """
        ...

    def rule(self, tx: Transaction, rule_id: str) -> Rule | None:
        """Return one rule."""
        ...

    def change_rule(self, tx: Transaction, rule: Rule, version: int) -> bool:
        """Put a rule in place of its version of that number; False, and nothing done, when there is none such.

        Raises:
            Conflict: another rule of this tenant, or one for all, has this name; for a rule for all: any other.
        """
        ...

    def delete_rule(self, tx: Transaction, rule_id: str) -> bool:
        """Delete a rule; False when there is none."""
        ...

    async def version(self) -> int:
        """Return the version of what is shared; 0 before the first change."""
        ...

    async def shared(self, now: int) -> Shared:
        """Return everything that is shared, on one snapshot."""
        ...

    async def access_page(
        self,
        *,
        tenant: str | None,
        effects: Sequence[Effect],
        active_at: int | None,
        kind: str | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Access]:
        """List entries, newest first; only those that stand at a moment unless None."""
        ...

    async def blocks_at(self, moment: int, *, tenant: str | None) -> int:
        """Count the blocks and bans that stood at a moment; those that were purged since then are not known."""
        ...

    async def record(self, windows: Sequence[Window], batch: str = "") -> None:
        """Add counts to windows, and make those that are not there; all or none.

        Args:
            windows: what was counted.
            batch: unique name of these; recorded again under it, as nobody knew whether they were, they count once.
        """
        ...

    async def window_page(
        self,
        *,
        tenant: str | None,
        since: int,
        until: int,
        rule: str | None,
        identifier: str | None,
        refused_only: bool,
        limit: int,
        cursor: str | None,
    ) -> Page[Window]:
        """List windows of identifiers, newest first."""
        ...

    async def usages(self, *, tenant: str | None, since: int, until: int, bucket: int, top: int) -> Usages:
        """Sum windows up, on one snapshot.

        Args:
            tenant: only this tenant's; all when None.
            since: windows that begin at this moment or later.
            until: windows that begin before this moment.
            bucket: length of a point of time, microseconds.
            top: sums of each ranking, and of each kind of identifiers, at most.
        """
        ...

    async def points(
        self, *, tenant: str | None, rule: str, whom: tuple[str, str] | None, since: int, until: int, bucket: int
    ) -> Sequence[Total]:
        """Sum the windows of one rule up by time, in order; the label is the begin of the point, as in :class:`Usages`.

        Args:
            tenant: only this tenant's; all when None.
            rule: which; ``(block)``, ``(ban)``, ``(deny-list)`` for entries.
            whom: only those of this kind and identifier; of everybody when None.
            since: windows that begin at this moment or later.
            until: windows that begin before this moment.
            bucket: length of a point of time, microseconds.
        """
        ...

    async def purge(self, before: int, limit: int) -> int:
        """Delete up to so many windows, and entries, that ended before a moment; return how many."""
        ...

    async def count_purgeable(self, before: int) -> int:
        """Count what :meth:`purge` would delete in the end."""
        ...


@dataclass(slots=True)
class RecordedCall:
    """A call that was recorded: a :class:`~custodes.planes.ratelimit.model.Call` that is over."""

    #: UUIDv7.
    id: str
    #: First byte of the request, and the end of all work on it, microseconds.
    started_at: int
    ended_at: int
    method: str
    path: str
    #: Route template; None when no route matched.
    route: str | None
    #: Answer's status; 0 when the client left before there was one.
    status: int
    client_ip: str
    user: str
    api_key: str
    tenant: str
    #: Rule that refused it; empty when it was let through.
    limited_by: str
    #: Not read back.
    trace_id: str = ""


class Recordings(Protocol):
    """**Protocol:** the calls that were recorded, for replaying them."""

    async def begin(self, *, tenant: str | None, since: int, until: int, limit: int) -> int:
        """Return the moment from which on there are at most so many calls; ``since`` when there are no more."""
        ...

    async def calls(
        self, *, tenant: str | None, since: int, until: int, after: RecordedCall | None, limit: int
    ) -> Sequence[RecordedCall]:
        """List calls of requests, oldest first; those after one when it is given."""
        ...
