"""Who has nearly used up a limit, remembered where states are kept elsewhere."""

from __future__ import annotations

from typing import Generic, TypeVar

from custodes.kernel.window.cells import Key
from custodes.kernel.window.gcra import Gcra
from custodes.kernel.window.meter import Meter

#: Subjects that are remembered under one limit; the one noted longest ago goes first.
MAX_NEAR = 1_000

Noted = TypeVar("Noted")


def capacity(meter: Meter) -> int:
    """Tell how many units a subject has left that has used none: of a bucket the burst, whatever comes in a window."""
    return meter.burst if isinstance(meter, Gcra) else meter.limit


def left_when_near(meter: Meter) -> int:
    """Tell how many units are left at most of a limit of which 80 % are used."""
    return capacity(meter) // 5


class Near(Generic[Noted]):
    """Subjects that were near a limit when they were last decided on, and what was noted of them then."""

    __slots__ = ("_noted",)

    def __init__(self) -> None:
        self._noted: dict[Key, Noted] = {}

    def note(self, key: Key, what: Noted) -> None:
        """Remember a subject, as the latest."""
        if self._noted.pop(key, None) is None and len(self._noted) >= MAX_NEAR:
            del self._noted[next(iter(self._noted))]
        self._noted[key] = what

    def forget(self, key: Key) -> None:
        """Forget a subject that is not near the limit any more."""
        self._noted.pop(key, None)

    def all(self) -> list[tuple[Key, Noted]]:
        """List them."""
        return list(self._noted.items())
