"""Metrics at a glance, and beside the period before, over the admin API."""

from __future__ import annotations

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.clock import HOUR, SECOND, to_iso
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock


@pytest.fixture
async def admin(custodes: Custodes) -> dict[str, str]:
    return await key_for(custodes, "admin")


@pytest.fixture
async def recorded(custodes: Custodes) -> None:
    for plan, amount in (("pro", 4), ("free", 6)):
        custodes.metrics.count("orders.created", amount, labels={"plan": plan})
        custodes.metrics.observe("checkout.seconds", amount, labels={"plan": plan})
    custodes.metrics.count("orders.created", 100, tenant="acme")
    await custodes.metrics.flush()


@pytest.mark.usefixtures("recorded")
async def test_each_metric_is_told_at_a_glance(client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str]):
    """Given metrics of each kind; then a counter is told by its sum, a gauge by its last and a histogram by its p95."""
    custodes.metrics.gauge("queue.depth", 7)
    custodes.metrics.gauge("custodes.health", 1, labels={"system": "api"})
    await custodes.metrics.flush()

    async def ask(**params: object) -> list[tuple[str, str, str, float]]:
        answer = await client.get("/system-metrics/courses", params=params, headers=admin)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return [(one["tenant"], one["name"], one["aggregation"], one["value"]) for one in answer.json()["items"]]

    own = [
        ("acme", "orders.created", "sum", 100),
        ("default", "checkout.seconds", "p95", 6),
        ("default", "orders.created", "sum", 10),
        ("default", "queue.depth", "last", 7),
    ]
    assert await ask(own=True) == own, "both series of a metric are one, those of another tenant are not in it"
    assert ("default", "custodes.health", "last", 1) in await ask(own=False)
    assert {name for _, name, _, _ in await ask(own=False)}.isdisjoint(name for _, name, _, _ in own)
    assert await ask(own=True, tenant="acme") == own[:1]


@pytest.mark.usefixtures("recorded")
async def test_metrics_of_the_app_are_paged_past_those_that_are_not(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str]
):
    for number in range(7):
        custodes.metrics.gauge(f"custodes.test.{number}", 1)
    await custodes.metrics.flush()
    found: list[str] = []
    cursor = None
    for _ in range(10):
        params = {"own": True, "limit": 1, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/system-metrics/courses", params=params, headers=admin)).json()
        found += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert found == ["orders.created", "checkout.seconds", "orders.created"]


@pytest.mark.usefixtures("recorded")
async def test_metrics_of_other_tenants_are_not_told(client: httpx2.AsyncClient, custodes: Custodes):
    acme = await key_for(custodes, "admin", "acme")

    seen = (await client.get("/system-metrics/courses", headers=acme)).json()["items"]

    assert [(one["tenant"], one["value"]) for one in seen] == [("acme", 100)]
    assert (await client.get("/system-metrics/courses", params={"tenant": "default"}, headers=acme)).status_code == 404


async def test_two_stretches_of_one_chart_have_steps_of_one_width(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str], clock: FakeClock
):
    """Given a stretch of which ten seconds are kept; when one beside it has minutes only; then both have those."""
    custodes.metrics.count("orders.created", 1)
    await custodes.metrics.flush()
    span = {"since": to_iso(clock.now() - 2 * HOUR), "until": to_iso(clock.now() + SECOND)}

    async def step(**more: str) -> int:
        params = {"name": "orders.created", "aggregation": "sum", "step_seconds": "10", **span, **more}
        return (await client.get("/system-metrics/series", params=params, headers=admin)).json()["step_seconds"]

    assert await step() == 10
    assert await step(beside=to_iso(clock.now() - 4 * HOUR)) == 60
