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


def learn(activity: Activity, tenant: str, actor: str, ip: str = "", told: Past | None = None, at: int = NOW) -> None:
    past = told or Past()
    activity.learn_actor(tenant, actor, past.actor, at)
    if ip:
        activity.learn_address(tenant, ip, past.address, at)


def test_memory_is_bounded_however_many_actors_addresses_and_events_come():
    activity = Activity(max_pasts=100)
    for place in range(1_000):
        learn(activity, "default", f"user:{place}", f"10.0.{place}")
    for place in range(1_000):
        activity.note("default", trace(NOW + place, "user:999", ip=f"10.1.{place}", user_agent=str(place)))

    assert len(activity) == 200
    past = activity.of_actor("default", "user:999")
    assert past is not None
    assert len(past.failures) == MAX_TRACES
    assert len(past.addresses) == MAX_SEEN
    assert len(past.devices) == MAX_SEEN
    learn(activity, "default", "user:999", told=Past.of([trace(NOW - place) for place in range(MAX_TRACES)], []))
    assert len(past.failures) == MAX_TRACES
    assert past.failures[-1] == NOW + 999, "the newest stay"


def test_the_one_that_was_quiet_longest_makes_room():
    activity = Activity(max_pasts=2)
    learn(activity, "t", "a")
    learn(activity, "t", "b")
    activity.of_actor("t", "a")

    learn(activity, "t", "c")

    assert activity.of_actor("t", "a") is not None
    assert activity.of_actor("t", "b") is None


def test_what_is_not_in_memory_is_not_half_known():
    # Given an actor that nobody looked up in the store
    activity = Activity()
    activity.note("t", trace(NOW - MINUTE))

    # Then it stays unknown, so that the next event asks the store
    assert activity.of_actor("t", "user:1") is None
    assert activity.of_address("t", "1.1.1.1") is None


def test_what_the_store_tells_again_is_counted_once_and_what_is_under_way_is_kept():
    """Given attempts that are committed, one that is not yet, and one of another process at its own moment."""
    activity = Activity()
    ours = [trace(NOW), trace(NOW), trace(NOW + SECOND)]
    learn(activity, "t", "user:1", "1.1.1.1")
    for one in (*ours, trace(NOW + 2 * SECOND)):
        activity.note("t", one)
    told = [*ours, trace(NOW + 1)]

    learn(activity, "t", "user:1", "1.1.1.1", Past.of(told, told), NOW + 2 * SECOND)

    mine, here = activity.of_actor("t", "user:1"), activity.of_address("t", "1.1.1.1")
    assert mine is not None
    assert here is not None
    assert list(mine.failures) == [NOW, NOW, NOW + 1, NOW + SECOND, NOW + 2 * SECOND]
    assert [at for at, _ in here.failures] == list(mine.failures)


def test_tenants_do_not_see_each_other():
    activity = Activity()
    learn(activity, "a", "user:1", told=Past.of([trace()], []))

    assert activity.of_actor("b", "user:1") is None
