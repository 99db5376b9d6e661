"""All that is kept of the metrics over a stretch of time, bucket by bucket: for analysis elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from custodes.errors import InvalidInput
from custodes.kernel.clock import Clock, to_iso
from custodes.kernel.paging import MAX_LIMIT
from custodes.planes.metrics.analytics import MAX_SAMPLES, figure_of
from custodes.planes.metrics.catalogue import is_wanted
from custodes.planes.metrics.fold import BUCKET, Cell, absorb
from custodes.planes.metrics.model import LEVELS, Kind, Labels, Level, MetricInfo, Sample, Series
from custodes.planes.metrics.ports import MetricStore, Selection

#: Series of one metric that are held at a time, and put into the order of their labels.
MAX_SERIES = 10_000

#: Series that are read together, and buckets that one read makes of them at most, roughly: bound what is held.
GROUP = 50
BUCKETS = 5_000

_PERCENTILES = tuple(figure_of(name) for name in ("p50", "p95", "p99"))


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was measured of one series in one stretch of time."""

    #: Whose.
    tenant: str
    #: Name of the metric.
    name: str
    #: What the numbers mean.
    kind: Kind
    #: Labels of the series, sorted.
    labels: Labels
    #: Start of the bucket, microseconds since the epoch.
    at: int
    #: Width of it, microseconds.
    width: int
    #: Measurements.
    count: int
    #: Sum of their values.
    total: float
    #: Least value.
    minimum: float
    #: Greatest value.
    maximum: float
    #: Value of the last measurement.
    last: float
    #: Percentiles; None unless it is a histogram.
    p50: float | None
    p95: float | None
    p99: float | None


