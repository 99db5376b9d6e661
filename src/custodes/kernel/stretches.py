"""Stretches of time that webhooks and deliveries are counted in: minutes, hours and days, each kept for its own time.

The range that is asked for decides which of them answer, so that a chart has some hundred points whatever it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND

R = TypeVar("R")


class Level(IntEnum):
    """Length of a stretch of time, seconds."""

    MINUTE = 60
    HOUR = 3_600
    DAY = 86_400

    @property
    def micros(self) -> int:
        """Length, microseconds."""
        return self.value * SECOND


@dataclass(frozen=True, slots=True)
class Stretch:
    """A range of time in stretches of one level, from the begin of one to the end of one."""

    #: Length of the stretches.
    level: Level
    #: Begin, microseconds since the epoch.
    since: int
    #: End, not included.
    until: int


def cover(whole: Stretch) -> list[Stretch]:
    """Cover a range with as few stretches as possible: wider ones in the middle, its own at both ends."""
    level, begin, end = whole.level, whole.since, whole.until
    wider = next((one for one in Level if one > level), None)
    if wider is None:
        return [whole]
    inner, outer = begin + -begin % wider.micros, end - end % wider.micros
    if inner >= outer:
        return [whole]
    parts = [Stretch(level, begin, inner), *cover(Stretch(wider, inner, outer)), Stretch(level, outer, end)]
    return [part for part in parts if part.since < part.until]


#: How long the rows of each level are kept, microseconds.
KEPT = {Level.MINUTE: 2 * DAY, Level.HOUR: 60 * DAY, Level.DAY: 1_100 * DAY}

#: Longest range that each level answers, microseconds: some 400 points at most.
_SPAN = {Level.MINUTE: 6 * HOUR, Level.HOUR: 16 * DAY}


def level_for(since: int, until: int, now: int, beside: int | None = None) -> Level:
    """Choose the finest level that answers a range with some hundred points and still has its rows.

    Args:
        since: begin, microseconds since the epoch.
        until: end.
        now: the time.
        beside: begin of a range as long that is drawn in the same chart; the level then has the rows of both.
    """
    oldest = since if beside is None else min(since, beside)
    fit = (level for level, longest in _SPAN.items() if until - since <= longest and oldest > now - KEPT[level])
    return next(fit, Level.DAY)


#: A clock that goes back by more was put right, microseconds: what is counted from then on stands at the right time,
#: and not where the clock had been. By less it was a little off, and what is counted belongs to the stretch under way.
PUT_RIGHT = 2 * MINUTE


class Era(NamedTuple, Generic[R]):
    """Rows of the time between two moments at which a clock was put right.

    A process writes its row of a stretch anew, with all that it counted in it. Of a stretch that it comes to a second
    time it has forgotten the first: that has another row.
    """

    #: How often the clock had been put right.
    number: int
    #: The rows.
    rows: list[R]

    def writer(self, process: str) -> str:
        """Return who writes these rows of a process."""
        return f"{process}-{self.number}" if self.number else process


#: Types that one process counts by name for one source; further ones share the series :data:`OTHER`, so that whoever
#: sends cannot make rows without end.
MAX_TYPES = 300

#: Series of the types beyond :data:`MAX_TYPES`.
OTHER = "(other)"


class TypeNames:
    """The types that are counted by name: the first :data:`MAX_TYPES` that come."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def name(self, event_type: str) -> str:
        """Return the name that a type is counted under."""
        if event_type in self._known:
            return event_type
        if len(self._known) >= MAX_TYPES:
            return OTHER
        self._known.add(event_type)
        return event_type
