"""The collector: asks probes for figures, in a thread and within a time limit, and records them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from custodes.kernel.clock import SECOND, Clock
from custodes.planes.metrics.model import Kind
from custodes.planes.metrics.probes import Probe, Reading
from custodes.runtime.log import get_logger
from custodes.runtime.stop_iteration import no_stop_iteration

_log = get_logger("custodes.metrics")

#: Longest that a probe may take, seconds; a slower one is left to end by itself and not asked again before it has.
PROBE_LIMIT_SECONDS = 5.0

#: Between two looks at how late the event loop is, seconds.
LAG_INTERVAL_SECONDS = 0.5


class Collector:
    """Asks each probe and keeps what is needed to turn running totals into growth."""

    def __init__(self, probes: Sequence[Probe], *, limit_seconds: float = PROBE_LIMIT_SECONDS) -> None:
        self._probes = list(probes)
        self._limit_seconds = limit_seconds
        self._running: dict[Probe, asyncio.Task[Sequence[Reading]]] = {}
        self._totals: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        #: Probes that raised or were late.
        self.failures = 0

    def add(self, probe: Probe) -> None:
        """Ask one more probe from now on."""
        self._probes.append(probe)

    async def collect(self) -> list[Reading]:
        """Ask all probes; what they do not answer in time is left out. Counters come back as growth."""
        found: list[Reading] = []
        for probe in self._probes:
            found += await self._ask(probe)
        return [growth for reading in found for growth in self._growth(reading)]

    async def _ask(self, probe: Probe) -> Sequence[Reading]:
        task = self._running.get(probe)
        if task is None:
            task = self._running[probe] = asyncio.create_task(asyncio.to_thread(_answer_of, probe))
        done, _ = await asyncio.wait([task], timeout=self._limit_seconds)
        if not done:
            self.failures += 1
            return ()
        del self._running[probe]
        try:
            return task.result()
        except Exception as error:  # noqa: BLE001 - one probe never hides the others
            self.failures += 1
            _log.warning("probe_failed", error=repr(error))
            return ()

    def _growth(self, reading: Reading) -> list[Reading]:
        if reading.kind is not Kind.COUNTER:
            return [reading]
        key = (reading.name, reading.labels)
        before = self._totals.get(key)
        self._totals[key] = reading.value
        if before is None:
            return []  # what was before we looked did not happen in this interval
        # A total that fell has started again from zero.
        grown = reading.value - before if reading.value >= before else reading.value
        return [Reading(reading.name, grown, reading.kind, reading.labels)] if grown > 0 else []


def _answer_of(probe: Probe) -> Sequence[Reading]:
    try:
        return probe()
    except StopIteration as error:
        raise no_stop_iteration(error) from error


class LagMeter:
    """Measures how late the event loop wakes its tasks: what blocks the loop blocks every request."""

    def __init__(self, clock: Clock, *, interval_seconds: float = LAG_INTERVAL_SECONDS) -> None:
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._task: asyncio.Task[None] | None = None
        self._worst = 0.0

    async def start(self) -> None:
        """Begin; idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._loop(), name="custodes-loop-lag")

    async def stop(self) -> None:
        """End; idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def take(self) -> float:
        """Return the worst lag since the last call, seconds."""
        worst, self._worst = self._worst, 0.0
        return worst

    def note(self, slept: int) -> None:
        """Note that a sleep of one interval took so many microseconds."""
        self._worst = max(self._worst, slept / SECOND - self._interval_seconds)

    async def _loop(self) -> None:
        while True:
            before = self._clock.monotonic()
            await asyncio.sleep(self._interval_seconds)
            self.note(self._clock.monotonic() - before)
