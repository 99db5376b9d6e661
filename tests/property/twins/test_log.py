"""The compiled sliding window decides as the one in Python, whatever comes."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custodes.kernel.clock import SECOND
from custodes.kernel.window.log import SlidingLog

START = 1_800_000_000 * SECOND

steps = st.lists(
    st.tuples(
        st.sampled_from(["attempt", "attempt", "attempt", "undo", "wait", "view", "pack"]),
        st.sampled_from([0, 1, 3, 7, 8, 50, 1_000, -1, -40]),
        st.integers(1, 14),
    ),
    max_size=60,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 12), window=st.sampled_from([1, 7, 1_000]), steps=steps)
def test_it_answers_the_same(log_twin: Any, limit: int, window: int, steps: list[tuple[str, int, int]]):
    meters = [SlidingLog(limit, window), log_twin.SlidingLog(limit, window)]
    states = [meter.fresh() for meter in meters]
    now, charged = START, 0

    for what, passed, cost in steps:
        now += passed
        answers: list[Any] = []
        for number, meter in enumerate(meters):
            if what == "attempt":
                found = meter.attempt(states[number], now, cost)
                if found is not None:
                    states[number] = found[0]
                answers.append(found and found[1:])
            elif what == "undo" and charged:
                states[number] = meter.undo(states[number], now, charged)
            elif what in ("wait", "view"):
                answers.append(
                    meter.wait(states[number], now, cost) if what == "wait" else meter.view(states[number], now)
                )
            elif what == "pack":
                answers.append(meter.pack(states[number]))
                states[number] = meter.unpack(answers[-1])
        if what in ("attempt", "undo"):  # only what was charged last may be taken back
            charged = cost if what == "attempt" and answers[0] is not None else 0
        assert answers[:1] == answers[1:2]
        assert meters[0].pack(states[0]) == meters[1].pack(states[1])


def test_it_stays_the_same_over_a_long_time(log_twin: Any):
    """Given 20,000 requests, 50 of which fit a window; then both have let the same ones through and kept as many."""
    meters = [SlidingLog(50, SECOND), log_twin.SlidingLog(50, SECOND)]
    states = [meter.fresh() for meter in meters]

    for number in range(20_000):
        now = START + number * 7_000 + number % 13 * 90_000
        one, other = (meter.attempt(state, now, 1) for meter, state in zip(meters, states, strict=True))
        assert (one and one[1:]) == (other and other[1:])

    assert abs(len(states[0]) - 1 - len(states[1])) <= 1


def test_it_says_the_same_of_itself(log_twin: Any):
    for one, other in ((SlidingLog(7, SECOND), log_twin.SlidingLog(7, SECOND)),):
        for name in ("limit", "window", "refill", "lateness", "worst_case_factor"):
            assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("limit", [0, -1, 4_097])
def test_it_refuses_the_same_limits(log_twin: Any, limit: int):
    for kind in (SlidingLog, log_twin.SlidingLog):
        with pytest.raises(ValueError, match="A log holds 1 to 4096 events"):
            kind(limit, SECOND)


def test_what_is_no_state_is_refused(log_twin: Any):
    """Given a state of another algorithm, a packed text cut short, more taken back than charged; then a clear error."""
    meter = log_twin.SlidingLog(5, SECOND)
    for call in (meter.view, meter.wait, meter.attempt):
        with pytest.raises(TypeError):
            call(None, *((START,) if call == meter.view else (START, 1)))
    with pytest.raises(TypeError):
        meter.attempt(5, START, 1)
    with pytest.raises(ValueError, match="eight bytes"):
        meter.unpack(b"1234567")
    with pytest.raises(ValueError, match="More is taken back"):
        meter.undo(meter.fresh(), START, 1)
    with pytest.raises(ValueError, match="more than any log holds"):
        meter.unpack(bytes(8 * 4_097))
    with pytest.raises(OverflowError):
        meter.attempt(meter.fresh(), 1 << 70, 1)


def test_what_fails_leaves_a_state_as_it_was(log_twin: Any):
    """Given a log with many dead events; when a charge fails, then it is not half done: nobody gets more for it."""
    meter = log_twin.SlidingLog(200, SECOND)
    state = meter.fresh()
    for number in range(100):
        meter.attempt(state, START + number * SECOND // 50, 1)
    later = START + 60 * SECOND
    before, packed = meter.view(state, later), meter.pack(state)

    with pytest.raises(ValueError, match="more than any log holds"):
        meter.attempt(state, later, -1)

    assert meter.view(state, later) == before == (200, 0)
    assert meter.pack(state) == packed


@pytest.mark.parametrize("cost", [1, 5, 100, 4_096])
def test_a_large_cost_after_a_burst_has_room(log_twin: Any, cost: int):
    """Given a log that gives memory back; when much is charged in that moment, then there is room."""
    meters = [SlidingLog(4_096, SECOND), log_twin.SlidingLog(4_096, SECOND)]
    states = [meter.fresh() for meter in meters]
    for meter, state in zip(meters, states, strict=True):
        meter.attempt(state, START, 4_096)
        meter.attempt(state, START + 2 * SECOND, cost)

    assert meters[0].pack(states[0]) == meters[1].pack(states[1])
    assert sys.getsizeof(states[1]) >= 8 * cost


def test_a_burst_does_not_keep_its_memory(log_twin: Any):
    """Given a subject that has used a limit of 4,096; when that is over and it comes again, then it is small again."""
    meter = log_twin.SlidingLog(4_096, SECOND)
    state = meter.fresh()
    meter.attempt(state, START, 4_096)
    assert sys.getsizeof(state) > 30_000

    meter.attempt(state, START + 2 * SECOND, 1)

    assert sys.getsizeof(state) < 500
    assert meter.view(state, START + 2 * SECOND) == (4_095, SECOND)
