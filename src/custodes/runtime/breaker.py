"""A circuit breaker: what does not answer is left alone, until somebody has seen it answer again."""

from __future__ import annotations

#: Failures in a row after which it opens.
DEFAULT_FAILURES = 3


class Breaker:
    """Closed until so many failures follow one another; open until a success is reported.

    While it is open, nobody waits: only a probe in the background still asks, and what it finds is reported here.

    Args:
        failures: how many in a row open it.
    """

    __slots__ = ("_limit", "_run", "open", "opened")

    def __init__(self, failures: int = DEFAULT_FAILURES) -> None:
        self._limit = failures
        self._run = 0
        #: True while nobody is to ask.
        self.open = False
        #: How often it has opened.
        self.opened = 0

    def failed(self) -> bool:
        """Report a failure; returns whether this one opened it."""
        self._run += 1
        if self.open or self._run < self._limit:
            return False
        self.open = True
        self.opened += 1
        return True

    def succeeded(self) -> None:
        """Report a success."""
        self._run = 0
        self.open = False
