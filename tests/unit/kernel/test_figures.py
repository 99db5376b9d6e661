"""Figures in sentences have as many digits as somebody takes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.kernel.figures import exactly, figure, length, percent, percent_exactly
from custodes.kernel.health import Threshold, judge


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"), (4, "4"), (12.345, "12.3"), (123.45, "123"), (999.4, "999"), (999.6, "1,000"), (12_345.6, "12,346"),
        (0.00123, "0.00123"), (0.000_012_345, "0.0000123"), (-12.345, "-12.3"), (1e15, "1,000,000,000,000,000"),
    ],
)  # fmt: skip
def test_figures(value: float, written: str) -> None:
    assert figure(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0"), (90, "90"), (99.95, "99.95"), (0.875, "0.875"), (1_500, "1,500"), (12.345_67, "12.34567"),
     (0.000_5, "0.0005"), (100, "100"), (float("inf"), "inf"), (-1, "-1"), (1e-7, "1e-07")],
)  # fmt: skip
def test_what_was_set_keeps_its_digits(value: float, written: str) -> None:
    assert exactly(value) == written


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (0, "0 %"), (1, "100 %"), (0.07225, "7.2 %"), (0.5, "50 %"), (0.333_3, "33.3 %"), (0.002_51, "0.25 %"),
        (0.000_01, "< 0.01 %"), (0.999_6, "99.96 %"), (0.999_999, "> 99.99 %"), (1.5, "150 %"), (0.1, "10 %"),
    ],
)  # fmt: skip
def test_shares(share: float, written: str) -> None:
    assert percent(share) == written


def test_a_share_that_was_set_keeps_its_digits() -> None:
    assert [percent_exactly(share) for share in (0.07, 0.1225, 0.000_05, 1)] == ["7 %", "12.25 %", "0.005 %", "100 %"]


@given(st.floats(0, 1))
def test_a_share_is_all_or_nothing_only_when_it_is(share: float) -> None:
    assert (percent(share) == "0 %") == (share == 0)
    assert (percent(share) == "100 %") == (share * 100 >= 100)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"), (0.000_04, "0.04 ms"), (0.000_42, "0.4 ms"), (0.038_4, "38 ms"), (0.9, "900 ms"), (1.236, "1.24 s"),
        (12.34, "12.3 s"), (90, "90 s"), (119.9, "119.9 s"), (120, "2 min"), (355.8, "5 min 56 s"), (599.9, "10 min"),
        (1_620, "27 min"), (7_199, "120 min"), (7_260, "2 h 1 min"), (90_000, "25 h"), (176_400, "2 days 1 h"),
        (86_400 * 7, "7 days"), (86_400 * 30.4, "30 days"), (-355.8, "-5 min 56 s"), (-3, "-3 s"),
        (float("inf"), "for ever"), (float("nan"), "unknown"), (float("-inf"), "unknown"),
    ],
)  # fmt: skip
def test_lengths_of_time(seconds: float, written: str) -> None:
    assert length(seconds) == written


def test_a_health_says_its_figures_so_and_its_thresholds_as_they_were_set() -> None:
    thresholds = (
        Threshold("error_rate", 0.0625, 0.5, unit=" %", says="Requests that failed: {}"),
        Threshold("unwritten_for", 60, 300, unit=" s", says="Figures were last written {} ago"),
        Threshold("load", 2.125, 4, says="The load is {}"),
    )
    health = judge("api", {"error_rate": 0.07225, "unwritten_for": 355.8, "load": 2.345_67}, thresholds)

    assert health.reasons == (
        "Requests that failed: 7.2 % (degraded from 6.25 %)",
        "Figures were last written 5 min 56 s ago (unhealthy from 5 min)",
        "The load is 2.35 (degraded from 2.125)",
    )
