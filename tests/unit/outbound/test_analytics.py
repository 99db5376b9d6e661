"""How one endpoint is judged, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.histogram import Histogram
from custodes.kernel.stretches import MAX_TYPES, OTHER, Level
from custodes.planes.outbound.analytics import Condition, examine
from custodes.planes.outbound.figures import Course, Figures
from custodes.planes.outbound.model import HEALTHY, Attempt, Endpoint, EndpointHealth, EndpointState, RetryPolicy
from custodes.runtime.outgoing.timing import Timing

NOW = 1_790_000_000 * SECOND
ENDPOINT = Endpoint(
    id="e", tenant="acme", url="https://example.com/", description="", event_types=("*",), retry=RetryPolicy(),
    created_at=NOW, updated_at=NOW,
)  # fmt: skip


def recent(succeeded: int = 0, server_errors: int = 0, took: int = SECOND) -> Figures:
    times = Histogram([took] * (succeeded + server_errors))
    return Figures(succeeded=succeeded, server_errors=server_errors, took=times)


@pytest.mark.parametrize(
    ("health", "figures", "condition", "said"),
    [
        (HEALTHY, recent(), Condition.HEALTHY, ""),
        (HEALTHY, recent(succeeded=1, server_errors=1), Condition.HEALTHY, ""),
        (HEALTHY, recent(server_errors=2), Condition.DEGRADED, "No attempt of the last hour succeeded, of 2"),
        (HEALTHY, recent(18, 2), Condition.DEGRADED, "10 % of 20 attempts failed within the last hour"),
        (HEALTHY, recent(19, 1), Condition.HEALTHY, ""),
        (HEALTHY, recent(server_errors=10), Condition.FAILING, "100 % of 10 attempts failed"),
        (HEALTHY, recent(1, took=6 * SECOND), Condition.DEGRADED, "s to answer (median of the last hour)"),
        (EndpointHealth(failures=1, failing_since=NOW), recent(5), Condition.DEGRADED, "The last attempt failed"),
        (
            EndpointHealth(failures=5, open_until=NOW + MINUTE),
            recent(5),
            Condition.FAILING,
            "Nothing is sent for another 60 s",
        ),
    ],
)
def test_an_endpoint_is_judged_by_its_breaker_and_the_last_hour(
    health: EndpointHealth, figures: Figures, condition: Condition, said: str
) -> None:
    found = examine(ENDPOINT, health, figures, 0, NOW)

    assert found.condition is condition
    assert said in " ".join(found.reasons)
    assert bool(found.reasons) is bool(said)


def test_the_state_that_a_person_or_we_gave_it_comes_first() -> None:
    disabled = replace(ENDPOINT, state=EndpointState.DISABLED, state_reason="it said 410")
    found = examine(disabled, EndpointHealth(failures=9, failing_since=NOW), recent(), 2, NOW)

    assert found.condition is Condition.DISABLED
    missed = "2 deliveries were missed and can be recovered once it is resumed"
    assert (found.reasons[0], found.reasons[-1]) == ("it said 410", missed)


def attempt(status: int | None) -> Attempt:
    return Attempt(
        tenant="acme", delivery_id="d", number=1, endpoint_id="e", started_at=NOW, url="https://example.com/",
        succeeded=status == 204, status=status, error="", excerpt="", timing=Timing(total=SECOND),
    )  # fmt: skip


def test_attempts_are_counted_at_every_level() -> None:
    """Given attempts of two minutes; then the minutes are told apart, and hour and day hold both, taken once."""
    course, start = Course(), NOW - NOW % HOUR
    course.count(attempt(204), "x", start, exhausted=False)
    course.count(attempt(None), "x", start + MINUTE, exhausted=True)
    taken = course.take()

    counts = [(series.level, series.bucket, figures.succeeded, figures.unanswered) for series, figures in taken]
    assert sorted(counts) == [
        (Level.MINUTE, start, 1, 0),
        (Level.MINUTE, start + MINUTE, 0, 1),
        (Level.HOUR, start, 1, 1),
        (Level.DAY, start - start % DAY, 1, 1),
    ]
    assert course.take() == []


def test_a_clock_that_is_put_right_counts_where_it_stands() -> None:
    """Given a clock that ran ahead; when it is put right, then what comes is counted at the right time, once."""
    course, start = Course(), NOW - NOW % HOUR
    course.count(attempt(204), "x", start + HOUR, exhausted=False)
    course.take()
    course.count(attempt(204), "x", start, exhausted=False)

    hours = [(series.bucket, figures.succeeded) for series, figures in course.take() if series.level is Level.HOUR]
    assert hours == [(start, 1)]


def test_types_without_end_share_a_series() -> None:
    course = Course()
    for number in range(MAX_TYPES + 5):
        course.count(attempt(204), f"type.{number}", NOW, exhausted=False)

    rows = {series.event_type: figures for series, figures in course.take() if series.level is Level.DAY}
    assert len(rows) == MAX_TYPES + 1
    assert rows[OTHER].succeeded == 5
