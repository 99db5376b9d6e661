"""Points of metrics of the past."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from custodes.kernel.histogram import Histogram
from custodes.kernel.ids import uuid7
from custodes.planes.metrics.model import LEVELS, Kind, Series
from custodes.planes.metrics.names import series_of

#: Metrics of each kind, and series of each metric.
METRICS = ((Kind.COUNTER, 10), (Kind.GAUGE, 6), (Kind.HISTOGRAM, 4))
SERIES = 5

#: Columns of a point, in order.
COLUMNS = (
    "tenant_id", "name", "level", "bucket", "series_id", "writer", "folded", "count", "total", "minimum", "maximum",
    "last", "last_at", "histogram",
)  # fmt: skip


def name_of(kind: Kind, number: int) -> str:
    """Name a metric."""
    return f"shop.{kind}{number}"


def catalogue(tenant: str) -> list[Series]:
    """List all series."""
    return [
        series_of(tenant, name_of(kind, number), kind, (("shop", str(place)),))
        for kind, metrics in METRICS
        for number in range(metrics)
        for place in range(SERIES)
    ]


def points(series: list[Series], begin: int, now: int) -> Iterator[tuple[Any, ...]]:
    """Yield the points of all levels as far back as each is kept; the newest wait to be folded."""
    chance = random.Random(17)
    writer = uuid7(now, chance.getrandbits)
    histogram = Histogram(int(chance.lognormvariate(10, 1)) for _ in range(40)).encode()
    for level in LEVELS:
        coarser = next((one for one in LEVELS if one.number == level.number + 1), None)
        unfolded = now if coarser is None else now - now % coarser.width
        first = max(begin, now - level.retention)
        for bucket in range(first - first % level.width, now - level.width, level.width):
            folded = coarser is None or bucket < unfolded
            value = 100 * chance.random()
            for one in series:
                yield (
                    one.tenant, one.name, level.number, bucket, one.id, writer, folded, 40, 40 * value, value / 2,
                    value * 2, value, bucket + level.width - 1, histogram if one.kind is Kind.HISTOGRAM else None,
                )  # fmt: skip
