"""How many at once: slots that are leased, so that a holder who died gives them back."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort

from custodes.kernel.window.meter import NEVER, Stamps, unpack_stamps


class Concurrency:
    """Admits iff the slots held now and this cost are within the limit.

    The state is ``array('q')``: the moments at which the leases of the held slots end, in order. A slot is free again
    when it is released, or at the end of its lease.
    """

    __slots__ = ("lateness", "limit", "refill", "window", "worst_case_factor")

    def __init__(self, limit: int, lease: int) -> None:
        if limit < 1:
            msg = f"limit is at least 1, not {limit}"
            raise ValueError(msg)
        self.limit = limit
        self.window = lease
        self.refill = lease
        self.worst_case_factor = 1.0
        self.lateness = 0

    def fresh(self) -> Stamps:
        """Return no slot held."""
        return array("q")

    def wait(self, state: Stamps, now: int, cost: int) -> int:
        """Tell when enough leases will have ended, if nobody releases one before."""
        if len(state) + cost <= self.limit:
            return 0
        gone = bisect_right(state, now)
        in_the_way = len(state) - gone + cost - self.limit
        if in_the_way <= 0:
            return 0
        return NEVER if cost > self.limit else state[gone + in_the_way - 1] - now

    def attempt(self, state: Stamps, now: int, cost: int) -> tuple[Stamps, int, int] | None:
        """Hold slots until :meth:`release` or the end of the lease."""
        del state[: bisect_right(state, now)]
        left = self.limit - len(state) - cost
        if left < 0:
            return None
        for _ in range(cost):
            insort(state, now + self.window)
        return state, left, state[0] - now

    def undo(self, state: Stamps, now: int, cost: int) -> Stamps:
        """Give the slots back."""
        return self.release(state, now, cost)

    def release(self, state: Stamps, taken_at: int, cost: int) -> Stamps:
        """Give back slots taken at a moment; does nothing when their lease has ended."""
        ends = taken_at + self.window
        first = bisect_left(state, ends)
        del state[first : min(first + cost, bisect_right(state, ends))]
        return state

    def view(self, state: Stamps, now: int) -> tuple[int, int]:
        """Tell the slots free and when the first lease ends."""
        gone = bisect_right(state, now)
        held = len(state) - gone
        return self.limit - held, state[gone] - now if held else 0

    def pack(self, state: Stamps) -> bytes:
        """Write the leases."""
        return state.tobytes()

    def unpack(self, raw: bytes) -> Stamps:
        """Read the leases back."""
        return unpack_stamps(raw)
