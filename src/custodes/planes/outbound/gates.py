"""Which endpoints may be sent to now: the gates of :class:`custodes.runtime.fairness.FairWorker`.

What they decide by is in the store, and read in the transaction of the claim: the breaker and the rate limit hold for
all processes together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from custodes.kernel.clock import SECOND
from custodes.planes.outbound.breaker import possible
from custodes.planes.outbound.model import HEALTHY, Endpoint, EndpointHealth, EndpointState
from custodes.planes.outbound.ports import EndpointStore
from custodes.planes.outbound.rules import MIN_RATE
from custodes.runtime.fairness import Gate
from custodes.runtime.transactions import Transaction

#: How much of its rate an endpoint may get at once, seconds.
BURST_SECONDS = 1.0

#: How long what was closed is taken for closed without another look, microseconds: as late as anything may be found
#: that another process did.
LOOK_AGAIN = SECOND

#: How long an endpoint is left alone whose allowance another process counts at this moment, microseconds.
HELD_ELSEWHERE = SECOND // 50


class _Known:
    """What one look leaves to the next: forgotten as a whole, also by a look that is under way meanwhile."""

    __slots__ = ("closed", "paced")

    def __init__(self) -> None:
        #: Lane → until when it is taken for closed.
        self.closed: dict[str, int] = {}
        #: Lane that has had what its rate allows → when it may have more.
        self.paced: dict[str, int] = {}

    def pace(self, lane: str, until: int, now: int) -> None:
        self.paced[lane] = until
        self.close(lane, until, now)

    def close(self, lane: str, until: int, now: int) -> None:
        self.closed[lane] = min(until, now + LOOK_AGAIN)


class EndpointGates:
    """Opens and closes lanes by what is known of their endpoints."""

    def __init__(self, endpoints: EndpointStore) -> None:
        self._endpoints = endpoints
        self._rated: dict[str, tuple[Endpoint, EndpointHealth]] = {}
        self._failing: dict[str, int] = {}
        self._known = _Known()
        #: That of the look which is under way: what it has read is older than what is put right meanwhile.
        self._looking = self._known

    def open(self, tx: Transaction, lanes: Sequence[str], now: int) -> Mapping[str, Gate]:
        """Tell how many deliveries to each endpoint may be under way, and begin."""
        self._looking = known = self._known
        ids = {lane: lane.rpartition("/")[2] for lane in lanes}
        endpoints = self._endpoints.several(tx, ids.values())
        healths = self._endpoints.health(tx, ids.values())
        gates: dict[str, Gate] = {}
        self._rated, self._failing = {}, {}
        known.closed = {lane: until for lane, until in known.closed.items() if until > now}
        known.paced = {lane: at for lane, at in known.paced.items() if at > now and lane not in ids}
        rated = [endpoint for endpoint in endpoints.values() if _may_be_sent(endpoint) and endpoint.options.rate]
        counted = self._endpoints.hold_health(tx, rated) if rated else {}
        for lane, endpoint_id in ids.items():
            endpoint = endpoints.get(endpoint_id)
            health = possible(healths.get(endpoint_id, HEALTHY), now)
            self._failing[lane] = health.failures
            if endpoint is None or not _may_be_sent(endpoint):
                # Its open jobs are looked at one by one, and put aside.
                gates[lane] = Gate(1)
                continue
            at_once = _at_once(endpoint, health, now)
            if not at_once:
                known.close(lane, health.open_until, now)
            elif not endpoint.options.rate:
                gates[lane] = Gate(at_once)
            elif endpoint_id not in counted:
                known.pace(lane, now + HELD_ELSEWHERE, now)
            else:
                health = _possible_pace(endpoint, counted[endpoint_id], now)
                if begin := _affordable(endpoint, health, now):
                    self._rated[lane] = (endpoint, health)
                    gates[lane] = Gate(at_once, begin)
                else:
                    known.pace(lane, _affordable_at(endpoint, health), now)
        return gates

    def closed(self, lane: str, now: int) -> bool:
        """Tell whether an endpoint was closed less than a second ago: by its breaker, or as it has what it may have."""
        return self._known.closed.get(lane, 0) > now

    def opens_at(self, now: int) -> int | None:
        """Tell when the first of those that have had what their rate allows may have more, microseconds."""
        return min((at for at in self._known.paced.values() if at > now), default=None)

    def reopen(self) -> None:
        """Forget which were closed: somebody has put them right."""
        self._known = _Known()

    def failing(self, lane: str) -> int:
        """Tell how often in a row deliveries to an endpoint have failed: it is in the store, and outlives a process."""
        return self._failing.get(lane, 0)

    def passed(self, tx: Transaction, counts: Mapping[str, int], now: int) -> None:
        """Charge those that have a rate limit (GCRA: the moment until which its allowance is used up moves on)."""
        for lane, count in counts.items():
            if lane in self._rated and count:
                endpoint, health = self._rated[lane]
                paced = max(health.paced_until, now) + math.ceil(count * SECOND / _rate(endpoint))
                health = replace(health, paced_until=paced)
                self._endpoints.put_health(tx, endpoint.tenant, endpoint.id, health)
                if not _affordable(endpoint, health, now):
                    self._looking.pace(lane, _affordable_at(endpoint, health), now)


def _may_be_sent(endpoint: Endpoint) -> bool:
    return endpoint.state is EndpointState.ENABLED


def _at_once(endpoint: Endpoint, health: EndpointHealth, now: int) -> int:
    if health.open_until > now:
        return 0
    # Half open, or shaken: one at a time until one goes well.
    return 1 if health.failures else endpoint.options.concurrency


def _burst(endpoint: Endpoint) -> float:
    return max(BURST_SECONDS, 1 / _rate(endpoint)) * SECOND


def _possible_pace(endpoint: Endpoint, health: EndpointHealth, now: int) -> EndpointHealth:
    """Take for unused what no burst can have used up: a clock that ran ahead has written that, or another rate."""
    latest = now + _burst(endpoint) + SECOND / _rate(endpoint) + SECOND
    return health if health.paced_until <= latest else replace(health, paced_until=0)


def _affordable_at(endpoint: Endpoint, health: EndpointHealth) -> int:
    return math.ceil(health.paced_until - _burst(endpoint) + SECOND / _rate(endpoint))


def _affordable(endpoint: Endpoint, health: EndpointHealth, now: int) -> int:
    left = _burst(endpoint) - max(health.paced_until - now, 0)
    return max(0, int(left * _rate(endpoint) / SECOND + 1e-6))  # less than none, where the rate was another


def _rate(endpoint: Endpoint) -> float:
    # One that was kept before there was a least one must not stop the claim, which is of all endpoints together.
    return max(endpoint.options.rate, MIN_RATE)
