"""What was worked out of bytes is worked out once, as long as there is room."""

import pytest

from custodes.kernel.remembered import Remembered


def test_an_answer_is_worked_out_once_whatever_the_order_of_what_it_is_made_of():
    worked: list[str] = []
    remembered: Remembered[int] = Remembered(10)

    def work() -> int:
        worked.append("")
        return len(worked)

    assert remembered.of([b"ab", b"c"], "p50", work) == 1
    assert remembered.of([b"c", b"ab"], "p50", work) == 1
    # Other bytes, cut differently, more of the same, and another question
    assert remembered.of([b"a", b"bc"], "p50", work) == 2
    assert remembered.of([b"ab", b"c", b"c"], "p50", work) == 3
    assert remembered.of([b"ab", b"c"], "p99", work) == 4
    assert remembered.of([b"ab", b"c"], "p50", work) == 1


def test_what_could_not_be_worked_out_is_tried_again():
    remembered: Remembered[int] = Remembered(10)
    with pytest.raises(ZeroDivisionError):
        remembered.of([b"a"], 0, lambda: 1 // 0)

    assert remembered.of([b"a"], 0, lambda: 7) == 7


def test_there_are_no_more_than_there_may_be():
    remembered: Remembered[int] = Remembered(3)
    for number in range(100):
        assert remembered.of([bytes([number])], "", lambda number=number: number) == number
        assert len(remembered) <= 3
