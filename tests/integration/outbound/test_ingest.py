"""``POST /ingest/webhook-events``: apps in other languages emit, with a member's key."""

import base64
import json

import httpx2

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.testing.admin import key_for

PATH = "/api/admin/enterprise/ingest/webhook-events"


async def post(custodes: Custodes, items: list[dict], **key) -> httpx2.Response:
    transport = httpx2.ASGITransport(create_admin_app(custodes))
    headers = await key_for(custodes, "member", **key)
    async with httpx2.AsyncClient(transport=transport, base_url="https://ops.test", headers=headers) as client:
        return await client.post(PATH, json={"items": items})


async def test_events_arrive_and_each_faulty_one_is_told_by_itself(custodes: Custodes, receiver):
    # Given an endpoint
    await custodes.outbound.create_endpoint(receiver.url)

    # When a batch comes with a payload, exact bytes, a repeat and something that cannot be
    exact = b'{"as":  "it is"}'
    answer = await post(
        custodes,
        [
            {"event_type": "order.shipped", "payload": {"n": 1}, "idempotency_key": "k"},
            {"event_type": "order.raw", "body": base64.b64encode(exact).decode()},
            {"event_type": "order.shipped", "payload": {"n": 1}, "idempotency_key": "k"},
            {"event_type": "not a type", "payload": 1},
            {"event_type": "order.raw", "body": "no base64!"},
        ],
    )

    # Then what is sound was emitted, once, and arrives; the rest is refused with a reason
    assert answer.status_code == 200, answer.text
    while await custodes.outbound.worker.run_due():
        pass
    assert sorted(got.headers["content-type"] for got in receiver.got) == ["application/json"] * 2
    assert exact in [got.body for got in receiver.got]
    assert {"n": 1} in [json.loads(got.body).get("data") for got in receiver.got]
    results = answer.json()["results"]
    assert [one["accepted"] for one in results] == [True, True, True, False, False]
    assert results[0]["id"] == results[2]["id"]
    assert all(one["error"] for one in results[3:])


async def test_a_key_of_one_tenant_emits_for_that_one_only(custodes: Custodes):
    answer = await post(custodes, [{"event_type": "order.shipped", "payload": 1, "tenant": "other"}], tenant="acme")

    assert answer.status_code == 422
    assert list((await custodes.outbound.list_messages(tenant="other")).items) == []
