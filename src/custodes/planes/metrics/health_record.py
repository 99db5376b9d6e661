"""Health as time series, and what one process learns from them of what the others said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import MINUTE
from custodes.kernel.health import Health
from custodes.planes.metrics.health import AS_NUMBER, HealthMonitor
from custodes.planes.metrics.model import Labels
from custodes.runtime.log import get_logger

#: Metric of the state of each system.
HEALTH = "custodes.health"

#: Metric of each figure.
FIGURE = "custodes.health.figure"

#: Metric of how figures are judged that are not well.
UNWELL = "custodes.health.unwell"

#: For how long it counts what was said of a figure, microseconds: longer than a restart, and than some records.
REMEMBERED = MINUTE

_BY = ("system", "figure")

_AS_HEALTH = {float(number): state for state, number in AS_NUMBER.items()}

_log = get_logger("custodes.metrics")


class Gauge(Protocol):
    """Notes a level of a metric."""

    def __call__(self, name: str, value: float, *, labels: Mapping[str, object]) -> None:
        """Note it."""
        ...


class HealthRecord:
    """Writes down how everything is.

    A figure that is not well is so until it is clearly better: between the two limits it depends on how it was judged
    before. That is remembered in each process, and told to the others and to those that come later by a metric.

    Args:
        health: what is asked.
        gauge: notes a level.
        greatest: reads the greatest value of a metric over the time before now (microseconds), by labels.
    """

    def __init__(
        self,
        health: HealthMonitor,
        gauge: Gauge,
        greatest: Callable[[str, int, tuple[str, ...]], Awaitable[list[tuple[Labels, float]]]],
    ) -> None:
        self._health = health
        self._gauge = gauge
        self._greatest = greatest

    async def write(self) -> None:
        """Record the state and the figures of every system, then learn what others said."""
        for found in (await self._health.check()).systems:
            self._gauge(HEALTH, AS_NUMBER[found.state], labels={"system": found.system})
            for figure, value in found.figures.items():
                self._gauge(FIGURE, value, labels={"system": found.system, "figure": figure})
        # Before anything is learnt: what is not seen here is not told on.
        for (system, figure), state in self._health.unwell().items():
            self._gauge(UNWELL, AS_NUMBER[state], labels={"system": system, "figure": figure})
        await self.learn()

    async def learn(self) -> None:
        """Judge what is not well by what was said of it; a store that does not answer leaves all as it is."""
        try:
            found = await self._greatest(UNWELL, REMEMBERED, _BY)
        except StorageUnavailable as error:
            _log.warning("health_not_learnt", error=str(error))
            return
        said: dict[tuple[str, str], Health] = {}
        for labels, value in found:
            state, its = _AS_HEALTH.get(value), dict(labels)
            if state is not None:
                said[its.get("system", ""), its.get("figure", "")] = state
        self._health.remember(said)
