"""Exact sliding window: a packed log of the admitted events."""

from __future__ import annotations

from array import array
from bisect import bisect_right

from custodes.kernel.window.meter import NEVER, Stamps, unpack_stamps

#: Largest limit that is kept as a log, events: 32 KiB a subject. Above it, sub-windows.
MAX_LOG = 4096

#: Dead events that a log may begin with before they are removed: half a KiB.
TIDY_AFTER = 64


class SlidingLog:
    """Admits iff the events in ``(now - window, now]`` and this cost are within the limit; no approximation.

    The state is ``array('q')``: element 0 is the index of the oldest event that may still count, the events follow in
    order of time (any time after the first microsecond of the epoch). Appending at the end and moving that index is
    cheaper in CPython than a ring with modular arithmetic, needs no memory before there are events, and keeps what is
    at most a few dozen dead events longer.
    """

    __slots__ = ("lateness", "limit", "refill", "window", "worst_case_factor")

    def __init__(self, limit: int, window: int) -> None:
        if not 1 <= limit <= MAX_LOG:
            msg = f"A log holds 1 to {MAX_LOG} events, not {limit}"
            raise ValueError(msg)
        if window < 1:
            msg = f"A window is at least a microsecond long, not {window}"
            raise ValueError(msg)
        self.limit = limit
        self.window = window
        self.refill = window
        self.worst_case_factor = 1.0
        self.lateness = 0

    def fresh(self) -> Stamps:
        """Return an empty log."""
        return array("q", (1,))

    def wait(self, state: Stamps, now: int, cost: int) -> int:
        """Tell how long until the oldest events that stand in the way leave the window."""
        start = self._first(state, now)
        in_the_way = len(state) - start + cost - self.limit
        if in_the_way <= 0:
            return 0
        return NEVER if cost > self.limit else state[start + in_the_way - 1] + self.window - now

    def attempt(self, state: Stamps, now: int, cost: int) -> tuple[Stamps, int, int] | None:
        """Append one stamp a unit; never earlier than the last, so that the log stays in order."""
        start = state[0]
        size = len(state)
        newest = state[-1]
        stamp = newest if newest > now else now  # noqa: FURB136 - max() is a call: 76 ns, this 12
        oldest = state[start] if start < size else stamp
        window = self.window
        left = self.limit - size + start - cost
        horizon = stamp - window
        if oldest <= horizon:
            # Who comes seldom finds all of it out of the window: no need to search for the first that is not.
            first = size if newest <= horizon else bisect_right(state, horizon, start)
            oldest = state[first] if first < size else stamp
            left += first - start
            if left < 0:  # what a refused request saw leave is back in the window when the clock goes back
                return None
            if first > TIDY_AFTER:
                del state[1:first]
                first = 1
            state[0] = first
        elif left < 0:
            return None
        if cost == 1:
            state.append(stamp)
        else:
            state.extend(array("q", (stamp,)) * cost)
        return state, left, oldest + window - now

    def undo(self, state: Stamps, now: int, cost: int) -> Stamps:
        """Remove the stamps again."""
        del state[-cost:]
        return state

    def view(self, state: Stamps, now: int) -> tuple[int, int]:
        """Tell what is left and when the oldest event leaves."""
        start = self._first(state, now)
        used = len(state) - start
        return self.limit - used, state[start] + self.window - now if used else 0

    def pack(self, state: Stamps) -> bytes:
        """Write the events that may still count."""
        return state[state[0] :].tobytes()

    def unpack(self, raw: bytes) -> Stamps:
        """Read the events back."""
        state = self.fresh()
        state.extend(unpack_stamps(raw))
        return state

    def _first(self, state: Stamps, now: int) -> int:
        """Find the oldest event in the window; past the end when there is none."""
        start = state[0]
        if start == len(state):
            return start
        return bisect_right(state, max(state[-1], now) - self.window, start)
