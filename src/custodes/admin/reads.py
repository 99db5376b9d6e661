"""Who has looked at what is private: one entry of the trail for what is one look."""

from __future__ import annotations

from collections import OrderedDict

from custodes.kernel.clock import MINUTE, Clock

#: Looks at the same thing within this are one, microseconds: a page asks for parts of it, and again when it comes back.
ONE_LOOK = 10 * MINUTE

#: Looks that are remembered; beyond it the oldest is forgotten, and told once more.
_MAX_REMEMBERED = 10_000


class Reads:
    """Remembers who looked at what; of this process.

    Args:
        clock: source of time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: OrderedDict[tuple[str, str], int] = OrderedDict()

    def begin(self, who: str, what: str) -> bool:
        """Remember a look; tell whether it is a new one, which is to be told."""
        now = self._clock.now()
        told_at = self._told.get((who, what))
        if told_at is not None and 0 <= now - told_at < ONE_LOOK:
            return False
        self._told[who, what] = now
        self._told.move_to_end((who, what))
        if len(self._told) > _MAX_REMEMBERED:
            self._told.popitem(last=False)
        return True

    def forget(self, who: str, what: str) -> None:
        """Forget a look that could not be told."""
        self._told.pop((who, what), None)
