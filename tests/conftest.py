"""Fixtures that every kind of test may use."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from alembic import command
from hypothesis import settings
from sqlalchemy import create_engine
from tests.order import shared_out
from tests.servers.postgresql import Databases, PgBouncer, PostgresServer
from tests.servers.programs import required
from tests.servers.redis import RedisCluster, RedisServer

from custodes.app import Custodes
from custodes.storage.sql.database import Database
from custodes.storage.sql.postgresql import PostgresDatabase
from custodes.storage.sql.schema import alembic_config
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.storage.sql.tables import metadata
from custodes.testing.clock import FakeClock

# The same examples in every run, and no time limit an example: a loaded machine must not fail a property.
settings.register_profile("deterministic", deadline=None, derandomize=True)
settings.load_profile("deterministic")

#: Memory that is a folder (Linux). What tests write need not outlive them, and thousands of databases that are synced
#: to a disk take longer than the tests themselves; kill -9 is not a power cut, so that drills may use it too.
MEMORY = Path("/dev/shm")
#: Room it must have, bytes: a PostgreSQL and a browser for each worker, the files of the tests under way.
MEMORY_BYTES = 4 * 2**30


def keep_bytecode() -> None:
    """Have this process, its workers and the servers keep what they compile, as the Makefile says; see there."""
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode = False
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.pycache_prefix = str(Path(__file__).parents[1] / ".cache" / "python")
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def pytest_configure() -> None:
    keep_bytecode()
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    worker = getattr(config, "workerinput", None)  # of pytest-xdist
    if worker is not None:
        items[:] = shared_out(items, worker["workercount"])


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


#: Real payloads, signature vectors and a real access log, beside the checkout; absent in a plain clone.
SHARED_DATA = Path(os.environ.get("CUSTODES_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def _an_environment_of_its_own() -> Iterator[None]:
    """Commands that run in this process set variables for those that they start: no other test sees them."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


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


# ── Servers, started when the first test of a worker asks for one ────────────


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = cast("PostgresServer", required(PostgresServer))
    yield server
    deadlocks = server.deadlocks()
    server.remove()
    assert not deadlocks, "\n".join(["works of the tests of this worker waited for each other:", *deadlocks])


@pytest.fixture(scope="session")
def pgbouncer(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    pooler = cast("PgBouncer", required(lambda: PgBouncer(postgres_server)))
    yield pooler
    pooler.remove()


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    server = cast("RedisServer", required(RedisServer))
    yield server
    server.remove()


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """An empty Redis."""
    shared_redis.flush()
    return shared_redis


@pytest.fixture(scope="session")
def shared_redis_cluster() -> Iterator[RedisCluster]:
    cluster = cast("RedisCluster", required(RedisCluster))
    yield cluster
    cluster.remove()


@pytest.fixture
def redis_cluster(shared_redis_cluster: RedisCluster) -> RedisCluster:
    """An empty Redis cluster of three nodes."""
    shared_redis_cluster.flush()
    return shared_redis_cluster


# ── Databases ────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """A database with all tables: copying it takes a twentieth of making them."""
    name = postgres_server.new_database()
    engine = create_engine(postgres_server.url(name).replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        metadata.create_all(connection)
        command.stamp(alembic_config(connection), "head")
    engine.dispose()
    return name


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: PostgresServer, postgres_template: str) -> Databases:
    """Copies of the template."""
    return Databases(postgres_server, postgres_template)


@pytest.fixture
def postgres_database(postgres_databases: Databases) -> Iterator[str]:
    """Name of an empty PostgreSQL database with all tables."""
    name = postgres_databases.take()
    yield name
    postgres_databases.give_back(name)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_database: str) -> str:
    """URL of an empty PostgreSQL database with all tables."""
    return postgres_server.url(postgres_database)


@pytest.fixture
def pgbouncer_url(pgbouncer: PgBouncer, postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """URL of a fresh PostgreSQL database with all tables, through a pooler in transaction mode."""
    name = postgres_server.new_database(postgres_template)
    yield pgbouncer.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables: copying it takes a twentieth of making them."""
    file = tmp_path_factory.mktemp("template") / "custodes.db"
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        metadata.create_all(connection)
        command.stamp(alembic_config(connection), "head")
    engine.dispose()
    return file


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a fresh SQLite database with all tables, ``custodes.db`` of the test's folder."""
    return f"sqlite:///{shutil.copyfile(sqlite_template, tmp_path / 'custodes.db')}"


@pytest.fixture(scope="session")
def started_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SQLite database of an install that was started before: it has tables and an owner.

    A first start makes both, and hashes a password, which is meant to be slow.
    """
    file = tmp_path_factory.mktemp("started") / "custodes.db"

    async def start_and_stop() -> None:
        custodes = Custodes(f"sqlite:///{file}")
        await custodes.start()
        await custodes.identity.ensure_owner()  # as whoever serves it does
        await custodes.stop()

    asyncio.run(start_and_stop())
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """An empty database with all tables, once for each engine; ``pgbouncer`` where a test asks for it."""
    kinds: dict[str, tuple[str, Callable[[str], Database]]] = {
        "sqlite": ("sqlite_url", SqliteDatabase),
        "postgresql": ("postgres_url", PostgresDatabase),
        "pgbouncer": ("pgbouncer_url", PostgresDatabase),
    }
    url, make = kinds[request.param]
    engine = make(request.getfixturevalue(url))
    await engine.open()
    yield engine
    await engine.close()
