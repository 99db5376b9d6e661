"""Leader leases: of all processes on one store, one folds, sweeps and evaluates.

No two clocks are ever compared. A leader beats: each renewal changes the row. A candidate watches the row and takes the
lease once it has not changed for a whole time-to-live **by the candidate's own monotonic clock**; the leader believes
in itself for one time-to-live from the moment *before* its last beat. The candidate saw that beat after it was made, so
its wait ends after the leader's belief, whatever NTP or an operator does to the wall clocks (the rule of client-go's
``leaderelection``, which measures observed changes for the same reason).

What remains is a leader that was frozen (SIGSTOP, a paused virtual machine) between its look at what it believes and
its commit: for a moment two do the same. Most of what the leader does may be done twice: rows are folded and marked in
one transaction, what is deleted for its age stays deleted. What must not be done twice confirms the lease in its own
transaction; nobody else is elected before that has ended::

    def evaluate(tx: Transaction) -> None:
        leader.confirm(tx)  # raises when somebody else leads by now
        ...
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Protocol

from custodes.errors import Conflict, StorageUnavailable
from custodes.kernel.clock import SECOND, Clock
from custodes.runtime.periodic import Periodic
from custodes.runtime.process import Named
from custodes.runtime.transactions import Transaction

#: Lease of everything that one process at a time does for the whole install.
INSTALL = "custodes"

#: A lease that has not been renewed for this long may be taken, microseconds.
TIME_TO_LIVE = 9 * SECOND

#: Between two beats (or looks, for a candidate), microseconds. A dead leader is replaced after at most
#: TIME_TO_LIVE + 2 × BEAT = 13 s: one beat until its last sign is seen, the wait, one beat until the end is noticed.
BEAT = 2 * SECOND


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as its row says."""

    #: What is led.
    name: str
    #: Id of the process that holds it; empty when it was given back.
    owner: str
    #: Fencing token: grows by one each time the lease changes hands.
    token: int
    #: Renewals since it changed hands: the sign of life that candidates watch.
    beats: int
    #: Wall clock of the owner at its last beat, microseconds; shown to people, never compared.
    renewed_at: int


class LeaseStore(Protocol):
    """**Protocol:** where leases are kept. Each method is one atomic step; none of them judges time."""

    async def read(self, name: str) -> Lease | None:
        """Return the lease as it stands; None when nobody ever held it."""
        ...

    async def acquire(self, name: str, owner: str, seen: Lease | None, at: int) -> Lease | None:
        """Take the lease if its row is still what was ``seen``; None when somebody was faster, or is at it just now.

        The token of the new lease is one higher than that of ``seen`` (1 for the first).
        """
        ...

    async def renew(self, lease: Lease, at: int) -> Lease | None:
        """Beat: None when the lease is not ours any more (owner and token are compared)."""
        ...

    async def release(self, lease: Lease, at: int) -> None:
        """Give the lease back, so that the next candidate need not wait; nothing when it is not ours any more."""
        ...

    def holds(self, tx: Transaction, lease: Lease) -> bool:
        """Tell, inside a transaction, whether the lease is this owner's with this token, until the transaction ends."""
        ...


class Leader:
    """This process's part in one lease: candidate or leader.

    :attr:`is_leader` costs no I/O. A store that cannot be reached makes a leader step down when its time-to-live has
    passed, and never makes one.
    """

    def __init__(
        self,
        store: LeaseStore,
        clock: Clock,
        owner: Named,
        *,
        name: str = INSTALL,
        time_to_live: int = TIME_TO_LIVE,
        beat: int = BEAT,
    ) -> None:
        self.name = name
        #: What this process is called among the candidates.
        self._owner = owner
        self._store = store
        self._clock = clock
        self._time_to_live = time_to_live
        self._lease: Lease | None = None
        self._believes_until = 0
        self._seen: Lease | None = None
        self._seen_at = 0
        self._periodic = Periodic(f"lease-{name}", beat / SECOND, self.campaign)

    # ── Life ─────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Stand for election now and from then on; idempotent."""
        await self._periodic.run_once()
        await self._periodic.start()

    async def stop(self) -> None:
        """Stand no more, and give the lease back; idempotent."""
        await self._periodic.stop()
        lease, self._lease = self._lease, None
        if lease is not None:
            with contextlib.suppress(StorageUnavailable):  # then it runs out by itself
                await self._store.release(lease, self._clock.now())

    # ── Leadership ───────────────────────────────────────────────────────────

    @property
    def is_leader(self) -> bool:
        """Whether this process leads, as far as it can know without asking."""
        return self._lease is not None and self._clock.monotonic() < self._believes_until

    @property
    def lease(self) -> Lease | None:
        """The lease while this process leads; None otherwise."""
        return self._lease if self.is_leader else None

    def confirm(self, tx: Transaction) -> None:
        """Make sure, inside a transaction, that this process leads, until that ends.

        Raises:
            Conflict: it does not; the transaction must not happen.
        """
        lease = self._lease
        if lease is None or not self._store.holds(tx, lease):
            msg = f"This process does not hold the lease {self.name!r} any more"
            raise Conflict(msg, remedy="Nothing to do: the process that leads now does the work")

    async def campaign(self) -> bool:
        """Beat once: renew what is held, or watch and take what is free. Returns whether this process leads."""
        if self._lease is not None:
            await self._renew(self._lease)
        if self._lease is None:
            await self._stand()
        return self.is_leader

    async def _renew(self, lease: Lease) -> None:
        before = self._clock.monotonic()
        renewed = await self._store.renew(lease, self._clock.now())
        self._become(renewed, before)

    async def _stand(self) -> None:
        current = await self._store.read(self.name)
        if not self._is_free(current):
            return
        before = self._clock.monotonic()
        taken = await self._store.acquire(self.name, self._owner(), current, self._clock.now())
        self._become(taken, before)

    def _is_free(self, current: Lease | None) -> bool:
        """Judge by what this process itself has watched."""
        if current is None or not current.owner or current.owner == self._owner():
            return True
        now = self._clock.monotonic()
        if current != self._seen:
            self._seen, self._seen_at = current, now
            return False
        return now - self._seen_at >= self._time_to_live

    def _become(self, lease: Lease | None, since: int) -> None:
        self._lease = lease
        self._believes_until = since + self._time_to_live if lease is not None else 0
