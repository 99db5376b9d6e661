"""pytest plugin, shipped to users: a started install on a temporary database, with a clock that the test moves.

Loaded with every test run of whoever has Custodes installed, so it imports nothing of it before a test asks for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

try:  # pytest-asyncio in strict mode takes no other fixtures; anyio takes the plain ones
    from pytest_asyncio import fixture as async_fixture
except ImportError:
    from pytest import fixture as async_fixture  # noqa: PT013

if TYPE_CHECKING:
    from custodes.app import Custodes
    from custodes.testing.clock import FakeClock


@pytest.fixture
def custodes_clock() -> FakeClock:
    """The clock of the ``custodes`` fixture."""
    from custodes.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def custodes_settings() -> dict[str, Any]:
    """Settings of the ``custodes`` fixture, and ``identify`` and ``admin_auth``; override it to change them."""
    return {}


@async_fixture
async def custodes(
    tmp_path: Path, custodes_clock: FakeClock, custodes_settings: dict[str, Any]
) -> AsyncIterator[Custodes]:
    """An install on a new SQLite file, started before the test and stopped after it.

    Webhooks are handled when the test says so: ``await custodes.inbound.worker.run_due()``.
    """
    from custodes.app import Custodes

    given: dict[str, Any] = {"database_url": f"sqlite:///{tmp_path}/custodes.db", **custodes_settings}
    install = Custodes(clock=custodes_clock, **given)
    await install.start()
    try:
        await install.inbound.worker.stop()
        yield install
    finally:
        await install.stop()
