"""Figures of webhooks: counts and processing times, folded as they happen.

Each process keeps the figures of the minute, the hour and the day that are under way, and writes its own rows of each
anew at every flush. Rows of several processes are added up when they are read; times are histograms, so percentiles are
merged and never averaged. What a killed process had not flushed yet is missing at all three levels alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from custodes.kernel.clock import MINUTE, SECOND
from custodes.kernel.histogram import Histogram
from custodes.kernel.stretches import PUT_RIGHT, Era, Level, TypeNames

#: Length of the stretches that refused deliveries are counted in.
REFUSAL_BUCKET = 10 * SECOND

#: Pairs of source and reason that are counted in one stretch; both are ours, so no stranger can reach it.
MAX_REFUSAL_KEYS = 500


class Series(NamedTuple):
    """Whose figures, and of which stretch of time."""

    #: Whose webhooks.
    tenant: str
    #: Length of the stretch.
    level: Level
    #: Begin of the stretch, microseconds since the epoch.
    bucket: int
    #: Name of the source.
    source: str
    #: Type of the events, or :data:`custodes.kernel.stretches.OTHER`; None: all types of the source together.
    event_type: str | None


class RefusalCount(NamedTuple):
    """How many deliveries of a source were refused for a reason."""

    #: Whose source.
    tenant: str
    #: Begin of the stretch, microseconds since the epoch.
    bucket: int
    #: Name of the source.
    source: str
    #: The verifier's stable reason.
    reason: str
    #: How many.
    refused: int


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failed attempts that are alike."""

    #: Name of the source.
    source: str
    #: Name of the handler.
    handler: str
    #: Class of the error.
    error_type: str
    #: How many attempts.
    count: int
    #: When it was last seen, microseconds since the epoch.
    last_at: int
    #: One of the messages: the last in the order of their text.
    example: str


@dataclass(slots=True)
class Figures:
    """Counts and times; added up while they are current, so mutable."""

    #: Events accepted for the first time.
    received: int = 0
    #: Repeats of events that were accepted before.
    duplicates: int = 0
    #: Events that all handlers are done with, those that no handler wants among them.
    succeeded: int = 0
    #: Events that no handler wants: nothing was attempted.
    unhandled: int = 0
    #: Attempts that failed and will be tried again.
    retried: int = 0
    #: Events given up.
    dead: int = 0
    #: Processing times, microseconds.
    processing: Histogram = field(default_factory=Histogram)

    @property
    def attempts(self) -> int:
        """Attempts to handle an event that came to an end."""
        return self.succeeded - self.unhandled + self.retried + self.dead

    def merge(self, other: Figures) -> None:
        """Add others."""
        self.received += other.received
        self.duplicates += other.duplicates
        self.succeeded += other.succeeded
        self.unhandled += other.unhandled
        self.retried += other.retried
        self.dead += other.dead
        self.processing.merge(other.processing)


@dataclass(frozen=True, slots=True)
class Sums:
    """Figures of a range of time, all added up in three ways."""

    #: By begin of the stretch, microseconds since the epoch.
    by_bucket: dict[int, Figures]
    #: By source and type.
    by_type: dict[tuple[str, str], Figures]
    #: By begin of the stretch and source; counts only, no times.
    by_source: dict[tuple[int, str], Figures]


class Overview(NamedTuple):
    """All that a range of time is told by."""

    #: What was accepted, and what became of it.
    sums: Sums
    #: What was refused.
    refused: Sequence[RefusalCount]
    #: Failed attempts.
    errors: Sequence[ErrorGroup]


