"""A clock that stands still until it is told to move."""

from __future__ import annotations

from custodes.kernel.clock import SECOND


class FakeClock:
    """A :class:`custodes.kernel.clock.Clock` for tests; both hands move together."""

    def __init__(self, now: int = 1_790_000_000 * SECOND) -> None:
        self._now = now
        self._monotonic = 0

    def now(self) -> int:
        """Wall clock, microseconds."""
        return self._now

    def monotonic(self) -> int:
        """Monotonic hand, microseconds."""
        return self._monotonic

    def advance(self, micros: int) -> None:
        """Move both hands forward."""
        self._now += micros
        self._monotonic += micros

    def jump(self, micros: int) -> None:
        """Move the wall clock only, also backwards, as NTP or an operator would."""
        self._now += micros
