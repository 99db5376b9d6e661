"""Telling security people, at a bounded rate."""

from __future__ import annotations

from custodes.kernel.clock import MINUTE
from custodes.kernel.signals import SecuritySignal
from custodes.runtime.bus import Bus

#: Signals a minute at most, over everything: an attack must not become one on the audit trail.
MAX_PER_MINUTE = 60


class Alarm:
    """Emits security signals: about the same thing once a minute, and in all no more than a fixed number."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._minute = -1
        self._told: set[tuple[str, str]] = set()
        #: Signals not emitted because of the rate.
        self.suppressed = 0

    def raise_(self, signal: SecuritySignal) -> None:
        """Emit, unless it was told this minute already, or too much was."""
        minute = signal.at // MINUTE
        if minute != self._minute:
            self._minute = minute
            self._told.clear()
        about = (signal.action, signal.target)
        if about in self._told or len(self._told) >= MAX_PER_MINUTE:
            self.suppressed += 1
            return
        self._told.add(about)
        self._bus.emit(signal)
