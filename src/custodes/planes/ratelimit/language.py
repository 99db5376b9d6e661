"""The rule language: ``"100/minute; 2000/day"``.

::

    limits      = limit *( ";" limit )
    limit       = rate / calendar / concurrency
    rate        = amount ( "/" / "per" ) [ count ] unit [ "burst" amount ] [ "using" algorithm ]
    calendar    = amount ( "/" / "per" ) "calendar" ( "minute" / "hour" / "day" / "month" ) [ "in" zone ]
    concurrency = amount "concurrent" [ "for" [ count ] unit ]
    amount      = digits, with "_" between them if you like                          ; 100, 10_000
    unit        = "ms" / "second" / "minute" / "hour" / "day" / "week", also short (s, sec, m, min, h, d, w) or plural
    algorithm   = "log" / "subwindows" / "gcra"
    zone        = name in the IANA time zone database                                ; Europe/Berlin

Without ``using``, a rate is an exact sliding window (``log``) up to 4,096 units and ``subwindows`` above; ``burst``
means ``gcra``. ``for`` is the lease of a slot: after it the slot is free even if nobody gave it back
(default 60 seconds).
"""

from __future__ import annotations

import re
from typing import NoReturn
from zoneinfo import ZoneInfo

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from custodes.kernel.window import (
    MAX_LOG,
    CalendarQuota,
    CalendarUnit,
    Concurrency,
    Gcra,
    Meter,
    SlidingLog,
    SubWindows,
)
from custodes.planes.ratelimit.model import Algorithm, Limit

#: Longest text that is looked at, characters, and most limits in it.
MAX_TEXT = 400
MAX_LIMITS = 8

#: Largest amount, and largest cost of one request.
MAX_AMOUNT = 1_000_000_000

#: Longest window.
MAX_WINDOW = 366 * DAY

#: Lease of a slot when the rule names none.
DEFAULT_LEASE = 60 * SECOND

#: Most slots that may be held at once: each is an entry in an ordered array.
MAX_SLOTS = 10_000

