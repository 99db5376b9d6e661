"""What went wrong once does not stand in the health until a restart."""

from custodes.kernel.clock import MINUTE, SECOND
from custodes.planes.ratelimit.lately import Lately

START = 1_790_000_000 * SECOND


def test_what_grew_within_the_last_minutes_is_told_and_what_was_before_is_not():
    # Given three decisions that failed right after the start, and two six minutes later; one looks every ten seconds
    lately, told = Lately(START), dict[int, float]()
    for second in range(0, 15 * 60, 10):
        failed = 3 if second < 6 * 60 else 5
        told[second] = lately.grown(START + second * SECOND, {"undecided": failed})["undecided"]

    # Then each is told for five minutes
    assert [told[minute * 60] for minute in (0, 1, 4, 6, 10, 11, 12)] == [3, 3, 3, 2, 2, 0, 0]


def test_looks_are_few_however_often_one_asks():
    lately = Lately(START)
    for at in range(START, START + 10 * MINUTE, 100_000):
        lately.grown(at, {"undecided": 1})

    assert len(lately._seen) <= 62
