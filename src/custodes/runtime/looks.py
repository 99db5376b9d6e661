"""When a worker looks for jobs next.

To look is a transaction, and on SQLite one at a time: who looks too often keeps those from the store who bring jobs. So
a worker looks at once when a job has come, unless it has only just looked; soon when a job has ended that others waited
for; and else now and then, for what other processes have brought.
"""

from __future__ import annotations

#: Least time between two looks, and how long further jobs may take to end with one, seconds: one look for several.
LINGER_SECONDS = 0.002

#: How soon a worker looks again when one of its jobs has ended and nothing it knows of waits, seconds: so late at most
#: jobs that another process brings begin while this one's go on ending; else they wait for the next poll, or a notice.
BUSY_SECONDS = 0.02


class Looks:
    """Tells how long to wait for the next look. All times are of one monotonic clock, seconds.

    Args:
        poll_seconds: longest time between two looks.
    """

    def __init__(self, poll_seconds: float) -> None:
        self.poll_seconds = poll_seconds
        self._looking = False
        self._began_at = self._ended_at = float("-inf")
        self._come = False
        self._due_at = float("-inf")

    def begin(self, now: float) -> None:
        """Note that a look begins: what comes from here on is for the next."""
        self._looking, self._come = True, False
        self._began_at, self._due_at = now, now + self.poll_seconds

    def end(self, now: float) -> None:
        """Note that it has ended."""
        self._looking, self._ended_at = False, now

    def came(self) -> None:
        """Note that there is a job, for which there may be a place."""
        self._come = True

    def freed(self, now: float, *, waited_for: bool) -> None:
        """Note that a place is free again.

        Args:
            now: the moment.
            waited_for: whether there is a job that can have it, as the last look saw it; during one, nobody knows.
        """
        soon = now + LINGER_SECONDS if waited_for or self._looking else self._began_at + BUSY_SECONDS
        self._due_at = min(self._due_at, soon)

    def opens(self, at: float) -> None:
        """Note when what is due already may be done: not all moments of many lanes get a look of their own."""
        self._due_at = min(self._due_at, max(at, self._began_at + BUSY_SECONDS))

    def wait(self, now: float) -> float:
        """Tell how long to wait as things stand, seconds; nothing, or less, when it is time to look."""
        rested_at = self._ended_at + LINGER_SECONDS
        return (rested_at if self._come else max(self._due_at, rested_at)) - now
