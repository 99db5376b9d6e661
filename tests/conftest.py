"""Fixtures that every kind of test may use."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.storage.sql.tables import metadata
from custodes.testing.clock import FakeClock

# The same examples in every run, and no time limit an example: a loaded machine must not fail a property.
settings.register_profile("deterministic", deadline=None, derandomize=True)
settings.load_profile("deterministic")

#: Real payloads, signature vectors and a real access log, beside the checkout; absent in a plain clone.
SHARED_DATA = Path(os.environ.get("CUSTODES_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def random_bits():
    return random.Random(20261123).getrandbits


@pytest.fixture
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real input not found at {SHARED_DATA}; set CUSTODES_SHARED_DATA to run this test")
    return SHARED_DATA


@pytest.fixture(params=["sqlite"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database with all tables, once for each engine."""
    engine = SqliteDatabase(f"sqlite:///{tmp_path}/custodes.db")
    await engine.open()
    await engine.write(lambda tx: metadata.create_all(connection_of(tx)))
    yield engine
    await engine.close()
