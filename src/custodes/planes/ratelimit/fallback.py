"""What becomes of a request whose limits the engine cannot decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from custodes.kernel.window import Ask, Cells, Outcome, OwnCells, decide
from custodes.kernel.window.cells import Key
from custodes.planes.ratelimit.language import meter_of
from custodes.planes.ratelimit.model import FailureMode, Limit, Options
from custodes.planes.ratelimit.plans import Gate
from custodes.planes.ratelimit.ports import Windows


class Fallback:
    """Holds requests against this instance's part of their limits, in its own memory.

    A part is the limit divided by the instances that lived when the engine was last seen to answer, at least 1: all
    instances together admit no more than the limit, or one each where there are more instances than that. What the
    engine had counted before is not known here, so that in the window in which it is lost up to twice the limit may
    pass, and once more when it comes back.

    Args:
        windows: the engine, which knows how many instances there are.
        options: what the install has chosen for rules that choose nothing.
    """

    def __init__(self, windows: Windows, options: Options) -> None:
        self._windows = windows
        self._default = options.failure_mode
        self._parts: dict[str, tuple[int, OwnCells]] = {}
        #: Requests let through without a decision, refused for want of one, and decided here.
        self.opened = 0
        self.closed = 0
        self.degraded = 0

    def decide(
        self, owners: Sequence[Gate], asks: Sequence[Ask], now: int
    ) -> tuple[FailureMode, list[int], list[Ask], Outcome]:
        """Decide on a request.

        Args:
            owners: the rule behind each ask.
            asks: the limits of the request.
            now: microseconds.

        Returns:
            The mode that counted. When that is ``degraded``, also the numbers of the asks that were decided here, what
            was asked in their place, and the outcome of that.
        """
        held: list[int] = []
        for number, gate in enumerate(owners):
            if gate.rule.shadow:
                continue  # refuses nobody when all is well, and so not now
            mode = gate.rule.on_failure or self._default
            if mode is FailureMode.CLOSED:
                self.closed += 1
                return mode, [], [], Outcome([])
            if mode is FailureMode.DEGRADED:
                held.append(number)
        if not held:
            self.opened += 1
            return FailureMode.OPEN, [], [], Outcome([])
        self.degraded += 1
        own: list[Ask] = [(self._part_of(owners[number], asks[number][0]), *asks[number][1:]) for number in held]
        outcome = decide(own, now)
        if not outcome.refused:
            for number in held:
                cells, key, cost = asks[number]
                cells.tally[key] += cost
        return FailureMode.DEGRADED, held, own, outcome

    def release(self, cells: OwnCells, key: Key, taken_at: int, cost: int) -> None:
        """Give back slots that were taken here."""
        cells.release(key, taken_at, cost)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the limits of other names."""
        wanted = set(names)
        self._parts = {name: part for name, part in self._parts.items() if name in wanted}

    def _part_of(self, gate: Gate, cells: Cells) -> OwnCells:
        place = gate.cells.index(cells)
        instances = self._windows.instances
        found = self._parts.get(gate.names[place])
        if found is None or found[0] != instances:
            part = OwnCells(meter_of(_divided(gate.rule.limits[place], instances)))
            found = self._parts[gate.names[place]] = (instances, part)
        return found[1]


def _divided(limit: Limit, instances: int) -> Limit:
    burst = max(1, limit.burst // instances) if limit.burst else 0
    return replace(limit, amount=max(1, limit.amount // instances), burst=burst)
