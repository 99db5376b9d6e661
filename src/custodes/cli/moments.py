"""Moments and durations as people type them: ``2026-11-23T05:00:00Z``, ``45m``, ``2h``, ``7d`` (ago)."""

from __future__ import annotations

import re

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND, from_iso

_SPAN = re.compile(r"(\d{1,6})([smhd])")

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


def moment(text: str | None, now: int) -> int | None:
    """Read a moment; None stays None, and what is longer ago than 1970 is that.

    Raises:
        InvalidInput: neither a moment with an offset nor a span.
    """
    if text is None:
        return None
    if _SPAN.fullmatch(text):
        return max(0, now - span(text))
    try:
        return max(0, from_iso(text))
    except ValueError:
        msg = f"{text!r} is not a moment"
        raise InvalidInput(msg, remedy="Write 2026-11-23T05:00:00Z, or how long ago: 45m, 2h, 7d") from None


def span(text: str) -> int:
    """Read a duration, microseconds: ``30s``, ``5m``, ``2h``, ``7d``.

    Raises:
        InvalidInput: it is none.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        msg = f"{text!r} is not a duration"
        raise InvalidInput(msg, remedy="Write 30s, 5m, 2h or 7d")
    return int(found[1]) * _UNITS[found[2]]


def stretch(since: str | None, until: str | None, now: int) -> tuple[int, int]:
    """Read a stretch of time, microseconds: from a moment, a day before the end when None, to one, now when None.

    Raises:
        InvalidInput: one of them is no moment, or they are the wrong way round.
    """
    end = moment(until, now)
    end = now + 1 if end is None else end
    begin = moment(since, now)
    begin = max(0, end - DAY) if begin is None else begin
    if begin >= end:
        msg = "--since is not before --until"
        raise InvalidInput(msg, remedy="Swap them, or leave one out")
    return begin, end
