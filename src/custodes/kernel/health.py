"""Health of a system: healthy, degraded or unhealthy, always with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Health(StrEnum):
    """State of a system, best first."""

    #: Works as it should.
    HEALTHY = "healthy"
    #: Works, but a figure passed its warning threshold.
    DEGRADED = "degraded"
    #: Does not do its job, or a figure passed its critical threshold.
    UNHEALTHY = "unhealthy"


_ORDER = {Health.HEALTHY: 0, Health.DEGRADED: 1, Health.UNHEALTHY: 2}


@dataclass(frozen=True, slots=True)
class Threshold:
    """When a figure makes a system degraded or unhealthy. ``below=True`` turns the comparison round."""

    #: Name of the figure, for example ``"error_rate"``.
    figure: str
    #: From this value on: degraded.
    degraded: float
    #: From this value on: unhealthy.
    unhealthy: float
    #: True when low values are bad (a success rate).
    below: bool = False
    #: Unit shown in the reason, for example ``" ms"``; ``" %"`` for a share from 0 to 1, which is shown as percent.
    unit: str = ""

    def shown(self, value: float) -> str:
        """Write a value with its unit."""
        return f"{100 * value:.4g}{self.unit}" if self.unit == " %" else f"{value:g}{self.unit}"

    def judge(self, value: float) -> Health:
        """Judge one value."""
        if self.below:
            if value <= self.unhealthy:
                return Health.UNHEALTHY
            return Health.DEGRADED if value <= self.degraded else Health.HEALTHY
        if value >= self.unhealthy:
            return Health.UNHEALTHY
        return Health.DEGRADED if value >= self.degraded else Health.HEALTHY


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """What a plane says of itself."""

    #: The system: ``"webhooks"``, ``"api"``, ``"audit"``, …
    system: str
    #: Its state.
    state: Health
    #: One sentence for each thing that is not as it should be; empty when healthy.
    reasons: tuple[str, ...] = ()
    #: The figures that were judged.
    figures: Mapping[str, float] = field(default_factory=dict[str, float])


def worst(states: Iterable[Health]) -> Health:
    """Return the worst of several states; healthy when there are none."""
    return max(states, key=_ORDER.__getitem__, default=Health.HEALTHY)


def judge(system: str, figures: Mapping[str, float], thresholds: Iterable[Threshold]) -> SystemHealth:
    """Hold figures against thresholds.

    A figure without a threshold is shown and not judged; a threshold without its figure is passed over.
    """
    states: list[Health] = []
    reasons: list[str] = []
    for threshold in thresholds:
        value = figures.get(threshold.figure)
        if value is None:
            continue
        state = threshold.judge(value)
        if state is Health.HEALTHY:
            continue
        limit = threshold.unhealthy if state is Health.UNHEALTHY else threshold.degraded
        bound = "at or below" if threshold.below else "at or above"
        states.append(state)
        reasons.append(f"{threshold.figure} is {threshold.shown(value)}, {bound} {threshold.shown(limit)} ({state})")
    return SystemHealth(system, worst(states), tuple(reasons), dict(figures))
