"""Health of the store: a real row written and read back, timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import MILLISECOND, Clock
from custodes.kernel.health import Health, SystemHealth, Threshold, judge

#: When the store is degraded or unhealthy. A durable commit takes 0.1 to 20 ms on disks that work.
THRESHOLDS = (
    Threshold("write_ms", 500, 5_000, unit=" ms", says="A durable write takes {}"),
    Threshold("read_ms", 250, 2_500, unit=" ms", says="A read takes {}"),
    Threshold("waiting_writes", 2_000, 15_000, says="Writes that wait: {}"),
    # Hosts that keep their clocks are some milliseconds apart; beyond five minutes senders' signatures are refused.
    Threshold("clock_off_seconds", 2, 300, unit=" s", says="The clocks of this host and of the database differ by {}"),
)


class Heartbeat(Protocol):
    """**Protocol:** one row of the store that exists to be written and read."""

    async def write(self, at: int) -> None:
        """Write the moment, durably.

        Raises:
            StorageUnavailable: it was not kept.
        """
        ...

    async def read(self) -> int:
        """Read it back; 0 when there is none.

        Raises:
            StorageUnavailable: the store does not answer.
        """
        ...


class StorageHealth:
    """Writes and reads the heartbeat.

    Args:
        heartbeat: the row.
        clock: source of time.
        figures: more figures of the engine, such as ``waiting_writes``.
        thresholds: when the store is degraded or unhealthy.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        clock: Clock,
        figures: Callable[[], Mapping[str, float]] = dict[str, float],
        thresholds: Sequence[Threshold] = THRESHOLDS,
    ) -> None:
        self._heartbeat = heartbeat
        self._clock = clock
        self._figures = figures
        self._thresholds = thresholds

    async def get_health_status(self) -> SystemHealth:
        """Tell whether the store takes writes and answers reads, and how fast."""
        figures = dict(self._figures())
        try:
            figures["write_ms"] = await self._time_write()
            figures["read_ms"] = await self._time_read()
        except StorageUnavailable as error:
            return judge("storage", figures, self._thresholds, {error.message: Health.UNHEALTHY})
        return judge("storage", figures, self._thresholds)

    async def _time_write(self) -> float:
        began = self._clock.monotonic()
        await self._heartbeat.write(self._clock.now())
        return (self._clock.monotonic() - began) / MILLISECOND

    async def _time_read(self) -> float:
        began = self._clock.monotonic()
        await self._heartbeat.read()
        return (self._clock.monotonic() - began) / MILLISECOND
