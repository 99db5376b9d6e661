"""Stretches of time and the levels that cover them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR
from custodes.planes.traffic.rollup import LEVELS, Level

#: How long each level is kept, microseconds: the finer, the shorter.
KEPT: dict[Level, int] = {
    Level.TEN_SECONDS: 24 * HOUR,
    Level.MINUTE: 48 * HOUR,
    Level.TEN_MINUTES: 4 * DAY,
    Level.HOUR: 35 * DAY,
    Level.SIX_HOURS: 100 * DAY,
    Level.DAY: 400 * DAY,
    Level.WEEK: 400 * DAY,
}

#: Most points of one time series: more than a wide screen has pixels.
MAX_POINTS = 1_500

#: Points aimed at when the caller names no step: 180, and those by which a range grows that begins at a whole minute.
USUAL_POINTS = 190

#: Steps that a chart may have, seconds: whole numbers of buckets of some level, that divide the next day or are a week.
STEPS = (10, 30, 60, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 7 * 86_400)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time that one level covers: its rows, and those of finer levels that are not folded yet."""

    #: Coarsest level to read.
    level: Level
    #: Begin, microseconds; a bucket of the level begins there.
    since: int
    #: End, microseconds, not included; a bucket of the level ends there.
    until: int


@dataclass(frozen=True, slots=True)
class Steps:
    """A stretch of time cut into equal steps, widened to whole ones."""

    #: Begin of the first step, microseconds.
    since: int
    #: End of the last step, microseconds, not included.
    until: int
    #: Width of a step, microseconds.
    step: int

    @property
    def level(self) -> Level:
        """Coarsest level of which a step is a whole number of buckets."""
        return max(level for level in LEVELS if self.step % level.micros == 0)


def steps(since: int, until: int, now: int, step_seconds: int | None = None, beside: int | None = None) -> Steps:
    """Cut a stretch of time into steps.

    The step asked for grows when it would make too many points, or when the level that it needs is not kept as far
    back as ``since``.

    Args:
        since: begin, microseconds since the epoch.
        until: end, not included.
        now: the time.
        step_seconds: width to begin with, one of :data:`STEPS`; what makes a readable chart when None.
        beside: begin of a stretch as long that is drawn in the same chart; the step is one that both can have.

    Raises:
        InvalidInput: ``since`` is not before ``until``, or the step is none of :data:`STEPS`.
    """
    if since >= until:
        msg = "since is not before until"
        raise InvalidInput(msg, remedy="Swap them, or leave one out")
    if step_seconds is not None and step_seconds not in STEPS:
        msg = f"The step is {step_seconds} s"
        raise InvalidInput(msg, remedy=f"Use one of {', '.join(map(str, STEPS))} seconds, or leave it out")
    cut = _fitting(since, until, now, step_seconds)
    if beside is None:
        return cut
    other = _fitting(beside, beside + until - since, now, step_seconds)
    return cut if other.step <= cut.step else _cut(cut.since, cut.until, other.step)


def _fitting(since: int, until: int, now: int, step_seconds: int | None) -> Steps:
    # Nothing is recorded later than that: a stretch far in the future is answered like an empty one of tomorrow.
    until = min(until, now + DAY)
    since = min(since, until - 1)
    points = USUAL_POINTS if step_seconds is None else MAX_POINTS
    for seconds in STEPS:
        if seconds < (step_seconds or 0):
            continue
        cut = _cut(since, until, seconds * Level.TEN_SECONDS.micros // 10)
        if (cut.until - cut.since) // cut.step <= points and now - cut.since <= KEPT[cut.level]:
            return cut
    return _cut(max(since, until - MAX_POINTS * DAY), until, DAY)


def _cut(since: int, until: int, step: int) -> Steps:
    return Steps(since - since % step, until + -until % step, step)


def cover(since: int, until: int, finest: Level, coarsest: Level = LEVELS[-1]) -> list[Stretch]:
    """Cover a stretch exactly with as few buckets as possible: coarse ones in the middle, finer ones at both ends.

    Args:
        since: begin; a bucket of ``finest`` begins there.
        until: end; a bucket of ``finest`` ends there.
        finest: finest level to use.
        coarsest: coarsest level to use.
    """
    stretches: list[Stretch] = []
    begin, end = since, until
    tail: list[Stretch] = []
    usable = [level for level in LEVELS if finest <= level <= coarsest]
    for level, coarser in pairwise(usable):
        inner_begin = begin + -begin % coarser.micros
        inner_end = end - end % coarser.micros
        if inner_begin >= inner_end:
            break
        if begin < inner_begin:
            stretches.append(Stretch(level, begin, inner_begin))
        if inner_end < end:
            tail.append(Stretch(level, inner_end, end))
        begin, end = inner_begin, inner_end
    return [*stretches, *_middle(usable, begin, end), *reversed(tail)]


def _middle(usable: list[Level], begin: int, end: int) -> list[Stretch]:
    level = max(level for level in usable if begin % level.micros == 0 and end % level.micros == 0)
    return [Stretch(level, begin, end)] if begin < end else []


def first_moment(buckets: Mapping[Level, int]) -> int | None:
    """Tell when the first call was, by the first bucket of each level: as finely as it is still kept; microseconds."""
    first: int | None = None
    end = 0
    for level in reversed(LEVELS):
        begin = buckets.get(level)
        # What is finer and begins later has lost what was before.
        if begin is not None and (first is None or begin < end):
            first, end = begin, begin + level.micros
    return first