class Tally:
    """The figures of one process, current and not yet written."""

    def __init__(self) -> None:
        self._fresh: dict[tuple[str, str, str], Figures] = {}
        self._running: dict[Series, Figures] = {}
        self._changed: dict[Series, Figures] = {}
        self._era = 0
        self._ended: list[Era[tuple[Series, Figures]]] = []
        self._types: defaultdict[str, TypeNames] = defaultdict(TypeNames)
        self._latest = 0
        self._until = 0

    def received(self, tenant: str, source: str, event_type: str, now: int) -> None:
        """Count an accepted event."""
        self._figures(tenant, source, event_type, now).received += 1

    def duplicate(self, tenant: str, source: str, event_type: str, now: int) -> None:
        """Count a repeat."""
        self._figures(tenant, source, event_type, now).duplicates += 1

    def succeeded(
        self, tenant: str, source: str, event_type: str, now: int, processing_us: int | None, *, unhandled: bool = False
    ) -> None:
        """Count an event that is done; ``processing_us`` is None when there was no handler, or nobody said."""
        figures = self._figures(tenant, source, event_type, now)
        figures.succeeded += 1
        figures.unhandled += unhandled
        if processing_us is not None:
            figures.processing.record(processing_us)

    def failed(
        self, tenant: str, source: str, event_type: str, now: int, processing_us: int | None, *, dead: bool
    ) -> None:
        """Count a failed attempt, or an event given up."""
        figures = self._figures(tenant, source, event_type, now)
        if dead:
            figures.dead += 1
        else:
            figures.retried += 1
        if processing_us is not None:
            figures.processing.record(processing_us)

    def changed(self) -> list[Era[tuple[Series, Figures]]]:
        """Take what changed since the last time, to be written."""
        self._fold()
        self._end_era()
        ended, self._ended = self._ended, []
        return ended

    def unwritten(self, eras: list[Era[tuple[Series, Figures]]]) -> None:
        """Take back what could not be written."""
        for era in eras:
            if era.number == self._era:
                self._changed = {**dict(era.rows), **self._changed}
            else:
                self._ended.append(era)

    def _end_era(self) -> None:
        changed, self._changed = self._changed, {}
        if changed:
            self._ended.append(Era(self._era, list(changed.items())))

    def _figures(self, tenant: str, source: str, event_type: str, now: int) -> Figures:
        if now >= self._until or now < self._latest - PUT_RIGHT:
            self._begin_minute(now)
        key = (tenant, source, event_type)
        figures = self._fresh.get(key)
        if figures is None:
            key = (tenant, source, self._types[source].name(event_type))
            figures = self._fresh.setdefault(key, Figures())
        return figures

    def _begin_minute(self, now: int) -> None:
        self._fold()
        if now < self._latest:  # what was left behind and written is not begun again: it is another row
            self._end_era()
            self._era += 1
            self._running = {}
        self._latest = now
        self._until = now - now % MINUTE + MINUTE
        self._running = {
            series: figures for series, figures in self._running.items() if series.bucket + series.level.micros > now
        }

    def _fold(self) -> None:
        """Add what is fresh to the stretches that are under way."""
        fresh, self._fresh = self._fresh, {}
        for (tenant, source, event_type), figures in fresh.items():
            for level, kind in product(Level, (event_type, None)):
                series = Series(tenant, level, self._latest - self._latest % level.micros, source, kind)
                running = self._running.setdefault(series, Figures())
                running.merge(figures)
                self._changed[series] = running


class RefusalTally:
    """Refused deliveries of one process, counted and not yet written."""

    def __init__(self) -> None:
        self._current: dict[tuple[str, int, str, str], int] = {}
        self._changed: set[tuple[str, int, str, str]] = set()
        self._era = 0
        self._ended: list[Era[RefusalCount]] = []
        self._latest = 0
        #: Refusals that found no room in their stretch.
        self.uncounted = 0

    def refused(self, tenant: str, source: str, reason: str, now: int) -> int:
        """Count one; returns how many of this source and reason were refused in this stretch, with this one."""
        if now < self._latest - PUT_RIGHT:
            self._end_era()
            self._era += 1
            self._current, self._latest = {}, 0
        self._latest = max(self._latest, now - now % REFUSAL_BUCKET)
        key = (tenant, self._latest, source, reason)
        if key not in self._current and len(self._current) >= MAX_REFUSAL_KEYS:
            self.uncounted += 1
            return MAX_REFUSAL_KEYS
        self._current[key] = self._current.get(key, 0) + 1
        self._changed.add(key)
        return self._current[key]

    def changed(self) -> list[Era[RefusalCount]]:
        """Take the counts that changed since the last time, and forget stretches that are over."""
        self._end_era()
        self._current = {key: count for key, count in self._current.items() if key[1] == self._latest}
        ended, self._ended = self._ended, []
        return ended

    def unwritten(self, eras: list[Era[RefusalCount]]) -> None:
        """Take back what could not be written."""
        for era in eras:
            if era.number != self._era:
                self._ended.append(era)
                continue
            for row in era.rows:
                key = row[:4]
                self._current.setdefault(key, row.refused)
                self._changed.add(key)

    def _end_era(self) -> None:
        changed, self._changed = self._changed, set()
        if changed:
            self._ended.append(Era(self._era, [RefusalCount(*key, self._current[key]) for key in changed]))


@dataclass(frozen=True, slots=True)
class Only:
    """Which webhooks are analysed; empty means all."""

    #: Names of sources.
    sources: frozenset[str] = frozenset()
    #: Types; one that ends in ``*`` stands for all that begin so.
    types: frozenset[str] = frozenset()

    @classmethod
    def of(cls, source: str | Iterable[str] | None, event_type: str | Iterable[str] | None) -> Only:
        """Read one value, several or none."""
        return cls(_set(source), _set(event_type))

    def has(self, source: str, event_type: str) -> bool:
        """Tell whether webhooks of a source and type are meant."""
        return (not self.sources or source in self.sources) and (
            not self.types or any(_matches(pattern, event_type) for pattern in self.types)
        )


#: All webhooks.
ALL = Only()


def _set(value: str | Iterable[str] | None) -> frozenset[str]:
    if value is None:
        return frozenset()
    return frozenset((value,) if isinstance(value, str) else value)


def _matches(pattern: str, event_type: str) -> bool:
    return event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern
