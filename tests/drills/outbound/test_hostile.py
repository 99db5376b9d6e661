"""Hostile receivers of every kind at once, beside good ones of the same tenants.

The full count, whose bounds of time are checked: ``CUSTODES_DRILL_ROUNDS=1 pytest -s -m drill tests/drills/outbound``.
"""

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.counts import FULL
from tests.drills.inbound.load import tell
from tests.drills.outbound.measuring import at_pace, lateness, p99, receivers, sending, strain
from tests.drills.outbound.receivers import HOSTILE

from custodes import Custodes
from custodes.kernel.clock import SECOND
from custodes.planes.outbound.model import RetryPolicy
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.outbound import webhook_configurations as endpoints
from custodes.storage.sql.tables.outbound import webhook_delivery_attempts as attempts

#: Tenants; good and hostile endpoints of each (of each kind of hostility). In full a thousand endpoints, three in ten
#: of them hostile.
TENANTS, GOOD, OF_EACH_KIND = (5, 140, 10) if FULL else (2, 10, 1)

#: Events a second for good endpoints, and as many for hostile ones; how long, seconds.
PACE, SECONDS = (60, 20) if FULL else (20, 3)

#: Total deadline of an attempt, microseconds.
TIMEOUT = 2 * SECOND

#: Most memory that the hostile may cost, bytes.
MEMORY = 50 * 2**20


@pytest.mark.drill
@pytest.mark.timeout(600)
async def test_the_hostile_cost_the_good_nothing(tmp_path: Path) -> None:
    """Given good endpoints with steady traffic, when as many events again go to endpoints that drip, never answer, send
    for ever, send 100 MB, a bomb or reset the connection, then the good get theirs as before, within a second; memory
    stays flat and every attempt ends at its deadline."""
    async with receivers() as base, receivers() as bad, sending(f"sqlite:///{tmp_path}/hostile.db") as custodes:
        for tenant in range(TENANTS):
            for number in range(GOOD):
                await make(custodes, f"{base}/good/{number}", tenant, f"good.e{number}")
            for kind in HOSTILE:
                for number in range(OF_EACH_KIND):
                    await make(custodes, f"{bad}/{kind}/{number}", tenant, f"{kind}.e{number}")

        async def good(number: int, **data: float) -> None:
            turn, tenant = divmod(number, TENANTS)
            await custodes.outbound.emit(f"good.e{turn % GOOD}", data, tenant=f"t{tenant}")

        async def hostile(number: int) -> None:
            turn, tenant = divmod(number, TENANTS)
            kind = list(HOSTILE)[turn % len(HOSTILE)]
            event_type = f"{kind}.e{turn // len(HOSTILE) % OF_EACH_KIND}"
            await custodes.outbound.emit(event_type, {}, tenant=f"t{tenant}")

        async def timed(number: int) -> None:
            await good(number, sent=time.time())

        # Each good endpoint has proven itself.
        await asyncio.gather(*(timed(number) for number in range(TENANTS * GOOD)))
        await lateness(custodes, base, TENANTS * GOOD)
        async with strain() as before:
            sent = await at_pace(PACE, SECONDS, timed)
            alone = await lateness(custodes, base, sent)
        async with strain() as beside:
            both = await asyncio.gather(at_pace(PACE, SECONDS, timed), at_pace(PACE, SECONDS, hostile))
            together = await lateness(custodes, base, both[0])
        ended = await custodes.database.read(ends)

    added, grown = p99(together) - p99(alone), beside.memory - before.memory
    kinds = {kind for kind, _, _ in ended}
    late = [micros / SECOND for _, error, micros in ended if error.startswith("timeout")]
    count = TENANTS * (GOOD + OF_EACH_KIND * len(HOSTILE))
    tell(
        f"{count} endpoints, {len(ended)} attempts at hostile ones: p99 of the good {p99(alone) * 1_000:.0f} ms alone, "
        f"{p99(together) * 1_000:.0f} ms beside them; memory +{grown / 2**20:.0f} MiB; deadline of "
        f"{TIMEOUT / SECOND:g} s: {min(late):.2f} to {max(late):.2f} s (loop late by {beside.lag:.2f} s at most); "
        f"processor time of the sender {before.spent:.1f} s alone, {beside.spent:.1f} s beside them, for {SECONDS} s"
    )
    assert kinds == set(HOSTILE)
    assert late
    assert min(late) >= TIMEOUT / SECOND * 0.99
    assert grown <= MEMORY
    if FULL:
        assert added <= 1
        assert max(late) <= TIMEOUT / SECOND * 1.1 + beside.lag


async def make(custodes: Custodes, url: str, tenant: int, event_type: str) -> None:
    retry = RetryPolicy(timeout=TIMEOUT)
    await custodes.outbound.create_endpoint(url, tenant=f"t{tenant}", event_types=[event_type], retry=retry)


def ends(tx) -> list[tuple[str, str, int]]:
    """How attempts at hostile receivers ended: kind, error, how long it took in microseconds."""
    query = select(endpoints.c.url, attempts.c.error, attempts.c.total_us).where(
        attempts.c.configuration_id == endpoints.c.id, ~endpoints.c.url.contains("/good/")
    )
    return [(url.split("/")[3], error, took) for url, error, took in connection_of(tx).execute(query)]
