"""One limit on Redis: how it is asked about, and what is known to be refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd
from typing import NamedTuple

from custodes.kernel.clock import SECOND
from custodes.kernel.window import (
    NEVER,
    SLICES,
    Ask,
    CalendarQuota,
    Cells,
    Concurrency,
    Gcra,
    Meter,
    Near,
    Outcome,
    SlidingLog,
    SubWindows,
    left_when_near,
)
from custodes.kernel.window.cells import Key, View
from custodes.storage.dated import Objected
from custodes.storage.redis.subjects import Subjects

#: Refusals that are remembered of one limit; forgotten all at once when there are more, which costs one question more
#: each.
_MAX_REMEMBERED = 50_000

#: Events or slots that a record holds: those of a limit above may need a key of their own. LONGEST of ``meters.lua``.
_MAX_IN_RECORD = 128

#: Latest moment that the script can count with exactly: 2^53 microseconds, in the year 2255.
_MAX_EXACT = 2**53 - 1

#: What is told of limits that were not asked, because another one refuses.
_NOT_ASKED: View = (0, 0)

#: How long a refusal is taken for granted, microseconds, where units may be given back: leases of other instances, and
#: in a cluster what one part charged for a request that another part refused.
_ASK_AGAIN = SECOND // 2

#: How much the server's clock may be behind what is believed before a calendar period has to be asked for again.
_SLACK = 5 * SECOND

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
    #: Until when nobody is asked about it, server time: sooner, where units may be given back.
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
        "_fraction",
        "_in_parts",
        "_row_of",
        "_tag",
        "borrowing",
        "denied",
        "exact_charge",
        "exact_view",
        "leases",
        "long",
        "name",
        "named",
        "near",
        "near_at",
        "own_key",
        "seen",
        "subjects",
    )

    def __init__(self, name: str, meter: Meter, subjects: Subjects, *, shadow: bool, in_parts: bool) -> None:
        super().__init__(meter, shadow=shadow)
        self.name = name
        self._in_parts = in_parts
        self.subjects = subjects
        self._tag = subjects.tag(name)
        #: What the states of a subject are called in Redis, and the part that they belong to.
        self.named = subjects.named
        #: Whether a state may need a key of its own, and what is added to the subject's then.
        self.long = isinstance(meter, SlidingLog | Concurrency) and meter.limit > _MAX_IN_RECORD
        self.own_key = b":%012x" % self._tag
        bucket = _Bucket(meter) if isinstance(meter, Gcra) else None
        self._row_of = bucket.row if bucket else _rows_of(meter)
        self._fraction = bucket.fraction if bucket else 1
        #: Whether the answer holds the state, from which view and wait are worked out, instead of these.
        self.exact_view = bucket is not None
        #: The same where it was charged.
        self.exact_charge = bucket is not None and not bucket.parts
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

    def row(self, cost: int, now: int) -> list[int]:
        """Write what the script has to know to charge a cost; see ``meters.lua``."""
        algorithm, first, *rest = self._row_of(cost, now)
        return [algorithm, int(self.shadow), cost, first, self._tag, *rest]

    def state_of(self, whole: int, part: int) -> int:
        """Put the state of a bucket together, as its meter reads it."""
        return whole * self._fraction + part

    def deny(self, key: Key, cost: int, wait: int | None, left: int, now: int) -> None:
        """Remember a refusal, if it is sure to stand for a while."""
        stands = self.stands(NEVER if wait is None else wait)
        if not stands:
            return
        if len(self.denied) >= _MAX_REMEMBERED:
            self.denied.clear()
        until = None if wait is None else now + wait
        self.denied[key] = Denial(cost, until, left, None if stands == NEVER else now + stands)

    def stands(self, wait: int) -> int:
        """Tell for how long a refusal is sure to stand; see :meth:`custodes.kernel.window.Cells.stands`."""
        sure = super().stands(wait)
        return min(sure, _ASK_AGAIN) if sure > 0 and (self.lease > 1 or self._in_parts) else sure

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
        capacity = meter.burst * self._token
        #: What the script needs to tell what is left; nothing where its numbers end before that.
        self.parts = [capacity, self._token] if 4 * capacity <= _MAX_EXACT else []

    def row(self, cost: int, _now: int) -> list[int]:
        return [_GCRA, self.fraction, *self._split(cost), *self._capacity, *self.parts]

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


def known_refusal(asks: Sequence[Ask], now: int) -> Outcome | None:
    """Refuse a request of which a limit is known to refuse it; all that a flood costs.

    Args:
        asks: the limits of the request.
        now: what the server's time is believed to be.
    """
    refused: list[tuple[int, int]] = []
    views: list[View] = []
    for cells, key, cost in asks:
        denial = cells.denied.get(key)
        if denial is not None:
            asked, until, left, known_until = denial
            if known_until is not None and known_until <= now:
                del cells.denied[key]
            elif cost == asked and not cells.shadow:
                wait = NEVER if until is None else until - now
                refused.append((len(views), wait))
                views.append((left, wait))
                continue
        views.append(_NOT_ASKED)
    return Objected(views, refused, (), now) if refused else None
