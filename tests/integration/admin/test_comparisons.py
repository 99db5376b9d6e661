"""A stretch of time and the one before it can be laid over each other, wherever a chart does so."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.clock import HOUR, to_iso
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

API = "/api/admin/enterprise"


@pytest.mark.parametrize(
    ("path", "begin", "end", "alone", "beside_the_one_before"),
    [
        # Ten minutes of calls are kept for four days.
        ("/api-health", 48, 0, 1_800, 3_600),
        ("/api-analytics", 48, 0, 1_800, 3_600),
        ("/api-latency", 48, 0, 1_800, 3_600),
        # Minutes of webhooks are kept for two days.
        ("/webhook-analytics", 45, 39, 60, 3_600),
        ("/webhook-delivery-analytics", 45, 39, 60, 3_600),
    ],
)
async def test_both_have_steps_of_one_width(
    custodes: Custodes,
    client: httpx2.AsyncClient,
    clock: FakeClock,
    path: str,
    begin: int,
    end: int,
    alone: int,
    beside_the_one_before: int,
):
    """Given finer steps are kept than of the one before; Then each, beside the other, has the wider."""
    admin = await key_for(custodes)
    since, until = clock.now() - begin * HOUR, clock.now() - end * HOUR
    before = since - (until - since)

    async def width(**asked: int) -> Any:
        told = await client.get(API + path, params={name: to_iso(at) for name, at in asked.items()}, headers=admin)
        assert told.status_code == 200, told.text
        found = told.json()
        return found.get("analytics", found)["step_seconds"]

    assert await width(since=since, until=until) == alone
    assert await width(since=since, until=until, beside=before) == beside_the_one_before
    assert await width(since=before, until=since, beside=since) == beside_the_one_before
    assert (await client.get(f"{API}{path}?beside=then", headers=admin)).status_code == 422
