"""The time of the store: the one clock that all processes of an install have in common.

Hosts have clocks of their own, and one may be wrong. What one process promises the others by time, a lease, is measured
by the store's clock: it is asked now and then, and carried on by this process's monotonic clock, which nobody sets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from custodes.kernel.clock import SECOND, Clock
from custodes.runtime.periodic import Periodic

#: Between two looks at the store's clock, seconds. Clocks of machines drift by some milliseconds in that time.
EVERY_SECONDS = 60.0

#: A look that took longer is not believed when there was a better one, microseconds: nobody knows at which moment of it
#: the store looked.
SLOW = SECOND


class Seen(NamedTuple):
    """What a look has seen."""

    #: The store's clock, microseconds since the epoch.
    time: int
    #: This process's monotonic clock before and after.
    before: int
    after: int


class StoreTime:
    """Tells what time it is by the store.

    Args:
        clock: of this process.
        look: looks at the store's clock; None: it is this process's, as of a file on the same host.
    """

    def __init__(self, clock: Clock, look: Callable[[], Awaitable[Seen]] | None = None) -> None:
        self._clock = clock
        self._look = look
        self._seen: Seen | None = None
        self._periodic = Periodic("store-time", EVERY_SECONDS, self.measure)

    async def start(self) -> None:
        """Look now and from then on; idempotent."""
        await self._periodic.run_once()
        if self._look is not None:
            await self._periodic.start()

    async def stop(self) -> None:
        """Look no more; idempotent."""
        await self._periodic.stop()

    async def measure(self) -> None:
        """Look once.

        Raises:
            StorageUnavailable: the store does not answer; what was seen before holds.
        """
        if self._look is not None:
            seen = await self._look()
            if self._seen is None or seen.after - seen.before <= SLOW:
                self._seen = seen

    def now(self) -> int:
        """Return the time of the store, microseconds since the epoch; this process's own until a look has succeeded."""
        if self._seen is None:
            return self._clock.now()
        return self._seen.time + self._clock.monotonic() - (self._seen.before + self._seen.after) // 2

    @property
    def ahead(self) -> int | None:
        """How far this process's clock is ahead of the store's, microseconds; less than 0: behind; None: not known."""
        return None if self._seen is None else self._clock.now() - self.now()
