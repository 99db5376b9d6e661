"""Outcomes of engines that go by a clock of their own."""

from __future__ import annotations

from collections.abc import Sequence

from custodes.kernel.window import Outcome
from custodes.kernel.window.cells import Contested, View


class Decided(Outcome):
    """All admit."""

    __slots__ = ("at",)

    def __init__(self, views: list[View], at: int) -> None:
        self.views = views
        #: When, by the server's clock.
        self.at = at

    def charged_at(self, number: int, asked_at: int) -> int:
        """Tell when it was decided."""
        return self.at


class Objected(Contested):
    """Some limit refused, or would have."""

    __slots__ = ("at",)

    def __init__(
        self, views: list[View], refused: Sequence[tuple[int, int]], would_refuse: Sequence[tuple[int, int]], at: int
    ) -> None:
        # Written here, not by those that this extends: a flood of refused requests makes one of each.
        self.views = views
        self.refused = refused
        self.would_refuse = would_refuse
        #: When, by the server's clock.
        self.at = at

    def charged_at(self, number: int, asked_at: int) -> int:
        """Tell when it was decided."""
        return self.at
