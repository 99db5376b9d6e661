"""Who was near a limit is remembered within bounds."""

from __future__ import annotations

from custodes.kernel.clock import HOUR
from custodes.kernel.window import MAX_NEAR, Gcra, Near, SlidingLog, left_when_near


def test_near_is_a_fifth_left_or_less():
    assert [left_when_near(SlidingLog(limit, HOUR)) for limit in (1, 4, 5, 100)] == [0, 0, 1, 20]


def test_of_a_bucket_it_is_a_fifth_of_the_burst():
    assert [left_when_near(Gcra(120, HOUR, burst)) for burst in (1, 20, 600)] == [0, 4, 120]


def test_the_one_noted_longest_ago_goes_first():
    near: Near[int] = Near()
    for number in range(MAX_NEAR):
        near.note(number, 0)
    near.note(0, 1)

    near.note("new", 2)

    known = dict(near.all())
    assert len(known) == MAX_NEAR
    assert (known[0], known["new"]) == (1, 2)
    assert 1 not in known
