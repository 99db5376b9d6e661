"""An audit logger on a real database, and the admin app around it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.kernel.signals import FailureSignal
from custodes.planes.audit.logger import AuditLogger
from custodes.runtime.bus import Bus
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.database import Database
from custodes.testing.clock import FakeClock


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def alarms(bus: Bus) -> list[FailureSignal]:
    """What the alerts are told."""
    heard: list[FailureSignal] = []
    bus.subscribe(FailureSignal, heard.append)
    return heard


@pytest.fixture
def logger_of(database: Database, clock: FakeClock, random_bits, bus: Bus) -> Callable[..., AuditLogger]:
    """Make a logger, as a process that starts would."""

    def make(**settings: object) -> AuditLogger:
        return AuditLogger(database, SqlAuditStore(database), clock, random_bits, bus, **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture
def audit(logger_of) -> AuditLogger:
    return logger_of()


@pytest.fixture
async def custodes(sqlite_template: Path, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Custodes]:
    install = Custodes(f"sqlite:///{shutil.copyfile(sqlite_template, tmp_path / 'install.db')}", clock=clock)
    await install.open()
    yield install
    await install.close()


@pytest.fixture
async def client(custodes: Custodes) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_admin_app(custodes), client=("203.0.113.9", 50_000))
    base = "https://ops.example.com/api/admin/enterprise"
    async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
        yield client
