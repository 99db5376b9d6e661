"""Figures in sentences for people: as many digits as somebody takes in, and no more.

What was set by somebody (a threshold, a limit) is written as it was set: :func:`exactly`.
"""

from __future__ import annotations

from math import inf, isfinite

#: Figures from here on have thousands apart and no fractions.
_WHOLE_FROM = 1_000

#: Below this share of a hundred it is said that it is less.
_LEAST_PERCENT = 0.01

#: Units of time from two of them on, longest first, with the next smaller one: name and seconds of each.
_UNITS = (("days", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1))

#: From as many of a unit on, the next smaller one says nothing more.
_ALONE_FROM = 10


def figure(value: float) -> str:
    """Write a figure of any kind: ``12,346``, ``123``, ``12.3``, ``0.00123``."""
    if abs(value) >= _WHOLE_FROM - 0.5:
        return f"{value:,.0f}"
    written = f"{value:.3g}"
    return f"{float(written):.12f}".rstrip("0").rstrip(".") if "e" in written else written


def exactly(value: float) -> str:
    """Write a figure that somebody has set, with all its digits: ``99.95``, ``1,500``."""
    written = f"{value:,.10f}" if abs(value) >= 0.001 or not value else f"{value:.10g}"
    return written.rstrip("0").rstrip(".") if "." in written and "e" not in written else written


def percent(share: float) -> str:
    """Write a share of one: ``7.2 %``, ``0.25 %``, ``99.96 %``; never all or nothing of what is not."""
    value = 100 * share
    if value in {0, 100}:
        return f"{value:.0f} %"
    if abs(value) < _LEAST_PERCENT:
        return f"< {_LEAST_PERCENT} %"
    written = _digits(value, 2 if abs(value) < 1 or 99 < value < 100 else 1)
    return "> 99.99 %" if written == "100" and value < 100 else f"{written} %"


def percent_exactly(share: float) -> str:
    """Write a share of one that somebody has set: ``12.25 %``."""
    return f"{exactly(100 * share)} %"


def length(seconds: float) -> str:
    """Write how long something takes: ``0.4 ms``, ``38 ms``, ``1.24 s``, ``90 s``, ``5 min 56 s``, ``2 days 3 h``.

    What has no end is written ``for ever``, what is no number ``unknown``.
    """
    size = abs(seconds)
    if not isfinite(size):
        return "for ever" if seconds == inf else "unknown"
    if 0 < size < 1:
        return f"{_digits(1_000 * seconds, 0 if size >= 0.01 else 1 if size >= 0.000_1 else 3)} ms"
    for unit, large, smaller, small in _UNITS:
        if size >= 2 * large:
            pieces = round(seconds / small)
            many, rest = divmod(abs(pieces), large // small)
            if many >= _ALONE_FROM:
                return f"{round(seconds / large)} {unit}"
            written = f"{many} {unit}{f' {rest} {smaller}' if rest else ''}"
            return f"-{written}" if pieces < 0 else written
    return f"{_digits(seconds, 2 if size < 10 else 1)} s"


def _digits(value: float, most: int) -> str:
    return f"{value:.{most}f}".rstrip("0").rstrip(".") if most else f"{value:.0f}"
