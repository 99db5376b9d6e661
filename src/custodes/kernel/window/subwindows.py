"""Conservative sliding window for large limits: counts per slice of the window, never over."""

from __future__ import annotations

from array import array

from custodes.kernel.window.meter import NEVER, Stamps, unpack_stamps

#: Slices of a window: quota comes back at most one slice late, 1.7 % of the window.
SLICES = 60

# Where things are in the state.
_CURRENT, _TOTAL, _COUNTS = 0, 1, 2
_OLDEST = _COUNTS + SLICES + 1


class SubWindows:
    """Admits iff the last ``SLICES`` whole slices, the current one and this cost are within the limit.

    Those slices together are at least as long as the window, so a rolling count can never pass the limit; an event
    leaves when its slice does, up to one slice late. The state is ``array('q')``: number of the current slice, sum,
    then ``SLICES + 1`` counts, the slice numbered n at place ``n % (SLICES + 1)``; at the end, and not packed, the
    number of the oldest slice that held anything when it was last looked for.
    """

    __slots__ = ("_slice", "lateness", "limit", "refill", "window", "worst_case_factor")

    def __init__(self, limit: int, window: int) -> None:
        if limit < 1:
            msg = f"limit is at least 1, not {limit}"
            raise ValueError(msg)
        self.limit = limit
        self.window = window
        self._slice = -(-window // SLICES)
        self.refill = (SLICES + 1) * self._slice
        self.worst_case_factor = 1.0
        self.lateness = (SLICES + 1) * self._slice - window

    def fresh(self) -> Stamps:
        """Return counts of nothing."""
        return array("q", bytes(8 * (_OLDEST + 1)))

    def wait(self, state: Stamps, now: int, cost: int) -> int:
        """Tell when enough of the oldest slices will have left."""
        in_the_way = self._used(state, now) + cost - self.limit
        if in_the_way <= 0:
            return 0
        if cost > self.limit:
            return NEVER
        number = self._oldest(state, now) - 1
        while in_the_way > 0:
            number += 1
            in_the_way -= state[_COUNTS + number % (SLICES + 1)]
        return (number + SLICES + 1) * self._slice - now

    def attempt(self, state: Stamps, now: int, cost: int) -> tuple[Stamps, int, int] | None:
        """Count in the current slice."""
        current = state[_CURRENT]
        number = now // self._slice
        used = (state[_TOTAL] if number <= current else self._used(state, now)) + cost
        if used > self.limit:
            return None
        if number <= current:
            number = current
        else:
            self._roll(state, now)
        state[_TOTAL] = used
        state[_COUNTS + number % (SLICES + 1)] += cost
        oldest = state[_OLDEST]
        if oldest < number - SLICES or not state[_COUNTS + oldest % (SLICES + 1)]:
            oldest = number - SLICES
            if not state[_COUNTS + oldest % (SLICES + 1)]:
                oldest += _empty_slices(state, oldest)
            state[_OLDEST] = oldest
        return state, self.limit - used, (oldest + SLICES + 1) * self._slice - now

    def undo(self, state: Stamps, now: int, cost: int) -> Stamps:
        """Count down again."""
        state[_TOTAL] -= cost
        state[_COUNTS + state[_CURRENT] % (SLICES + 1)] -= cost
        return state

    def view(self, state: Stamps, now: int) -> tuple[int, int]:
        """Tell what is left and when the oldest slice that holds anything leaves."""
        used = self._used(state, now)
        if not used:
            return self.limit, 0
        number = self._oldest(state, now)
        if not state[_COUNTS + number % (SLICES + 1)]:
            number += _empty_slices(state, number)
        return self.limit - used, (number + SLICES + 1) * self._slice - now

    def pack(self, state: Stamps) -> bytes:
        """Write the counts."""
        return state[:_OLDEST].tobytes()

    def unpack(self, raw: bytes) -> Stamps:
        """Read the counts back."""
        state = unpack_stamps(raw)
        if len(state) != _OLDEST:
            msg = f"{_OLDEST} numbers expected, not {len(state)}"
            raise ValueError(msg)
        state.append(0)
        return state

    def _oldest(self, state: Stamps, now: int) -> int:
        """Number of the oldest slice that counts; a time that went back stays in the current slice."""
        return max(now // self._slice, state[_CURRENT]) - SLICES

    def _used(self, state: Stamps, now: int) -> int:
        """Sum of the slices that count: all but those whose place is taken by a slice since the current one."""
        current = state[_CURRENT]
        number = now // self._slice
        if number <= current:
            return state[_TOTAL]
        if number - current > SLICES:
            return 0
        return state[_TOTAL] - sum(state[_COUNTS + n % (SLICES + 1)] for n in range(current + 1, number + 1))

    def _roll(self, state: Stamps, now: int) -> None:
        """Go on to the slice of now and drop those that left."""
        number = now // self._slice
        current = state[_CURRENT]
        if number <= current:
            return
        if number - current > SLICES:
            state[_TOTAL] = 0
            state[_COUNTS:_OLDEST] = array("q", bytes(8 * (SLICES + 1)))
        else:
            for passed in range(current + 1, number + 1):
                place = _COUNTS + passed % (SLICES + 1)
                state[_TOTAL] -= state[place]
                state[place] = 0
        state[_CURRENT] = number


def _empty_slices(state: Stamps, number: int) -> int:
    """Count the empty slices from this one on, up to the first that holds anything; there is one.

    By functions of C: a loop takes 50 ns a slice, and who comes seldom has nearly all of them empty.
    """
    oldest = _COUNTS + number % (SLICES + 1)
    counts = state[oldest:_OLDEST].tobytes() + state[_COUNTS:oldest].tobytes()
    return (len(counts) - len(counts.lstrip(b"\0"))) // 8
