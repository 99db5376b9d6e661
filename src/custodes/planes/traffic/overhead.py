"""What a request costs that passes the middleware: the time that is ours, of those that were weighed lately."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

#: Requests whose times are remembered: enough for a 99th percentile, and some minutes of a quiet host.
REMEMBERED = 1_024


@dataclass(frozen=True, slots=True)
class OwnTime:
    """Time of ours in a request, nanoseconds: what the host's answer is later by."""

    #: Requests that it was taken from: the latest of those that were weighed.
    weighed: int
    mean: int
    p50: int
    p99: int


class Overhead:
    """Remembers what the latest weighed requests cost; from any thread."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=REMEMBERED)
        #: Take in the time that one request cost, nanoseconds.
        self.note = self._times.append

    def figures(self) -> OwnTime | None:
        """Tell what a request costs; None before one was weighed."""
        times = sorted(self._times.copy())
        if not times:
            return None
        count = len(times)
        return OwnTime(count, sum(times) // count, times[count // 2], times[count * 99 // 100])
