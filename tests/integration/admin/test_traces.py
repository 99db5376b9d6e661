"""One trace id joins what happened in every plane."""

from __future__ import annotations

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.clock import MILLISECOND, SECOND
from custodes.planes.traffic.report import CallReport
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
async def admin(custodes: Custodes) -> dict[str, str]:
    return await key_for(custodes, "admin")


async def _something_in_every_plane(custodes: Custodes, clock: FakeClock) -> None:
    custodes.traffic.log_api_call(
        CallReport(
            method="POST", route="/orders", status=500, total_us=40 * MILLISECOND, started_at=clock.now(),
            trace_id=TRACE, user="ann", error_type="ValueError", error_message="no stock",
        )
    )  # fmt: skip
    clock.advance(SECOND)
    await custodes.inbound.log_webhook_event("stripe", "invoice.paid", b"{}", trace_id=TRACE)
    clock.advance(SECOND)
    await custodes.outbound.create_endpoint("https://example.com/hook")
    await custodes.outbound.emit("order.shipped", {}, trace_id=TRACE)
    clock.advance(SECOND)
    await custodes.audit.log_audit_event("member.removed", actor="user:1", target="user:2", trace_id=TRACE)
    await custodes.audit.log_audit_event("member.removed", actor="user:1", trace_id="f" * 32)
    await custodes.traffic.flush()


async def test_everything_with_the_trace_id_is_told_in_order_of_time(
    custodes: Custodes, client: httpx2.AsyncClient, admin: dict[str, str], clock: FakeClock
) -> None:
    await _something_in_every_plane(custodes, clock)

    told = (await client.get(f"/api/admin/enterprise/traces/{TRACE}", headers=admin)).json()

    assert [(span["kind"], span["plane"]) for span in told["spans"]] == [
        ("request", "traffic"), ("error", "traffic"), ("webhook", "inbound"),
        ("delivery", "outbound"), ("audit", "audit"),
    ]  # fmt: skip
    request, error, webhook, delivery, entry = told["spans"]
    assert (request["title"], request["duration_us"], request["outcome"]) == (
        "POST /orders → 500", 40 * MILLISECOND, "failure",
    )  # fmt: skip
    assert error["parent"] == request["id"]
    assert "no stock" in error["title"]
    assert webhook["title"] == "stripe invoice.paid"
    (endpoint,) = (await custodes.outbound.list_endpoints()).items
    assert delivery["parent"] == endpoint.id
    assert (delivery["title"].split()[0], delivery["detail"]) == ("order.shipped", "pending after 0 attempts")
    assert entry["title"] == "member.removed by user:1 on user:2"
    assert told["cut"] is False


async def test_a_trace_of_another_tenant_does_not_exist(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock
) -> None:
    await _something_in_every_plane(custodes, clock)
    headers = await key_for(custodes, "admin", "other")

    assert (await client.get(f"/api/admin/enterprise/traces/{TRACE}", headers=headers)).status_code == 404
