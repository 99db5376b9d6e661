"""The compiled loop decides by itself what nearly every request comes to, within its bounds, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.property.ratelimit.test_hot_path import Request, limiter

from custodes.kernel.clock import HOUR
from custodes.kernel.window import OwnCells, SlidingLog
from custodes.kernel.window.cells import COUNT_EVERY
from custodes.planes.ratelimit.answers import Admitted
from custodes.testing.clock import FakeClock

START = FakeClock().now()


def path_over(twin: Any, steps: Any, template: bytes) -> Any:
    """Make a fast path with one plan; whatever is not its own is an error."""

    def never(*_: Any) -> None:
        raise AssertionError

    answers = SimpleNamespace(policy_header=(b"ratelimit-policy", b""), template=template)
    plan = SimpleNamespace(steps=steps, compiled_steps=None, applicable={1: SimpleNamespace(answers=answers)})
    in_force = SimpleNamespace(access=SimpleNamespace(entries={}), book=SimpleNamespace(by_method={"GET": {"/": plan}}))
    return twin.FastPath(SimpleNamespace(check=never, contest=never), in_force, lambda: START * 1_000, 0)


def known(limits: int) -> Any:
    steps = []
    for number in range(limits):
        meter = SlidingLog(1_000 + number, HOUR)
        cells = OwnCells(meter)
        cells.at_hand["203.0.113.1"] = meter.fresh()
        steps.append((None, 1, 1, cells, meter.attempt, meter))
    return tuple(steps)


def test_it_decides_by_itself(fast_path_twin: Any):
    """Given somebody who is known under three limits; then the judge is not asked, and the header says what is left."""
    steps = known(3)
    path = path_over(fast_path_twin, steps, b"a;r=%d;t=%d, 100 %% b;r=%d;t=%d, c;r=%d;t=%d")

    decision = path.check(Request("203.0.113.1", ""))

    assert type(decision) is Admitted
    assert decision.headers[1] == (b"ratelimit", b"a;r=999;t=3600, 100 % b;r=1000;t=3600, c;r=1001;t=3600")
    assert decision.figures == [999, 3_600, 1_000, 3_600, 1_001, 3_600]
    assert [dict(cells.tally) for _, _, _, cells, _, _ in steps] == [{"203.0.113.1": 1}] * 3


@pytest.mark.parametrize("size", [2_000, 2_048, 2_049, 100_000])
def test_a_header_of_any_length_is_written_whole(fast_path_twin: Any, size: int):
    template = b";r=%d;t=%d".rjust(size, b"x")

    decision = path_over(fast_path_twin, known(1), template).check(Request("203.0.113.1", ""))

    assert decision.headers[1][1] == template % (999, 3_600)


@pytest.mark.parametrize("count", [1, 16, 17, 70])
def test_many_rules_are_the_judges(fast_path_twin: Any, count: int):
    """Given more limits than it has room for, or rules than bits; then they are decided on all the same."""
    clock = FakeClock()
    drawn = [("1000/minute", "ip", 1)] * count
    quick, looped = limiter(clock, drawn), limiter(clock, drawn)
    for _ in range(3):
        mine, theirs = quick.check(Request("203.0.113.1", "")), looped._judge.check(Request("203.0.113.1", ""))
        assert (list(mine.headers), list(mine.figures)) == (list(theirs.headers), list(theirs.figures))
    assert len(mine.figures) == 2 * count


def test_charges_are_counted_now_and_then(fast_path_twin: Any):
    """Given more charges than are counted together; then what waits is bounded, and none is lost."""
    one = limiter(FakeClock(), [("4000/hour", "ip", 1)])
    for _ in range(COUNT_EVERY + 90):
        one.check(Request("203.0.113.1", ""))

    [cells] = [cells for gate in one._in_force.book.gates for cells in gate.cells]
    assert len(cells.fresh_charges) < COUNT_EVERY
    assert cells.tally["203.0.113.1"] == COUNT_EVERY + 90
