"""How often somebody may ask for what costs something, also when there are many."""

from __future__ import annotations

import pytest

from custodes.admin import pace as module
from custodes.admin.pace import Pace, TooFast
from custodes.kernel.clock import MINUTE
from custodes.testing.clock import FakeClock


def test_nobody_gets_rid_of_a_count_by_coming_from_other_addresses(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given somebody at the limit, when thousands of others come, then nothing is pardoned within the minute."""
    monkeypatch.setattr(module, "_MAX_COUNTED", 100)
    pace = Pace(clock)
    for _ in range(3):
        pace.hold("openings", "mallory", 3)

    admitted = [pace.has_room("openings", f"2001:db8:{number:x}::/64", 3) for number in range(10_000)]

    with pytest.raises(TooFast):
        pace.hold("openings", "mallory", 3)
    assert all(admitted[:99])
    assert len(pace._counts) <= 100 + module._SHARED
    clock.advance(MINUTE)
    pace.hold("openings", "mallory", 3)
