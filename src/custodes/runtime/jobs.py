"""Jobs: what must still be done, kept in the same store and the same transaction as the reason for it.

A job is open or gone: who finishes it deletes it, together with what the work has changed. It names its subject by
``kind`` and ``ref`` and holds no data of its own. A worker *leases* a job: it moves ``due_at`` to the end of the lease,
so that a job whose worker died simply becomes due again, and the query that looks for work is the sweeper too. Each
lease has a fencing ``token``; what is done with an older token has no effect. Leases are measured by the clock of the
store (:mod:`custodes.runtime.store_time`): a host whose own clock is ahead must not take what others are at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from custodes.runtime.transactions import Transaction

#: Lost leases that make a job a suspect: one happens to all that was under way when a process is killed.
SUSPECT_AFTER = 2


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to put in."""

    #: Whose it is.
    tenant: str
    #: What has to be done: ``"webhook"``. Each worker does one kind.
    kind: str
    #: Id of the subject; a subject has at most one open job of a kind.
    ref: str
    #: Whom it competes with: jobs are taken fairly from all lanes, in each lane by ``due_at``.
    lane: str
    #: Not to be done before, microseconds since the epoch.
    due_at: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A job that this worker, and no other, may do now."""

    #: Whose it is.
    tenant: str
    #: What has to be done.
    kind: str
    #: Id of the subject.
    ref: str
    #: Lane it was taken from.
    lane: str
    #: Attempts that ended and were recorded, before this one.
    attempts: int
    #: Leases before this one that ended without a word: the worker died or was cut off while it held the job.
    lost: int
    #: Fencing token: grows by one with each lease of the job.
    token: int

    @property
    def suspect(self) -> bool:
        """Whether it may be what kills the workers."""
        return self.lost >= SUSPECT_AFTER


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker asks for."""

    #: Who takes the jobs.
    owner: str
    #: Jobs due at or before are taken, microseconds since the epoch.
    now: int
    #: Leases of others that end at or before have ended, microseconds since the epoch by the store's clock.
    ended: int
    #: End of the leases, microseconds since the epoch by the store's clock.
    until: int
    #: Subjects that are left alone: this worker is at them already (the clock jumped).
    busy: frozenset[str] = frozenset()
    #: Whether a suspect may be among them.
    suspect: bool = True


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much is waiting."""

    #: Open jobs, leased ones included.
    open: int
    #: Jobs that are leased now.
    leased: int
    #: When the longest-waiting due job became due, microseconds since the epoch; None when none is due.
    oldest_due_at: int | None


class Jobs(Protocol):
    """**Protocol:** where jobs are kept. Every method is part of the caller's transaction."""

    def put(self, tx: Transaction, job: NewJob) -> bool:
        """Put a job in; False, and nothing done, when its subject has an open job of this kind."""
        ...

    def lanes(self, tx: Transaction, kind: str) -> Sequence[str]:
        """Name the lanes that have open jobs, without reading the jobs."""
        ...

    def due_lanes(self, tx: Transaction, kind: str, now: int, ended: int) -> Sequence[str]:
        """Name the lanes that have a job due at or before ``now``, or a lease that has ``ended``; no job is read."""
        ...

    def claim(self, tx: Transaction, kind: str, lanes: Mapping[str, int], claim: Claim) -> Sequence[Lease]:
        """Lease due jobs, so many of each lane at most, longest due first; of its suspects one, where one may be."""
        ...

    def extend(self, tx: Transaction, leases: Sequence[Lease], until: int) -> Sequence[Lease]:
        """Move the end of leases; returns those that are still held."""
        ...

    def finish(self, tx: Transaction, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Delete the jobs; returns those whose lease was still held, and nothing is done about the others."""
        ...

    def again(self, tx: Transaction, back: Sequence[tuple[Lease, int]], *, counted: bool = True) -> Sequence[Lease]:
        """Give jobs back, each until a moment; return those whose lease was held: to the others nothing is done.

        ``counted=False`` takes the lease back as if it had not been: the work was not begun, or broken off by us.
        """
        ...

    def hasten(self, tx: Transaction, kind: str, ref: str, due_at: int) -> bool:
        """Make an open job that nobody holds due earlier; False when there is none, or it is due by then."""
        ...

    def is_leased(self, tx: Transaction, kind: str, ref: str, now: int) -> bool:
        """Tell whether somebody is at a job: its lease ends after ``now``, microseconds by the store's clock."""
        ...

    def pull_in(self, tx: Transaction, kind: str, horizon: int, due_at: int) -> int:
        """Make jobs that are due after ``horizon`` due at ``due_at``; returns how many.

        No wait is that long: they were written by a clock that ran ahead.
        """
        ...

    def backlog(self, tx: Transaction, kind: str, now: int, tenant: str | None = None) -> Backlog:
        """Count what is waiting; only of one tenant when it is named."""
        ...