class Takeout:
    """Reads everything, a few series and a while at a time; what no process has flushed yet is not in it."""

    def __init__(
        self, store: MetricStore, clock: Clock, *, max_samples: int = MAX_SAMPLES, max_series: int = MAX_SERIES
    ) -> None:
        self._store = store
        self._clock = clock
        self._max_samples = max_samples
        self._max_series = max_series

    def buckets(
        self,
        since: int,
        until: int,
        *,
        step: int = 0,
        name: str | None = None,
        tenant: str | None = None,
        own: bool | None = None,
    ) -> AsyncIterator[Bucket]:
        """Yield all buckets by tenant and metric; of a few series at once, a while at a time.

        Args:
            since: from the bucket of this moment on, microseconds since the epoch.
            until: before this moment.
            step: width of a bucket, microseconds; 0: the finest that is kept of the whole stretch. Rounded up to it.
            name: only this metric.
            tenant: only this tenant's.
            own: True for those of the app, False for those that Custodes measures by itself; None for both.

        Raises:
            InvalidInput: the stretch is empty.
        """
        if since >= until or step < 0:
            msg = "The range is empty"
            raise InvalidInput(msg, remedy="Let since be before until, and step positive")
        now = self._clock.now()
        until = min(until, now + 1)  # nothing is measured in the future, however long it is
        finest = next((level for level in LEVELS if since >= now - level.retention), LEVELS[-1])
        width = -(-max(step, 1) // finest.width) * finest.width
        level = max((one for one in LEVELS if width % one.width == 0 and one.width >= finest.width), key=_width)
        metrics = self._metrics(tenant, lambda found: name in (None, found) and is_wanted(found, own))
        return self._all(since - since % width, until, width, level, metrics)

    async def _all(
        self, since: int, until: int, width: int, level: Level, metrics: AsyncIterator[MetricInfo]
    ) -> AsyncIterator[Bucket]:
        async for metric in metrics:
            async for group in self._groups(metric):
                stretch = max(1, BUCKETS // len(group)) * width
                for begin in range(since, until, stretch):
                    end = min(begin + stretch, until)
                    wanted = Selection(group, level, begin, end, width, histograms=True, last=True)
                    async for bucket in self._read(wanted):
                        yield bucket

    async def _read(self, wanted: Selection) -> AsyncIterator[Bucket]:
        """Read a while of a few series; in halves where too much of it is not folded yet."""
        samples = await self._store.read(wanted, self._max_samples)
        steps, series = -(-(wanted.until - wanted.since) // wanted.step), len(wanted.series)
        if len(samples) <= self._max_samples:
            for bucket in _merged(wanted.series, samples, wanted.step):
                yield bucket
            return
        if steps * series == 1:
            yield await self._one(wanted)
            return
        if steps > 1:
            middle = wanted.since + steps // 2 * wanted.step
            halves = (replace(wanted, until=middle), replace(wanted, since=middle))
        else:
            half = series // 2
            halves = (replace(wanted, series=wanted.series[:half]), replace(wanted, series=wanted.series[half:]))
        del samples
        for one in halves:
            async for bucket in self._read(one):
                yield bucket

    async def _one(self, wanted: Selection) -> Bucket:
        """Add one bucket of one series up, a piece at a time: each row begins in one of them.

        Raises:
            InvalidInput: too much begins at one and the same moment.
        """
        series, cell = wanted.series[0], Cell(wanted.series[0])
        pieces = [wanted]
        while pieces:
            piece = pieces.pop()
            samples = await self._store.read(piece, self._max_samples)
            if len(samples) > self._max_samples:
                middle = (piece.since + piece.until) // 2
                middle -= middle % BUCKET
                if middle <= piece.since:
                    msg = f"{series.name} has more than {self._max_samples:,} rows that begin at {to_iso(piece.since)}"
                    raise InvalidInput(msg, remedy="Ask again when they are folded, or for a range without them")
                pieces += [replace(piece, since=middle), replace(piece, until=middle)]
                continue
            absorb(cell, samples)
        return _bucket(series, cell, wanted.since - wanted.since % wanted.step, wanted.step)

    async def _metrics(self, tenant: str | None, wanted: Callable[[str], bool]) -> AsyncIterator[MetricInfo]:
        after: tuple[str, str] | None = None
        while found := await self._store.list_metrics(tenant, after, MAX_LIMIT):
            for metric in found:
                if wanted(metric.name):
                    yield metric
            after = (found[-1].tenant, found[-1].name)

    async def _groups(self, metric: MetricInfo) -> AsyncIterator[Sequence[Series]]:
        """Find the series of a metric, some at a time; each group of one kind, as a name may have changed its own."""
        after = ""
        while found := await self._store.list_series(metric.tenant, metric.name, self._max_series, after=after):
            after = found[-1].id
            found.sort(key=lambda one: (one.kind, one.labels))
            for _, some in groupby(found, lambda one: one.kind):
                these = list(some)
                for start in range(0, len(these), GROUP):
                    yield these[start : start + GROUP]


def _width(level: Level) -> int:
    return level.width


def _merged(group: Sequence[Series], samples: Iterable[Sample], width: int) -> list[Bucket]:
    """Make one bucket of what processes and levels have of it."""
    together: dict[tuple[str, int], list[Sample]] = {}
    for sample in samples:
        together.setdefault((sample.series.id, sample.bucket - sample.bucket % width), []).append(sample)
    places = {one.id: (place, one) for place, one in enumerate(group)}
    made: list[Bucket] = []
    for (series_id, at), some in sorted(together.items(), key=lambda item: (places[item[0][0]][0], item[0][1])):
        series = places[series_id][1]
        cell = Cell(series)
        absorb(cell, some)
        made.append(_bucket(series, cell, at, width))
    return made


def _bucket(series: Series, cell: Cell, at: int, width: int) -> Bucket:
    p50, p95, p99 = (None if cell.histogram is None else figure(cell, 1.0) for figure in _PERCENTILES)
    return Bucket(series.tenant, series.name, series.kind, series.labels, at, width, cell.count, cell.total,
                  cell.minimum, cell.maximum, cell.last, p50, p95, p99)  # fmt: skip
