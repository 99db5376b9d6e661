"""Health of a system: healthy, degraded or unhealthy, always with the reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf
from types import MappingProxyType

from custodes.kernel.figures import exactly, figure, length, percent, percent_exactly


class Health(StrEnum):
    """State of a system, best first."""

    #: Works as it should.
    HEALTHY = "healthy"
    #: Works, but a figure passed its warning threshold.
    DEGRADED = "degraded"
    #: Does not do its job, or a figure passed its critical threshold.
    UNHEALTHY = "unhealthy"


_ORDER = {Health.HEALTHY: 0, Health.DEGRADED: 1, Health.UNHEALTHY: 2}

#: Systems that people call otherwise than their names say, wherever they are told of.
_NAMES = {
    "api": "API",
    "audit": "Audit trail",
    "identity": "Sign-in",
    "retention": "Clean-up",
    "webhooks": "Incoming webhooks",
}

#: Of which one speaks with an article.
_THE = frozenset({"api", "audit", "storage"})

#: A value that no figure reaches: what cannot make a system as bad as that by itself.
NEVER = inf

#: What a figure must fall below for a system to be well again, as a share of the value from which on it was not: one
#: that moves around its limit leaves the system in one state.
EASED = 0.8

#: Units of time, in seconds.
_SECONDS = {" ms": 0.001, " s": 1.0, " h": 3_600.0}


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
    #: Unit shown in the reason: ``" ms"``, ``" s"``, ``" h"``; ``" %"`` for a share from 0 to 1, shown as percent.
    unit: str = ""
    #: What is wrong in the words of a person, ``{}`` where the value belongs: ``"Webhooks given up: {}"``. Without
    #: ``{}`` the sentence says it all; empty: the name of the figure stands for it.
    says: str = ""

    def shown(self, value: float) -> str:
        """Write a value with its unit; long times in minutes, hours or days."""
        return self._written(value, percent, figure)

    def reason(self, value: float, state: Health) -> str:
        """Say in a sentence what is wrong, how bad it is, and from where on."""
        if self.says and "{}" not in self.says:
            return f"{self.says} ({state})"
        said = (self.says or f"{self.figure}: {{}}").replace("{}", self.shown(value))
        limit = self.unhealthy if state is Health.UNHEALTHY else self.degraded
        written = self._written(limit, percent_exactly, exactly)
        from_there = f"{state} {'at or below' if self.below else 'from'} {written}"
        if self.judge(value) is state:
            return f"{said} ({from_there})"
        until = self._written(self._eased(limit), percent_exactly, exactly)
        return f"{said} ({from_there}, until {'above' if self.below else 'below'} {until})"

    def _written(self, value: float, share: Callable[[float], str], other: Callable[[float], str]) -> str:
        if self.unit == " %":
            return share(value)
        if self.unit in _SECONDS:
            return length(value * _SECONDS[self.unit])
        return f"{other(value)}{self.unit}"

    def judge(self, value: float, before: Health = Health.HEALTHY) -> Health:
        """Judge one value.

        Args:
            value: the figure.
            before: how it was judged last: it is as bad until it is clearly better (:data:`EASED`).
        """
        for state, limit in ((Health.UNHEALTHY, self.unhealthy), (Health.DEGRADED, self.degraded)):
            held = _ORDER[before] >= _ORDER[state]
            if self.below:
                if value <= limit or (held and value < self._eased(limit)):
                    return state
            elif value >= limit or (held and value >= self._eased(limit)):
                return state
        return Health.HEALTHY

    def _eased(self, limit: float) -> float:
        """Return the value from which on a figure that passed a limit is well again."""
        if not self.below:
            return limit * EASED
        return 1 - (1 - limit) * EASED if self.unit == " %" else limit / EASED


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
    #: What the figures were held against; no part of what it says.
    thresholds: tuple[Threshold, ...] = field(default=(), compare=False, repr=False)
    #: What is wrong beside the figures, each with how bad it is; no part of what it says, ``reasons`` hold it.
    faults: Mapping[str, Health] = field(default_factory=dict[str, Health], compare=False, repr=False)


def name_of(system: str) -> str:
    """Say what people call a system: ``Outgoing webhooks``."""
    words = system.replace("_", " ")
    return _NAMES.get(system, words[:1].upper() + words[1:])


def stands(system: str, state: Health) -> str:
    """Say how a system is, as the begin of a sentence: ``Outgoing webhooks are degraded``."""
    name = name_of(system)
    subject = f"The {name if name.isupper() else name.lower()}" if system in _THE else name
    many = subject.endswith("s") and not subject.endswith("ss")
    return f"{subject} {'are' if many else 'is'} {state}"


def worst(states: Iterable[Health]) -> Health:
    """Return the worst of several states; healthy when there are none."""
    return max(states, key=_ORDER.__getitem__, default=Health.HEALTHY)


def judge(
    system: str,
    figures: Mapping[str, float],
    thresholds: Iterable[Threshold],
    faults: Mapping[str, Health] = MappingProxyType({}),
    *,
    says: Mapping[str, str] = MappingProxyType({}),
    before: Mapping[str, Health] = MappingProxyType({}),
) -> SystemHealth:
    """Hold figures against thresholds.

    A figure without a threshold is shown and not judged; a threshold without its figure is passed over.

    Args:
        system: which.
        figures: by name.
        thresholds: of any of them.
        faults: what else is wrong, a sentence each, with how bad it is.
        says: words for some figures that name what they are of, in the place of those of their thresholds.
        before: how each figure was judged last (:meth:`Threshold.judge`).
    """
    held = tuple(replace(one, says=says.get(one.figure, one.says)) for one in thresholds)
    states: list[Health] = [*faults.values()]
    reasons: list[str] = []
    for threshold in held:
        value = figures.get(threshold.figure)
        if value is None:
            continue
        state = threshold.judge(value, before.get(threshold.figure, Health.HEALTHY))
        if state is not Health.HEALTHY:
            states.append(state)
            reasons.append(threshold.reason(value, state))
    return SystemHealth(system, worst(states), (*faults, *reasons), dict(figures), held, dict(faults))
