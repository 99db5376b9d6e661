"""Limits in the memory of one worker: bounded, and nobody is pardoned for it."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest

from custodes.errors import InvalidInput
from custodes.kernel.clock import HOUR, MINUTE, SECOND
from custodes.kernel.window import Concurrency, Gcra, OwnCells, SlidingLog, decide
from custodes.planes.ratelimit.quota import Quota
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.testing.clock import FakeClock

START = 1_790_000_000 * SECOND


def test_a_rotation_of_addresses_neither_fills_memory_nor_resets_an_attacker():
    """Given an attacker at its limit, when a million other addresses come and go, then it is still refused."""
    cells = OwnCells(SlidingLog(5, MINUTE), max_subjects=1_000)
    for _ in range(5):
        assert not decide([(cells, "attacker", 1)], START).refused

    for number in range(50_000):
        decide([(cells, f"10.{number}", 1)], START + number)
        assert len(cells) <= 1_000 + 1_024

    assert decide([(cells, "attacker", 1)], START + 50_000).refused
    assert cells.overflowed >= 49_000 - 1_000, "what was shared is counted"


def test_subjects_that_share_a_state_never_get_more_than_the_limit():
    cells = OwnCells(SlidingLog(3, MINUTE), max_subjects=0)

    admitted = sum(not decide([(cells, "somebody", 1)], START + number).refused for number in range(10))

    assert admitted == 3


def test_states_as_good_as_new_are_let_go_of():
    """Given ten thousand subjects, when two windows have passed, then new ones find room and no state is shared."""
    cells = OwnCells(SlidingLog(5, MINUTE), max_subjects=20_000)
    for wave in range(5):
        for number in range(10_000):
            decide([(cells, f"{wave}.{number}", 1)], START + 3 * wave * MINUTE)
        assert len(cells) <= 20_000

    assert cells.overflowed == 0


def test_a_subject_that_stays_active_is_never_forgotten():
    """Over 200 windows with a change of generations in each, decisions are those of a count."""
    rng = random.Random(7)
    cells = OwnCells(SlidingLog(4, MINUTE))
    admitted: list[int] = []
    now = START
    for _ in range(2_000):
        now += rng.randrange(0, 12 * SECOND)
        expected = sum(now - MINUTE < at <= now for at in admitted) < 4
        assert (not decide([(cells, "a", 1)], now).refused) == expected
        if expected:
            admitted.append(now)


def test_refused_requests_take_no_memory():
    """Given 5,000 refused requests at a limit of 10, then the state holds 10 stamps."""
    cells = OwnCells(SlidingLog(10, MINUTE))
    for number in range(5_010):
        decide([(cells, "a", 1)], START + number)

    assert len(cells.at_hand["a"]) <= 11  # in Python the place of the first is one of them
    assert cells.tally["a"] == 10


def test_all_limits_of_a_request_are_charged_or_none():
    windows = MemoryWindows()
    wide = windows.cells("wide", SlidingLog(100, MINUTE))
    bucket = windows.cells("bucket", Gcra(100, MINUTE, 50))
    narrow = windows.cells("narrow", SlidingLog(1, MINUTE))
    asks = [(wide, "a", 3), (bucket, "a", 2), (narrow, "a", 1)]

    first = windows.decide(asks, START)
    for _ in range(20):
        refused = windows.decide(asks, START)

    assert first.views == [(97, MINUTE), (48, 600_000), (0, MINUTE)]
    assert list(refused.refused) == [(2, MINUTE)]
    assert refused.views == [(97, MINUTE), (48, 600_000), (0, MINUTE)], "the others were not charged"
    assert (wide.tally["a"], bucket.tally["a"]) == (3, 2)


def test_charges_that_wait_to_be_counted_are_in_every_tally():
    cells = OwnCells(SlidingLog(10, MINUTE))
    decide([(cells, "a", 2)], START)
    cells.fresh_charges += ["a", "b", "a"]

    assert cells.tally == {"a": 4, "b": 1}
    cells.fresh_charges += ["b"]
    assert cells.take_tally() == {"a": 4, "b": 2}
    assert cells.take_tally() == {}


def test_a_quota_admits_exactly_its_limit_to_many_threads(clock: FakeClock):
    clock.advance(SECOND)
    quota = Quota(OwnCells(SlidingLog(500, MINUTE)), clock.monotonic)
    admitted: list[bool] = []
    threads = [threading.Thread(target=lambda: admitted.extend([quota.hit("a") for _ in range(200)])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(admitted) == 500
    assert (quota.remaining("a"), quota.wait("a"), quota.wait("a", 501)) == (0, MINUTE, None)


@pytest.mark.parametrize("cost", [0, -1, 1.5, None, "2"])
def test_a_quota_is_charged_whole_units_and_gives_none_back(clock: FakeClock, cost: Any):
    quota = Quota(OwnCells(SlidingLog(500, MINUTE)), clock.monotonic)
    quota.hit("a", 3)

    for call in (quota.hit, quota.wait):
        with pytest.raises(InvalidInput, match="at least 1"):
            call("a", cost)
    assert quota.remaining("a") == 497
    assert not quota.hit("a", 1 << 70)


async def test_who_is_near_a_limit_is_told_after_a_change_of_generations():
    """Given somebody who is near, when another's request changes the generation, then the first one is told still."""
    windows = MemoryWindows()
    cells = windows.cells("a", SlidingLog(5, HOUR))
    windows.decide([(cells, "old", 5)], HOUR)

    windows.decide([(cells, "new", 1)], 2 * HOUR - 1)
    windows.decide([(cells, "newer", 1)], 2 * HOUR + 1)

    assert ("old", 0) in await windows.near(cells, 2 * HOUR - 1)


def test_slots_of_an_earlier_generation_are_given_back():
    """Given a slot taken before the generations changed, when it is given back, then it is free."""
    cells = OwnCells(Concurrency(1, MINUTE))
    decide([(cells, "other", 1)], START)
    decide([(cells, "x", 1)], START + MINUTE)
    decide([(cells, "other", 1)], START + MINUTE + 1)  # changes the generation

    cells.release("x", START + MINUTE, 1)

    assert not decide([(cells, "x", 1)], START + MINUTE + 2).refused
