"""How deliveries went, and how each endpoint is: by the API, on both engines."""

from __future__ import annotations

import httpx2
import pytest
from tests.integration.outbound.conftest import ENGINES, Receiver

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.kernel.clock import HOUR, MINUTE, to_iso
from custodes.planes.outbound.model import RetryPolicy
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

API = "/api/admin/enterprise"
ONCE = RetryPolicy(())


async def get(custodes: Custodes, path: str, *, tenant: str | None = None, **params: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=create_admin_app(custodes))
    async with httpx2.AsyncClient(transport=transport, base_url="http://custodes.test") as client:
        return await client.get(f"{API}/{path}", headers=await key_for(custodes, "admin", tenant), params=params)


@pytest.mark.parametrize("engine", ENGINES)
async def test_attempts_are_told_by_what_came_of_them(custodes: Custodes, receiver: Receiver, clock: FakeClock) -> None:
    """Given one endpoint that answers and one that fails, the figures tell them, their types and tenants apart."""
    await custodes.outbound.create_endpoint(receiver.url, tenant="acme", event_types=["order.*"])
    await custodes.outbound.create_endpoint("https://10.1.2.3/", tenant="other", retry=ONCE, event_types=["order.*"])
    for status in (204, 302, 404, 500):
        receiver.status = status
        await custodes.outbound.emit("order.made", {}, tenant="acme")
        await custodes.outbound.worker.run_due()
    await custodes.outbound.emit("order.gone", {}, tenant="other")
    await custodes.outbound.worker.run_due()
    clock.advance(MINUTE)

    told = (await get(custodes, "webhook-delivery-analytics")).json()
    own = (await get(custodes, "webhook-delivery-analytics", tenant="acme")).json()
    typed = (await get(custodes, "webhook-delivery-analytics", event_type="order.gone")).json()

    classes = ("succeeded", "redirects", "client_errors", "server_errors", "unanswered", "exhausted")
    assert [told["total"][name] for name in classes] == [1, 1, 1, 1, 1, 1]
    assert told["total"]["success_rate"] == 1 / 5
    assert [(part["tenant"], part["attempts"]) for part in told["by_tenant"]] == [("acme", 4), ("other", 1)]
    assert [(part["event_type"], part["attempts"]) for part in told["by_type"]] == [
        ("order.made", 4),
        ("order.gone", 1),
    ]
    assert sum(point["attempts"] for point in told["points"]) == 5
    assert 0 < told["total"]["p50_ms"] <= told["total"]["p99_ms"]
    assert [part["tenant"] for part in own["by_tenant"]] == ["acme"]
    assert own["total"]["attempts"] == 4
    assert typed["total"]["attempts"] == 1


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_endpoint_is_judged_with_reasons(custodes: Custodes, receiver: Receiver, clock: FakeClock) -> None:
    """Given an endpoint that goes down, comes back, is paused and has missed something, each is said."""
    made = await custodes.outbound.create_endpoint(receiver.url, retry=ONCE, event_types=["x"], tenant="acme")
    path = f"webhook-configurations/{made.endpoint.id}/health"
    assert (await get(custodes, path)).json()["condition"] == "healthy"

    receiver.status = 500
    for _ in range(5):
        await custodes.outbound.emit("x", {}, tenant="acme")
        await custodes.outbound.worker.run_due()
    failing = (await get(custodes, path)).json()
    assert (failing["condition"], failing["missed"], failing["failures"]) == ("failing", 5, 5)
    assert [reason.split(",")[0] for reason in failing["reasons"]] == [
        "The last 5 attempts failed",
        "Nothing is sent for another 30 s",
        "5 deliveries were missed and can be recovered",
    ]
    [listed] = (await get(custodes, "webhook-configurations")).json()["items"]
    assert (listed["state"], listed["condition"], listed["failures"]) == ("enabled", "failing", 5)
    assert (listed["open_until"], listed["reasons"]) == (failing["open_until"], failing["reasons"][:2])

    clock.advance(HOUR)
    receiver.status = 204
    await custodes.outbound.recover(made.endpoint.id)
    for _ in range(5):
        await custodes.outbound.worker.run_due()
        clock.advance(MINUTE)
    well = (await get(custodes, path)).json()
    assert (well["condition"], well["reasons"], well["recent"]["succeeded"]) == ("healthy", [], 5)

    await custodes.outbound.pause_endpoint(made.endpoint.id, reason="moving house")
    paused = (await get(custodes, path)).json()
    assert (paused["condition"], paused["reasons"]) == ("paused", ["moving house"])
    [listed] = (await get(custodes, "webhook-configurations")).json()["items"]
    assert (listed["condition"], listed["reasons"], listed["open_until"]) == ("paused", ["moving house"], None)
    assert (await get(custodes, path, tenant="other")).status_code == 404


async def test_deliveries_are_listed_by_when_they_were_emitted(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    await custodes.outbound.create_endpoint(receiver.url)
    first = await custodes.outbound.emit("x", {})
    clock.advance(HOUR)
    moment = clock.now()
    second = await custodes.outbound.emit("x", {})
    before = (await get(custodes, "webhook-deliveries", until=to_iso(moment))).json()["items"]
    after = (await get(custodes, "webhook-deliveries", since=to_iso(moment))).json()["items"]

    assert [each["message_id"] for each in before] == [first.id]
    assert [each["message_id"] for each in after] == [second.id]