_UNITS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), MILLISECOND),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), SECOND),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hr", "hour", "hours"), HOUR),
    **dict.fromkeys(("d", "day", "days"), DAY),
    **dict.fromkeys(("w", "week", "weeks"), 7 * DAY),
}
_NAMES = ((7 * DAY, "week"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"), (MILLISECOND, "ms"))

_RATES = {Algorithm.LOG, Algorithm.SUBWINDOWS, Algorithm.GCRA}

_TOKEN = re.compile(r"\s*(?:(?P<number>[0-9][0-9_]*)|(?P<mark>[/;])|(?P<word>[A-Za-z][A-Za-z0-9_+./-]*))")


def parse_limits(text: str) -> tuple[Limit, ...]:
    """Read limits.

    Raises:
        InvalidInput: the text is not in the language; tells the place and how to write it.
    """
    return _Parser(text).limits()


def meter_of(limit: Limit) -> Meter:
    """Make the algorithm of a limit."""
    match limit.algorithm:
        case Algorithm.LOG:
            return SlidingLog(limit.amount, limit.window)
        case Algorithm.SUBWINDOWS:
            return SubWindows(limit.amount, limit.window)
        case Algorithm.GCRA:
            return Gcra(limit.amount, limit.window, limit.burst)
        case Algorithm.CONCURRENCY:
            return Concurrency(limit.amount, limit.window)
        case Algorithm.CALENDAR:
            unit = CalendarUnit(limit.unit)
            return CalendarQuota(limit.amount, unit) if limit.zone == "UTC" else _zoned(limit, unit)


def _zoned(limit: Limit, unit: CalendarUnit) -> Meter:
    return CalendarQuota(limit.amount, unit, ZoneInfo(limit.zone))


class _Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.kind = self.token = ""
        self.start = 0
        if len(text) > MAX_TEXT:
            self._fail(f"the text is longer than {MAX_TEXT} characters", "Write several rules")
        self._next()

    def limits(self) -> tuple[Limit, ...]:
        found = [self._limit()]
        while self._skip(";"):
            if self.kind == "end":
                break
            found.append(self._limit())
        if self.kind != "end":
            self._fail(f"{self.token!r} is not expected here", "Separate limits by a semicolon: 100/minute; 2000/day")
        if len(found) > MAX_LIMITS:
            self._fail(f"more than {MAX_LIMITS} limits", "Write several rules")
        texts = [limit.text for limit in found]
        for number, text in enumerate(texts):
            if text in texts[:number]:
                # They would be one limit, charged twice for each request.
                self._fail(f"{text} is there twice", "Write it once, or change one of them: 10/second; 100/minute")
        return tuple(found)

    def _limit(self) -> Limit:
        amount = self._number("how many", "Begin with a number: 100/minute, 5 concurrent")
        if self._skip("concurrent"):
            return self._concurrency(amount)
        if not (self._skip("/") or self._skip("per")):
            self._fail("the window is missing", "Write 100/minute, 1000/calendar day or 5 concurrent")
        return self._calendar(amount) if self._skip("calendar") else self._rate(amount)

    def _concurrency(self, amount: int) -> Limit:
        if amount > MAX_SLOTS:
            self._fail(f"more than {MAX_SLOTS} at once", "Use a rate instead: 10000/second")
        lease = self._duration() if self._skip("for") else DEFAULT_LEASE
        text = f"{amount} concurrent" + ("" if lease == DEFAULT_LEASE else f" for {_spell(lease, one=True)}")
        return Limit(amount=amount, algorithm=Algorithm.CONCURRENCY, window=lease, text=text)

    def _calendar(self, amount: int) -> Limit:
        unit = self.token.lower().removesuffix("s")
        if unit not in set(CalendarUnit):
            self._fail(f"{self.token!r} is no calendar period", "Use minute, hour, day or month: 1000/calendar day")
        self._next()
        zone = self._zone() if self._skip("in") else "UTC"
        text = f"{amount}/calendar {unit}" + ("" if zone == "UTC" else f" in {zone}")
        return Limit(amount=amount, algorithm=Algorithm.CALENDAR, unit=unit, zone=zone, text=text)

    def _zone(self) -> str:
        name = self.token
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            self._fail(
                f"{name!r} is no time zone known here",
                "Use an IANA name such as Europe/Berlin; when the system has no time zones: pip install tzdata",
            )
        self._next()
        return name

    def _rate(self, amount: int) -> Limit:
        window = self._duration()
        burst = 0
        algorithm: Algorithm | None = None
        while self.token in ("burst", "using"):
            if self._skip("burst"):
                burst = self._number("the burst", "Write a number: 100/minute burst 20")
            elif self._skip("using"):
                algorithm = self._algorithm()
        return self._settle(amount, window, burst, algorithm)

    def _settle(self, amount: int, window: int, burst: int, algorithm: Algorithm | None) -> Limit:
        natural = Algorithm.GCRA if burst else Algorithm.LOG if amount <= MAX_LOG else Algorithm.SUBWINDOWS
        algorithm = algorithm or natural
        if burst and algorithm is not Algorithm.GCRA:
            self._fail(f"{algorithm} knows no burst", "Leave burst out, or write: using gcra")
        if algorithm is Algorithm.LOG and amount > MAX_LOG:
            self._fail(f"log counts at most {MAX_LOG}", "Leave using out: above, sub-windows are used")
        if algorithm is Algorithm.GCRA:
            burst = burst or amount
        text = f"{amount}/{_spell(window)}" + (f" burst {burst}" if algorithm is Algorithm.GCRA else "")
        if algorithm is not natural and algorithm is not Algorithm.GCRA:
            text += f" using {algorithm}"
        return Limit(amount=amount, algorithm=algorithm, window=window, burst=burst, text=text)

    def _algorithm(self) -> Algorithm:
        name = self.token.lower()
        if name not in {str(one) for one in _RATES}:
            self._fail(f"{self.token!r} is no algorithm of a rate", "Use log, subwindows or gcra")
        self._next()
        return Algorithm(name)

    def _duration(self) -> int:
        count = self._number("how long", "Write 15 minutes") if self.kind == "number" else 1
        unit = _UNITS.get(self.token.lower())
        if unit is None:
            what = f"{self.token!r} is no unit of time" if self.token else "the unit of time is missing"
            self._fail(what, "Use ms, second, minute, hour, day or week: 100/minute, 5/15 minutes")
        if count * unit > MAX_WINDOW:
            self._fail("the window is longer than a year", "Use at most 366 days, or 1000/calendar month")
        self._next()
        return count * unit

    def _number(self, what: str, remedy: str) -> int:
        if self.kind != "number":
            self._fail(f"a number is missing ({what})", remedy)
        digits = self.token.replace("_", "")
        if len(digits) > 12 or not 1 <= int(digits) <= MAX_AMOUNT:
            self._fail(f"{self.token[:20]!r} is not between 1 and {MAX_AMOUNT}", remedy)
        self._next()
        return int(digits)

    def _skip(self, token: str) -> bool:
        if self.token.lower() != token:
            return False
        self._next()
        return True

    def _next(self) -> None:
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            rest = self.text[self.at :].lstrip()
            self.start = len(self.text) - len(rest)
            if rest:
                self._fail(f"{rest[0]!r} means nothing here", "Write limits such as 100/minute; 2000/day")
            self.kind, self.token = "end", ""
            return
        self.kind = match.lastgroup or ""
        self.token = match.group(self.kind)
        self.start = match.start(self.kind)
        self.at = match.end()

    def _fail(self, what: str, remedy: str) -> NoReturn:
        msg = f"The limit {self.text[:MAX_TEXT]!r} cannot be read at character {self.start + 1}: {what}"
        raise InvalidInput(msg, remedy=remedy)


def _spell(window: int, *, one: bool = False) -> str:
    """Write a duration in the largest unit that divides it."""
    for unit, name in _NAMES:
        count, rest = divmod(window, unit)
        if not rest and count:
            return (f"1 {name}" if one else name) if count == 1 else f"{count} {name}{'' if name == 'ms' else 's'}"
    return f"{window // MILLISECOND} ms"
