"""The rhythm of a source: whether its silence is one that it usually does not keep.

The silence is held against the same hours of the days before, so that nights, weekends and quiet sources are no alarm:
on nearly all of those days, and on the same day of the week, a good number of events must have come in this time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from custodes.kernel.clock import DAY, HOUR, MINUTE

#: Days that a silence is held against.
LEARNED_DAYS = 14

#: Days of history without which nothing is said: one of each weekday.
MIN_DAYS = 7

#: Events that must usually come in the time of a silence: of 10, chance alone leaves none once in 20,000 times.
MIN_EXPECTED = 10.0

#: Share of the days that may have been silent, too: weekends are two of seven.
QUIET_DAYS = 1 / 3

#: Shortest silence that is told, microseconds.
SHORTEST = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence that is not usual."""

    #: Last event before it, microseconds since the epoch.
    since: int
    #: Events that usually come in a time as long: the median of the days compared.
    expected: int


def silence(hours: Mapping[int, int], last_at: int, now: int) -> Silence | None:
    """Judge the silence of a source.

    Args:
        hours: events by begin of the hour, microseconds since the epoch; hours without any may be left out.
        last_at: when the last event came.
        now: the moment.

    Returns:
        The silence, when it is unusual; None when it is not, or when too little is known of the source.
    """
    length = now - last_at
    if length < SHORTEST or not hours:
        return None
    known_from = min(hours)
    # Only days whose stretch ends before the silence began tell anything of the time before it.
    shifts = [day for day in range(1, LEARNED_DAYS + 1) if day * DAY >= length and last_at - day * DAY >= known_from]
    if not shifts or shifts[-1] < MIN_DAYS or len(shifts) < MIN_DAYS // 2:
        return None
    expected = {day: _events(hours, last_at - day * DAY, now - day * DAY) for day in shifts}
    quiet = sum(count < MIN_EXPECTED for count in expected.values())
    same_weekday = [count for day, count in expected.items() if day % 7 == 0]
    if quiet > QUIET_DAYS * len(expected) or not same_weekday or min(same_weekday) < MIN_EXPECTED:
        return None
    return Silence(last_at, round(sorted(expected.values())[len(expected) // 2]))


def _events(hours: Mapping[int, int], since: int, until: int) -> float:
    """Count events of a stretch; of an hour that is partly in it, the same part of its events."""
    total = 0.0
    for hour in range(since - since % HOUR, until, HOUR):
        count = hours.get(hour, 0)
        if count:
            total += count * (min(until, hour + HOUR) - max(since, hour)) / HOUR
    return total
