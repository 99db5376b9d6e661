"""What an answer means, and what a row of them means."""

from __future__ import annotations

import pytest

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.planes.outbound.breaker import LONGEST_PAUSE, TOLERANCE, Answered, judge, possible, retry_after
from custodes.planes.outbound.model import Endpoint, EndpointHealth, Options

NOW = 1_790_000_000 * SECOND
ENDPOINT = Endpoint(
    id="e", tenant="t", url="https://example.com/", description="", event_types=("*",), created_at=0, updated_at=0
)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("120", 2 * MINUTE), ("0", 0), ("99999999999999999999", DAY), ("-1", 0), ("1.5", 0), ("", 0), ("soon", 0),
        ("\u0662", 0), ("1_0", 0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0), ("Mon, 21 Sep 2026 15:13:20 GMT", HOUR),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY), ("Mon, 99 Foo 2026 99:99:99 GMT", 0), ("x" * 10_000, 0),
    ],
)  # fmt: skip
def test_retry_after_is_read_strictly_and_bounded(text: str, wait: int) -> None:
    assert retry_after(text, NOW) == wait


def test_a_good_answer_forgets_all_failures() -> None:
    shaken = EndpointHealth(9, NOW - DAY, NOW + MINUTE, 70, paced_until=5)
    assert judge(ENDPOINT, shaken, Answered(200), NOW).health == EndpointHealth(paced_until=5)


def test_the_pause_doubles_with_each_failed_probe_up_to_its_end() -> None:
    health, pauses = EndpointHealth(), list[int]()
    for _ in range(12):
        health = judge(ENDPOINT, health, Answered(500), NOW).health
        pauses.append(max(health.open_until - NOW, 0) // SECOND)
    assert pauses == [0, 0, 0, 0, 30, 60, 120, 240, 480, 600, 600, 600]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_overloaded_receiver_is_left_alone_for_a_while(status: int) -> None:
    assert judge(ENDPOINT, EndpointHealth(), Answered(status), NOW).health.open_until == NOW + MINUTE
    assert judge(ENDPOINT, EndpointHealth(), Answered(status, "300"), NOW).health.open_until == NOW + 5 * MINUTE


@pytest.mark.parametrize("ahead", [2 * MINUTE, 20 * HOUR, 30 * DAY])
@pytest.mark.parametrize("failures", [4, 30])
def test_a_pause_is_no_longer_than_it_was_meant_to_be_when_a_clock_is_put_right(failures: int, ahead: int) -> None:
    """Given an endpoint whose breaker was opened by a clock that ran ahead, when that is put right, then it is open for
    no longer than it was meant to be, and for what clocks may differ by; a failure begins a pause anew."""
    before = EndpointHealth(failures, NOW)
    opened = judge(ENDPOINT, before, Answered(500), NOW + ahead).health
    assert opened.open_for == opened.open_until - NOW - ahead > 0

    assert possible(opened, NOW).open_until <= NOW + opened.open_for + TOLERANCE
    assert judge(ENDPOINT, opened, Answered(500), NOW).health.open_until <= NOW + LONGEST_PAUSE + TOLERANCE


def test_what_a_receiver_asked_for_is_kept_to_whatever_clocks_differ_by() -> None:
    asked = judge(ENDPOINT, EndpointHealth(), Answered(503, str(6 * 3600)), NOW).health
    for now in (NOW - TOLERANCE, NOW, NOW + HOUR):
        assert possible(asked, now) == asked
    # A failure of what was under way does not make it shorter, and says how long is left.
    again = judge(ENDPOINT, asked, Answered(500), NOW + HOUR).health
    assert (again.open_until, again.open_for) == (asked.open_until, 5 * HOUR)


def test_a_pause_of_a_version_before_lasts_as_it_did() -> None:
    known = EndpointHealth(failures=9, open_until=NOW + DAY)
    assert possible(known, NOW) == known
    assert possible(known, NOW - HOUR).open_until == 0


def test_gone_disables_at_once() -> None:
    judged = judge(ENDPOINT, EndpointHealth(), Answered(410), NOW)
    assert (judged.notice, bool(judged.disable)) == (100, True)


def test_one_failure_long_after_another_disables_nothing() -> None:
    rare = EndpointHealth(failures=1, failing_since=NOW - 90 * DAY)
    judged = judge(ENDPOINT, rare, Answered(500), NOW)
    assert (judged.notice, judged.disable) == (0, "")
    never = Endpoint(**{name: getattr(ENDPOINT, name) for name in ENDPOINT.__dataclass_fields__}
                     | {"options": Options(disable_after=0)})  # fmt: skip
    assert judge(never, EndpointHealth(99, NOW - 90 * DAY), Answered(500), NOW).disable == ""
