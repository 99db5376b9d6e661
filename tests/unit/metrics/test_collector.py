"""Probes are asked in threads and within a limit; what they say is turned into growth."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from custodes.kernel.clock import SECOND
from custodes.planes.metrics.collector import Collector, LagMeter
from custodes.planes.metrics.model import Kind
from custodes.planes.metrics.probes import MachineProbe, Reading
from custodes.testing.clock import FakeClock


def total(value: float) -> Reading:
    return Reading("gc", value, Kind.COUNTER)


async def test_running_totals_become_growth_also_after_a_restart():
    """Given a total of 100, 130, 5 (restarted), 5; then the growth is unknown, 30, 5, none."""
    totals = iter([100, 130, 5, 5])
    collector = Collector([lambda: [total(next(totals))]])

    found = [[reading.value for reading in await collector.collect()] for _ in range(4)]

    assert found == [[], [30], [5], []]


async def test_gauges_come_as_they_are():
    collector = Collector([lambda: [Reading("depth", 3)]])

    assert [one.value for one in await collector.collect()] == [3]


async def test_a_probe_that_raises_hides_no_other():
    def broken() -> Sequence[Reading]:
        msg = "no /proc here"
        raise OSError(msg)

    collector = Collector([broken, lambda: [Reading("depth", 3)]])

    assert [one.name for one in await collector.collect()] == ["depth"]
    assert collector.failures == 1


async def test_a_probe_that_ends_with_stop_iteration_hides_no_other_and_is_asked_again():
    """No future takes one: whoever waited for the thread waited for ever."""
    empty: list[Sequence[Reading]] = []
    collector = Collector([lambda: next(iter(empty)), lambda: [Reading("depth", 3)]])

    assert [one.name for one in await collector.collect() + await collector.collect()] == ["depth", "depth"]
    assert collector.failures == 2


async def test_a_probe_that_hangs_is_left_and_not_asked_twice():
    gate = threading.Event()
    asked: list[int] = []

    def hung() -> Sequence[Reading]:
        asked.append(1)
        gate.wait(10)
        return [Reading("late", 1)]

    collector = Collector([hung], limit_seconds=0.01)
    assert await collector.collect() == []
    assert await collector.collect() == []
    assert (len(asked), collector.failures) == (1, 2)

    gate.set()
    collector._limit_seconds = 5
    assert [one.name for one in await collector.collect()] == ["late"]


def test_the_machine_says_what_it_can(tmp_path: Path):
    found = {one.name: one.value for one in MachineProbe(tmp_path)()}

    assert found["process.memory.rss"] > 1_000_000
    assert found["process.threads"] >= 1
    assert 0 <= found["system.disk.used_percent"] <= 100
    assert {"system.memory.available", "system.cpu.percent", "process.gc.collections"} <= found.keys()


def test_what_the_machine_does_not_tell_is_left_out(tmp_path: Path):
    found = {one.name for one in MachineProbe(tmp_path / "missing")()}

    assert "system.disk.free" not in found
    assert "process.memory.rss" in found


async def test_the_worst_lag_since_the_last_look_counts(clock: FakeClock):
    meter = LagMeter(clock, interval_seconds=0.5)
    for slept in (SECOND // 2, 2 * SECOND, SECOND):
        meter.note(slept)

    assert (meter.take(), meter.take()) == (1.5, 0.0)


async def test_the_meter_runs_until_it_is_stopped(clock: FakeClock):
    meter = LagMeter(clock, interval_seconds=0.001)
    await meter.start()
    await meter.start()
    await asyncio.sleep(0)
    await meter.stop()
    await meter.stop()

    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("kind", list(Kind))
def test_kinds_are_stable_names(kind: Kind):
    assert str(kind) in {"counter", "gauge", "histogram"}
