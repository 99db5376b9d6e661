"""Telling security people, at a bounded rate."""

from __future__ import annotations

from custodes.kernel.clock import MINUTE
from custodes.kernel.signals import SecuritySignal
from custodes.runtime.bus import Bus

#: Signals a minute at most, over everything: an attack must not become one on the audit trail.
MAX_PER_MINUTE = 60

#: What was told and is not to be told again yet, at most; forgotten all at once when there is more.
MAX_REMEMBERED = 10_000


class Alarm:
    """Emits security signals: about the same thing once in a while, and in all no more than a fixed number a minute."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._minute = -1
        self._told_in_minute = 0
        #: By action and target, the stretch of time in which it was told: (number, length).
        self._told: dict[tuple[str, str], tuple[int, int]] = {}
        #: Signals not emitted because of the rate.
        self.suppressed = 0

    def raise_(self, signal: SecuritySignal, again: int = MINUTE) -> None:
        """Emit, unless the same was told in this stretch of time already, or too much was in this minute.

        Args:
            signal: what happened.
            again: length of the stretches, microseconds.
        """
        about, stretch = (signal.action, signal.target), (signal.at // again, again)
        if self._told.get(about) == stretch:
            self.suppressed += 1
            return
        minute = signal.at // MINUTE
        if minute != self._minute:
            self._minute, self._told_in_minute = minute, 0
        if self._told_in_minute >= MAX_PER_MINUTE:
            self.suppressed += 1
            return
        if len(self._told) >= MAX_REMEMBERED:
            self._told.clear()
        self._told_in_minute += 1
        self._told[about] = stretch
        self._bus.emit(signal)
