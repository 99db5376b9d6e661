"""An install with its admin app, served in process, and programs with keys."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.testing.clock import FakeClock


@pytest.fixture
async def custodes(sqlite_url: str, clock: FakeClock) -> AsyncIterator[Custodes]:
    install = Custodes(sqlite_url, clock=clock)
    await install.open()
    await install.audit.start()
    yield install
    await install.audit.stop()
    await install.alerts.stop()
    await install.close()


@pytest.fixture
async def client(custodes: Custodes) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_admin_app(custodes), client=("203.0.113.9", 50_000))
    base = "https://ops.example.com/api/admin/enterprise"
    async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
        yield client
