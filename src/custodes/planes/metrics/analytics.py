"""Reading metrics: any range, any step, percentiles from merged histograms, never averaged."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND, Clock
from custodes.planes.metrics.fold import PRECISION, Cell, absorb
from custodes.planes.metrics.model import (
    LEVELS,
    Aggregation,
    Answer,
    Kind,
    Labels,
    Level,
    Line,
    Point,
    Query,
    Sample,
    Series,
)
from custodes.planes.metrics.ports import MetricStore, Selection

#: Points of one line when the caller names no step, roughly.
POINTS = 300

#: Points of one line, at most.
MAX_POINTS = 2_000

#: Lines of one answer, at most; those behind them are counted as hidden.
MAX_LINES = 50

#: Series that one query looks at, at most.
MAX_SERIES = 2_000

#: Series of one name among which those with the labels of a query are looked for, at most: as many as a process keeps.
MAX_CATALOGUED = 20_000

#: Samples of a bucket of the coarsest level may be a day older than the moment that it is asked from.
_WIDEST = LEVELS[-1].width

#: Samples that one query reads, at most: bounds its time to about a second.
MAX_SAMPLES = 200_000

#: Samples that a query without a step reads, at most, if coarser levels allow; a quarter of it for percentiles, since
#: histograms are merged one by one. Keeps dashboards below about 100 ms.
COMFORTABLE = 20_000

#: Tries to read memory and store between two flushes; a flush takes milliseconds and comes every ten seconds.
_ATTEMPTS = 3

#: A step that no range is longer than.
_ONE_STEP = 1 << 62

#: Steps that read well on a time axis.
_STEPS = (
    *(seconds * SECOND for seconds in (10, 30)),
    *(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * DAY for days in (1, 2, 7, 30)),
)

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")

#: Reads one figure out of a merged cell; the second argument is the seconds that the cell covers.
_Figure = Callable[[Cell, float], float]

_FIGURES: Mapping[Aggregation, _Figure] = {
    Aggregation.RATE: lambda cell, seconds: cell.total / seconds,
    Aggregation.COUNT_RATE: lambda cell, seconds: cell.count / seconds,
    Aggregation.SUM: lambda cell, _: cell.total,
    Aggregation.COUNT: lambda cell, _: float(cell.count),
    Aggregation.AVG: lambda cell, _: cell.total / cell.count,
    Aggregation.MIN: lambda cell, _: cell.minimum,
    Aggregation.MAX: lambda cell, _: cell.maximum,
    Aggregation.LAST: lambda cell, _: cell.last,
}

#: What makes no sense for a kind: a gauge's levels do not add up over time.
_SENSELESS: Mapping[Kind, frozenset[Aggregation]] = {
    Kind.COUNTER: frozenset(),
    Kind.GAUGE: frozenset({Aggregation.RATE, Aggregation.SUM, Aggregation.COUNT_RATE}),
    Kind.HISTOGRAM: frozenset(),
}


class Flushes:
    """Guards the flush: one at a time, and readers can tell whether one came between two looks."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        #: Flushes so far, successful or not.
        self.count = 0

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.count += 1
        self._lock.release()

    async def settled(self) -> int:
        """Wait until none is under way; return how many there were."""
        async with self._lock:
            return self.count


class Live(NamedTuple):
    """What a process has not flushed yet."""

    #: The samples.
    samples: list[Sample]
    #: Name of the batch that some of them are in, which the store may hold by now; empty for none.
    batch: str = ""


