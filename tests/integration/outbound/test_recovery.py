"""Sending again over HTTP: the trail has the begin, with what was asked for, and the end, with what was done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest
from tests.integration.outbound.conftest import Receiver

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.kernel.clock import HOUR, to_iso
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.outbound import deliveries
from custodes.planes.outbound.model import RetryPolicy
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock


@pytest.fixture
async def admin(custodes: Custodes) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_admin_app(custodes))
    base = "https://ops.example.com/api/admin/enterprise"
    async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
        client.headers.update(await key_for(custodes, "admin"))
        yield client


async def told(custodes: Custodes, action: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what the trail says was done, by name: the clock stands still."""
    entries = (await custodes.audit.list_entries(AuditQuery(action=action))).items
    who = {"role", "method", "actor_issuer"}  # of every entry of a request
    return sorted(
        (entry.action.partition(".")[2], {name: entry.context.extra[name] for name in entry.context.extra.keys() - who})
        for entry in entries
    )


@pytest.fixture
async def endpoint(custodes: Custodes, receiver: Receiver, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> str:
    """An endpoint that has missed five events, two batches and a half, and a test."""
    monkeypatch.setattr(deliveries, "RELEASE_BATCH", 2)
    made = await custodes.outbound.create_endpoint(receiver.url, retry=RetryPolicy(()))
    receiver.status = 500
    for number in range(5):
        await custodes.outbound.emit("order.made", {"number": number})
    await custodes.outbound.send_test(made.endpoint.id)
    for _ in range(2):  # five failures open its breaker
        await custodes.outbound.worker.run_due()
        clock.advance(HOUR)
    receiver.status = 204
    receiver.got.clear()
    return made.endpoint.id


async def test_a_selection_is_sent_again_with_its_begin_and_its_end_in_the_trail(
    custodes: Custodes, admin: httpx2.AsyncClient, receiver: Receiver, endpoint: str
) -> None:
    asked = {"endpoint_id": endpoint, "statuses": ["failed"]}
    counted = await admin.post("/webhook-deliveries/resend", json={**asked, "dry_run": True})
    assert counted.json() == {"deliveries": 5, "next_cursor": ""}
    assert await told(custodes, "webhook_deliveries.*") == []

    done = await admin.post("/webhook-deliveries/resend", json=asked)

    assert done.json() == {"deliveries": 5, "next_cursor": ""}
    assert await told(custodes, "webhook_deliveries.*") == [
        ("resend_begun", {**asked, "deliveries": 5}),
        ("resent", {"deliveries": 5}),
    ]
    await custodes.outbound.worker.run_due()
    assert len(receiver.got) == 5


async def test_what_is_on_its_way_is_not_counted_as_to_be_sent_again(
    custodes: Custodes, admin: httpx2.AsyncClient, endpoint: str
) -> None:
    await custodes.outbound.emit("order.made", {})

    for statuses, count in ((["pending", "failed"], 5), (["pending", "waiting"], 0)):
        for dry_run in (True, False):
            asked = {"endpoint_id": endpoint, "statuses": statuses, "dry_run": dry_run}
            assert (await admin.post("/webhook-deliveries/resend", json=asked)).json()["deliveries"] == count


async def test_a_test_is_sent_again_when_it_is_named_and_counts_as_no_loss(
    custodes: Custodes, admin: httpx2.AsyncClient, receiver: Receiver, endpoint: str
) -> None:
    health = (await admin.get(f"/webhook-configurations/{endpoint}/health")).json()
    assert health["missed"] == 5

    named = {"endpoint_id": endpoint, "event_type": "custodes.test"}
    assert (await admin.post("/webhook-deliveries/resend", json=named)).json()["deliveries"] == 1
    await custodes.outbound.worker.run_due()
    assert [b"custodes.test" in got.body for got in receiver.got] == [True]


async def test_a_recovery_of_a_range_tells_the_range_and_how_much_it_was(
    custodes: Custodes, admin: httpx2.AsyncClient, receiver: Receiver, endpoint: str, clock: FakeClock
) -> None:
    since = to_iso(clock.now() - 3 * HOUR)

    done = await admin.post(f"/webhook-configurations/{endpoint}/recover", json={"since": since})

    assert done.json()["deliveries"] == 5
    end, begin = await told(custodes, "webhook_configuration.recover*")
    assert begin[0] == "recovery_begun"
    assert begin[1].keys() == {"since", "deliveries"}
    assert begin[1]["deliveries"] == 5
    assert end == ("recovered", {"deliveries": 5})
    await custodes.outbound.worker.run_due()
    assert len(receiver.got) == 5
