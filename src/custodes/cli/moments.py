"""Moments as people type them: ``2026-11-23T05:00:00Z``, ``45m``, ``2h``, ``7d`` (ago)."""

from __future__ import annotations

import re

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND, from_iso

_AGO = re.compile(r"(\d{1,6})([smhd])")

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


def moment(text: str | None, now: int) -> int | None:
    """Read a moment; None stays None.

    Raises:
        InvalidInput: neither a moment with an offset nor a span.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        return from_iso(text)
    except ValueError:
        msg = f"{text!r} is not a moment"
        raise InvalidInput(msg, remedy="Write 2026-11-23T05:00:00Z, or how long ago: 45m, 2h, 7d") from None
