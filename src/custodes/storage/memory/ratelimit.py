"""Rate-limit states in the memory of one process: exact, synchronous, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import islice

from custodes.kernel.window import MAX_SUBJECTS, Meter, OwnCells, decide, left_when_near
from custodes.kernel.window.cells import Key

#: Subjects looked at under one limit to find those near it, and before other tasks get a turn.
_MAX_LOOKED_AT = 20_000
_SLICE = 2_000


class MemoryWindows:
    """The :class:`~custodes.planes.ratelimit.ports.Windows` of one process; nothing is awaited, nothing survives it."""

    #: Whether ``decide`` answers at once.
    synchronous = True
    #: Nothing is far away: no leases.
    lends = False

    def __init__(self, *, max_subjects: int = MAX_SUBJECTS) -> None:
        self._max_subjects = max_subjects
        self._cells: dict[str, OwnCells] = {}

    def cells(self, name: str, meter: Meter, *, shadow: bool = False, together: str = "") -> OwnCells:
        """Return the states of a limit; the same ones for the same name."""
        found = self._cells.get(name)
        if found is None:
            found = self._cells[name] = OwnCells(meter, shadow=shadow, max_subjects=self._max_subjects)
        found.shadow = shadow
        return found

    #: Decides on all limits of a request; the function itself, for each call in between costs as much as a lookup.
    decide = staticmethod(decide)

    def release(self, cells: OwnCells, key: Key, taken_at: int, cost: int) -> None:
        """Give back slots."""
        cells.release(key, taken_at, cost)

    async def near(self, cells: OwnCells, now: int) -> list[tuple[Key, int]]:
        """List subjects that have used 80 % of a limit or more, and what each has left."""
        meter = cells.meter
        most_left = left_when_near(meter)
        found: list[tuple[Key, int]] = []
        for number, (key, state) in enumerate(list(islice(cells.known(), _MAX_LOOKED_AT))):
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            # A copy: to look is not to touch.
            left, _ = meter.view(meter.unpack(meter.pack(state)), now)
            if left <= most_left:
                found.append((key, left))
        return found

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the states of all other limits."""
        wanted = set(names)
        self._cells = {name: cells for name, cells in self._cells.items() if name in wanted}

    @property
    def overflowed(self) -> int:
        """Decisions on subjects that had to share a state."""
        return sum(cells.overflowed for cells in self._cells.values())

    @property
    def failures(self) -> int:
        """Decisions that could not be made."""
        return 0

    @property
    def instances(self) -> int:
        """This process alone."""
        return 1

    @property
    def available(self) -> bool:
        """Always."""
        return True

    @property
    def trouble(self) -> str:
        """Never any."""
        return ""

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""
