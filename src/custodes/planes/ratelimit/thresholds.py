"""When the limiter itself is not well."""

from __future__ import annotations

from custodes.kernel.health import Threshold

#: By its figures since the start.
THRESHOLDS = (
    Threshold("undecided", degraded=1, unhealthy=1_000, says="Requests that no limit decided on, since the start: {}"),
    Threshold(
        "store_lost",
        degraded=1,
        unhealthy=float("inf"),
        says="Times that the counting store was lost, since the start: {}",
    ),
    Threshold(
        "counts_lost", degraded=1, unhealthy=100_000, says="Counted requests that were not written, since the start: {}"
    ),
    Threshold(
        "refresh_failures_in_a_row",
        degraded=3,
        unhealthy=30,
        says="Failed attempts in a row to read rules and blocks: {}",
    ),
    Threshold(
        "overflowed",
        degraded=1,
        unhealthy=float("inf"),
        says="Requests counted together because there were too many callers: {}",
    ),
    Threshold(
        "rules_overruled",
        degraded=1,
        unhealthy=float("inf"),
        says="Rules made at run time that do not hold, since a rule in code has their name: {}",
    ),
)
