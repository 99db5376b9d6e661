"""When the limiter itself is not well."""

from __future__ import annotations

from custodes.kernel.health import NEVER, Threshold

#: What is counted is judged by the last five minutes (:mod:`custodes.planes.ratelimit.lately`).
THRESHOLDS = (
    Threshold(
        "undecided_lately",
        degraded=1,
        unhealthy=1_000,
        says="Requests that no limit decided on, in the last 5 minutes: {}",
    ),
    Threshold(
        "store_lost", degraded=1, unhealthy=NEVER, says="The counting store is lost, and limits count by themselves"
    ),
    Threshold(
        "counts_lost_lately",
        degraded=1,
        unhealthy=100_000,
        says="Counted requests that were not written, in the last 5 minutes: {}",
    ),
    Threshold(
        "refresh_failures_in_a_row",
        degraded=3,
        unhealthy=30,
        says="Failed attempts in a row to read rules and blocks: {}",
    ),
    Threshold(
        "overflowed_lately",
        degraded=1,
        unhealthy=NEVER,
        says="Requests counted together because there were too many callers, in the last 5 minutes: {}",
    ),
    Threshold(
        "rules_overruled",
        degraded=1,
        unhealthy=NEVER,
        says="Rules made at run time that do not hold, since a rule in code has their name: {}",
    ),
)
