"""Figures of the process and the machine, by psutil."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from custodes.planes.metrics.model import Kind


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure, as it was found."""

    #: Name of the metric.
    name: str
    #: The figure; for a counter the total since some start, of which only the growth counts.
    value: float
    #: ``gauge``, or ``counter`` for a running total.
    kind: Kind = Kind.GAUGE
    #: Sorted (label, value) pairs.
    labels: tuple[tuple[str, str], ...] = ()


#: Reads figures; runs in a thread of its own and may take its time.
Probe = Callable[[], Sequence[Reading]]


class MachineProbe:
    """Reads this process and this machine; a :data:`Probe`.

    What the platform does not tell (file descriptors on Windows, anything in a locked-down container) is left out.

    Args:
        volume: any path on the volume whose free space matters: where the database file is.
    """

    def __init__(self, volume: Path | None = None) -> None:
        self._volume = volume or Path.cwd()
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first call only sets the start of the interval
        psutil.cpu_percent()

    def __call__(self) -> Sequence[Reading]:
        """Read everything that can be read."""
        found: list[Reading] = []
        for read in (self._of_process, _of_garbage_collector, _of_machine, self._of_volume, _of_network):
            try:
                found += read()
            except (psutil.Error, OSError, RuntimeError, AttributeError, NotImplementedError):
                continue
        return found

    def _of_process(self) -> list[Reading]:
        process = self._process
        with process.oneshot():
            found = [
                Reading("process.cpu.percent", process.cpu_percent()),
                Reading("process.memory.rss", float(process.memory_info().rss)),
                Reading("process.threads", float(process.num_threads())),
            ]
        if hasattr(process, "num_fds"):
            found.append(Reading("process.fds", float(process.num_fds())))
        return found

    def _of_volume(self) -> list[Reading]:
        usage = psutil.disk_usage(str(self._volume))
        return [
            Reading("system.disk.free", float(usage.free)),
            Reading("system.disk.used_percent", usage.percent),
        ]


def _of_garbage_collector() -> list[Reading]:
    return [
        Reading("process.gc.collections", float(stats["collections"]), Kind.COUNTER, (("generation", str(generation)),))
        for generation, stats in enumerate(gc.get_stats())
    ]


def _of_machine() -> list[Reading]:
    memory = psutil.virtual_memory()
    return [
        Reading("system.cpu.percent", psutil.cpu_percent()),
        Reading("system.cpu.count", float(os.cpu_count() or 1)),
        Reading("system.load.1m", psutil.getloadavg()[0]),
        Reading("system.memory.available", float(memory.available)),
        Reading("system.memory.used_percent", memory.percent),
    ]


def _of_network() -> list[Reading]:
    traffic = psutil.net_io_counters()
    return [
        Reading("system.network.sent", float(traffic.bytes_sent), Kind.COUNTER),
        Reading("system.network.received", float(traffic.bytes_recv), Kind.COUNTER),
    ]