class MetricReader:
    """Answers queries from the store and from what is still in memory.

    Args:
        store: where samples are kept.
        clock: source of time.
        live: copies what this process has not flushed yet.
        flushes: tells whether memory and store were read on two sides of a flush.
    """

    def __init__(self, store: MetricStore, clock: Clock, live: Callable[[], Live], flushes: Flushes) -> None:
        self._store = store
        self._clock = clock
        self._live = live
        self._flushes = flushes

    async def answer(self, query: Query) -> Answer:
        """Answer a query, in whole steps.

        Raises:
            InvalidInput: the aggregation does not exist or does not fit the kind, or too much would have to be read.
        """
        figure = figure_of(query.aggregation)
        series = await self._series(query)
        level, step = resolution(query, self._clock.now(), len(series))
        if not series:
            return Answer(None, step, (), 0)
        since = query.since - query.since % step
        samples = await self._samples(query, series, level, since, step)
        cells = _merge(samples, series, query.by, lambda bucket: bucket - bucket % step)
        lines = self._lines(cells, figure, step, query.until)
        shown = lines[query.skip : query.skip + MAX_LINES]
        return Answer(series[0].kind, step, tuple(shown), max(0, len(lines) - query.skip - len(shown)))

    async def totals(self, query: Query) -> list[tuple[Labels, float]]:
        """Answer with one figure a line, over the whole range; ``query.step`` plays no part.

        Raises:
            InvalidInput: as for :meth:`answer`.
        """
        figure = figure_of(query.aggregation)
        series = await self._series(query)
        level, _ = resolution(replace(query, step=0), self._clock.now(), len(series))
        if not series:
            return []
        since = query.since - query.since % level.width
        samples = await self._samples(query, series, level, since, _ONE_STEP)
        cells = _merge(samples, series, query.by, lambda _: since)
        seconds = (min(query.until, self._clock.now()) - since) / SECOND or 1.0
        return [(labels, figure(cell, seconds)) for (labels, _), cell in cells.items()]

    async def lack(self, query: Query) -> str:
        """Say what was never recorded, the metric or a series of it with the labels of a query; empty: both were.

        Raises:
            InvalidInput: as for :meth:`answer`.
        """
        if await self._series(query):
            return ""
        named = await self._series(replace(query, labels=None))
        return (
            f"No series of {query.name} has these labels yet" if named else f"Nothing is recorded as {query.name} yet"
        )

    async def _series(self, query: Query) -> list[Series]:
        """Find the series that a query is about, all of one kind."""
        await self._flushes.settled()
        live = [
            sample.series for sample in _about(self._live(), query)
        ]  # before the store: what it lacks now is in here
        # Only those of the range: names of hosts and pods come and go, and the catalogue keeps them for years.
        since = query.since - _WIDEST
        known = await self._store.list_series(query.tenant, query.name, MAX_CATALOGUED + 1, since=since)
        if len(known) > MAX_CATALOGUED:
            raise _too_many(MAX_CATALOGUED)
        return _of_one_kind(
            _matching({one.id: one for one in [*known, *live]}.values(), query.labels), query.aggregation
        )

    async def _samples(
        self, query: Query, series: Sequence[Series], level: Level, since: int, step: int
    ) -> list[Sample]:
        wanted = Selection(
            series=series,
            level=level,
            since=since,
            until=query.until,
            step=step,
            histograms=_is_percentile(query.aggregation),
            last=query.aggregation == Aggregation.LAST,
        )
        stored, live = await self._consistent(wanted, query)
        if len(stored) > MAX_SAMPLES:
            msg = f"More than {MAX_SAMPLES} samples would have to be read"
            raise InvalidInput(msg, remedy="Ask for a shorter range, a longer step or fewer series")
        return [*stored, *(sample for sample in live if since <= sample.bucket < query.until)]

    async def _consistent(self, wanted: Selection, query: Query) -> tuple[list[Sample], list[Sample]]:
        """Read memory and store so that a flush in between neither hides nor doubles anything."""
        stored: list[Sample] = []
        live: list[Sample] = []
        for _ in range(_ATTEMPTS):
            before = await self._flushes.settled()
            now = self._live()
            live = _about(now, query)
            stored = await self._store.read(replace(wanted, without=now.batch), MAX_SAMPLES)
            if await self._flushes.settled() == before:
                break
        return stored, live

    def _lines(self, cells: Mapping[tuple[Labels, int], Cell], figure: _Figure, step: int, until: int) -> list[Line]:
        end = min(until, self._clock.now())
        points: dict[Labels, list[Point]] = {}
        for (labels, slot), cell in sorted(cells.items(), key=lambda item: item[0][1]):
            seconds = min(step, max(end - slot, LEVELS[0].width)) / SECOND
            points.setdefault(labels, []).append(Point(slot, figure(cell, seconds)))
        lines = [Line(labels, tuple(line)) for labels, line in points.items()]
        return sorted(lines, key=lambda line: (-line.points[-1].value, line.labels))


def _about(live: Live, query: Query) -> list[Sample]:
    return [
        sample
        for sample in live.samples
        if sample.series.name == query.name and query.tenant in (None, sample.series.tenant)
    ]


def figure_of(aggregation: str) -> _Figure:
    """Find how an aggregation is read off a cell.

    Raises:
        InvalidInput: there is no such aggregation.
    """
    percentile = _PERCENTILE.fullmatch(aggregation)
    if percentile is not None:
        q = float(percentile[1]) / 100
        return lambda cell, _: _quantile(cell, q)
    try:
        return _FIGURES[Aggregation(aggregation)]
    except ValueError:
        msg = f"{aggregation[:20]!r} is not an aggregation"
        remedy = f"Use {', '.join(Aggregation)}, or a percentile such as p95 or p99.9"
        raise InvalidInput(msg, remedy=remedy) from None


