"""What the watch tells security people, and how often."""

import random

import pytest

from custodes.kernel.address import Addresses
from custodes.kernel.clock import MINUTE, SECOND
from custodes.kernel.ids import uuid7
from custodes.kernel.signals import SecuritySignal
from custodes.planes.inbound.model import Arrival
from custodes.planes.inbound.sources.registry import make_source
from custodes.planes.inbound.watch import (
    ACCEPTED_BUDGET,
    BURST,
    REPEATED_BUDGET,
    REPEATS,
    VERDICT_WINDOW,
    Watch,
    Windows,
    fraud_action,
)
from custodes.runtime.bus import Bus
from custodes.testing.clock import FakeClock

STRIPE = make_source("stripe", ["whsec_x"])


@pytest.fixture
def told() -> list[SecuritySignal]:
    return []


@pytest.fixture
def watch(clock: FakeClock, told: list[SecuritySignal]) -> Watch:
    bus = Bus()
    bus.subscribe(SecuritySignal, told.append)
    return Watch(bus, clock)


def arrival(clock: FakeClock, event_type: str = "invoice.paid", number: int = 0) -> Arrival:
    now = clock.now()
    event_id = uuid7(now, random.Random(number).getrandbits)
    return Arrival(
        "default", event_id, now, "stripe", f"evt_{number}", event_type, f"evt_{number}", "verified", "a" * 32,
        "203.0.113.9", 2, "[]", b"{}",
    )  # fmt: skip


def test_every_accepted_verdict_is_told_one_by_one_up_to_a_budget_and_the_rest_as_a_sum(watch, clock, told):
    for number in range(ACCEPTED_BUDGET + 30):
        watch.accepted(STRIPE, arrival(clock, number=number))
    assert len(told) == ACCEPTED_BUDGET
    assert {(signal.action, signal.outcome) for signal in told} == {("webhook.signature_verified", "success")}
    assert told[0].target.startswith("webhook_event:")

    clock.advance(VERDICT_WINDOW)
    watch.sum_up()
    watch.sum_up()

    assert len(told) == ACCEPTED_BUDGET + 1
    assert told[-1].context["count"] == 30


def test_the_verdict_of_a_handshake_is_told_like_any_other(watch, clock, told):
    for _ in range(ACCEPTED_BUDGET + 3):
        watch.greeted("default", "slack", ip="203.0.113.9", trace_id="a" * 32, now=clock.now())
    clock.advance(VERDICT_WINDOW)
    watch.sum_up()

    assert {(signal.action, signal.outcome) for signal in told} == {("webhook.signature_verified", "success")}
    assert (told[0].target, told[0].ip) == ("webhook_source:slack", "203.0.113.9")
    assert (len(told), told[-1].context["count"]) == (ACCEPTED_BUDGET + 1, 3)


def test_the_verdict_of_a_repeat_is_told_too_and_takes_no_entry_from_what_is_new(watch, clock, told):
    """Given one event that is sent over and over, and new ones after it: each of these has its entry all the same."""
    again = arrival(clock)
    for _ in range(1_000):
        watch.repeated(again, "kept-first")
    for number in range(ACCEPTED_BUDGET):
        watch.accepted(STRIPE, arrival(clock, number=number))
    clock.advance(VERDICT_WINDOW)
    watch.sum_up()

    verdicts = [signal for signal in told if signal.action == "webhook.signature_verified"]
    repeats = [signal for signal in verdicts if signal.context.get("repeated")]
    (summed,) = [signal for signal in verdicts if "count" in signal.context]
    assert {signal.outcome for signal in verdicts} == {"success"}
    assert {(signal.target, signal.ip) for signal in repeats} == {("webhook_event:kept-first", "203.0.113.9")}
    assert (len(repeats), len(verdicts)) == (REPEATED_BUDGET, REPEATED_BUDGET + ACCEPTED_BUDGET + 1)
    assert (summed.context["count"], summed.context["reason"]) == (1_000 - REPEATED_BUDGET, "repeated")


def test_what_went_beyond_is_not_lost_when_the_next_window_begins_before_the_sum(watch, clock, told):
    for number in range(ACCEPTED_BUDGET + 7):
        watch.accepted(STRIPE, arrival(clock, number=number))
    clock.advance(VERDICT_WINDOW)
    watch.accepted(STRIPE, arrival(clock, number=999))

    watch.sum_up()

    assert told[-1].context["count"] == 7


@pytest.mark.parametrize(
    ("event_type", "action"),
    [
        ("radar.early_fraud_warning.created", "fraud.early_warning"),
        ("charge.dispute.created", "fraud.dispute"),
        ("review.opened", "fraud.review"),
    ],
)
def test_fraud_is_raised_each_time(watch, clock, told, event_type: str, action: str):
    for number in range(3):
        watch.accepted(STRIPE, arrival(clock, event_type, number))

    assert [signal.action for signal in told].count(action) == 3
    assert fraud_action(event_type) == action


def test_an_undocumented_type_is_told_once_a_window(watch, clock, told):
    for number in range(5):
        watch.accepted(STRIPE, arrival(clock, "surprise.sent", number))
    patterns = [signal.context["pattern"] for signal in told if signal.action == "webhook.suspicious"]
    assert patterns == ["unknown_type"]

    clock.advance(MINUTE)
    watch.accepted(STRIPE, arrival(clock, "surprise.sent", 9))

    assert [signal.action for signal in told].count("webhook.suspicious") == 2


def test_the_same_event_again_and_again_is_a_replay(watch, clock, told):
    again = arrival(clock)
    for _ in range(REPEATS * 3):
        watch.repeated(again, "stored")

    (replay,) = [signal for signal in told if signal.action == "webhook.suspicious"]
    assert (replay.context["pattern"], replay.target) == ("replay", "webhook_event:stored")


@pytest.mark.parametrize(("reason", "pattern"), [("no-match", "bad_signatures"), ("timestamp-too-old", "stale_replay")])
def test_a_burst_of_refusals_from_one_address_is_told_once(watch, clock, told, reason: str, pattern: str):
    for _ in range(BURST * 3):
        watch.refused("default", "stripe", reason, ip="203.0.113.9", trace_id="", now=clock.now())

    suspicious = [signal for signal in told if signal.action == "webhook.suspicious"]
    assert [signal.context["pattern"] for signal in suspicious] == [pattern]
    assert suspicious[0].ip == "203.0.113.9"


def test_refusals_from_all_over_a_prefix_of_ipv6_are_one_clients(clock, told):
    """Given a client with a new address of its /64 for each delivery, then the burst is told; of others it is not."""
    bus = Bus()
    bus.subscribe(SecuritySignal, told.append)
    watch = Watch(bus, clock, Addresses().limit_key)
    for number in range(BURST * 3):
        watch.refused("default", "stripe", "no-match", ip=f"2001:db8:0:7::{number:x}", trace_id="", now=clock.now())
        watch.refused("default", "stripe", "no-match", ip=f"2001:db8:{number:x}::1", trace_id="", now=clock.now())

    [suspicious] = [signal for signal in told if signal.action == "webhook.suspicious"]
    assert suspicious.ip == f"2001:db8:0:7::{BURST - 1:x}"


def test_windows_are_bounded_and_what_is_shed_is_counted():
    windows = Windows(MINUTE, most=10)

    counts = [windows.count(number, SECOND) for number in range(15)]

    assert counts == [1] * 10 + [0] * 5
    assert windows.shed == 5
    assert windows.count("later", 2 * MINUTE) == 1
