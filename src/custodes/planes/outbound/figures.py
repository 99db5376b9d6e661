"""Figures of deliveries: attempts by what came of them, and how long they took, folded as they happen.

Each process keeps the stretches of time that are under way and writes its own rows of each anew at every flush. Rows of
several processes are added up when they are read; times are histograms, so percentiles are merged and never averaged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from custodes.kernel.clock import MINUTE
from custodes.kernel.histogram import Histogram
from custodes.kernel.stretches import PUT_RIGHT, Era, Level, TypeNames
from custodes.planes.outbound.model import Attempt


class Series(NamedTuple):
    """Whose figures, and of which stretch of time."""

    #: Whose endpoint.
    tenant: str
    #: Length of the stretch.
    level: Level
    #: Begin of the stretch, microseconds since the epoch.
    bucket: int
    #: To which endpoint.
    endpoint_id: str
    #: Type of the events, or :data:`custodes.kernel.stretches.OTHER`.
    event_type: str


@dataclass(slots=True)
class Figures:
    """Attempts by what came of them; added up while they are current, so mutable."""

    #: Answered with 2xx.
    succeeded: int = 0
    #: Answered with 1xx or 3xx, which are no success.
    redirects: int = 0
    #: Answered with 4xx.
    client_errors: int = 0
    #: Answered with 5xx.
    server_errors: int = 0
    #: Not answered: no name, no connection, no time left, not allowed.
    unanswered: int = 0
    #: Of all of them, those that were the last of their delivery and failed.
    exhausted: int = 0
    #: How long they took altogether, microseconds.
    took: Histogram = field(default_factory=Histogram)

    @property
    def attempts(self) -> int:
        """Attempts in all."""
        return self.succeeded + self.redirects + self.client_errors + self.server_errors + self.unanswered

    def count(self, attempt: Attempt, *, exhausted: bool) -> None:
        """Count an attempt."""
        status = attempt.status
        if attempt.succeeded:
            self.succeeded += 1
        elif status is None:
            self.unanswered += 1
        elif status < 400:
            self.redirects += 1
        elif status < 500:
            self.client_errors += 1
        else:
            self.server_errors += 1
        self.exhausted += exhausted
        self.took.record(attempt.timing.total)

    def copy(self) -> Figures:
        """Make an independent copy."""
        return replace(self, took=self.took.copy())

    def add(self, other: Figures) -> None:
        """Add the counts of others; of times, only those that are there."""
        self.succeeded += other.succeeded
        self.redirects += other.redirects
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors
        self.unanswered += other.unanswered
        self.exhausted += other.exhausted
        self.took.merge(other.took)


@dataclass(frozen=True, slots=True)
class Only:
    """Which deliveries are analysed; what is None does not matter."""

    #: Whose.
    tenant: str | None = None
    #: To which endpoint.
    endpoint_id: str | None = None
    #: Of which type, exactly.
    event_type: str | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """Figures of a range of time, all added up in four ways."""

    #: By begin of the stretch, microseconds since the epoch.
    by_bucket: dict[int, Figures] = field(default_factory=dict[int, Figures])
    #: By tenant and endpoint.
    by_endpoint: dict[tuple[str, str], Figures] = field(default_factory=dict[tuple[str, str], Figures])
    #: By type.
    by_type: dict[str, Figures] = field(default_factory=dict[str, Figures])
    #: By tenant.
    by_tenant: dict[str, Figures] = field(default_factory=dict[str, Figures])


class Course:
    """The figures of one process, current and not yet written."""

    def __init__(self) -> None:
        self._running: dict[Series, Figures] = {}
        self._changed: dict[Series, Figures] = {}
        self._era = 0
        self._ended: list[Era[tuple[Series, Figures]]] = []
        self._types = TypeNames()
        self._latest = 0
        self._until = 0

    def count(self, attempt: Attempt, event_type: str, now: int, *, exhausted: bool) -> None:
        """Count an attempt that has ended."""
        if now >= self._until or now < self._latest - PUT_RIGHT:
            self._begin_minute(now)
        for level in Level:
            # A clock that goes back a little counts into the stretch under way: those before may be forgotten here.
            bucket = self._latest - self._latest % level.micros
            series = Series(attempt.tenant, level, bucket, attempt.endpoint_id, self._types.name(event_type))
            figures = self._running.setdefault(series, Figures())
            figures.count(attempt, exhausted=exhausted)
            self._changed[series] = figures

    def changed(self) -> list[Era[tuple[Series, Figures]]]:
        """Take what changed since the last time, to be written."""
        self._end_era()
        ended, self._ended = self._ended, []
        return ended

    def _end_era(self) -> None:
        changed, self._changed = self._changed, {}
        if changed:
            self._ended.append(Era(self._era, list(changed.items())))

    def _begin_minute(self, now: int) -> None:
        if now < self._latest:  # what was left behind and written is not begun again: it is another row
            self._end_era()
            self._era += 1
            self._running = {}
        self._latest = now
        self._until = now - now % MINUTE + MINUTE
        self._running = {
            series: figures for series, figures in self._running.items() if series.bucket + series.level.micros > now
        }
