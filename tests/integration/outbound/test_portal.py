"""The customer portal over HTTP: what a link opens, and everything that it does not."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, get_args

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from tests.integration.outbound.conftest import ENGINES, Receiver

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.admin.portal import routes
from custodes.admin.portal import session as module
from custodes.admin.portal.app import create_portal_app
from custodes.admin.portal.session import COOKIE, OPENINGS, LinkTrail
from custodes.asgi.standalone import nothing_here
from custodes.cli import doctor
from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.planes.audit.model import AuditEntry
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.outbound.customer import Customer
from custodes.planes.outbound.model import AuthKind, Options
from custodes.planes.outbound.portal import PLACE, NewLink, Scope
from custodes.storage.sql.outbound import SqlEndpointStore
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

API = f"{PLACE}/api"
ADMIN = "/api/admin/enterprise"
HOST = "https://app.example.com"
_ID = "01a20715-efc2-7266-8e32-58b974ac90b4"


@pytest.fixture
async def client(custodes: Custodes) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=custodes.wrap(nothing_here), client=("203.0.113.9", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url=HOST) as client:
        yield client


@dataclass
class Visitor:
    """A browser in which a link was opened."""

    client: httpx2.AsyncClient
    headers: dict[str, str]

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        more = {} if body is None else {"json": body}
        return await self.client.request(method, API + path, headers={**self.headers, **headers}, **more)

    async def made(self, url: str = "https://hooks.example.com/in") -> dict[str, Any]:
        answer = await self("POST", "/endpoints", {"url": url, "event_types": ["order.*"]})
        assert answer.status_code == 201, answer.text
        return answer.json()


async def opened(client: httpx2.AsyncClient, made: NewLink) -> Visitor:
    answer = await client.post(f"{API}/session", json={"token": made.token})
    assert answer.status_code == 200, answer.text
    client.cookies.clear()
    cookie = answer.headers["set-cookie"].split(";")[0]
    return Visitor(
        client,
        {
            "Cookie": cookie, "X-CSRF-Token": answer.json()["csrf_token"], "Origin": HOST,
            "Sec-Fetch-Site": "same-origin",
        },
    )  # fmt: skip


async def visit(custodes: Custodes, client: httpx2.AsyncClient, tenant: str = "acme", **fields: Any) -> Visitor:
    fields.setdefault("scope", Scope.MANAGE)
    return await opened(client, await custodes.portal.create_link(tenant, **fields))


async def trail(custodes: Custodes, **query: Any) -> list[AuditEntry]:
    return list((await custodes.audit.list_entries(AuditQuery(limit=200, **query))).items)[::-1]


# ── The link ─────────────────────────────────────────────────────────────────


async def test_an_admin_makes_lists_and_revokes_links_and_the_token_is_seen_once(
    custodes: Custodes, client: httpx2.AsyncClient
):
    admin = await key_for(custodes, "admin")
    body = {"scope": "manage", "hours": 2, "note": "for Ann"}
    made = await client.post(f"{ADMIN}/webhook-portal-links", params={"tenant": "acme"}, json=body, headers=admin)
    assert made.status_code == 201, made.text
    url = made.json()["url"]
    assert re.fullmatch(r"/portal/webhooks/#[A-Za-z0-9_-]{43}", url)
    token = url.partition("#")[2]

    listed = await client.get(f"{ADMIN}/webhook-portal-links", headers=admin)
    (link,) = listed.json()["items"]
    assert (link["note"], link["scope"], link["opened"], link["last_used_at"]) == ("for Ann", "manage", 0, None)
    assert token not in listed.text
    assert "hash" not in listed.text

    visitor = await opened(client, NewLink((await custodes.portal.get_link(link["id"])), token))
    assert (await visitor("GET", "/session")).json()["scope"] == "manage"
    assert (await client.delete(f"{ADMIN}/webhook-portal-links/{link['id']}", headers=admin)).status_code == 204
    gone = await visitor("GET", "/endpoints")
    assert (gone.status_code, gone.json()["code"]) == (401, "link-ended")
    again = await client.post(f"{API}/session", json={"token": token})
    assert (again.status_code, again.json()["detail"]) == (401, "This link was withdrawn")

    actions = [(entry.action, str(entry.actor)) for entry in await trail(custodes, tenant="acme")]
    assert {action for action, _ in actions} == {"portal_link.created", "portal_link.opened", "portal_link.revoked"}
    assert dict(actions)["portal_link.opened"] == f"portal_link:{link['id']}"
    assert token not in str(await trail(custodes))


async def test_a_portal_at_an_address_of_its_own_works_behind_a_proxy_that_ends_tls(
    database_url: str, clock: FakeClock
):
    """Given a proxy that names the server by another host, and pages of the portal's address; then a link is opened
    there and used; pages from elsewhere, the dashboard's included, open nothing."""
    install = Custodes(
        database_url, clock=clock, portal_url="https://Hooks.example.com/", public_url="https://ops.example.com"
    )
    await install.open()
    made = await install.portal.create_link("acme", scope=Scope.MANAGE)
    transport = httpx2.ASGITransport(app=install.wrap(nothing_here), client=("203.0.113.9", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://10.0.0.7:8321") as client:
        page = {"Origin": "https://hooks.example.com", "Sec-Fetch-Site": "same-origin"}
        body = {"token": made.token}
        for elsewhere in ("https://ops.example.com", "https://hooks.example.com.evil", "http://hooks.example.com"):
            refused = await client.post(f"{API}/session", json=body, headers={**page, "Origin": elsewhere})
            assert refused.json()["code"] == "forged-request"
        answer = await client.post(f"{API}/session", json=body, headers=page)
        assert answer.status_code == 200, answer.text
        cookie = answer.headers["set-cookie"].split(";")[0]
        visitor = Visitor(client, {**page, "Cookie": cookie, "X-CSRF-Token": answer.json()["csrf_token"]})
        await visitor.made()
    await install.close()


@pytest.mark.parametrize(
    ("portal_url", "root", "base"),
    [
        ("https://hooks.example.com", "", "https://hooks.example.com"),
        ("https://hooks.example.com/", "/ops", "https://hooks.example.com/ops"),
        ("https://hooks.example.com/ops/", "/ops", "https://hooks.example.com/ops"),
        ("https://hooks.example.com/outside", "/inside", "https://hooks.example.com/outside"),
        ("", "/ops", "/ops"),
    ],
)
def test_a_link_leads_to_where_the_settings_say_and_the_install_is_mounted(portal_url: str, root: str, base: str):
    portal = Custodes("sqlite://", portal_url=portal_url).portal

    assert portal.base_at(root) == base


async def test_a_link_is_of_one_tenant_always(custodes: Custodes, client: httpx2.AsyncClient):
    everywhere, acme = await key_for(custodes, "admin"), await key_for(custodes, "admin", "acme")

    unsaid = await client.post(f"{ADMIN}/webhook-portal-links", json={}, headers=everywhere)
    own = await client.post(f"{ADMIN}/webhook-portal-links", json={}, headers=acme)
    other = await client.post(f"{ADMIN}/webhook-portal-links", json={}, params={"tenant": "other"}, headers=acme)
    foreign = await custodes.portal.create_link("other")
    revoked = await client.delete(f"{ADMIN}/webhook-portal-links/{foreign.link.id}", headers=acme)

    assert (unsaid.status_code, own.status_code, other.status_code, revoked.status_code) == (422, 201, 404, 404)
    assert own.json()["tenant"] == "acme"
    assert [
        one["tenant"] for one in (await client.get(f"{ADMIN}/webhook-portal-links", headers=acme)).json()["items"]
    ] == ["acme"]


OUT_OF_BOUNDS: list[Any] = [
    {"lifetime": 5 * MINUTE - 1},
    {"lifetime": 30 * DAY + 1},
    {"max_endpoints": 101},
    {"max_endpoints": -1},
    {"channel": "x" * 101},
    {"channel": "a\nb"},
    {"note": "x" * 501},
    {"tenant": "a b"},
    {"tenant": ""},
]


async def test_a_link_out_of_bounds_is_not_made(custodes: Custodes):
    for wrong in OUT_OF_BOUNDS:
        with pytest.raises(InvalidInput):
            await custodes.portal.create_link(**{"tenant": "acme", **wrong})
    assert list((await custodes.portal.list_links()).items) == []


async def test_a_link_ends_by_itself(custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock):
    made = await custodes.portal.create_link("acme", lifetime=HOUR)
    visitor = await opened(client, made)
    clock.advance(HOUR - 1)
    assert (await visitor("GET", "/endpoints")).status_code == 200
    clock.advance(1)
    late = await visitor("GET", "/endpoints")
    assert (late.status_code, late.json()["code"]) == (401, "link-ended")
    again = await client.post(f"{API}/session", json={"token": made.token})
    assert again.json()["detail"] == "This link has expired"


async def test_the_cookie_goes_to_the_portal_alone_and_is_not_the_token(custodes: Custodes, client: httpx2.AsyncClient):
    made = await custodes.portal.create_link("acme", lifetime=HOUR)
    cookie = (await client.post(f"{API}/session", json={"token": made.token})).headers["set-cookie"]

    name, _, value = cookie.split(";")[0].partition("=")
    assert name == COOKIE
    assert value != made.token
    assert len(value) == 43
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "secure", "samesite=strict", f"path={PLACE}", "max-age=3600"} <= parts
    # And the session is no token: it cannot be turned into another session
    assert (await client.post(f"{API}/session", json={"token": value})).status_code == 401


async def test_uses_are_counted_on_the_link(custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock):
    made = await custodes.portal.create_link("acme")
    visitor = await opened(client, made)
    await opened(client, made)
    used = (await custodes.portal.get_link(made.link.id)).last_used_at
    clock.advance(MINUTE)
    await visitor("GET", "/endpoints")

    link = await custodes.portal.get_link(made.link.id)
    assert (link.opened, used, link.last_used_at) == (2, clock.now() - MINUTE, clock.now())
    assert [one.action for one in await trail(custodes)] == ["portal_link.opened"] * 2


# ── What it does not open ────────────────────────────────────────────────────


def operations(app: FastAPI) -> list[tuple[str, str, str]]:
    """(method, path below the API, operation id)."""
    return [
        (method.upper(), path.removeprefix("/api"), operation["operationId"])
        for path, item in app.openapi()["paths"].items()
        for method, operation in item.items()
    ]


async def test_no_route_answers_without_an_opened_link(custodes: Custodes, client: httpx2.AsyncClient):
    admin = await key_for(custodes, "owner")
    for method, path, name in operations(create_portal_app(custodes)):
        if name == "portal_open_link":
            continue
        place = API + path.replace("{id}", _ID)
        for headers in ({}, admin, {"Cookie": f"{COOKIE}={'x' * 43}"}, {"Cookie": f"{COOKIE}="}):
            answer = await client.request(method, place, headers=headers, **({"json": {}} if method != "GET" else {}))
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json"), name
            assert answer.headers["referrer-policy"] == "no-referrer"
    for token in ("x" * 43, "x" * 128, "\0é"):
        assert (await client.post(f"{API}/session", json={"token": token})).status_code == 401
    assert (await client.post(f"{API}/session", json={"token": "x" * 129})).status_code == 422
    assert (await client.get(f"{API}/openapi.json", headers=admin)).status_code == 401


async def test_a_link_opens_no_route_of_the_admin_api_and_no_page_of_the_dashboard(
    custodes: Custodes, client: httpx2.AsyncClient
):
    made = await custodes.portal.create_link("acme", scope=Scope.MANAGE)
    visitor = await opened(client, made)
    session = visitor.headers["Cookie"].partition("=")[2]
    ways = [
        visitor.headers,
        {**visitor.headers, "Cookie": f"__Host-custodes={session}"},
        {"Authorization": f"Bearer {session}"},
        {"X-API-Key": made.token},
    ]
    for path, item in create_admin_app(custodes).openapi()["paths"].items():
        for method in item:
            if path.endswith("/login"):
                continue
            for headers in ways:
                answer = await client.request(method.upper(), re.sub(r"\{[^}]+\}", _ID, path), headers=headers)
                assert answer.status_code == 401, (method, path)
    page = await client.get("/dashboard/admin/enterprise", headers=visitor.headers)
    assert (page.status_code, page.headers["location"]) == (303, "/dashboard/admin/enterprise/login")


async def test_every_id_of_another_tenant_does_not_exist(
    custodes: Custodes, client: httpx2.AsyncClient, receiver: Receiver
):
    """Given an endpoint and a delivery of another tenant, and of another channel; then they are not there."""
    theirs = (await custodes.outbound.create_endpoint(f"{receiver.url}/other", tenant="other")).endpoint
    aside = (
        await custodes.outbound.create_endpoint(
            f"{receiver.url}/aside", tenant="acme", options=Options(channels=("b",))
        )
    ).endpoint
    both = (
        await custodes.outbound.create_endpoint(
            f"{receiver.url}/both", tenant="acme", options=Options(channels=("a", "b"))
        )
    ).endpoint
    unbound = (await custodes.outbound.create_endpoint(f"{receiver.url}/all", tenant="acme")).endpoint
    foreign = {theirs.id, aside.id, both.id, unbound.id}
    for endpoint in foreign:
        await custodes.outbound.send_test(endpoint)
    await custodes.outbound.worker.run_due()
    deliveries = {one.id for one in (await custodes.outbound.list_deliveries()).items}
    assert len(deliveries) == 4
    visitor = await visit(custodes, client, channel="a")

    assert (await visitor("GET", "/endpoints")).json() == []
    tried = 0
    for method, path, name in operations(create_portal_app(custodes)):
        if "{id}" not in path:
            continue
        for identifier in foreign | deliveries | {_ID}:
            body = {} if method != "GET" else None
            answer = await visitor(method, path.replace("{id}", identifier), body)
            assert answer.status_code == 404, (name, answer.text)
            assert "/other" not in answer.text
            tried += 1
            if tried % 50 == 0:  # within the limits of a minute
                custodes.clock.advance(MINUTE)  # type: ignore[attr-defined]
    assert tried > 100
    states = {(await custodes.outbound.get_endpoint(one)).state.value for one in foreign}
    assert states == {"enabled"}
    assert {str(entry.actor) for entry in await trail(custodes)} == {
        f"portal_link:{(await custodes.portal.list_links()).items[0].id}"
    }


async def test_a_link_to_look_with_changes_nothing(custodes: Custodes, client: httpx2.AsyncClient, receiver: Receiver):
    endpoint = (await custodes.outbound.create_endpoint(receiver.url, tenant="acme")).endpoint
    await custodes.outbound.send_test(endpoint.id)
    await custodes.outbound.worker.run_due()
    (delivery,) = (await custodes.outbound.list_deliveries()).items
    visitor = await visit(custodes, client, scope=Scope.VIEW)

    for method, path, name in operations(create_portal_app(custodes)):
        identifier = delivery.id if "/deliveries/" in path else endpoint.id
        place = path.replace("{id}", identifier)
        if name in ("portal_open_link", "portal_leave"):
            continue
        body = {"url": "https://evil.example.com"} if method in ("POST", "PATCH") else None
        answer = await visitor(method, place, body)
        assert answer.status_code == (200 if method == "GET" else 403), (name, answer.text)

    denied = [entry for entry in await trail(custodes) if entry.action == "access.denied"]
    assert len(denied) == sum(1 for m, _, n in operations(create_portal_app(custodes)) if m != "GET") - 2
    assert {str(entry.actor)[:12] for entry in denied} == {"portal_link:"}
    assert (await custodes.outbound.get_endpoint(endpoint.id)).url == receiver.url


FORGED: list[Any] = [
    {"X-CSRF-Token": ""},
    {"X-CSRF-Token": "x" * 43},
    {"Origin": "https://evil.example.com"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


async def test_a_forged_request_changes_nothing(custodes: Custodes, client: httpx2.AsyncClient):
    visitor = await visit(custodes, client)
    for forged in FORGED:
        answer = await visitor("POST", "/endpoints", {"url": "https://evil.example.com"}, **forged)

        assert (answer.status_code, answer.json()["code"]) == (403, "forged-request")
        assert (await visitor("GET", "/endpoints")).json() == []


async def test_another_site_cannot_open_a_link_in_a_browser(custodes: Custodes, client: httpx2.AsyncClient):
    """Or a customer would work in an attacker's account without knowing it."""
    made = await custodes.portal.create_link("evil")
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}
    answer = await client.post(f"{API}/session", json={"token": made.token}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_requests_of_one_link_are_bounded(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "READS", 30)
    monkeypatch.setattr(module, "CHANGES", 10)
    visitor, other = await visit(custodes, client), await visit(custodes, client)
    changes = [(await visitor("DELETE", f"/endpoints/{_ID}")).status_code for _ in range(11)]
    reads = [(await visitor("GET", "/session")).status_code for _ in range(20)]

    assert (changes[:-1], changes[-1]) == ([404] * 10, 429)
    assert (set(reads[:-1]), reads[-1]) == ({200}, 429)
    refused = await visitor("GET", "/session")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await other("GET", "/session")).status_code == 200
    clock.advance(MINUTE)
    assert (await visitor("GET", "/session")).status_code == 200


async def test_openings_of_one_address_are_bounded(custodes: Custodes, client: httpx2.AsyncClient):
    statuses = [
        (await client.post(f"{API}/session", json={"token": "x" * 43})).status_code for _ in range(OPENINGS + 1)
    ]
    assert statuses == [401] * OPENINGS + [429]


# ── What it opens ────────────────────────────────────────────────────────────


async def test_a_customer_manages_endpoints_and_every_change_is_in_the_trail(
    custodes: Custodes, client: httpx2.AsyncClient, receiver: Receiver
):
    visitor = await visit(custodes, client, note="Ann")
    made = await visitor.made(f"{receiver.url}/in?key=1")
    endpoint = made["id"]
    assert made["secret"].startswith("whsec_")
    assert "tenant" not in made

    change = {"description": "<script>alert(1)</script>", "headers": {"X-Shop": "s3cret"}, "rate": 5}
    changed = await visitor("PATCH", f"/endpoints/{endpoint}", change)
    assert changed.json()["description"] == "<script>alert(1)</script>"
    assert changed.json()["header_names"] == ["x-shop"]
    assert "s3cret" not in changed.text
    kept = await visitor("PATCH", f"/endpoints/{endpoint}", {"event_types": ["invoice.paid"]})
    assert (kept.json()["header_names"], kept.json()["rate"]) == (["x-shop"], 5)

    assert (await visitor("POST", f"/endpoints/{endpoint}/test")).status_code == 202
    await custodes.outbound.worker.run_due()
    (delivery,) = (await visitor("GET", f"/endpoints/{endpoint}/deliveries")).json()["items"]
    assert receiver.got[0].headers["x-shop"] == "s3cret"
    whole = (await visitor("GET", f"/deliveries/{delivery['id']}")).json()
    assert '"This is a test."' in whole["body"]
    assert whole["tries"][0]["status"] == 204
    assert whole["tries"][0]["total_ms"] > 0
    assert (await visitor("POST", f"/deliveries/{delivery['id']}/resend")).status_code == 200

    receiver.status = 500
    assert (await visitor("POST", f"/endpoints/{endpoint}/pause")).json()["state"] == "paused"
    health = (await visitor("GET", f"/endpoints/{endpoint}/health")).json()
    assert (health["condition"], health["reasons"][0]) == ("paused", "It is paused")
    assert (await visitor("POST", f"/endpoints/{endpoint}/resume")).json()["state"] == "enabled"
    rotated = (await visitor("POST", f"/endpoints/{endpoint}/rotate-secret")).json()
    assert rotated["secret"] not in ("", made["secret"])
    assert (await visitor("POST", f"/endpoints/{endpoint}/recover")).status_code == 200
    listed = await visitor("GET", "/endpoints")
    assert rotated["secret"] not in listed.text
    assert (await visitor("DELETE", f"/endpoints/{endpoint}")).status_code == 204
    assert (await visitor("GET", "/endpoints")).json() == []

    entries = await trail(custodes, tenant="acme")
    actions = [entry.action.partition(".")[2] for entry in entries]
    assert sorted(actions) == sorted([
        "opened", "created", "updated", "updated", "tested", "resent", "paused", "resumed", "recovered",
        "secret_rotated", "recovery_begun", "recovered", "deleted",
    ])  # fmt: skip
    (link,) = (await custodes.portal.list_links()).items
    assert {str(entry.actor) for entry in entries} == {link.actor}
    assert "s3cret" not in str(entries)
    assert {entry.context.ip for entry in entries} == {"203.0.113.9"}


async def test_the_list_says_how_each_endpoint_is_as_its_own_page_does(
    custodes: Custodes, client: httpx2.AsyncClient, receiver: Receiver, clock: FakeClock
):
    # Given two endpoints, of which one fails again and again
    visitor = await visit(custodes, client)
    well, fails = await visitor.made(f"{receiver.url}/well"), await visitor.made(f"{receiver.url}/fails")
    await visitor("PATCH", f"/endpoints/{well['id']}", {"event_types": ["order.other"]})

    async def conditions() -> dict[str, str]:
        listed = {one["id"]: one["condition"] for one in (await visitor("GET", "/endpoints")).json()}
        for endpoint_id, condition in listed.items():
            health = (await visitor("GET", f"/endpoints/{endpoint_id}/health")).json()
            assert health["condition"] == condition
        return listed

    assert await conditions() == {well["id"]: "healthy", fails["id"]: "healthy"}
    receiver.status = 500
    for _ in range(6):
        await custodes.outbound.emit("order.made", {}, tenant="acme")
        await custodes.outbound.worker.run_due()

    # Then it fails, and the other one does not
    assert await conditions() == {well["id"]: "healthy", fails["id"]: "failing"}

    # And one attempt that gets through does not make it a working one
    receiver.status = 204
    clock.advance(5 * MINUTE)
    await custodes.outbound.worker.run_due()
    assert (await conditions())[fails["id"]] == "degraded"
    await visitor("POST", f"/endpoints/{well['id']}/pause")
    assert (await conditions())[well["id"]] == "paused"


async def test_a_disabled_endpoint_is_resumed_with_what_was_held(
    custodes: Custodes, client: httpx2.AsyncClient, receiver: Receiver
):
    # Given an endpoint that said that it is gone, and an event that was held since
    visitor = await visit(custodes, client)
    made = await visitor.made(f"{receiver.url}/in")
    receiver.status = 410
    for _ in range(2):
        await custodes.outbound.emit("order.made", {}, tenant="acme")
        await custodes.outbound.worker.run_due()
    path = f"/endpoints/{made['id']}"
    assert (await visitor("GET", f"{path}/health")).json()["condition"] == "disabled"
    receiver.status = 204
    before = len(receiver.got)

    await visitor("POST", f"{path}/resume?recover=true")
    await custodes.outbound.worker.run_due()

    assert len(receiver.got) > before
    held = (await visitor("GET", f"{path}/deliveries", None)).json()["items"]
    assert "held" not in {delivery["status"] for delivery in held}


async def test_what_is_added_stays_within_the_channel_and_the_count_of_the_link(
    custodes: Custodes, client: httpx2.AsyncClient
):
    visitor = await visit(custodes, client, channel="shop 1", max_endpoints=2)
    made = await visitor.made()
    await visitor.made()
    full = await visitor("POST", "/endpoints", {"url": "https://hooks.example.com/third"})

    assert full.status_code == 409
    assert (await custodes.outbound.get_endpoint(made["id"])).options.channels == ("shop 1",)
    assert len((await visitor("GET", "/endpoints")).json()) == 2


IMPOSSIBLE: list[Any] = [
    {"url": "javascript:alert(1)"},
    {"url": "https://user:pw@example.com/"},
    {"url": "ftp://example.com/"},
    {"url": "https://"},
    {"url": "https://example.com/#x"},
    {"url": "https://exa mple.com/"},
    {"url": "x" * 2_001},
    {"url": "https://example.com/", "event_types": []},
    {"url": "https://example.com/", "event_types": ["<script>"]},
    {"url": "https://example.com/", "event_types": ["a"] * 1_000},
    {"url": "https://example.com/", "headers": {"Authorization": "x"}},
    {"url": "https://example.com/", "headers": {"X-A": "a\r\nB: c"}},
    {"url": "https://example.com/", "rate": -1},
    {"url": "https://example.com/", "description": "x" * 501},
    {"url": ["https://example.com/"]},
    [],
    None,
]


@pytest.mark.parametrize("tenant", ["default", "acme"])
async def test_a_link_of_the_operators_tenant_does_not_hear_what_is_told_of_all_tenants(
    custodes: Custodes, client: httpx2.AsyncClient, tenant: str
):
    link = await custodes.portal.create_link(tenant, scope=Scope.MANAGE)
    visitor = await opened(client, link)
    made = await visitor.made()
    body = {"url": "https://hooks.example.com/in", "event_types": ["order.*", "custodes.*"]}

    answers = (await visitor("POST", "/endpoints", body), await visitor("PATCH", f"/endpoints/{made['id']}", body))

    assert {answer.status_code for answer in answers} == ({403} if tenant == "default" else {200, 201})


async def test_what_a_link_of_the_operators_tenant_could_ask_for_once_is_taken_back_at_the_start(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    """Given endpoints with patterns of ours, written by an older version's links and by the operator."""
    await client.get("/healthz")
    await custodes.start()  # whole, so that nothing is taken back before it is looked for
    visitor = await opened(client, await custodes.portal.create_link("default", scope=Scope.MANAGE))
    news = {"url": "https://hooks.example.com/in", "event_types": ["order.*", "custodes.*"]}
    with monkeypatch.context() as older:
        older.setattr(Customer, "_check_types", lambda *_: None)
        made, other = [(await visitor("POST", "/endpoints", news)).json()["id"] for _ in range(2)]
        only = (await visitor("POST", "/endpoints", {**news, "event_types": ["custodes.message.*"]})).json()["id"]
    made_here = await custodes.outbound.create_endpoint(news["url"], event_types=["custodes.*"], tenant="default")
    own = made_here.endpoint.id
    owner = await key_for(custodes, "owner")
    for event_types in (["a"], ["custodes.*"]):
        clock.advance(MINUTE)
        change = {"event_types": event_types}
        await client.patch(f"{ADMIN}/webhook-configurations/{other}", headers=owner, json=change)

    found = [finding.text async for finding in doctor._own_news(custodes)]
    await custodes.own_news.start()

    assert len(found) == 2
    types = {one.id: list(one.event_types) for one in (await custodes.outbound.list_endpoints()).items}
    assert types == {made: ["order.*"], only: ["custodes.test"], other: ["custodes.*"], own: ["custodes.*"]}
    told = await custodes.audit.list_entries(AuditQuery(actor="system:custodes"))
    assert {str(entry.targets[0]) for entry in told.items} == {f"webhook_configuration:{id_}" for id_ in (made, only)}
    assert await custodes.own_news.strays() == []


async def test_what_cannot_be_is_refused_as_a_problem(custodes: Custodes, client: httpx2.AsyncClient):
    visitor = await visit(custodes, client)
    for body in IMPOSSIBLE:
        answer = await visitor("POST", "/endpoints", body)

        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert "pw@" not in answer.text
        assert (await visitor("GET", "/endpoints")).json() == []


async def test_a_parameter_that_there_is_not_is_refused_by_name(custodes: Custodes, client: httpx2.AsyncClient):
    visitor = await visit(custodes, client)
    endpoint = (await visitor.made())["id"]

    answer = await visitor("GET", f"/endpoints/{endpoint}/deliveries?statsu=failed")

    assert answer.status_code == 422
    assert "There is no parameter 'statsu' here" in answer.json()["detail"]
    assert (await visitor("GET", f"/endpoints/{endpoint}/deliveries?status=failed")).status_code == 200


async def test_a_url_that_leads_inside_is_never_called(
    custodes: Custodes, client: httpx2.AsyncClient, receiver: Receiver
):
    """Given an install that allows loopback alone; then no other address inside is called for a customer."""
    visitor = await visit(custodes, client)
    for url in ("http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://[::ffff:10.0.0.1]/"):
        endpoint = (await visitor.made(url))["id"]
        await visitor("POST", f"/endpoints/{endpoint}/test")
        await custodes.outbound.worker.run_due()
        (delivery,) = (await visitor("GET", f"/endpoints/{endpoint}/deliveries")).json()["items"]
        (attempt,) = (await visitor("GET", f"/deliveries/{delivery['id']}")).json()["tries"]
        assert (attempt["status"], attempt["error"]) == (None, "refused: the address is not allowed")
        assert attempt["excerpt"] == ""
    assert receiver.got == []


async def test_the_catalogue_is_shown_without_what_is_archived(custodes: Custodes, client: httpx2.AsyncClient):
    await custodes.outbound.put_event_type("order.paid", description="<b>Paid</b>", schema={"type": "object"})
    await custodes.outbound.put_event_type("order.old", archived=True)
    visitor = await visit(custodes, client, scope=Scope.VIEW)

    (entry,) = (await visitor("GET", "/event-types")).json()
    assert (entry["name"], entry["payload_schema"]) == ("order.paid", {"type": "object"})


async def test_why_the_operator_paused_it_is_not_told(custodes: Custodes, client: httpx2.AsyncClient):
    endpoint = (await custodes.outbound.create_endpoint("https://hooks.example.com/", tenant="acme")).endpoint
    await custodes.outbound.pause_endpoint(endpoint.id, reason="they do not pay")
    visitor = await visit(custodes, client)

    for path in ("/endpoints", f"/endpoints/{endpoint.id}", f"/endpoints/{endpoint.id}/health"):
        answer = await visitor("GET", path)
        assert "paused" in answer.text
        assert "pay" not in answer.text


# ── The page ─────────────────────────────────────────────────────────────────


async def test_the_page_is_locked_down_and_tells_nothing_of_the_inside(custodes: Custodes, client: httpx2.AsyncClient):
    for path in (f"{PLACE}/", f"{PLACE}/endpoints/{_ID}"):
        page = await client.get(path)
        assert page.status_code in (200, 503)  # 503: not built
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
    short = await client.get(PLACE)
    assert (short.status_code, short.headers["location"]) == (308, f"{PLACE}/")
    assert (await client.get(f"{PLACE}/nothing")).status_code == 404
    # What only begins alike is the host's
    assert (await client.get("/portal/webhooksX")).json()["detail"] == "Nothing is served here"
    assert (await client.get("/portal/other")).json()["detail"] == "Nothing is served here"


def test_every_change_asks_for_the_trail_of_the_link():
    changing = [one for one in routes.router.routes if isinstance(one, APIRoute) and one.methods - {"GET"}]
    for route in changing:
        parameters = inspect.signature(route.endpoint, eval_str=True).parameters.values()
        asks = any(LinkTrail in get_args(parameter.annotation) for parameter in parameters)
        assert asks or route.name == "open_link", route.path
    assert len(changing) > 8


@pytest.mark.parametrize("rate", [5e-324, 1e-20, 0.0009])
async def test_a_rate_beyond_every_clock_is_refused(custodes: Custodes, client: httpx2.AsyncClient, rate: float):
    visitor = await visit(custodes, client)

    refused = await visitor("POST", "/endpoints", {"url": "https://hooks.example.com/in", "rate": rate})

    assert refused.status_code == 422
    assert "0.001" in refused.text


async def test_a_rate_that_was_kept_before_stops_nobody_else(custodes: Custodes, receiver: Receiver):
    # Given an endpoint that was kept with a rate that is refused now, beside a healthy one
    odd = (await custodes.outbound.create_endpoint(receiver.url, tenant="acme")).endpoint
    await custodes.outbound.create_endpoint(receiver.url, tenant="other")
    kept = replace(odd, options=replace(odd.options, rate=5e-324))
    await custodes.database.write(lambda tx: SqlEndpointStore().put(tx, kept))

    # When both get something
    for tenant in ("acme", "other"):
        await custodes.outbound.emit("order.paid", {"of": tenant}, tenant=tenant)
    await custodes.outbound.worker.run_due()

    # Then the healthy one's is delivered
    assert any(b"other" in got.body for got in receiver.got)


async def test_what_the_operator_gave_does_not_go_where_the_customer_says(
    custodes: Custodes, client: httpx2.AsyncClient
):
    # Given endpoints with a token, and with a header, that the customer is not told
    with_token = await custodes.outbound.create_endpoint(
        "https://a.example.com/in", tenant="acme", options=Options(auth=AuthKind.BEARER), credentials={"token": "t0k"}
    )
    with_header = await custodes.outbound.create_endpoint(
        "https://b.example.com/in", tenant="acme", options=Options(headers={"x-api-key": "s3cret"})
    )
    visitor = await visit(custodes, client)

    # When the customer has them sent elsewhere
    elsewhere = {"url": "https://mine.example.net/"}
    moved = [await visitor("PATCH", f"/endpoints/{made.endpoint.id}", elsewhere) for made in (with_token, with_header)]
    path = f"/endpoints/{with_header.endpoint.id}"
    moved.append(await visitor("PATCH", path, {**elsewhere, "headers": {"x-mine": "1", "x-api-key": None}}))
    anew = await visitor("PATCH", path, {**elsewhere, "headers": {"x-mine": "1"}})

    # Then that is refused, unless all that is sent is the customer's own
    assert [answer.status_code for answer in moved] == [409] * 3
    assert anew.status_code == 200
    assert (await custodes.outbound.get_endpoint(with_token.endpoint.id)).url == "https://a.example.com/in"


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_count_of_the_link_holds_against_many_at_once(custodes: Custodes, client: httpx2.AsyncClient):
    visitor = await visit(custodes, client, max_endpoints=3)

    answers = await asyncio.gather(
        *(visitor("POST", "/endpoints", {"url": f"https://hooks.example.com/{number}"}) for number in range(12))
    )

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 9


async def test_a_subscriber_s_whole_network_counts_as_one_when_links_are_opened(custodes: Custodes):
    statuses: list[int] = []
    for number in range(OPENINGS + 1):
        transport = httpx2.ASGITransport(app=custodes.wrap(nothing_here), client=(f"2001:db8::{number:x}", 50_000))
        async with httpx2.AsyncClient(transport=transport, base_url=HOST) as client:
            statuses.append((await client.post(f"{API}/session", json={"token": "x" * 43})).status_code)

    assert statuses == [401] * OPENINGS + [429]
