"""Trials: one delivery, or one webhook that came in, sent to a URL of somebody's choosing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx2
import pytest
import standardwebhooks
from aiohttp import web
from tests.integration.outbound.conftest import Got, Receiver
from tests.integration.outbound.test_delivery import deliver, deliveries

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.kernel.clock import SECOND
from custodes.kernel.redact import MASK
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.inbound.sources.registry import make_source
from custodes.planes.outbound.model import AuthKind, Options
from custodes.planes.outbound.trial import AT_ONCE
from custodes.testing.admin import key_for
from custodes.testing.webhooks import signed_webhook

API = "/api/admin/enterprise"


@pytest.fixture
async def client(custodes: Custodes) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(create_admin_app(custodes))
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://ops.test", headers=await key_for(custodes)
    ) as made:
        yield made


async def tried(custodes: Custodes, action: str) -> list[tuple[str, str, object]]:
    found = await custodes.audit.list_entries(AuditQuery(action=action))
    return [(str(entry.targets[0]), entry.tenant, entry.context.extra.get("url")) for entry in found.items]


def signed(custodes: Custodes, got: Got, secret: str) -> str:
    """The signature that a request has to carry, worked out by an independent library."""
    moment = datetime.fromtimestamp(custodes.clock.now() // SECOND, UTC)
    return standardwebhooks.Webhook(secret).sign(got.headers["webhook-id"], moment, got.body.decode())


async def test_a_delivery_is_sent_to_another_url_and_stays_as_it_is(
    custodes: Custodes, receiver: Receiver, client: httpx2.AsyncClient
) -> None:
    """Given a delivery to an endpoint with credentials; When it is tried elsewhere; Then the same body arrives there,
    signed with a secret of its own, nothing of the endpoint's goes along, and delivery and figures are as they were.
    """
    options = Options(headers={"X-Acme": "hunter3"}, auth=AuthKind.BEARER)
    made = await custodes.outbound.create_endpoint(
        f"{receiver.url}/hooks", options=options, credentials={"token": "hunter6"}, tenant="acme"
    )
    await custodes.outbound.emit("order.shipped", {"order": 7}, tenant="acme")
    await deliver(custodes)
    [before] = await deliveries(custodes)
    receiver.status, receiver.headers = 202, {"X-Request-Id": "r1", "Set-Cookie": "sid=hunter9"}

    answer = await client.post(f"{API}/webhook-deliveries/{before.id}/try", json={"url": f"{receiver.url}/mine"})

    told, (real, trial) = answer.json(), receiver.got
    assert (answer.status_code, told["succeeded"], told["status"], told["error"]) == (200, True, 202, "")
    assert (trial.path, trial.body) == ("/mine", real.body)
    assert trial.headers["webhook-signature"] == signed(custodes, trial, told["secret"])
    assert trial.headers["webhook-signature"] != signed(custodes, trial, made.secret)
    assert "hunter" not in json.dumps(trial.headers) + answer.text
    assert trial.headers["custodes-trial"] == "true"
    came = {header["name"]: header["value"] for header in told["answer_headers"]}
    assert (came["x-request-id"], came["set-cookie"]) == ("r1", MASK)
    assert await deliveries(custodes) == [before]
    assert len((await custodes.outbound.get_delivery(before.id))[1]) == 1
    assert await tried(custodes, "webhook_delivery.tried") == [
        (f"webhook_delivery:{before.id}", "acme", f"{receiver.url}/mine")
    ]


async def test_a_webhook_that_came_in_is_sent_on_as_it_came(
    custodes: Custodes, receiver: Receiver, client: httpx2.AsyncClient
) -> None:
    """Given a webhook of a sender that signs as Standard Webhooks; Then its own signature arrives, and no other."""
    signing = "whsec_" + "QUJD" * 8
    source = custodes.inbound.add_source(make_source("clerk", [signing], kind="clerk"))
    sent = signed_webhook("clerk", b'{"type":"user.created"}', signing, now=custodes.clock.now())
    registration = custodes.inbound.source(source.name)
    assert registration is not None
    receipt = await custodes.inbound.receive(registration, sent.request, trace_id="", client_ip="203.0.113.9")

    answer = await client.post(f"{API}/webhook-events/{receipt.event_id}/try", json={"url": f"{receiver.url}/mine"})

    [got] = receiver.got
    assert (answer.json()["status"], answer.json()["secret"], got.body) == (204, "", b'{"type":"user.created"}')
    for name, value in sent.headers.items():
        if "signature" in name.lower():
            assert got.headers[name.lower()] == value
    assert [target for target, _, _ in await tried(custodes, "webhook.tried")] == [f"webhook_event:{receipt.event_id}"]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://169.254.169.254/latest/meta-data", "the address is not allowed"),
        ("http://10.0.0.1/", "the address is not allowed"),
        ("http://127.0.0.1:25/", "the port is not allowed"),
    ],
)
async def test_what_guards_deliveries_guards_trials(
    custodes: Custodes, receiver: Receiver, client: httpx2.AsyncClient, url: str, fault: str
) -> None:
    await custodes.outbound.create_endpoint(receiver.url)
    await custodes.outbound.emit("order.shipped", {})
    [delivery] = await deliveries(custodes)

    told = (await client.post(f"{API}/webhook-deliveries/{delivery.id}/try", json={"url": url})).json()

    assert (told["succeeded"], told["status"]) == (False, None)
    assert fault in told["error"]
    assert receiver.got == []


async def test_what_cannot_be_tried_is_said_and_leaves_no_entry(
    custodes: Custodes, receiver: Receiver, client: httpx2.AsyncClient
) -> None:
    await custodes.outbound.create_endpoint(receiver.url, tenant="acme")
    await custodes.outbound.emit("order.shipped", {}, tenant="acme")
    [delivery] = await deliveries(custodes)
    place = f"{API}/webhook-deliveries/{delivery.id}/try"

    bad = await client.post(place, json={"url": "ftp://example.com/"})
    private = await client.post(place, json={"url": "https://ann:pw@example.com/"})
    gone = await client.post(
        place.replace(delivery.id, "01900000-0000-7000-8000-000000000000"), json={"url": "https://x/"}
    )
    client.headers.update(await key_for(custodes, tenant="other"))
    foreign = await client.post(place, json={"url": receiver.url})

    assert [one.status_code for one in (bad, private, gone, foreign)] == [422, 422, 404, 404]
    assert await tried(custodes, "webhook_delivery.tried") == []
    assert receiver.got == []


async def test_so_many_trials_at_once_and_no_more(
    custodes: Custodes, receiver: Receiver, client: httpx2.AsyncClient
) -> None:
    """Given receivers that hold on to all trials that there may be, Then one more is told to wait, and later goes."""
    await custodes.outbound.create_endpoint(receiver.url)
    await custodes.outbound.emit("order.shipped", {})
    [delivery] = await deliveries(custodes)
    place, body = f"{API}/webhook-deliveries/{delivery.id}/try", {"url": f"{receiver.url}/mine"}
    go, all_there = asyncio.Event(), asyncio.Event()

    async def hold(each: Receiver, _request: web.Request) -> web.StreamResponse:
        if len(each.got) == AT_ONCE:
            all_there.set()
        await go.wait()
        return web.Response(status=204)

    receiver.answer = hold
    running = [asyncio.create_task(client.post(place, json=body)) for _ in range(AT_ONCE)]
    await all_there.wait()
    refused = await client.post(place, json=body)
    go.set()
    answers = await asyncio.gather(*running)

    assert (refused.status_code, {one.json()["status"] for one in answers}) == (409, {204})
    assert (await client.post(place, json=body)).json()["status"] == 204
