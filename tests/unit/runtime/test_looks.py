"""When a worker looks for jobs."""

import pytest

from custodes.runtime.looks import BUSY_SECONDS, LINGER_SECONDS, Looks

POLL = 1.0


@pytest.fixture
def looks() -> Looks:
    """One that looked from 10.0 to 10.1."""
    made = Looks(POLL)
    made.begin(10.0)
    made.end(10.1)
    return made


def test_the_first_look_is_at_once() -> None:
    assert Looks(POLL).wait(0.0) <= 0


def test_what_has_come_is_looked_for_at_once_whatever_is_under_way(looks: Looks) -> None:
    looks.came()
    assert looks.wait(10.5) <= 0


def test_who_has_only_just_looked_waits_a_little_for_more_to_come(looks: Looks) -> None:
    looks.came()
    assert looks.wait(10.1) == pytest.approx(LINGER_SECONDS)


def test_what_comes_during_a_look_is_for_the_next(looks: Looks) -> None:
    looks.begin(11.0)
    looks.came()
    looks.end(11.5)
    assert looks.wait(11.6) <= 0


def test_those_that_end_together_are_replaced_together(looks: Looks) -> None:
    looks.freed(10.5, waited_for=True)
    looks.freed(10.501, waited_for=True)
    assert looks.wait(10.5) == pytest.approx(LINGER_SECONDS)


def test_a_place_that_nobody_waits_for_is_no_reason_to_look_soon(looks: Looks) -> None:
    looks.begin(20.0)
    looks.end(20.0)
    looks.freed(20.001, waited_for=False)
    assert looks.wait(20.001) == pytest.approx(BUSY_SECONDS - 0.001)


def test_whether_a_place_is_waited_for_is_not_known_during_a_look(looks: Looks) -> None:
    looks.begin(11.0)
    looks.freed(11.0, waited_for=False)
    looks.end(11.001)
    assert looks.wait(11.001) == pytest.approx(LINGER_SECONDS)


def test_else_it_looks_now_and_then(looks: Looks) -> None:
    assert looks.wait(10.1) == pytest.approx(POLL - 0.1)


def test_it_looks_when_what_is_due_may_be_done(looks: Looks) -> None:
    looks.opens(10.6)
    assert looks.wait(10.1) == pytest.approx(0.5)


def test_many_moments_at_which_something_may_be_done_are_few_looks(looks: Looks) -> None:
    looks.begin(20.0)
    looks.end(20.0)
    looks.opens(20.001)
    assert looks.wait(20.001) == pytest.approx(BUSY_SECONDS - 0.001)
