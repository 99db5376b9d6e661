"""Folds finer levels into coarser ones, so that long ranges are read in few rows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from custodes.kernel.clock import SECOND, Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.planes.traffic.ports import TrafficStore
from custodes.planes.traffic.rollup import LEVELS, Level

#: How long after its end a bucket is folded, microseconds: longer than the flushes of all workers usually take. What
#: comes later still is folded when it comes.
GRACE = 30 * SECOND


#: Levels whose rows last for months, and before which moment to begin: those that versions before wrote without squares
#: of times are filled. Of finer levels they are many, and soon gone.
_FILLED = tuple((level, 2**62) for level in LEVELS if level >= Level.SIX_HOURS)


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
        #: Levels to fill, the next one last, each with the moment before which it is still to be done.
        self._to_fill = list(_FILLED)

    async def fold(self) -> int:
        """Fold every complete bucket, finest level first; returns how many rows were folded."""
        if not self._is_leader():
            self._to_fill = list(_FILLED)  # who leads meanwhile may be of a version that keeps no squares
            return 0
        folded = 0
        before = self._clock.now() - GRACE
        for level, into in pairwise(LEVELS):
            if not self._is_leader():
                break
            for unit in await self._store.foldable(level, into, before):
                folded += await self._store.fold(unit, uuid7(self._clock.now(), self._random_bits))
        self.folded += folded
        await self._fill()
        return folded

    async def _fill(self) -> None:
        """Look at one bucket, so that nobody waits for it: the coarsest level first, from now back."""
        while self._to_fill:
            level, before = self._to_fill[-1]
            filled = await self._store.fill_squares(level, before)
            if filled is not None:
                self._to_fill[-1] = level, filled
                return
            self._to_fill.pop()
