"""What the patterns remember: enough, and never more than their bounds."""

from custodes.kernel.clock import MINUTE, SECOND
from custodes.planes.audit.activity import (
    ATTACK_WINDOW,
    BULK_WINDOW,
    FAILURE_WINDOW,
    MAX_SEEN,
    MAX_TRACES,
    SPRAY_WINDOW,
    Activity,
    Past,
    Trace,
)

NOW = 1_790_000_000 * SECOND


def trace(at: int = NOW, actor: str = "user:1", outcome: str = "failure", ip: str = "1.1.1.1", **more: str) -> Trace:
    return Trace(at, actor, more.get("action", "auth.login"), outcome, ip, more.get("user_agent", "Firefox"))


def test_failures_count_within_their_window_the_event_included():
    inside = [trace(NOW - FAILURE_WINDOW), trace(NOW - SECOND)]
    outside = [trace(NOW - FAILURE_WINDOW - 1)]

    observed = Past.of([*outside, *inside], [*outside, *inside]).observe(trace())

    assert observed.actor_failures == 3
    assert observed.ip_failures == 3


def test_a_success_sees_the_failures_of_the_attack_before_it():
    past = [trace(NOW - ATTACK_WINDOW - 1), *(trace(NOW - ATTACK_WINDOW + place) for place in range(6))]

    assert Past.of(past, []).observe(trace(outcome="success")).failures_before == 6


def test_accounts_that_fail_from_one_address_are_counted_once_each():
    past = [trace(NOW - SPRAY_WINDOW - 1, actor="user:0")]
    past += [trace(NOW - place, actor=f"user:{place % 4}") for place in range(1, 9)]

    assert Past.of([], past).observe(trace(actor="user:9")).ip_accounts == 5


def test_bulk_actions_count_only_for_a_bulk_action():
    past = [trace(NOW - BULK_WINDOW + place, outcome="success", action="data.deleted") for place in range(3)]

    assert Past.of(past, []).observe(trace(outcome="success", action="data.exported")).bulk_actions == 4
    assert Past.of(past, []).observe(trace(outcome="success", action="data.updated")).bulk_actions == 0


def test_an_address_is_new_only_when_others_are_known():
    stranger = trace(ip="2.2.2.2", user_agent="curl")

    assert not Past().observe(stranger).new_address
    observed = Past.of([trace()], []).observe(stranger)
    assert observed.new_address
    assert observed.new_device
    assert not Past.of([trace()], []).observe(trace()).new_address
    assert not Past.of([trace()], []).observe(trace(ip="", user_agent="")).new_address


def test_nobody_in_particular_has_no_habits():
    # Given strangers who failed from everywhere
    past = Past.of([trace(NOW, "anonymous:", ip=f"10.0.0.{place}") for place in range(9)], [])

    observed = past.observe(trace(actor="anonymous:", ip="6.6.6.6", user_agent="curl"))

    assert observed.actor_failures == 1
    assert not observed.new_address
    assert not observed.new_device


def test_memory_is_bounded_however_many_actors_addresses_and_events_come():
    activity = Activity(max_pasts=100)
    for place in range(1_000):
        activity.learn("default", f"user:{place}", f"10.0.{place}", Past())
    for place in range(1_000):
        activity.note("default", trace(NOW + place, "user:999", ip=f"10.1.{place}", user_agent=str(place)))

    assert len(activity) == 200
    past = activity.recall("default", "user:999", "")
    assert past is not None
    assert len(past.actor.failures) == MAX_TRACES
    assert len(past.actor.addresses) == MAX_SEEN
    assert len(past.actor.devices) == MAX_SEEN


def test_the_one_that_was_quiet_longest_makes_room():
    activity = Activity(max_pasts=2)
    activity.learn("t", "a", "", Past())
    activity.learn("t", "b", "", Past())
    activity.recall("t", "a", "")

    activity.learn("t", "c", "", Past())

    assert activity.recall("t", "a", "") is not None
    assert activity.recall("t", "b", "") is None


def test_what_is_not_in_memory_is_not_half_known():
    # Given an actor that nobody looked up in the store
    activity = Activity()
    activity.note("t", trace(NOW - MINUTE))

    # Then it stays unknown, so that the next event asks the store
    assert activity.recall("t", "user:1", "1.1.1.1") is None


def test_tenants_do_not_see_each_other():
    activity = Activity()
    activity.learn("a", "user:1", "", Past.of([trace()], []))

    assert activity.recall("b", "user:1", "") is None
