"""The scheduler runs what it is given, under guard, and can say how it went."""

from __future__ import annotations

import asyncio

import pytest

from custodes.errors import ConfigurationError, NotFound
from custodes.kernel.clock import SECOND
from custodes.runtime.scheduler import Scheduler
from custodes.testing.clock import FakeClock


class Leadership:
    is_leader = False


class Fold:
    """A task that counts its runs and does as it is told."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.runs = 0
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.runs += 1
        self.clock.advance(SECOND)
        if self.error is not None:
            raise self.error


@pytest.fixture
def fold(clock: FakeClock) -> Fold:
    return Fold(clock)


@pytest.fixture
def leadership() -> Leadership:
    return Leadership()


@pytest.fixture
def scheduler(clock: FakeClock, leadership: Leadership) -> Scheduler:
    return Scheduler(clock, leadership, uniform=lambda: 0.5)


async def test_a_run_is_reported_with_its_moment_and_duration(scheduler: Scheduler, fold: Fold, clock: FakeClock):
    scheduler.every(10, "traffic.fold", fold)
    began = clock.now()

    assert await scheduler.run_now("traffic.fold")

    [report] = scheduler.reports()
    assert (report.last_run_at, report.last_duration_us, report.runs, report.failures) == (began, SECOND, 1, 0)


async def test_a_failing_task_is_counted_named_and_runs_again(scheduler: Scheduler, fold: Fold):
    scheduler.every(10, "traffic.fold", fold)
    fold.error = ValueError("the store is gone")
    assert not await scheduler.run_now("traffic.fold")
    assert scheduler.reports()[0].last_error == "ValueError: the store is gone"

    fold.error = None
    assert await scheduler.run_now("traffic.fold")

    report = scheduler.reports()[0]
    assert (report.failures, report.runs, report.last_error) == (1, 1, "")


async def test_a_task_that_hangs_is_stopped_at_its_limit(scheduler: Scheduler):
    scheduler.every(10, "retention.sweep", asyncio.Event().wait, limit_seconds=0.01)

    assert not await scheduler.run_now("retention.sweep")

    assert scheduler.reports()[0].last_error == "Stopped after 0.01 s"


async def test_only_the_leader_runs_what_is_the_leaders(clock: FakeClock, leadership: Leadership, fold: Fold):
    """Given a process that follows, when turns come, then leader tasks are passed over and others run."""
    own = Fold(clock)
    scheduler = Scheduler(clock, leadership, uniform=lambda: 0.5)
    leaders = scheduler.every(10, "traffic.fold", fold)
    everyones = scheduler.every(10, "traffic.flush", own, leader_only=False)

    for task in (leaders, everyones):
        await task.turn(leads=leadership.is_leader)
    assert (fold.runs, own.runs, leaders.report().skipped) == (0, 1, 1)

    leadership.is_leader = True
    await leaders.turn(leads=leadership.is_leader)
    assert fold.runs == 1


async def test_started_tasks_take_their_turns_until_stopped(clock: FakeClock, fold: Fold):
    """Given no leases at all, when the scheduler starts, then tasks run by themselves and stop with it."""
    ran = asyncio.Event()

    async def action() -> None:
        ran.set()

    scheduler = Scheduler(clock)
    scheduler.every(0.001, "traffic.fold", action)
    await scheduler.start()
    await scheduler.start()
    await asyncio.wait_for(ran.wait(), 60)
    await scheduler.stop()
    await scheduler.stop()

    assert scheduler.reports()[0].runs >= 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_task_never_runs_twice_at_once(scheduler: Scheduler):
    gate = asyncio.Event()
    scheduler.every(10, "retention.sweep", gate.wait)
    first = asyncio.create_task(scheduler.run_now("retention.sweep"))
    await asyncio.sleep(0)

    assert scheduler.reports()[0].running
    assert not await scheduler.run_now("retention.sweep")
    gate.set()
    assert await first


async def test_a_task_that_misses_three_turns_is_overdue(scheduler: Scheduler, fold: Fold, clock: FakeClock):
    task = scheduler.every(10, "traffic.fold", fold)
    await task.turn(leads=True)
    clock.advance(28 * SECOND)
    assert not task.report().overdue

    clock.advance(10 * SECOND)
    assert task.report().overdue


def test_intervals_are_spread_by_a_tenth(clock: FakeClock, fold: Fold):
    for uniform, seconds in ((0.0, 9.0), (0.5, 10.0), (1.0, 11.0)):
        scheduler = Scheduler(clock, uniform=lambda uniform=uniform: uniform)
        task = scheduler.every(10, "traffic.fold", fold)
        assert scheduler._interval(task) == pytest.approx(seconds)


@pytest.mark.parametrize(("name", "seconds"), [("traffic.fold", 10.0), ("other", 0.0), ("other", -1.0)])
def test_a_wrong_task_is_refused(scheduler: Scheduler, fold: Fold, name: str, seconds: float):
    scheduler.every(10, "traffic.fold", fold)

    with pytest.raises(ConfigurationError):
        scheduler.every(seconds, name, fold)


async def test_an_unknown_task_is_named_with_those_that_exist(scheduler: Scheduler, fold: Fold):
    scheduler.every(10, "traffic.fold", fold)

    with pytest.raises(NotFound, match=r"traffic\.fold"):
        await scheduler.run_now("nonsense")
