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


def cover(whole: Stretch, widest: Level = Level.DAY) -> list[Stretch]:
    """Cover a range with as few stretches as possible: wider ones in the middle, its own at both ends."""
    level, begin, end = whole.level, whole.since, whole.until
    wider = next((one for one in Level if level < one <= widest), None)
    if wider is None:
        return [whole]
    inner, outer = begin + -begin % wider.micros, end - end % wider.micros
    if inner >= outer:
        return [whole]
    parts = [Stretch(level, begin, inner), *cover(Stretch(wider, inner, outer), widest), Stretch(level, outer, end)]
    return [part for part in parts if part.since < part.until]


@dataclass(frozen=True, slots=True)
class Steps:
    """A range of time as a chart shows it: in steps, of which the first and the last may be parts."""

    #: Length of a step.
    level: Level
    #: The range, widened to whole stretches of the finest level that is kept there: what is counted, and no more.
    whole: Stretch
    #: Whether it goes on to now: nothing was counted yet beyond, so the wide stretches under way are within it.
    open: bool = False

    @classmethod
    def of(cls, level: Level, since: int, until: int) -> Steps:
        """Widen a range to whole steps."""
        return cls(level, _widened(level, since, until))

    @property
    def since(self) -> int:
        """Begin of the range, microseconds since the epoch."""
        return self.whole.since

    @property
    def until(self) -> int:
        """End of the range, not included."""
        return self.whole.until

    def counted_until(self, until: int, now: int) -> int:
        """Return the end of what is counted: for a range that is over, that of its last stretch."""
        return until if until > now else min(self.until, now)

    def begin_of(self, at: int) -> int:
        """Return the begin of the step that a moment is in."""
        return at - at % self.level.micros

    def stretches(self) -> list[Stretch]:
        """Cover the range by stretches of which each belongs to one step."""
        return cover(self._until(self.level), self.level)

    def widest(self) -> list[Stretch]:
        """Cover the range by as few stretches as possible, whatever the steps."""
        return cover(self._until(Level.DAY))

    def _until(self, level: Level) -> Stretch:
        """Let the range end with a stretch of a level where that is under way: one row, where its parts have many."""
        end = self.until + -self.until % level.micros if self.open else self.until
        return Stretch(self.whole.level, self.since, end)


def _widened(level: Level, since: int, until: int) -> Stretch:
    return Stretch(level, since - since % level.micros, until + -until % level.micros)


#: How long the rows of each level are kept, microseconds: two days and two months, and as much as lets the day before
#: the last 24 hours and the month before the last 30 days begin there.
KEPT = {Level.MINUTE: 50 * HOUR, Level.HOUR: 61 * DAY, Level.DAY: 1_100 * DAY}

#: Longest range that steps of each level cut, microseconds: some 400 points at most. Six hours may begin with a whole
#: ten minutes, sixteen days with a whole day.
_SPAN = {Level.MINUTE: 6 * HOUR + 10 * MINUTE, Level.HOUR: 17 * DAY}


def steps_for(since: int, until: int, now: int, beside: int | None = None) -> Steps:
    """Cut a range into steps of the finest level that makes some hundred points of it and still has its rows.

    What is counted begins and ends with the finest stretches that are kept as far back, not with a whole step: of the
    last 24 hours a minute more at most, not an hour.

    Args:
        since: begin, microseconds since the epoch.
        until: end.
        now: the time.
        beside: begin of a range as long that is drawn in the same chart; the steps are of a level that has both.
    """
    oldest = since if beside is None else min(since, beside)
    # A range begins with a whole stretch, which may be one earlier.
    kept = [level for level in Level if oldest - level.micros > now - KEPT[level]] or [Level.DAY]
    level = next((one for one in kept if until - since <= _SPAN.get(one, until)), Level.DAY)
    whole = _widened(kept[0], since, until)
    return Steps(level, whole, open=whole.until >= now)


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
