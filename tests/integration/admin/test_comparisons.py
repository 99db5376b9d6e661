"""A stretch of time and the one before it can be laid over each other, wherever a chart does so."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND, to_iso
from custodes.planes.traffic.report import CallReport
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


async def test_a_day_is_the_same_stretch_on_every_page(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock
):
    """Given one call, webhook and decision in each of twelve minutes; When a day is asked about that begins in the
    middle of them; Then every plane tells the same six, where some count hours by one row."""
    admin = await key_for(custodes)
    rule = {"name": "all", "limits": "100/minute", "by": "user"}
    assert (await client.post(f"{API}/rate-limits/rules", json=rule, headers=admin)).status_code == 201
    clock.advance(-clock.now() % (10 * MINUTE) + 4 * MINUTE + 7 * SECOND)
    for minute in range(12):
        custodes.traffic.log_api_call(CallReport(method="GET", route="/orders", status=200, total_us=3_000))
        await custodes.inbound.log_webhook_event("paddle", "order.made", b"{}", event_id=f"ntf_{minute}")
        await custodes.ratelimit.check_rate_limit("ann", "user", "/orders")
        await custodes.ratelimit.flush()
        clock.advance(MINUTE)
    since = clock.now() - 6 * MINUTE - 7 * SECOND
    clock.advance(24 * HOUR - 3 * MINUTE)

    async def told(path: str) -> Any:
        found = await client.get(
            API + path, params={"since": to_iso(since), "until": to_iso(clock.now())}, headers=admin
        )
        assert found.status_code == 200, found.text
        return found.json()

    assert since % (10 * MINUTE) == 0
    webhooks = await told("/webhook-analytics")
    assert (webhooks["since"], webhooks["step_seconds"]) == (to_iso(since), 3_600)
    assert webhooks["total"]["received"] == sum(point["summary"]["received"] for point in webhooks["points"]) == 6
    assert (await told("/api-analytics"))["totals"]["count"] == 6
    assert (await told("/rate-limits/analytics"))["allowed"] == 6
    assert len((await told("/webhook-events"))["items"]) == 6


@pytest.mark.parametrize(
    "path",
    ["/webhook-analytics", "/webhook-delivery-analytics", "/rate-limits/analytics", "/rate-limits/usage?rule=login"],
)
async def test_an_answer_says_which_minutes_it_is_of(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock, path: str
):
    """Given five seconds are asked about; Then what is kept by minutes says that it tells of the whole one."""
    minute = clock.now() - clock.now() % MINUTE - HOUR
    asked = {"since": to_iso(minute + 3 * SECOND), "until": to_iso(minute + 8 * SECOND)}

    path, _, rule = path.partition("?rule=")
    told = (
        await client.get(API + path, params=asked | ({"rule": rule} if rule else {}), headers=await key_for(custodes))
    ).json()

    assert (told["since"], told["until"]) == (to_iso(minute), to_iso(minute + MINUTE))


@pytest.mark.parametrize("days", [1, 7, 30, 90])
@pytest.mark.parametrize("path", ["/rate-limits/analytics", "/rate-limit-summary", "/rate-limits/usage?rule=all"])
async def test_a_range_of_whole_days_is_answered(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock, path: str, days: int
):
    """Given what one asks about begins and ends with a whole hour: then it is read from the sums of hours alone."""
    until = clock.now() - clock.now() % (24 * HOUR)
    path, _, rule = path.partition("?rule=")
    asked = {"since": to_iso(until - days * 24 * HOUR), "until": to_iso(until), **({"rule": rule} if rule else {})}

    answer = await client.get(API + path, params=asked, headers=await key_for(custodes))

    assert answer.status_code == 200, answer.text


async def test_one_is_told_since_when_there_is_anything_to_compare_with(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock
):
    """Given calls that were written and folded; Then who asks who one is learns since when calls are recorded."""
    admin = await key_for(custodes)
    clock.advance(-clock.now() % DAY + 7 * HOUR + 12 * MINUTE + 34 * SECOND)
    begin = clock.now()
    for _ in range(3):
        custodes.traffic.log_api_call(CallReport(method="GET", route="/orders", status=200, total_us=3_000))
        await custodes.traffic.flush()
        clock.advance(9 * HOUR)
        await custodes.traffic.fold()

    told = (await client.get(f"{API}/me", headers=admin)).json()

    assert told["recording_since"] == to_iso(begin - 4 * SECOND)  # ten seconds, the finest that is kept
