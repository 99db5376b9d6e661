"""Which stretches of time answer a range, and where they begin and end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.stretches import Level, Steps, Stretch, cover, steps_for

#: 2026-09-21 at 14:13:20.
NOW = 1_790_000_000 * SECOND


@pytest.mark.parametrize(
    ("since", "until", "level"),
    [
        (NOW - HOUR, NOW, Level.MINUTE),
        (NOW - 6 * HOUR - 5 * MINUTE, NOW, Level.MINUTE),
        (NOW - 48 * HOUR, NOW, Level.HOUR),
        (NOW - 73 * HOUR, NOW - 72 * HOUR, Level.HOUR),
        (NOW - 40 * DAY, NOW, Level.DAY),
    ],
)
def test_the_finest_level_that_still_has_its_rows_cuts_a_range(since: int, until: int, level: Level) -> None:
    assert steps_for(since, until, NOW).level is level


def test_two_ranges_in_one_chart_are_counted_in_stretches_of_one_length() -> None:
    """Minutes are kept for two days: six hours of yesterday have some, and not beside the six hours before."""
    since, until = NOW - 45 * HOUR, NOW - 39 * HOUR

    assert steps_for(since, until, NOW).level is Level.MINUTE
    assert steps_for(since, until, NOW, beside=since - 6 * HOUR).level is Level.HOUR
    assert steps_for(since - 6 * HOUR, since, NOW, beside=since).level is Level.HOUR


@pytest.mark.parametrize(
    ("length", "edge"), [(DAY, Level.MINUTE), (2 * DAY, Level.HOUR), (30 * DAY, Level.HOUR), (90 * DAY, Level.DAY)]
)
def test_a_range_begins_with_the_finest_stretch_that_is_kept_beside_the_range_before(length: int, edge: Level) -> None:
    # Given a range until now, which is compared with the one before
    since = NOW - length
    steps = steps_for(since, NOW, NOW, beside=since - length)

    # Then both begin within a minute of what was asked for, or within what is kept as far back, whatever the steps are
    assert steps.since == since - since % edge.micros
    assert steps_for(since - length, since, NOW, beside=since).whole.level is edge


def test_the_day_under_way_is_one_stretch_of_a_range_until_now() -> None:
    # Given the last 24 hours, at 14:13:20
    midnight = NOW - NOW % DAY
    steps = steps_for(NOW - DAY, NOW, NOW)

    # Then it is yesterday's minutes to the hour, its hours, and today in one
    hour = NOW - DAY - NOW % HOUR + HOUR
    begin = NOW - DAY - (NOW - DAY) % MINUTE
    assert steps.widest() == [
        Stretch(Level.MINUTE, begin, hour),
        Stretch(Level.HOUR, hour, midnight),
        Stretch(Level.DAY, midnight, midnight + DAY),
    ]
    # And steps of an hour are hours, the one under way too
    assert steps.stretches() == [Stretch(Level.MINUTE, begin, hour), Stretch(Level.HOUR, hour, hour + DAY)]


@given(
    since=some.integers(0, 10 * DAY),
    length=some.integers(1, 3 * DAY),
    ago=some.integers(0, 3 * DAY),
    compared=some.booleans(),
)
def test_stretches_cover_a_range_once_and_go_beyond_now_only(
    since: int, length: int, ago: int, *, compared: bool
) -> None:
    until, now = since + length, since + length + ago
    steps = steps_for(since, until, now, since - length if compared else None)

    for stretches in (steps.stretches(), steps.widest()):
        assert stretches[0].since == steps.since <= since
        assert all(one.until == next_.since for one, next_ in pairwise(stretches))
        assert all(one.since % one.level.micros == 0 and one.until % one.level.micros == 0 for one in stretches)
        assert stretches[-1].until == steps.until or (stretches[-1].until > now >= until - MINUTE)
    assert all(one.level <= steps.level for one in steps.stretches())


def test_a_range_is_covered_by_as_few_stretches_as_can_be() -> None:
    whole = Steps.of(Level.HOUR, 23 * HOUR, 50 * HOUR).whole

    assert cover(whole) == [
        Stretch(Level.HOUR, 23 * HOUR, DAY),
        Stretch(Level.DAY, DAY, 2 * DAY),
        Stretch(Level.HOUR, 2 * DAY, 50 * HOUR),
    ]
    assert cover(whole, Level.HOUR) == [whole]
