"""Folds figures of deliveries that versions before wrote, a row a process, into the rows that all processes share."""

from __future__ import annotations

from custodes.kernel.clock import DAY, Clock
from custodes.planes.outbound.ports import FigureStore
from custodes.runtime.transactions import Store

#: Between two looks of the leader, seconds.
FOLD_SECONDS = 60.0

#: Rows of one transaction: some 20 ms of SQLite's only writer.
FOLD_ROWS = 500

#: Transactions of one look: what a hundred processes have left in a year is folded within the hour.
STEPS = 50

#: How long after its end a stretch is folded, microseconds. A process of a version before writes all that it has
#: counted in a stretch anew until that was kept: folded while it may, its figures would count twice. A day is more than
#: any clock is off and any store is away; that long the rows are read as they were.
GRACE = DAY


class Folder:
    """Folds what is there, and ends: this version writes no such rows.

    Each step takes rows out and adds them up in one transaction: killed anywhere, nothing is counted twice or lost, and
    of two leaders each folds what the other has not.
    """

    def __init__(self, store: Store, figures: FigureStore, clock: Clock) -> None:
        self._store = store
        self._figures = figures
        self._clock = clock

    async def fold(self) -> int:
        """Fold in bounded steps; returns how many rows were.

        Raises:
            StorageUnavailable: what is left is folded next time.
        """
        before, folded = self._clock.now() - GRACE, 0
        for _ in range(STEPS):
            step = await self._store.write(lambda tx: self._figures.fold(tx, before, FOLD_ROWS), durable=False)
            folded += step
            if step < FOLD_ROWS:
                break
        return folded
