"""The rule language: what it reads, and how it says what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import InvalidInput
from custodes.kernel.clock import HOUR, MINUTE, SECOND
from custodes.planes.ratelimit.language import meter_of, parse_limits
from custodes.planes.ratelimit.model import Algorithm


@pytest.mark.parametrize(
    ("text", "amount", "window", "algorithm", "burst"),
    [
        ("100/minute", 100, MINUTE, Algorithm.LOG, 0),
        ("100 per minute", 100, MINUTE, Algorithm.LOG, 0),
        ("5/15 minutes", 5, 15 * MINUTE, Algorithm.LOG, 0),
        ("10_000/h", 10_000, HOUR, Algorithm.SUBWINDOWS, 0),
        ("4096/s", 4_096, SECOND, Algorithm.LOG, 0),
        ("100/minute burst 20", 100, MINUTE, Algorithm.GCRA, 20),
        ("100/minute burst 20 using gcra", 100, MINUTE, Algorithm.GCRA, 20),
        ("100/minute using gcra", 100, MINUTE, Algorithm.GCRA, 100),
        ("100/minute using subwindows", 100, MINUTE, Algorithm.SUBWINDOWS, 0),
        ("5 concurrent", 5, 60 * SECOND, Algorithm.CONCURRENCY, 0),
        ("5 CONCURRENT for 10 s", 5, 10 * SECOND, Algorithm.CONCURRENCY, 0),
        ("1000/calendar day in Europe/Berlin", 1_000, 0, Algorithm.CALENDAR, 0),
    ],
)
def test_reads(text: str, amount: int, window: int, algorithm: Algorithm, burst: int):
    (limit,) = parse_limits(text)

    assert (limit.amount, limit.window, limit.algorithm, limit.burst) == (amount, window, algorithm, burst)
    assert parse_limits(limit.text) == (limit,), "its shortest form means the same"
    assert meter_of(limit).limit == amount


def test_reads_several_limits_and_a_semicolon_too_many():
    assert [limit.text for limit in parse_limits("100/minute; 2000/day;")] == ["100/minute", "2000/day"]


@pytest.mark.parametrize(
    ("text", "place", "says", "remedy"),
    [
        ("", 1, "a number is missing", "100/minute"),
        ("often", 1, "a number is missing", "100/minute"),
        ("100", 4, "the window is missing", "5 concurrent"),
        ("100/", 5, "the unit of time is missing", "minute"),
        ("5/fortnight", 3, "'fortnight' is no unit of time", "5/15 minutes"),
        ("100/minute 5", 12, "'5' is not expected", "semicolon"),
        ("5/minute burst", 15, "a number is missing", "burst 20"),
        ("5/minute burst 3 using log", 27, "log knows no burst", "gcra"),
        ("5/minute using magic", 16, "'magic' is no algorithm", "subwindows"),
        ("5000/minute using log", 22, "at most 4096", "sub-windows"),
        ("9/calendar week", 12, "'week' is no calendar period", "month"),
        ("9/calendar day in Atlantis", 19, "'Atlantis' is no time zone", "Europe/Berlin"),
        ("0/minute", 1, "'0' is not between", "100/minute"),
        ("9999999999999/minute", 1, "is not between", "100/minute"),
        ("5/900 days", 7, "longer than a year", "month"),
        ("99999 concurrent", 17, "more than 10000", "rate"),
        ("5/minute & 6/day", 10, "'&' means nothing", "2000/day"),
        ("; ".join(["1/day"] * 9), 62, "more than 8", "several rules"),
        ("1/second; 1/second", 19, "1/second is there twice", "Write it once"),
        ("9/minute; 9/60 seconds", 23, "9/minute is there twice", "Write it once"),
    ],
)
def test_says_where_and_how_to_write_it(text: str, place: int, says: str, remedy: str):
    with pytest.raises(InvalidInput) as caught:
        parse_limits(text)

    assert says in caught.value.message
    assert f"at character {place}" in caught.value.message
    assert remedy in caught.value.remedy


@given(st.one_of(st.text(), st.text("0123456789/;_ abcdehinoprstuy", max_size=60)))
def test_nothing_but_our_own_error_comes_of_any_text(text: str):
    try:
        limits = parse_limits(text)
    except InvalidInput:
        return
    for limit in limits:
        assert meter_of(limit).worst_case_factor >= 1
