"""Time as data.

Every moment in Custodes is an ``int``: microseconds since the Unix epoch, UTC. Durations are microseconds too, unless
a name says otherwise (``_seconds``, ``_ms``). Nothing below ``app.py`` reads a clock by itself: it is handed a
:class:`Clock`, so that tests and simulations can drive time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

#: Microseconds in one millisecond, second, minute, hour, day: the only time units of the code base.
MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: The last moment that can be written, microseconds: the end of the year 9999.
LAST_MOMENT = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


class Clock(Protocol):
    """**Protocol:** a source of time.

    ``now`` may jump (NTP, an operator); ``monotonic`` never goes back and is the one to use for durations and leases
    within one process.
    """

    def now(self) -> int:
        """Wall clock, microseconds since the epoch, UTC."""
        ...

    def monotonic(self) -> int:
        """Microseconds from an arbitrary start, never decreasing."""
        ...


def ticks_of(clock: Clock) -> Callable[[], int]:
    """Return a clock's monotonic hand in nanoseconds: for hot paths, the system's own function where there is one."""
    ticks: Callable[[], int] | None = getattr(clock, "ticks", None)
    return ticks if ticks is not None else lambda: clock.monotonic() * 1_000


def to_iso(micros: int) -> str:
    """Write a moment as RFC 3339 with microseconds: ``2026-11-23T05:34:00.000001Z``."""
    return (_EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_datetime(moment: datetime) -> int:
    """Turn an aware datetime into microseconds, no later than :data:`LAST_MOMENT`.

    Raises:
        ValueError: the datetime is naive, so the moment it names is unknown.
    """
    if moment.tzinfo is None:
        msg = f"{moment!r} has no time zone; pass one with tzinfo=UTC"
        raise ValueError(msg)
    return min((moment - _EPOCH) // timedelta(microseconds=1), LAST_MOMENT)


def from_iso(text: str) -> int:
    """Read an RFC 3339 moment with an offset (``Z`` or ``+01:00``) as microseconds.

    Raises:
        ValueError: not a moment, or without an offset.
    """
    return from_datetime(datetime.fromisoformat(text))
