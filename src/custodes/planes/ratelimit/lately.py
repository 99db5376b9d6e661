"""How counters that only grow grew of late: what went wrong once does not stand in the health until a restart."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from custodes.kernel.clock import MINUTE, SECOND

#: How far health looks back, microseconds.
LATELY = 5 * MINUTE

#: Shortest time between two looks that are kept, microseconds: they are few, however often one asks.
_APART = 5 * SECOND


class Lately:
    """Remembers counters as they were at the last looks, those of :data:`LATELY` and the one before."""

    def __init__(self, now: int) -> None:
        self._seen: deque[tuple[int, Mapping[str, int]]] = deque([(now, {})])

    def grown(self, now: int, counters: Mapping[str, int]) -> dict[str, float]:
        """Return how much each counter grew within the last minutes, or since the look before where that is longer.

        Args:
            now: microseconds of a clock that is never put right.
            counters: as they are; those that were not there before began at 0.
        """
        while len(self._seen) > 1 and self._seen[1][0] <= now - LATELY:
            self._seen.popleft()
        before = self._seen[0][1]
        if now - self._seen[-1][0] >= _APART:
            self._seen.append((now, dict(counters)))
        return {name: float(count - before.get(name, 0)) for name, count in counters.items()}
