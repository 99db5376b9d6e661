"""An install with its admin app, served in process: real store, real sign-in, a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.planes.identity.directory import Identity
from custodes.storage.sql.identity import SqlIdentityStore
from custodes.testing.clock import FakeClock
from custodes.testing.issuer import FakeIssuer

API = "/api/admin/enterprise"
PASSWORD = "a correct horse battery"


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
