"""One limit on Redis: what its states are called there, how it is asked about, and what is known to be refused."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import blake2b
from math import gcd
from typing import NamedTuple

from custodes.kernel.clock import SECOND
from custodes.kernel.window import (
    SLICES,
    CalendarQuota,
    Cells,
    Concurrency,
    Gcra,
    Meter,
    Near,
    SlidingLog,
    SubWindows,
    left_when_near,
)
from custodes.kernel.window.cells import Key

#: Parts that subjects are spread over in a cluster: the keys of one part share a slot, and a call is about one part.
#: Enough for every node to have its share, few enough for requests to share calls.
PARTS = 64

#: Names and refusals that are remembered of one limit; forgotten all at once when there are more, which costs one
#: question more each.
_MAX_REMEMBERED = 50_000

#: Between tenant and the rest of a subject.
_SEPARATOR = b"\x1f"

#: Characters of a name: 96 bits.
_NAME_BYTES = 12

#: Latest moment that the script can count with exactly: 2^53 microseconds, in the year 2255.
_MAX_EXACT = 2**53 - 1

#: How long a refusal by a limit with leases is taken for granted, microseconds.
_ASK_AGAIN = SECOND // 2

#: How much the server's clock may be behind what is believed before a calendar period has to be asked for again.
_SLACK = 5 * SECOND

#: Counts the ways in which states have been written; instances that write them differently do not share them.
_FORMAT = 2

# Algorithms by their number in decide.lua.
_LOG, _SUBWINDOWS, _GCRA, _CALENDAR, _CONCURRENCY = 1, 2, 3, 4, 5


class Denial(NamedTuple):
    """A refusal that is known to stand."""

    #: Units that were asked for.
    cost: int
    #: Until when, server time; None for ever, because the cost is above the limit.
    until: int | None
    #: Units that were left.
    left: int
    #: Until when nobody is asked about it, server time: sooner, where leases of others may come back.
    known_until: int | None


class Lease:
    """Units of a limit that were charged for a subject, and that this instance hands out; see ``leases.py``."""

    __slots__ = ("at", "beyond", "ends", "left", "more_at")

    def __init__(self, left: int, at: int, ends: int, beyond: int, more_at: int) -> None:
        #: Units that were not used yet.
        self.left = left
        #: When they were charged, server time.
        self.at = at
        #: Until when they may be used, monotonic time.
        self.ends = ends
        #: Units that were left besides, and when there would be more, server time.
        self.beyond = beyond
        self.more_at = more_at


class RedisCells(Cells):
    """One limit; its states are in Redis."""

    __slots__ = (
        "_digest",
        "_fraction",
        "_in_parts",
        "_row_of",
        "_secret",
        "borrowing",
        "deniable",
        "denied",
        "exact_view",
        "leases",
        "name",
        "names",
        "near",
        "near_at",
        "seen",
    )

    def __init__(self, name: str, meter: Meter, secret: bytes, *, shadow: bool, in_parts: bool) -> None:
        super().__init__(meter, shadow=shadow)
        self.name = name
        self._secret = secret
        self._in_parts = in_parts
        self._digest = blake2b(f"{_FORMAT}\0{name}\0".encode(), key=secret, digest_size=_NAME_BYTES)
        #: What :meth:`named` said.
        self.names: dict[Key, tuple[bytes, int]] = {}
        bucket = _Bucket(meter) if isinstance(meter, Gcra) else None
        self._row_of = bucket.row if bucket else _rows_of(meter)
        self._fraction = bucket.fraction if bucket else 1
        #: Whether the answer holds the state, from which view and wait are worked out, instead of these.
        self.exact_view = isinstance(meter, Gcra)
        #: Whether a refusal stands until it was said to end: slots may be given back before.
        self.deniable = not isinstance(meter, Concurrency)
        #: Refusals that are known to stand, by subject.
        self.denied: dict[Key, Denial] = {}
        #: What those had left who had nearly used up the limit, and how much that is at most.
        self.near: Near[int] = Near()
        self.near_at = left_when_near(meter)
        #: What this instance holds of the limit, by subject, and for whom it has asked; see ``leases.py``.
        self.leases: dict[Key, Lease] = {}
        self.borrowing: set[Key] = set()
        #: What was left when a subject was last decided on, and when that was asked, monotonic time.
        self.seen: dict[Key, tuple[int, int]] = {}

    def named(self, key: Key) -> tuple[bytes, int]:
        """Return what the state of a subject is called in Redis, and the part that it belongs to."""
        found = self.names.get(key)
        if found is None:
            if len(self.names) >= _MAX_REMEMBERED:
                self.names.clear()
            found = self.names[key] = self._name(key)
        return found

    def _name(self, key: Key) -> tuple[bytes, int]:
        text = (key if isinstance(key, str) else repr(key)).encode("utf-8", "surrogatepass")
        digest = self._digest.copy()
        digest.update(text)
        part = 0
        if self._in_parts:
            # Subjects of a tenant stay together; an address, which is of no tenant, stands for itself.
            whose = blake2b(text.partition(_SEPARATOR)[0], key=self._secret, digest_size=2).digest()
            part = int.from_bytes(whose, "big") % PARTS
        return b"custodes:{%d}:%s" % (part, urlsafe_b64encode(digest.digest())), part

    def row(self, cost: int, now: int) -> list[int]:
        """Write what the script has to know to charge a cost; see ``meters.lua``."""
        algorithm, *rest = self._row_of(cost, now)
        return [algorithm, int(self.shadow), cost, *rest]

    def state_of(self, whole: int, part: int) -> int:
        """Put the state of a bucket together, as its meter reads it."""
        return whole * self._fraction + part

    def deny(self, key: Key, cost: int, wait: int | None, left: int, now: int) -> None:
        """Remember a refusal, if it is sure to stand until it was said to end."""
        if not self.deniable:
            return
        if len(self.denied) >= _MAX_REMEMBERED:
            self.denied.clear()
        until = known_until = None if wait is None else now + wait
        if self.lease > 1 and until is not None:
            known_until = min(until, now + _ASK_AGAIN)
        self.denied[key] = Denial(cost, until, left, known_until)

    def saw(self, key: Key, left: int, at: int) -> None:
        """Remember what was left of a limit with leases."""
        if len(self.seen) >= _MAX_REMEMBERED:
            self.seen.clear()
        self.seen[key] = (left, at)

    def forget_refusals(self) -> None:
        """Ask again about everybody."""
        self.denied.clear()


def _rows_of(meter: Meter) -> Callable[[int, int], list[int]]:
    if isinstance(meter, SlidingLog):
        log = [_LOG, meter.limit, meter.window]
        return lambda _cost, _now: log
    if isinstance(meter, SubWindows):
        subwindows = [_SUBWINDOWS, meter.limit, meter.refill // (SLICES + 1)]
        return lambda _cost, _now: subwindows
    if isinstance(meter, Concurrency):
        concurrency = [_CONCURRENCY, meter.limit, meter.window]
        return lambda _cost, _now: concurrency
    assert isinstance(meter, CalendarQuota), "every algorithm has a script"
    return _Periods(meter).row


class _Bucket:
    """Writes amounts of time as whole microseconds and parts of one; see ``gcra.lua``."""

    def __init__(self, meter: Gcra) -> None:
        common = gcd(meter.limit, meter.window)
        self.fraction = meter.limit // common
        self._token = meter.window // common
        self._capacity = self._split(meter.burst)

    def row(self, cost: int, _now: int) -> list[int]:
        return [_GCRA, self.fraction, *self._split(cost), *self._capacity]

    def _split(self, tokens: int) -> tuple[int, int]:
        whole, part = divmod(tokens * self._token, self.fraction)
        # A burst that takes centuries to come in again is cut off where the script's numbers end.
        return (whole, part) if whole <= _MAX_EXACT // 8 else (_MAX_EXACT // 8, 0)


class _Periods:
    """Remembers the current period of a calendar; see ``calendar.lua``."""

    def __init__(self, meter: CalendarQuota) -> None:
        self._meter = meter
        self._known: tuple[int, int, int] = (0, 0, 0)

    def row(self, _cost: int, now: int) -> list[int]:
        begin, end, _ = self._known
        if not begin <= now < end:
            end = self._meter.period_end(now)
            earlier = now - _SLACK
            begin = earlier if self._meter.period_end(earlier) == end else self._meter.period_end(earlier)
            self._known = (begin, end, self._meter.period_end(end))
        return [_CALENDAR, self._meter.limit, *self._known]
