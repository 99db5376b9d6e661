"""Floods of many at once: what is told of them, and what is left for others."""

from __future__ import annotations

from custodes.kernel.clock import SECOND
from custodes.kernel.signals import FailureSignal, Signal
from custodes.planes.alerts.events import MAX_EVENTS, EventBuffer
from custodes.planes.ratelimit.counts import Counts
from custodes.planes.ratelimit.floods import Floods


def refused_times(number: int) -> Counts:
    counts = Counts()
    counts.refused = number
    return counts


def test_a_botnet_leaves_room_for_what_else_goes_wrong() -> None:
    """
    Given more addresses that flood us than alerts keep between two looks,
    When they are looked at, Then what else fails is heard, the largest flood is told first, and the others follow.
    """
    buffer = EventBuffer()

    def emit(signal: Signal) -> None:
        if isinstance(signal, FailureSignal):
            buffer.add(signal)

    floods = Floods(50, emit)
    refused = {
        ("acme", "login", "ip", f"203.0.{number // 250}.{number % 250}", "/login"): refused_times(50 + number)
        for number in range(MAX_EVENTS + 1)
    }
    told: list[str] = []
    for look in range(1, 7):
        floods.look(refused if look == 1 else dict.fromkeys(refused, refused_times(1)), look * 10 * SECOND)
        buffer.add(FailureSignal(at=look, tenant="acme", system="storage", name="storage.down", summary="It is down"))
        events = [event.signal for event in buffer.take()]
        assert "storage.down" in {one.name for one in events}
        told += [dict(one.about)["identifier"] for one in events if one.name != "storage.down"]

    assert buffer.shed == 0
    assert told[0] == f"ip:203.0.{MAX_EVENTS // 250}.{MAX_EVENTS % 250}"
    assert sorted(told) == sorted(f"ip:{ip}" for _, _, _, ip, _ in refused)
