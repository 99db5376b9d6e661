"""How long requests took, step by step: percentiles, and how many took how long, for a heat map.

The counts are those of the merged histograms, put together into rows of half a power of two: fine enough to see two
kinds of requests apart, few enough to draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from custodes.kernel.histogram import SCALE, Histogram
from custodes.planes.traffic.ranges import Steps
from custodes.planes.traffic.rollup import Figures

#: Rows of a heat map for each power of two; buckets of a histogram in a row.
_ROWS_A_POWER = 2
_BUCKETS_A_ROW = (1 << SCALE) // _ROWS_A_POWER


class Measure(StrEnum):
    """Which time."""

    #: Until the last byte of the answer.
    TOTAL = "total"
    #: Until the first byte of the answer.
    TTFB = "ttfb"
    #: What the app still did for a request after the last byte; those with less than a millisecond of it are left out.
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class LatencyPoint:
    """One step of time."""

    #: Begin of the step, microseconds since the epoch.
    at: int
    #: Its times.
    times: Histogram
    #: How many took how long, one count for each of :attr:`Latency.bounds`.
    counts: tuple[int, ...]
    #: Shortest and longest, microseconds, where they are known exactly: of the time to the last byte.
    shortest: int
    longest: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long requests took in a stretch of time."""

    #: The stretch, widened to whole steps, microseconds since the epoch.
    since: int
    until: int
    #: Width of a step, microseconds.
    step: int
    #: Which time.
    measure: Measure
    #: Longest time of each row, microseconds, rising; a row begins after the one below it.
    bounds: tuple[float, ...]
    #: Step by step, oldest first; steps in which nothing was timed are left out.
    series: tuple[LatencyPoint, ...]
    #: All of it together.
    times: Histogram


def latency_of(points: Mapping[int, Figures], cut: Steps, measure: Measure) -> Latency:
    """Put the figures of each step into the rows of a heat map.

    Args:
        points: begin of a step → its figures.
        cut: the steps.
        measure: which time; ``background`` is read like the total, of figures that hold nothing else.
    """
    timed: dict[int, Histogram] = {}
    for at in sorted(points):
        times = points[at].ttfb if measure is Measure.TTFB else points[at].total
        if times.counts:
            timed[at] = times
    rows = [_row_of(bucket) for times in timed.values() for bucket in times.counts]
    lowest, highest = min(rows, default=0), max(rows, default=-1)
    together = Histogram()
    series: list[LatencyPoint] = []
    for at, times in timed.items():
        counts = [0] * (highest - lowest + 1)
        for bucket, count in times.counts.items():
            counts[_row_of(bucket) - lowest] += count
        together.merge(times)
        figures = points[at]
        shortest = 0 if measure is Measure.TTFB else figures.total_min
        series.append(LatencyPoint(at, times, tuple(counts), shortest, figures.total_max))
    bounds = tuple(2 ** (row / _ROWS_A_POWER) for row in range(lowest, highest + 1))
    return Latency(cut.since, cut.until, cut.step, measure, bounds, tuple(series), together)


def _row_of(bucket: int) -> int:
    """Tell the row of a bucket: row ``r`` ends at 2^(r/2) µs; bucket ``k`` ends at 2^((k-1)/16)."""
    return max(0, -(-(bucket - 1) // _BUCKETS_A_ROW))
