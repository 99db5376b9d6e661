"""A bounded buffer that knows what may be shed."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Buffer(Generic[T]):
    """Items that wait for the next flush, at most ``capacity`` of them.

    The last part of it, ``reserve``, is kept for precious items (errors, slow calls): under pressure the ordinary ones
    are refused first. What is refused is the newest, so that offering costs the same full or empty; it is counted in
    :attr:`shed`. Not locked: the caller has one thread or a lock.
    """

    __slots__ = ("_items", "_ordinary", "capacity", "shed")

    def __init__(self, capacity: int, *, reserve: int = 0) -> None:
        self._items: list[T] = []
        self._ordinary = capacity - reserve
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
            return True
        self.shed += 1
        return False

    def take(self) -> list[T]:
        """Hand over everything and begin anew."""
        items, self._items = self._items, []
        return items
