"""The real clock."""

from __future__ import annotations

import time


class SystemClock:
    """Time of the machine; see :class:`custodes.kernel.clock.Clock`."""

    __slots__ = ()

    def now(self) -> int:
        """Wall clock, microseconds since the epoch."""
        return time.time_ns() // 1_000

    def monotonic(self) -> int:
        """Microseconds from an arbitrary start."""
        return time.monotonic_ns() // 1_000

    #: Nanoseconds from an arbitrary start: the system's own function, for the hot path.
    ticks = staticmethod(time.monotonic_ns)
