"""Which endpoints may be sent to: what a look leaves to the next one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from custodes.kernel.clock import DAY, MINUTE, SECOND
from custodes.planes.outbound.gates import EndpointGates
from custodes.planes.outbound.model import Endpoint, EndpointHealth, Options

NOW = 1_790_000_000 * SECOND
LANE = "t/e"
OPEN = EndpointHealth(failures=9, open_until=NOW + MINUTE)
USED_UP = EndpointHealth(paced_until=NOW + 5 * SECOND // 2)


def gates_on(rate: float, health: EndpointHealth, meanwhile: Callable[[], None]) -> EndpointGates:
    """Make gates of one endpoint; something happens after its health is read."""

    def read(*_: object) -> dict[str, EndpointHealth]:
        found = {"e": health}
        meanwhile()
        return found

    endpoint = Endpoint(
        id="e", tenant="t", url="https://example.com/", description="", event_types=("*",), created_at=0, updated_at=0,
        options=Options(rate=rate),
    )  # fmt: skip

    def several(*_: object) -> dict[str, Endpoint]:
        return {"e": endpoint}

    def put_health(*_: object) -> None: ...

    store: Any = SimpleNamespace(several=several, health=read, hold_health=read, put_health=put_health)
    return EndpointGates(store)


@pytest.mark.parametrize(("rate", "health"), [(0, OPEN), (2.0, USED_UP)])
def test_what_is_put_right_during_a_look_is_looked_at_again(rate: float, health: EndpointHealth) -> None:
    """Given a look that has read of an endpoint that it is closed, when somebody puts it right before the look ends,
    then the next look asks the store again instead of taking it for closed for a second."""
    gates: EndpointGates
    gates = gates_on(rate, health, lambda: gates.reopen())  # noqa: PLW0108 - it is made by this

    assert not gates.open(None, [LANE], NOW)

    assert not gates.closed(LANE, NOW)
    assert gates.opens_at(NOW) is None


@pytest.mark.parametrize(("rate", "health"), [(0, OPEN), (2.0, USED_UP)])
def test_what_is_closed_is_not_looked_at_for_a_second(rate: float, health: EndpointHealth) -> None:
    gates = gates_on(rate, health, lambda: None)

    assert not gates.open(None, [LANE], NOW)

    assert gates.closed(LANE, NOW + SECOND - 1)
    assert not gates.closed(LANE, NOW + SECOND)


def test_what_a_clock_that_ran_ahead_has_closed_is_open_when_it_is_put_right() -> None:
    ahead = EndpointHealth(failures=9, open_until=NOW + DAY // 2, open_for=10 * MINUTE)
    gates = gates_on(0, ahead, lambda: None)

    assert gates.open(None, [LANE], NOW)[LANE].at_once == 1


def test_what_was_begun_during_a_look_is_forgotten_with_it() -> None:
    gates = gates_on(2.0, EndpointHealth(), lambda: None)
    assert gates.open(None, [LANE], NOW)[LANE].begin == 2
    gates.reopen()

    gates.passed(None, {LANE: 2}, NOW)

    assert not gates.closed(LANE, NOW)
