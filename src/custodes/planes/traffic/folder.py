"""Folds finer levels into coarser ones, so that long ranges are read in few rows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from custodes.kernel.clock import SECOND, Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.planes.traffic.ports import TrafficStore
from custodes.planes.traffic.rollup import LEVELS

#: How long after its end a bucket is folded, microseconds: longer than the flushes of all workers usually take. What
#: comes later still is folded when it comes.
GRACE = 30 * SECOND


class Folder:
    """Folds what is complete, when this process is the leader.

    Every step is one transaction that marks rows as folded and adds them to the coarser level: killed anywhere, nothing
    is counted twice or lost, and a second leader finds nothing left to do.
    """

    def __init__(
        self, store: TrafficStore, *, clock: Clock, random_bits: RandomBits, is_leader: Callable[[], bool]
    ) -> None:
        self._store = store
        self._clock = clock
        self._random_bits = random_bits
        self._is_leader = is_leader
        #: Rows folded since the start.
        self.folded = 0
        #: Whether there may be rows that a version before wrote without squares of times.
        self._lacking = True

    async def fold(self) -> int:
        """Fold every complete bucket, finest level first; returns how many rows were folded."""
        if not self._is_leader():
            self._lacking = True  # who leads meanwhile may be of such a version
            return 0
        folded = 0
        before = self._clock.now() - GRACE
        for level, into in pairwise(LEVELS):
            if not self._is_leader():
                break
            for unit in await self._store.foldable(level, into, before):
                folded += await self._store.fold(unit, uuid7(self._clock.now(), self._random_bits))
        self.folded += folded
        if self._lacking:
            self._lacking = await self._store.fill_squares()
        return folded
