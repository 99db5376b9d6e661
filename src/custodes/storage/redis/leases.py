"""Units of a limit that an instance takes from Redis at once, and then hands out without asking.

Most that passes beyond a limit with a lease of m units, of which each of N instances holds one at most: N x (m - 1) in
any window, wherever it begins. For what is used in a window was charged in it, of which there is no more than the limit
admits, or was charged before and held when it began; and of the units of a lease the first is never held, but used by
the request that asks for the others. Nothing in this depends on how fast an answer comes or whether one is lost: units
whose answer is lost stay charged and are used by nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from custodes.kernel.clock import SECOND
from custodes.kernel.window import Ask, CalendarQuota
from custodes.kernel.window.cells import Key, View
from custodes.storage.dated import Decided
from custodes.storage.redis.batch import Borrow
from custodes.storage.redis.cells import Lease, RedisCells

#: How long a lease holds: a twentieth of the window, so that what one does not use is soon there for the others,
#: and two seconds at most.
_PART_OF_WINDOW = 20
_MAX_LEASE = 2 * SECOND

#: Leases of a limit that an instance holds at most; other subjects are asked about one by one.
_MAX_LEASES = 10_000

#: How often those that have ended are given back, seconds; those of somebody who comes again are at once.
_SWEEP_SECONDS = 0.25


def lease_length(cells: RedisCells) -> int:
    """Tell how long a lease of a limit holds, microseconds."""
    return min(cells.meter.window // _PART_OF_WINDOW, _MAX_LEASE)


class Leases:
    """The leases of an instance.

    Args:
        monotonic: monotonic clock, microseconds.
        instances: tells how many instances live.
        give_back: takes back a charge: limit, subject, moment, units.
    """

    def __init__(
        self,
        monotonic: Callable[[], int],
        instances: Callable[[], int],
        give_back: Callable[[RedisCells, Key, int, int], None],
    ) -> None:
        self._monotonic = monotonic
        self._instances = instances
        self._give_back = give_back
        #: Limits of which there are leases.
        self._holding: set[RedisCells] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        #: Requests that were decided here.
        self.decided = 0

    def spend(self, asks: Sequence[Ask], ahead: int) -> Decided | None:
        """Decide on a request all of whose limits are leased; None when Redis has to be asked.

        Args:
            asks: its limits.
            ahead: server time minus monotonic time.
        """
        at = self._monotonic()
        spent: list[tuple[Lease, int]] = []
        for cells, key, cost in asks:
            lease = cells.leases.get(key)
            if lease is None or lease.ends <= at or lease.left < cost:
                for taken, units in spent:
                    taken.left += units
                return None
            lease.left -= cost
            spent.append((lease, cost))
        views: list[View] = []
        for (cells, key, cost), (lease, _) in zip(asks, spent, strict=True):
            cells.tally[key] += cost
            views.append((lease.beyond + lease.left, max(0, lease.more_at - at - ahead)))
        self.decided += 1
        return Decided(views, at + ahead)

    def renew(self, asks: Sequence[Ask]) -> list[Borrow]:
        """Ask for leases, behind a request that Redis decides on: of limits that have room, for who comes often."""
        wanted: list[Borrow] = []
        for cells, key, cost in asks:
            if cells.lease <= cost or cells.shadow or key in cells.borrowing:
                continue
            at = self._monotonic()
            lease = cells.leases.get(key)
            if lease is not None:
                if lease.left >= cost and lease.ends > at:
                    continue  # another limit of the request is the one without
                self._end(cells, key)
            seen = cells.seen.get(key)
            # Near the limit each unit is asked for: what one instance holds, another could not have.
            enough = 2 * self._instances() * cells.lease
            if seen is None or at - seen[1] > lease_length(cells) or seen[0] < enough:
                continue
            if len(cells.leases) + len(cells.borrowing) < _MAX_LEASES:
                cells.borrowing.add(key)
                wanted.append(Borrow(cells, key, cells.lease - 1, lease_length(cells)))
        return wanted

    def hold(self, limits: set[RedisCells]) -> None:
        """Watch over leases that have come in."""
        self._holding |= limits
        if self._sweeper is None and self._holding:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep_again)

    def sweep(self) -> None:
        """Give back what is left of leases that have ended."""
        at = self._monotonic()
        for cells in list(self._holding):
            # All of a limit hold equally long: the oldest come first.
            while cells.leases and next(iter(cells.leases.values())).ends <= at:
                self._end(cells, next(iter(cells.leases)))
            if not cells.leases:
                self._holding.discard(cells)

    def end(self) -> None:
        """Give back all."""
        for cells in self._holding:
            for key in list(cells.leases):
                self._end(cells, key)
        self._holding.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _sweep_again(self) -> None:
        self._sweeper = None
        self.sweep()
        self.hold(set())

    def _end(self, cells: RedisCells, key: Key) -> None:
        lease = cells.leases.pop(key)
        if lease.left and not _of_a_period_gone_by(cells, lease):
            self._give_back(cells, key, lease.at, lease.left)


def _of_a_period_gone_by(cells: RedisCells, lease: Lease) -> bool:
    """Tell whether a calendar period may be over by the time its lease is: then there is nothing to give back to."""
    meter = cells.meter
    return isinstance(meter, CalendarQuota) and meter.period_end(lease.at) <= lease.at + 2 * _MAX_LEASE
