"""The stretch of time that an analysis is of."""

from __future__ import annotations

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY


def range_of(since: int | None, until: int | None, now: int) -> tuple[int, int]:
    """Complete a range, microseconds since the epoch: the last day unless its begin or its end is told.

    Args:
        since: begin; None: a day before the end.
        until: end, not included; None: now, with what happens in this very microsecond.
        now: the time.

    Raises:
        InvalidInput: it is empty.
    """
    end = now + 1 if until is None else until
    begin = end - DAY if since is None else since
    if begin >= end:
        msg = "The range is empty"
        raise InvalidInput(msg, remedy="Give since before until")
    return begin, end
