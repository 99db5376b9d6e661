"""A request whose limits are in different parts of a cluster, which no single call can decide.

Each part is charged by its own call, at once. When one refuses, the others' charges are given back with the next call:
nothing stays charged for a refused request, and until then it only takes room, so that another may be refused that
need not have been. More than a limit is never admitted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from custodes.kernel.window import Ask, Outcome, held
from custodes.kernel.window.cells import Contested, Key, View
from custodes.storage.redis.batch import Question
from custodes.storage.redis.cells import RedisCells

GiveBack = Callable[[RedisCells, Key, int, int], None]


class Split:
    """Puts the answers of the parts together.

    Args:
        asks: all limits of the request.
        answer: who waits for all of them.
        give_back: takes back a charge.
    """

    def __init__(self, asks: Sequence[Ask], answer: asyncio.Future[Outcome], give_back: GiveBack) -> None:
        self._asks = asks
        self._answer = answer
        self._give_back = give_back
        self._parts: list[tuple[list[int], asyncio.Future[Outcome]]] = []
        self._missing = 0

    def question(self, numbers: list[int]) -> Question:
        """Make the question about the limits of one part."""
        answer: asyncio.Future[Outcome] = self._answer.get_loop().create_future()
        answer.add_done_callback(self._answered)
        self._parts.append((numbers, answer))
        self._missing += 1
        return Question([self._asks[number] for number in numbers], answer)

    def _answered(self, _part: asyncio.Future[Outcome]) -> None:
        self._missing -= 1
        if self._missing:
            return
        failed = next((error for _, part in self._parts if (error := part.exception()) is not None), None)
        outcomes = [(numbers, part.result()) for numbers, part in self._parts if part.exception() is None]
        if failed is not None or any(outcome.refused for _, outcome in outcomes):
            for numbers, outcome in outcomes:
                self._undo(numbers, outcome)
        if self._answer.done():  # whoever asked has gone
            if failed is None:
                self._give_back_slots(outcomes)
            return
        if failed is not None:
            self._answer.set_exception(failed)
        else:
            self._answer.set_result(self._together(outcomes))

    def _give_back_slots(self, outcomes: Sequence[tuple[list[int], Outcome]]) -> None:
        if any(outcome.refused for _, outcome in outcomes):
            return  # all has been given back
        for numbers, outcome in outcomes:
            for (cells, key, cost), taken_at in held([self._asks[number] for number in numbers], outcome, 0):
                self._give_back(cells, key, taken_at, cost)

    def _undo(self, numbers: list[int], outcome: Outcome) -> None:
        if outcome.refused:
            return  # this part charged nothing
        spared = {number for number, _ in outcome.would_refuse}
        for place, number in enumerate(numbers):
            if place not in spared:
                cells, key, cost = self._asks[number]
                cells.tally[key] -= cost
                self._give_back(cells, key, outcome.charged_at(place, 0), cost)

    def _together(self, outcomes: list[tuple[list[int], Outcome]]) -> Outcome:
        views: list[View] = [(0, 0)] * len(self._asks)
        moments = [0] * len(self._asks)
        refused: list[tuple[int, int]] = []
        would_refuse: list[tuple[int, int]] = []
        for numbers, outcome in outcomes:
            for place, number in enumerate(numbers):
                views[number] = outcome.views[place]
                moments[number] = outcome.charged_at(place, 0)
            refused += [(numbers[place], wait) for place, wait in outcome.refused]
            would_refuse += [(numbers[place], wait) for place, wait in outcome.would_refuse]
        return Joined(views, sorted(refused), () if refused else sorted(would_refuse), moments)


class Joined(Contested):
    """The answers of several parts, each with its own clock."""

    __slots__ = ("_moments",)

    def __init__(
        self,
        views: list[View],
        refused: Sequence[tuple[int, int]],
        would_refuse: Sequence[tuple[int, int]],
        moments: Sequence[int],
    ) -> None:
        super().__init__(views, refused, would_refuse)
        self._moments = moments

    def charged_at(self, number: int, asked_at: int) -> int:
        """Tell when the part of that limit was decided."""
        return self._moments[number]
