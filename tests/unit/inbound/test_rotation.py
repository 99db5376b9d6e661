"""What follows from when secrets last signed."""

import pytest

from custodes.kernel.clock import DAY, HOUR
from custodes.planes.inbound.rotation_model import SecretUse, Standing, judge

NOW = 100 * DAY


def secrets(*signed: int | None, since: int = 40 * DAY, ages: tuple[int, ...] = ()) -> list[SecretUse]:
    """Secrets of a source, newest first, each by how long ago it signed; None: never."""
    ages = ages or tuple([since] * len(signed))
    return [
        SecretUse("t", "stripe", str(place), place, NOW - age, NOW, None if ago is None else NOW - ago)
        for place, (ago, age) in enumerate(zip(signed, ages, strict=True))
    ]


S, A, R, Q = Standing.SIGNS, Standing.AWAITED, Standing.REMOVABLE, Standing.QUIET


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (secrets(HOUR), [S]),
        (secrets(None), [Q]),
        (secrets(30 * DAY), [Q]),
        # rotated, and the sender has changed over
        (secrets(HOUR, 3 * DAY), [S, S]),
        (secrets(HOUR, 7 * DAY), [S, R]),
        (secrets(HOUR, None), [S, R]),
        (secrets(HOUR, None, ages=(40 * DAY, 2 * DAY)), [S, Q]),
        # only the older one signs
        (secrets(None, HOUR), [A, S]),
        (secrets(8 * DAY, HOUR), [A, S]),
        (secrets(None, HOUR, ages=(2 * HOUR, 40 * DAY)), [A, S]),
        # what it signed before the newer was there says nothing
        (secrets(None, HOUR, ages=(HOUR // 2, 40 * DAY)), [Q, S]),
        # nobody sends: nothing follows
        (secrets(None, None), [Q, Q]),
        (secrets(20 * DAY, 10 * DAY), [Q, Q]),
        (secrets(10 * DAY, 20 * DAY), [Q, R]),
        # three of them
        (secrets(None, HOUR, 9 * DAY), [A, S, R]),
        (secrets(HOUR, 9 * DAY, 8 * DAY), [S, R, R]),
        # a clock that was ahead
        (secrets(-HOUR, None), [S, R]),
    ],
)
def test_what_follows(given: list[SecretUse], expected: list[Standing]):
    assert [one.standing for one in judge(given, NOW)] == expected
    assert [one.standing for one in judge(given[::-1], NOW)] == expected, "in whichever order they are found"


def test_each_says_it_in_a_sentence():
    told = [one.summary(NOW) for one in judge(secrets(HOUR * 3, 9 * DAY), NOW)]
    waiting = [one.summary(NOW) for one in judge(secrets(None, 10, ages=(3 * DAY, 9 * DAY)), NOW)]
    (unknown,) = judge([SecretUse("t", "stripe", "0", 0, None, None, None)], NOW)

    assert told == ["Last signed 3 h ago", "Last signed 9 d ago: can be removed"]
    assert waiting == [
        "Has signed nothing since it was first seen, 3 d ago: the sender still signs with an older one",
        "Last signed just now",
    ]
    assert unknown.summary(NOW) == "Nothing is known of it yet"
