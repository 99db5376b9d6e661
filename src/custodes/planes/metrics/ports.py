"""What the metrics plane needs kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from custodes.planes.metrics.model import Level, MetricInfo, Sample, Series


@dataclass(frozen=True, slots=True)
class Selection:
    """Which samples are wanted."""

    #: The series; all of one name and kind.
    series: Sequence[Series]
    #: The level to read; what is not folded into it yet is read from the finer ones.
    level: Level
    #: From this moment on, microseconds since the epoch.
    since: int
    #: Before this moment.
    until: int
    #: Width of a step, a multiple of the level's width: the store may merge samples of one step into one.
    step: int
    #: Whether histograms are needed; then nothing is merged.
    histograms: bool
    #: Whether last values are needed; then nothing is merged.
    last: bool
    #: Name of a batch to leave out; empty for none.
    without: str = ""


class MetricStore(Protocol):
    """**Protocol:** where samples are kept.

    Rows are only ever added, marked as folded, and deleted: no row is counted up in place, so writers never wait for
    each other. At any moment each measurement is in exactly one row among {rows of a level} ∪ {rows of finer levels
    that are not folded}: that is what reads add up.
    """

    async def append(self, samples: Sequence[Sample], writer: str, at: int) -> None:
        """Add what a worker has folded, all or nothing, without waiting for the disk.

        Args:
            samples: rows of the finest level, one per series and bucket.
            writer: name of this batch, unique; added again under it, because nobody knew whether it was, it is once.
            at: wall clock, for the catalogue of series.
        """
        ...

    async def fold(self, level: Level, into: Level, before: int, limit: int, writer: str) -> int:
        """Merge rows of a level that are not folded yet into rows of the next; returns how many were folded.

        One transaction marks the rows and adds the merged ones, so each row is merged once, whoever else folds.

        Args:
            level: where from.
            into: where to.
            before: only buckets that begin before this moment.
            limit: rows at most, roughly: buckets are taken whole.
            writer: name of this batch, unique.
        """
        ...

    async def read(self, selection: Selection, limit: int) -> list[Sample]:
        """Return samples of some series, in no order; ``limit + 1`` of them when there are more than ``limit``."""
        ...

    async def list_series(
        self, tenant: str | None, name: str, limit: int, *, after: str = "", since: int | None = None
    ) -> list[Series]:
        """Return the series known under a name, by tenant and id; of one tenant those after an id, if one is given.

        With ``since`` those that may have been written from then on, the last written last: of a name that has changed
        its kind those of the new one.
        """
        ...

    async def list_metrics(self, tenant: str | None, after: tuple[str, str] | None, limit: int) -> list[MetricInfo]:
        """Return metrics by tenant and name, those after (tenant, name); the kind is that of what was written last."""
        ...

    async def purge(self, level: Level, before: int, limit: int) -> int:
        """Delete folded rows of a level that began before a moment, about ``limit`` at most; returns how many."""
        ...

    async def count_purgeable(self, level: Level, before: int) -> int:
        """Count what :meth:`purge` would delete in the end."""
        ...

    async def purge_series(self, before: int, limit: int) -> int:
        """Delete from the catalogue what was last written before a moment; returns how many."""
        ...

    async def count_purgeable_series(self, before: int) -> int:
        """Count what :meth:`purge_series` would delete in the end."""
        ...
