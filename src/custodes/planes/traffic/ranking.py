"""What endpoints are ranked by, and how much it can be at most, from plain sums alone."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

from custodes.planes.traffic.rollup import Figures

#: The percentiles of every answer.
QUANTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}

#: What endpoints can be ordered by: a percentile, the mean, the longest, all the time spent, server errors, their
#: share.
SLOW_ORDERS = (*QUANTILES, "mean", "max", "time")
ERROR_ORDERS = ("errors", "error_rate")
ORDERS = (*SLOW_ORDERS, *ERROR_ORDERS)

#: By how much an estimate of a quantile may be above the true one: the histogram's error of 2.2 %, and rounding.
_MARGIN = 1.03


def value_of(figures: Figures, order_by: str) -> float:
    """Read what an endpoint is ranked by, as :func:`custodes.planes.traffic.analytics.stats_of` does."""
    match order_by:
        case "mean":
            return figures.total_sum / figures.timed if figures.timed else 0.0
        case "max":
            return float(figures.total_max)
        case "time":
            return float(figures.total_sum)
        case _:
            value = figures.total.quantile(QUANTILES[order_by])
            return min(max(value, float(figures.total_min)), float(figures.total_max))


def by_errors(figures: Figures, order_by: str) -> tuple[float, float]:
    """Order by errors or by their share, the most first; the other one decides between equals."""
    errors, share = -figures.server_errors, -figures.server_errors / figures.count
    return (errors, share) if order_by == "errors" else (share, errors)


class Bounds(NamedTuple):
    """What plain sums tell of a value."""

    #: It is not above that.
    most: float
    #: A guess: as if the times were spread as a normal distribution is.
    likely: float


def bounds_of(figures: Figures, order_by: str) -> Bounds:
    """Bound a value from above by plain sums, and guess it.

    A quantile q is at most mean / (1 - q) (Markov's inequality), and at most mean + deviation · √(q / (1 - q))
    (Cantelli's). The estimate of a quantile may be above the true one by the histogram's error, hence the margin; never
    above the longest.
    """
    longest = float(figures.total_max)
    if order_by not in QUANTILES:
        value = value_of(figures, order_by)
        return Bounds(value, value)
    q, mean = QUANTILES[order_by], figures.total_sum / figures.timed
    squares = figures.total_squares + figures.total.squares()
    deviation = sqrt(max(0.0, squares / figures.timed - mean * mean))
    bound = min(mean / (1 - q), mean + deviation * sqrt(q / (1 - q)))
    return Bounds(min(longest, bound * _MARGIN), min(longest, mean + deviation * _NORMAL[order_by]))


#: Quantiles of the normal distribution, in standard deviations.
_NORMAL = {name: NormalDist().inv_cdf(q) for name, q in QUANTILES.items()}
