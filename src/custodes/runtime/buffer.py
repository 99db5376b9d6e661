"""A bounded buffer that knows what may be shed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Buffer(Generic[T]):
    """Items that wait for the next flush, at most ``capacity`` of them.

    The last part of it, ``reserve``, is kept for precious items (errors, slow calls): under pressure the ordinary ones
    are refused first. What is refused is the newest, so that offering costs the same full or empty; it is counted in
    :attr:`shed`. Not locked: the caller has one thread or a lock.

    Args:
        capacity: items kept.
        reserve: how many of them only precious items may take.
        pressure_at: number of items at which :attr:`on_pressure` is called; 0 for never.
    """

    __slots__ = ("_items", "_ordinary", "_pressure_at", "capacity", "on_pressure", "shed")

    def __init__(self, capacity: int, *, reserve: int = 0, pressure_at: int = 0) -> None:
        self._items: list[T] = []
        self._ordinary = capacity - reserve
        self._pressure_at = pressure_at
        #: Called in the thread that offers, once each time the buffer fills up to a mark: a flush should come early.
        self.on_pressure: Callable[[], object] | None = None
        #: Most items kept.
        self.capacity = capacity
        #: Items refused since the start.
        self.shed = 0

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, item: T, *, precious: bool = False) -> bool:
        """Keep an item when there is room for its kind; False when it was shed."""
        if len(self._items) < (self.capacity if precious else self._ordinary):
            self._items.append(item)
            if len(self._items) == self._pressure_at and self.on_pressure is not None:
                self.on_pressure()
            return True
        self.shed += 1
        return False

    def offer_all(self, items: Sequence[T]) -> bool:
        """Keep ordinary items when there is room for all of them; False when none was kept."""
        before = len(self._items)
        after = before + len(items)
        if after > self._ordinary:
            return False
        self._items.extend(items)
        if before < self._pressure_at <= after and self.on_pressure is not None:
            self.on_pressure()
        return True

    def take(self) -> list[T]:
        """Hand over everything and begin anew."""
        items, self._items = self._items, []
        return items
