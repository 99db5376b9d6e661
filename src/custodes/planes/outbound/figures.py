"""Figures of deliveries: attempts by what came of them, and how long they took, folded as they happen.

Each process adds what it has counted since its last flush to the rows that all of them share, so there are as many rows
whether one counted or a hundred came and went. Times are histograms, so percentiles are merged and never averaged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from custodes.kernel.histogram import Histogram
from custodes.kernel.stretches import Level, TypeNames
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
    """What one process counted and has not handed over to be written."""

    def __init__(self) -> None:
        self._fresh: dict[Series, Figures] = {}
        self._types = TypeNames()

    def count(self, attempt: Attempt, event_type: str, now: int, *, exhausted: bool) -> None:
        """Count an attempt that has ended."""
        bucket = now - now % Level.MINUTE.micros
        series = Series(attempt.tenant, Level.MINUTE, bucket, attempt.endpoint_id, self._types.name(event_type))
        figures = self._fresh.get(series)
        if figures is None:
            figures = self._fresh[series] = Figures()
        figures.count(attempt, exhausted=exhausted)

    def take(self) -> list[tuple[Series, Figures]]:
        """Take what was counted since the last time: what is to be added to each stretch of each level."""
        fresh, self._fresh = self._fresh, {}
        taken: dict[Series, Figures] = {}
        for (series, figures), level in product(fresh.items(), Level):
            whole = series._replace(level=level, bucket=series.bucket - series.bucket % level.micros)
            taken.setdefault(whole, Figures()).add(figures)
        return list(taken.items())
