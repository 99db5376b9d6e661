"""What a metric is, how it is kept, and what a query answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND


class Kind(StrEnum):
    """What the numbers of a metric mean."""

    #: Something that happened so many times: increments are added up.
    COUNTER = "counter"
    #: A level that goes up and down: the last, least, greatest and mean value count.
    GAUGE = "gauge"
    #: Many single values whose distribution matters: percentiles.
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution in which metrics are kept."""

    #: Its number, finest first; stored in the rows.
    number: int
    #: Width of a bucket, microseconds.
    width: int
    #: How long rows of this level are kept, microseconds.
    retention: int
    #: What its buckets are as wide as, in words.
    name: str


#: Resolutions, finest first. Retention bounds the rows of one series to 1 080, 4 320, 1 440 and 800 (the first once per
#: process that writes it).
LEVELS = (
    Level(0, 10 * SECOND, 3 * HOUR, "ten_seconds"),
    Level(1, MINUTE, 3 * DAY, "minute"),
    Level(2, HOUR, 60 * DAY, "hour"),
    Level(3, DAY, 800 * DAY, "day"),
)

#: Labels in canonical form: sorted pairs.
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of numbers: a name with its labels, of one tenant."""

    #: Whose it is.
    tenant: str
    #: Name of the metric, for example ``orders.created``.
    name: str
    #: What the numbers mean.
    kind: Kind
    #: Sorted (label, value) pairs.
    labels: Labels
    #: Hash of all of the above: the same in every process.
    id: str


class Sample(NamedTuple):
    """What happened to one series in one bucket: the row that is stored. A tuple: a question reads thousands."""

    #: The series.
    series: Series
    #: Start of the bucket, microseconds since the epoch.
    bucket: int
    #: Measurements.
    count: int  # pyright: ignore[reportIncompatibleMethodOverride] - nobody counts what is equal in it
    #: Sum of their values.
    total: float
    #: Least value.
    minimum: float
    #: Greatest value.
    maximum: float
    #: Value of the last measurement.
    last: float
    #: When that was, microseconds since the epoch.
    last_at: int
    #: Histogram of the values in millionths (``kernel.histogram``); None unless the kind is histogram.
    histogram: bytes | None = None


class Aggregation(StrEnum):
    """How the numbers of a step become one. Percentiles are named ``p50`` … ``p99.9`` beside these."""

    #: Sum of increments (of values, for a histogram) a second.
    RATE = "rate"
    #: Measurements a second.
    COUNT_RATE = "count_rate"
    #: Sum of increments or values.
    SUM = "sum"
    #: Measurements.
    COUNT = "count"
    #: Mean, weighted by the number of measurements.
    AVG = "avg"
    #: Least value.
    MIN = "min"
    #: Greatest value.
    MAX = "max"
    #: Last value.
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Query:
    """A question about one metric."""

    #: Name of the metric.
    name: str
    #: ``rate``, ``avg``, …, or ``p50`` to ``p99.99``.
    aggregation: str
    #: From this moment on, microseconds since the epoch.
    since: int
    #: Before this moment.
    until: int
    #: Width of one answer point, microseconds; 0 chooses one that gives about 300 points.
    step: int = 0
    #: Only series with these labels.
    labels: Mapping[str, str] | None = None
    #: One line for each value of these labels; None keeps every series apart; empty merges all into one line.
    by: Sequence[str] | None = None
    #: Whose; None for all tenants.
    tenant: str | None = None
    #: Begin of a stretch as long that is drawn in the same chart: the step is one that both can have. None: none is.
    beside: int | None = None
    #: Lines that are passed over, from the greatest on: those that an answer before had.
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """One answer point."""

    #: Start of the step, microseconds since the epoch.
    at: int
    #: Value of the step.
    value: float


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an answer."""

    #: Labels that all series in it share, sorted.
    labels: Labels
    #: Points that have a value, oldest first.
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found."""

    #: Kind of the metric; None when nothing is known under the name.
    kind: Kind | None
    #: Width of a step, microseconds.
    step: int
    #: The lines, the greatest last value first.
    lines: tuple[Line, ...]
    #: Lines that are not shown because there are too many.
    hidden: int


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """A metric that exists."""

    #: Whose it is.
    tenant: str
    #: Its name.
    name: str
    #: What the numbers mean.
    kind: Kind
    #: Series known under the name.
    series: int
    #: When the latest of them was last written, microseconds since the epoch, to the hour.
    last_seen: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """One value of a label and its share."""

    #: Value of the label; empty for series without it.
    value: str
    #: Aggregated figure over the range.
    figure: float


@dataclass(frozen=True, slots=True)
class Course:
    """A metric at a glance: one line over a range, all its series in one."""

    #: The metric.
    metric: MetricInfo
    #: How its numbers became one: the sum of a counter, the last of a gauge, the p95 of a histogram.
    aggregation: str
    #: Width of a step, microseconds.
    step: int
    #: Steps that have a value, oldest first.
    points: tuple[Point, ...]
    #: The sum over the range for a counter, else the last step's value; None where nothing was measured.
    value: float | None
