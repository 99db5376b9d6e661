"""The in-process fold: every measurement goes into a cell of the current bucket, in constant time."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from custodes.kernel.clock import Clock
from custodes.kernel.histogram import Histogram
from custodes.planes.metrics.model import LEVELS, Kind, Sample, Series

#: Width of a bucket in memory and of the finest stored level, microseconds.
BUCKET = LEVELS[0].width

#: Cells kept while the store does not answer, at most. Beyond it the two oldest buckets become one: numbers stay right,
#: only their moment gets coarser. About 12 MB with histograms.
MAX_CELLS = 20_000

#: Values of histograms are recorded in millionths: with the bounds of ``kernel.histogram`` percentiles are right from
#: 0.000001 to 1 099 511. Seconds and ratios fit; sizes of large files belong in megabytes.
PRECISION = 1_000_000


class Cell:
    """What happened to one series in one bucket, so far."""

    __slots__ = ("count", "histogram", "last", "last_at", "maximum", "minimum", "series", "total")

    def __init__(self, series: Series) -> None:
        self.series = series
        self.count = 0
        self.total = 0.0
        self.minimum = float("inf")
        self.maximum = float("-inf")
        self.last = 0.0
        self.last_at = 0
        self.histogram = Histogram() if series.kind is Kind.HISTOGRAM else None

    def add(self, value: float, now: int) -> None:
        """Fold in one measurement."""
        self.count += 1
        self.total += value
        if value < self.minimum:
            self.minimum = value
        if value > self.maximum:
            self.maximum = value
        self.last = value
        self.last_at = now
        if self.histogram is not None:
            self.histogram.record(round(value * PRECISION))

    def merge(self, other: Cell) -> None:
        """Fold in another cell of the same series."""
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        if other.last_at >= self.last_at:
            self.last, self.last_at = other.last, other.last_at
        if self.histogram is not None and other.histogram is not None:
            self.histogram.merge(other.histogram)

    def sample(self, bucket: int) -> Sample:
        """Make the row of it."""
        histogram = None if self.histogram is None else self.histogram.encode()
        return Sample(
            self.series,
            bucket,
            self.count,
            self.total,
            self.minimum,
            self.maximum,
            self.last,
            self.last_at,
            histogram,
        )


#: Cells of one bucket by id of the series.
Cells = dict[str, Cell]


class Fold:
    """Cells by bucket; safe to use from any thread."""

    def __init__(self, clock: Clock, *, max_cells: int = MAX_CELLS) -> None:
        self._clock = clock
        self._max_cells = max_cells
        self._lock = threading.Lock()
        self._buckets: dict[int, Cells] = {}
        self._current: Cells = {}
        self._begin = 0
        self._end = 0

    def add(self, series: Series, value: float) -> None:
        """Fold in one measurement."""
        now = self._clock.now()
        with self._lock:
            if not self._begin <= now < self._end:
                self._turn(now)
            cell = self._current.get(series.id)
            if cell is None:
                cell = self._current[series.id] = Cell(series)
            cell.add(value, now)

    def take(self) -> dict[int, Cells]:
        """Take everything out, to be flushed."""
        with self._lock:
            taken, self._buckets = self._buckets, {}
            self._begin = self._end = 0
            return taken

    def samples(self) -> list[Sample]:
        """Copy what is in memory now."""
        with self._lock:
            return samples_of(self._buckets)

    def __len__(self) -> int:
        """Count the cells in memory."""
        with self._lock:
            return self._size()

    def _size(self) -> int:
        return sum(len(cells) for cells in self._buckets.values())

    def _turn(self, now: int) -> None:
        self._make_room()
        self._begin = now - now % BUCKET
        self._end = self._begin + BUCKET
        self._current = self._buckets.setdefault(self._begin, {})

    def _make_room(self) -> None:
        while len(self._buckets) > 1 and self._size() > self._max_cells:
            oldest, next_oldest = sorted(self._buckets)[:2]
            _merge(self._buckets[next_oldest], self._buckets.pop(oldest))


def samples_of(buckets: dict[int, Cells]) -> list[Sample]:
    """Make rows of cells."""
    return [cell.sample(bucket) for bucket, cells in buckets.items() for cell in cells.values()]


def _merge(into: Cells, cells: Cells) -> None:
    for key, cell in cells.items():
        mine = into.get(key)
        if mine is None:
            into[key] = cell
        else:
            mine.merge(cell)


def absorb(cell: Cell, samples: Sequence[Sample]) -> None:
    """Fold rows of the same series, or line, into a cell: column by column, below Python."""
    if not samples:  # of a piece of a bucket, there may be none
        return
    _, _, counts, totals, minima, maxima, lasts, moments, histograms = zip(*samples, strict=True)
    cell.count += sum(counts)
    cell.total += sum(totals)
    cell.minimum = min(cell.minimum, *minima)
    cell.maximum = max(cell.maximum, *maxima)
    latest = max(moments)
    if latest >= cell.last_at:
        cell.last, cell.last_at = (
            next(last for last, at in zip(lasts[::-1], moments[::-1], strict=True) if at == latest),
            latest,
        )
    if cell.histogram is not None:
        cell.histogram.wait_for(filter(None, histograms))
