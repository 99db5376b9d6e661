"""Stretches of time: what is covered by which level, and what step a chart gets."""

from __future__ import annotations

import itertools

import pytest

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.planes.traffic.ranges import MAX_POINTS, Stretch, cover, first_moment, steps
from custodes.planes.traffic.rollup import Level

NOW = 1_790_035_200 * SECOND  # a midnight, UTC


def test_a_stretch_is_covered_by_coarse_buckets_in_the_middle_and_finer_ones_at_the_ends():
    since, until = NOW - 2 * DAY - 30 * SECOND, NOW + HOUR + 2 * MINUTE

    assert cover(since, until, Level.TEN_SECONDS) == [
        Stretch(Level.TEN_SECONDS, since, NOW - 2 * DAY),
        Stretch(Level.DAY, NOW - 2 * DAY, NOW),
        Stretch(Level.HOUR, NOW, NOW + HOUR),
        Stretch(Level.MINUTE, NOW + HOUR, until),
    ]


@pytest.mark.parametrize("length", [10 * SECOND, MINUTE, 50 * MINUTE, HOUR, 25 * HOUR, 40 * DAY])
@pytest.mark.parametrize("offset", [0, 10 * SECOND, 70 * SECOND, 59 * MINUTE, 23 * HOUR])
def test_a_cover_has_no_gap_and_no_overlap(length: int, offset: int):
    stretches = cover(NOW + offset, NOW + offset + length, Level.TEN_SECONDS)

    assert stretches[0].since == NOW + offset
    assert stretches[-1].until == NOW + offset + length
    for before, after in itertools.pairwise(stretches):
        assert before.until == after.since
    for stretch in stretches:
        assert stretch.since < stretch.until
        assert stretch.since % stretch.level.micros == stretch.until % stretch.level.micros == 0


@pytest.mark.parametrize(
    ("span", "step"),
    [(10 * MINUTE, 10 * SECOND), (HOUR, 30 * SECOND), (DAY, 10 * MINUTE), (7 * DAY, HOUR), (30 * DAY, 6 * HOUR)],
)
def test_a_chart_gets_a_readable_step(span: int, step: int):
    assert steps(NOW - span, NOW, NOW).step == step


def test_the_step_asked_for_is_used_and_the_stretch_widened_to_it():
    cut = steps(NOW - HOUR + 1, NOW - 1, NOW, 300)

    assert (cut.since, cut.until, cut.step, cut.level) == (NOW - HOUR, NOW, 5 * MINUTE, Level.MINUTE)


def test_a_step_grows_when_the_fine_levels_are_gone():
    """Ten-second buckets are kept for a day: an hour of last week is drawn in hours."""
    assert steps(NOW - 8 * DAY, NOW - 8 * DAY + HOUR, NOW, 10).step == HOUR
    assert steps(NOW - 37 * DAY, NOW - 36 * DAY, NOW, 10).step == 6 * HOUR
    assert steps(NOW - 102 * DAY, NOW - 101 * DAY, NOW, 10).step == DAY


@pytest.mark.parametrize("length", [1_795 * SECOND, HOUR, 25 * HOUR, 2 * DAY, 3 * DAY, 20 * DAY, 90 * DAY, 500 * DAY])
@pytest.mark.parametrize("end", [0, 7 * SECOND, 26 * MINUTE, 3 * DAY + 5 * HOUR])
def test_two_stretches_in_one_chart_have_steps_of_one_width(length: int, end: int):
    """Ten minutes are kept for four days: the last two days have such steps, and not beside the two days before."""
    since, until = NOW - end - length, NOW - end

    now, then = steps(since, until, NOW, beside=since - length), steps(since - length, since, NOW, beside=since)

    assert now.step == then.step >= steps(since, until, NOW).step
    assert now.since <= since < until <= now.until
    if (length, end) == (2 * DAY, 7 * SECOND):
        assert steps(since, until, NOW).step < now.step == HOUR


def test_no_answer_has_too_many_points():
    cut = steps(0, NOW, NOW, 10)

    assert (cut.until - cut.since) // cut.step <= MAX_POINTS + 1


def test_the_far_future_is_empty_and_breaks_nothing():
    end_of_time = 253_402_300_799 * SECOND  # 9999-12-31T23:59:59Z, the last second that can be written

    assert steps(end_of_time - HOUR, end_of_time, NOW).until <= NOW + DAY
    assert steps(0, end_of_time, NOW).until <= NOW + DAY


def test_nonsense_is_refused_with_advice():
    with pytest.raises(InvalidInput, match="Swap"):
        steps(NOW, NOW, NOW)
    with pytest.raises(InvalidInput, match="Use one of 10, 30"):
        steps(NOW - HOUR, NOW, NOW, 7)


@pytest.mark.parametrize(
    ("buckets", "first"),
    [
        ({}, None),
        ({Level.TEN_SECONDS: NOW + 70 * SECOND}, NOW + 70 * SECOND),
        # Folded as far as a day, all of it still there
        ({Level.DAY: NOW, Level.HOUR: NOW + 2 * HOUR, Level.MINUTE: NOW + 2 * HOUR + MINUTE}, NOW + 2 * HOUR + MINUTE),
        # Hours are no longer kept from the begin on
        ({Level.DAY: NOW - 90 * DAY, Level.HOUR: NOW - 35 * DAY, Level.TEN_SECONDS: NOW - DAY}, NOW - 90 * DAY),
        ({Level.WEEK: NOW - 7 * DAY, Level.DAY: NOW - DAY, Level.HOUR: NOW}, NOW - DAY),
    ],
)
def test_the_first_moment_is_as_fine_as_the_levels_that_still_hold_it(buckets: dict[Level, int], first: int | None):
    assert first_moment(buckets) == first
