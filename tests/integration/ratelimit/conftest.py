"""An install with a real store and a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.testing.clock import FakeClock


class Call:
    """A request, as the middleware describes it."""

    def __init__(self, client_ip: str = "203.0.113.9", path: str = "/", **rest: str) -> None:
        self.client_ip = client_ip
        self.path = path
        self.method = rest.get("method", "GET")
        self.user = rest.get("user", "")
        self.api_key = rest.get("api_key", "")
        self.tenant = rest.get("tenant", "default")
        self.trace_id = rest.get("trace_id", "a" * 32)
        self.limited_by = ""


@pytest.fixture
def call() -> type[Call]:
    return Call


@pytest.fixture
async def install(sqlite_url: str, clock: FakeClock) -> AsyncIterator[Callable[..., Custodes]]:
    """Makes installs on one database; each is opened by the test and closed here."""
    made: list[Custodes] = []

    def make(**settings: object) -> Custodes:
        custodes = Custodes(sqlite_url, clock=clock, **settings)
        made.append(custodes)
        return custodes

    yield make
    for custodes in reversed(made):
        await custodes.ratelimit.stop()
        await custodes.audit.stop()
        await custodes.close()


@pytest.fixture
async def custodes(install: Callable[..., Custodes]) -> Custodes:
    custodes = install()
    await custodes.open()
    await custodes.audit.start()
    return custodes


@pytest.fixture
async def client(custodes: Custodes) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_admin_app(custodes), client=("198.51.100.7", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com") as client:
        yield client
