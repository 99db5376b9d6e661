"""Limits that are asked together so often that a call names them once, however many requests of it ask them."""

from __future__ import annotations

from custodes.kernel.window.cells import Key
from custodes.storage.redis.cells import RedisCells

#: Subjects that are remembered of one kind; forgotten all at once when there are more: a question more each.
_MAX_GROWN = 50_000


class Kind:
    """Limits, in their order, that are asked for one unit each of a subject whom all of them know by one name.

    Kinds are found limit by limit, from the one of none; there are as many as combinations of limits that requests have
    in common.

    Args:
        limits: those limits.
    """

    __slots__ = ("_long", "common", "further", "grown", "limits", "named", "names", "size")

    def __init__(self, limits: tuple[RedisCells, ...] = ()) -> None:
        self.limits = limits
        self.size = len(limits)
        #: Kinds with one limit more, by that.
        self.further: dict[RedisCells, Kind] = {}
        names = {id(cells.subjects) for cells in limits}
        #: Whether limits are asked so: not where a view is worked out here.
        self.common = len(names) == 1 and not any(cells.exact_charge for cells in limits)
        self._long = any(cells.long for cells in limits)
        #: Subjects of whom a state has needed a key of its own: those keys are named for them.
        self.grown: set[Key] = set()
        if limits:
            #: See :class:`~custodes.storage.redis.subjects.Subjects`.
            self.names: dict[Key, tuple[bytes, int]] = limits[0].subjects.names
            self.named = limits[0].subjects.named

    def also(self, cells: RedisCells) -> Kind:
        """Return the kind that has a limit more."""
        found = self.further.get(cells)
        if found is None:
            found = self.further[cells] = Kind((*self.limits, cells))
        return found

    def note_grown(self, key: Key) -> None:
        """Remember that a subject's states may need keys of their own."""
        if not self._long:
            return
        if len(self.grown) >= _MAX_GROWN:
            self.grown.clear()
        self.grown.add(key)