def resolution(query: Query, now: int, series: int = 1) -> tuple[Level, int]:
    """Choose the level to read and the step to answer in: the coarsest that fits, no finer than what is kept.

    When no step was asked for, many series over a long range are answered more coarsely (:data:`COMFORTABLE`).

    Raises:
        InvalidInput: the range is empty, or the step makes too many points.
    """
    if query.since >= query.until or query.step < 0:
        msg = "The range is empty"
        raise InvalidInput(msg, remedy="Let since be before until, and step positive")
    length = query.until - query.since
    earliest = query.since if query.beside is None else min(query.since, query.beside)
    kept = [level for level in LEVELS if earliest >= now - level.retention] or [LEVELS[-1]]
    if query.step:
        step = _rounded(query.step, kept[0])
    else:
        most = COMFORTABLE // 4 if _is_percentile(query.aggregation) else COMFORTABLE
        finest = next((level for level in kept if length / level.width * series <= most), kept[-1])
        step = _rounded(nice_step(length / POINTS), finest)
    if length / step > MAX_POINTS:
        msg = f"A step of {step // SECOND} s makes more than {MAX_POINTS} points"
        raise InvalidInput(msg, remedy="Ask for a longer step or a shorter range, or leave the step out")
    return max((level for level in kept if step % level.width == 0), key=lambda level: level.width), step


def _rounded(step: int, level: Level) -> int:
    return -(-step // level.width) * level.width


def nice_step(least: float) -> int:
    """Return the least step that reads well on a time axis and is not below ``least``, microseconds."""
    return next((step for step in _STEPS if step >= least), -(-int(least) // DAY) * DAY)


def _quantile(cell: Cell, q: float) -> float:
    assert cell.histogram is not None
    # The true extremes are known, so the ends of the histogram's buckets never show.
    return min(max(cell.histogram.quantile(q) / PRECISION, cell.minimum), cell.maximum)


def _matching(series: Iterable[Series], labels: Mapping[str, str] | None) -> list[Series]:
    wanted = set((labels or {}).items())
    found = [one for one in series if wanted <= set(one.labels)]
    if len(found) > MAX_SERIES:
        raise _too_many(MAX_SERIES)
    return found


def _too_many(series: int) -> InvalidInput:
    return InvalidInput(f"More than {series} series", remedy="Name labels, a tenant, or a shorter range")


def _of_one_kind(series: list[Series], aggregation: str) -> list[Series]:
    """Keep the series of one kind (a name may have changed its kind between two releases: the newer stays).

    Raises:
        InvalidInput: the aggregation makes no sense for it.
    """
    if not series:
        return []
    kind = series[-1].kind
    if (_is_percentile(aggregation) and kind is not Kind.HISTOGRAM) or aggregation in _SENSELESS[kind]:
        msg = f"{aggregation} of {series[0].name!r} makes no sense: it is a {kind}"
        raise InvalidInput(msg, remedy="Percentiles need a histogram, rates and sums a counter or a histogram")
    return [one for one in series if one.kind is kind]


def _is_percentile(aggregation: str) -> bool:
    return _PERCENTILE.fullmatch(aggregation) is not None


def _merge(
    samples: Iterable[Sample], series: Iterable[Series], by: Sequence[str] | None, slot: Callable[[int], int]
) -> dict[tuple[Labels, int], Cell]:
    """Merge samples into one cell for each line and step."""
    lines: dict[Labels, dict[int, list[Sample]]] = {}
    of_series = {one.id: lines.setdefault(_line_of(one, by), {}) for one in series}
    for sample in samples:
        slots = of_series.get(sample.series.id)
        if slots is None:
            continue
        at = slot(sample.bucket)
        some = slots.get(at)
        if some is None:
            slots[at] = [sample]
        else:
            some.append(sample)
    cells: dict[tuple[Labels, int], Cell] = {}
    for line, slots in lines.items():
        for at, some in slots.items():
            absorb(cells.setdefault((line, at), Cell(some[0].series)), some)
    return cells


def _line_of(series: Series, by: Sequence[str] | None) -> Labels:
    if by is None:
        return series.labels
    return tuple(pair for pair in series.labels if pair[0] in by)
