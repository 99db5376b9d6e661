"""Silence is told when a source usually speaks at this time, and only then."""

import pytest

from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.planes.inbound.rhythm import silence

#: A Monday, 00:00 UTC.
MONDAY = 1_763_942_400 * 1_000_000


def week(days: int, now: int, per_hour, weekdays=range(7)) -> dict[int, int]:
    """Hours of the days before a moment, as a source speaks."""
    hours: dict[int, int] = {}
    for hour in range(now - now % DAY - days * DAY, now, HOUR):
        count = per_hour((hour % DAY) // HOUR)
        if count and ((hour - MONDAY) // DAY) % 7 in weekdays:
            hours[hour] = count
    return hours


def test_a_source_that_speaks_all_day_and_falls_silent_is_told():
    now = MONDAY + 28 * DAY + 12 * HOUR
    hours = {at: count for at, count in week(14, now, lambda _: 20).items() if at < now - 2 * HOUR}

    found = silence(hours, now - 2 * HOUR, now)

    assert found is not None
    assert (found.since, found.expected) == (now - 2 * HOUR, 40)


def test_a_busy_source_is_told_within_minutes():
    now = MONDAY + 28 * DAY + 12 * HOUR
    found = silence(week(14, now, lambda _: 600), now - 10 * MINUTE, now)

    assert found is not None
    assert found.expected == 100


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_the_night_is_no_alarm(hour: int):
    # Given a source that speaks from 9 to 17 h
    now = MONDAY + 28 * DAY + hour * HOUR
    hours = week(14, now, lambda h: 60 if 9 <= h < 17 else 0)
    last = max(hours) + HOUR - 1  # it spoke to the end of its last hour

    if hour not in (12, 15):  # while it speaks
        assert silence(hours, min(last, now), now) is None


@pytest.mark.parametrize("day", [5, 6])
def test_the_weekend_of_a_source_of_workdays_is_no_alarm(day: int):
    now = MONDAY + 28 * DAY + day * DAY + 15 * HOUR
    hours = week(14, now, lambda _: 60, weekdays=range(5))

    assert silence(hours, max(hours) + HOUR - 1, now) is None


def test_a_source_that_seldom_speaks_is_no_alarm():
    now = MONDAY + 28 * DAY + 12 * HOUR

    assert silence(week(14, now, lambda h: 1 if h == 3 else 0), now - 9 * HOUR, now) is None


def test_of_a_young_source_nothing_is_said():
    now = MONDAY + 28 * DAY + 12 * HOUR
    hours = {at: count for at, count in week(5, now, lambda _: 100).items() if at < now - 3 * HOUR}

    assert silence(hours, now - 3 * HOUR, now) is None
    assert silence({}, now - DAY, now) is None
