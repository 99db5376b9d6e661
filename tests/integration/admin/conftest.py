"""An install with its admin app, served in process: real store, real sign-in, a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import insert

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.asgi.ingress import Ingress
from custodes.kernel.clock import MINUTE
from custodes.kernel.signals import FailureSignal
from custodes.planes.identity.directory import Identity
from custodes.planes.identity.model import LOCAL, Method, Principal, Role
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.identity import SqlIdentityStore
from custodes.storage.sql.tables.inbound import webhook_completeness
from custodes.testing.admin import key_for
from custodes.testing.asgi import body, converse, http_scope
from custodes.testing.clock import FakeClock
from custodes.testing.issuer import FakeIssuer
from custodes.testing.webhooks import signed_webhook

API = "/api/admin/enterprise"
PASSWORD = "a correct horse battery"

#: In every row of the other tenant, and nowhere else.
MARK = "zqmark"


@pytest.fixture
def issuer(clock: FakeClock) -> FakeIssuer:
    return FakeIssuer(clock)


@pytest.fixture
async def custodes(sqlite_url: str, clock: FakeClock, issuer: FakeIssuer) -> AsyncIterator[Custodes]:
    install = Custodes(sqlite_url, clock=clock, oidc_issuers=issuer.url, oidc_audience=issuer.audience)
    install.identity = Identity(
        SqlIdentityStore(install.database),
        clock=clock,
        random_bits=install.random_bits,
        bus=install.bus,
        hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
    )
    await install.database.open()
    await install.audit.start()
    yield install
    await install.audit.stop()
    await install.database.close()


@pytest.fixture
def app(custodes: Custodes, issuer: FakeIssuer) -> FastAPI:
    return create_admin_app(custodes, fetch=issuer.fetch)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app, client=("203.0.113.9", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com") as client:
        yield client


@dataclass
class Browser:
    """Somebody who has signed in with a password: cookie and CSRF token."""

    client: httpx2.AsyncClient
    cookie: str
    csrf: str
    profile_id: str

    async def request(self, method: str, path: str, **more: Any) -> httpx2.Response:
        headers = {
            "Cookie": self.cookie, "X-CSRF-Token": self.csrf, "Origin": "https://ops.example.com",
            "Sec-Fetch-Site": "same-origin", **more.pop("headers", {}),
        }  # fmt: skip
        headers = {name: value for name, value in headers.items() if value is not None}
        return await self.client.request(method, API + path, headers=headers, **more)


@pytest.fixture
async def browser(custodes: Custodes, client: httpx2.AsyncClient) -> Browser:
    """The owner, signed in, with a password of their own."""
    password = await custodes.identity.ensure_owner()
    first = await client.post(f"{API}/login", json={"username": "owner", "password": password})
    assert first.status_code == 200, first.text
    cookie = first.headers["set-cookie"].split(";")[0]
    client.cookies.clear()
    changed = await client.post(
        f"{API}/password",
        json={"current": password, "new": PASSWORD},
        headers={"Cookie": cookie, "X-CSRF-Token": first.json()["csrf_token"]},
    )
    assert changed.status_code == 200, changed.text
    client.cookies.clear()
    return Browser(
        client, changed.headers["set-cookie"].split(";")[0], changed.json()["csrf_token"], changed.json()["profile_id"]
    )


@pytest.fixture
async def filled(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock
) -> AsyncIterator[tuple[dict[str, str], dict[str, str]]]:
    """Rows of the tenant ``other`` in every table; the keys of its owner and of acme's."""
    other, acme = await key_for(custodes, Role.OWNER, "other"), await key_for(custodes, Role.OWNER, "acme")
    custodes.source(f"{MARK}src", ["whsec_of_the_other"], kind="stripe", tenant="other")
    custodes.limit("1/minute", by="user", route="/shared/*", name="shared")

    async def send(path: str, asked: dict[str, Any]) -> dict[str, Any]:
        answer = await client.post(API + path, headers=other, json=asked)
        assert answer.status_code < 300, (path, answer.text)
        return answer.json()

    await send("/ingest/metrics", {"items": [
        {"kind": "gauge", "name": f"{MARK}.metric", "value": 3, "labels": {"place": MARK}}]})  # fmt: skip
    await send("/ingest/audit-events", {"items": [{"action": f"{MARK}.done", "actor": f"user:{MARK}"}]})
    await send("/ingest/api-calls", {"items": [
        {"method": "GET", "route": f"/{MARK}/api", "status": 500, "duration_us": 9, "error_type": f"{MARK}Error",
         "user": MARK}]})  # fmt: skip
    await send("/ingest/webhook-events", {"items": [{"event_type": f"{MARK}.event", "payload": {"x": MARK}}]})
    endpoint = {"url": f"https://{MARK}.example.com/", "event_types": ["*"], "description": MARK}
    await send("/webhook-configurations", endpoint)
    await send("/webhook-portal-links", {"note": MARK})
    await send("/alert-rules", {"name": MARK, "metric": f"{MARK}.metric", "comparator": ">=", "threshold": 1})
    await send("/saved-views", {"name": MARK, "place": "/api", "shared": True})
    await send("/rate-limits/blocks", {"identifier": f"{MARK}1", "kind": "user", "reason": MARK})
    await send("/rate-limits/lists", {"effect": "allow", "identifier": f"{MARK}2", "kind": "user", "reason": MARK})
    await send("/rate-limits/rules", {"limits": "5/minute", "name": f"{MARK}rule", "route": f"/{MARK}"})
    await custodes.outbound.emit(f"{MARK}.emitted", {"x": MARK}, tenant="other")
    for _ in range(3):
        await custodes.ratelimit.check_rate_limit(MARK, "user", "/shared/x", tenant="other")
    signed = signed_webhook(
        "stripe", f'{{"id": "evt_{MARK}", "type": "invoice.paid"}}', "whsec_of_the_other", now=clock.now()
    )
    for sent in (signed.body, b"{}"):
        scope = http_scope(f"/hooks/{MARK}src", "POST", headers=signed.headers)
        await converse(Ingress(custodes), scope, body(sent))
    failed = FailureSignal(at=clock.now(), tenant="other", system=MARK, name="x.failed", summary=MARK)
    custodes.alerts.on_failure(failed)
    await custodes.alerts.write_events()
    proven = {"tenant_id": "other", "source": f"{MARK}src", "cursor": "", "fetched": 0, "lost": 0, "error": "",
              "silent_expected": 0}  # fmt: skip
    await custodes.database.write(lambda tx: connection_of(tx).execute(insert(webhook_completeness).values(**proven)))
    made = await custodes.identity.profiles.create(f"{MARK}user", role=Role.ADMIN, issuer=LOCAL, tenant="other")
    who = Principal(
        profile_id=made.profile.id, subject=f"{MARK}user", role=Role.ADMIN, tenant="other", method=Method.HOST
    )
    await custodes.identity.keys.create(MARK, owner=who)
    login = {"username": f"{MARK}user", "password": made.one_time_password}
    assert (await client.post(f"{API}/login", json=login, headers={"User-Agent": MARK})).status_code == 200
    client.cookies.clear()
    clock.advance(MINUTE)
    for plane in (custodes.traffic, custodes.metrics, custodes.ratelimit, custodes.inbound):
        await plane.flush()
    yield other, acme
    await custodes.inbound.stop()
