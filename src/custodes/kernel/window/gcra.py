"""GCRA, the generic cell rate algorithm (ITU-T I.371): a token bucket that needs one number."""

from __future__ import annotations

from math import gcd

from custodes.kernel.window.meter import NEVER

#: Bytes of a packed state: the theoretical arrival time can pass 64 bits when the limit is large and odd.
_PACKED = 16


class Gcra:
    """Admits iff the bucket of ``burst`` tokens, refilled by ``limit`` a window, holds this cost.

    The state is the theoretical arrival time. It counts in fractions of a microsecond chosen so that one token is a
    whole number of them: no rate is ever rounded, so none drifts.
    """

    __slots__ = (
        "_capacity",
        "_fraction",
        "_token",
        "burst",
        "lateness",
        "limit",
        "refill",
        "window",
        "worst_case_factor",
    )

    def __init__(self, limit: int, window: int, burst: int) -> None:
        if limit < 1 or burst < 1:
            msg = f"limit and burst are at least 1, not {limit} and {burst}"
            raise ValueError(msg)
        common = gcd(limit, window)
        #: Parts that a microsecond is cut in.
        self._fraction = limit // common
        #: One token, in those parts.
        self._token = window // common
        self._capacity = burst * self._token
        self.limit = limit
        self.burst = burst
        self.window = window
        self.refill = -(-self._capacity // self._fraction)
        self.worst_case_factor = (limit + burst - 1) / limit
        self.lateness = 0

    def fresh(self) -> int:
        """Return a full bucket."""
        return 0

    def wait(self, state: int, now: int, cost: int) -> int:
        """Tell how long until the missing tokens have come in."""
        debt = state - now * self._fraction
        missing = max(0, debt) + cost * self._token - self._capacity
        if missing <= 0:
            return 0
        return NEVER if cost > self.burst else -(-missing // self._fraction)

    def attempt(self, state: int, now: int, cost: int) -> tuple[int, int, int] | None:
        """Take tokens."""
        token = self._token
        fraction = self._fraction
        start = now * fraction
        debt = state - start
        if debt < 0:
            debt = 0
        debt += cost * token
        free = self._capacity - debt
        if free < 0:
            return None
        next_token = token - free % token
        return start + debt, free // token, next_token if fraction == 1 else -(-next_token // fraction)

    def undo(self, state: int, now: int, cost: int) -> int:
        """Put the tokens back; a bucket that was full says so by another number, no earlier than now."""
        return state - cost * self._token

    def view(self, state: int, now: int) -> tuple[int, int]:
        """Tell the whole tokens left and when there will be one more."""
        debt = state - now * self._fraction
        if debt <= 0:
            return self.burst, 0
        free = self._capacity - debt
        left = free // self._token if free > 0 else 0
        return left, -(-((left + 1) * self._token - free) // self._fraction)

    def pack(self, state: int) -> bytes:
        """Write the arrival time."""
        return state.to_bytes(_PACKED, "little")

    def unpack(self, raw: bytes) -> int:
        """Read the arrival time back."""
        if len(raw) != _PACKED:
            msg = f"{_PACKED} bytes expected"
            raise ValueError(msg)
        return int.from_bytes(raw, "little")
