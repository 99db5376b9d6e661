"""Indexes of tables that are full already: on PostgreSQL they are built while others go on writing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from alembic import command

from custodes import Custodes
from custodes.storage.sql import added_indexes, postgresql, schema
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.schema import Leg, alembic_config
from custodes.testing.clock import FakeClock

#: The version before the first that has indexes built ahead.
BEFORE = "0013_audit_lines"

#: Of each index of the schema: its table, what it is, and whether it can be used.
INDEXES = """
    SELECT relation.relname, pg_get_indexdef(indexrelid), indisvalid
    FROM pg_index JOIN pg_class relation ON relation.oid = indrelid
    WHERE relation.relnamespace = to_regnamespace(%s)
"""

#: Tables that are cut into pieces and have an index that was added.
CUT = (
    "api_monitoring",
    "api_rollups",
    "rate_limit_figures",
    "webhook_refusals",
    "webhook_refusal_counts",
    "webhook_rollups",
    "webhook_source_rollups",
)

#: Figures that are found by their time alone.
FIGURES = (
    "api_rollups",
    "rate_limit_figures",
    "webhook_refusal_counts",
    "webhook_rollups",
    "webhook_source_rollups",
)

#: Somebody who builds one and waits for others.
WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
)


@pytest.fixture
async def old(postgres_server) -> Any:
    """An install of an earlier version, with pieces of today."""
    custodes = await old_install(postgres_server)
    yield custodes
    await custodes.close()


async def old_install(server: Any, **settings: Any) -> Custodes:
    custodes = Custodes(server.url(server.new_database()), secret_key="k" * 32, **settings)
    await custodes.database.open()
    await custodes.database.migrate(lambda tx: command.upgrade(alembic_config(connection_of(tx)), BEFORE))
    await custodes.partitions.make()
    return custodes


@contextmanager
def writing(custodes: Custodes, table: str) -> Iterator[psycopg.Connection[Any]]:
    """Have a transaction that writes a table go on, which every index of it has to wait for."""
    with psycopg.connect(custodes.settings.database_url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())
        yield connection
        connection.rollback()


def indexes(custodes: Custodes, within: str = "public") -> dict[str, list[tuple[str, bool]]]:
    """List all that are there, by table: what each is, and whether it can be used."""
    found: dict[str, list[tuple[str, bool]]] = {}
    with psycopg.connect(custodes.settings.database_url) as connection:
        for table, what, valid in connection.execute(INDEXES, (within,)):
            found.setdefault(table, []).append((what, valid))
    return {table: sorted(some) for table, some in found.items()}


async def legs(custodes: Custodes) -> list[Leg]:
    return await custodes.database.read(lambda tx: schema.legs(connection_of(tx)))


async def until_one_waits(custodes: Custodes) -> None:
    async with asyncio.timeout(60):
        with psycopg.connect(custodes.settings.database_url, autocommit=True) as connection:
            while connection.execute(WAITS).fetchone() == (0,):
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("table", ["webhook_delivery_rollups", "api_monitoring_rest"])
async def test_others_go_on_writing_while_one_is_built(old: Custodes, table: str):
    """Given a long transaction that writes a table, When an index is added to it, or to the whole that it is a piece
    of, Then everybody else goes on writing while that waits, And it is there when the transaction has ended."""
    with writing(old, table):
        migrating = asyncio.create_task(old.migrate())
        await until_one_waits(old)

        with psycopg.connect(old.settings.database_url) as another:
            another.execute("SET lock_timeout = '1s'")
            another.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())
        assert not migrating.done()

    await migrating
    assert all(valid for some in indexes(old).values() for _, valid in some)


@pytest.mark.parametrize("within", ["", "Watch"])
async def test_an_upgrade_makes_those_of_a_new_install(postgres_server, clock: FakeClock, within: str):
    upgraded = await old_install(postgres_server, database_schema=within, clock=clock)
    assert len(await upgraded.migrate()) > 5
    new = Custodes(postgres_server.url(postgres_server.new_database()), database_schema=within, clock=clock)
    await new.open()

    found, wanted = (indexes(custodes, f'"{within or "public"}"') for custodes in (upgraded, new))
    assert {table: len(some) for table, some in found.items()} == {table: len(some) for table, some in wanted.items()}
    whole = {table: some for table, some in wanted.items() if not table.startswith(tuple(f"{one}_" for one in CUT))}
    assert {table: found[table] for table in whole} == whole
    assert all(valid for some in found.values() for _, valid in some)
    await upgraded.close()
    await new.close()


async def test_figures_that_are_found_by_their_time_have_a_brin_index_and_no_tree(old: Custodes):
    """Given an install with pieces of figures, When it is upgraded, Then each piece has a BRIN index in place of the
    B-tree, And so has a piece that is made afterwards."""
    await old.migrate()
    with psycopg.connect(old.settings.database_url) as connection:
        connection.execute("CREATE TABLE later (LIKE api_rollups INCLUDING DEFAULTS)")
        connection.execute("ALTER TABLE api_rollups ATTACH PARTITION later FOR VALUES FROM (10, 0) TO (10, 1)")

    by_time = {
        table: [what.partition(" USING ")[2] for what, _ in some if re.search(r"(\(|\(level, )bucket\)( WITH|$)", what)]
        for table, some in indexes(old).items()
        if table.startswith((*FIGURES, "later"))
    }

    for table, some in by_time.items():
        columns = "bucket" if table.startswith(("rate_limit", "webhook_refusal")) else "level, bucket"
        assert some == [f"brin ({columns}) WITH (pages_per_range='32', autosummarize='on')"], table
    assert len(by_time) > 2 * len(FIGURES)


@pytest.mark.parametrize("whole", ["webhook_delivery_rollups", "api_monitoring"])
async def test_what_was_broken_off_is_built_anew(old: Custodes, whole: str):
    """Given an index that was given up half-way, of a table or of a piece, When it is migrated, Then it can be used."""
    [index] = (one for leg in await legs(old) for one in leg.indexes if one.table == whole)
    table = f"{whole}_rest" if whole == "api_monitoring" else whole
    with writing(old, table), psycopg.connect(old.settings.database_url, autocommit=True) as another:
        name = index.name
        if table != whole:
            another.execute(f"CREATE INDEX {name} ON ONLY {index.on(whole)}".encode())
            [number] = another.execute("SELECT to_regclass(%s)::oid", (table,)).fetchone() or ()
            name = f"{name}_{number}"
        another.execute("SET statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            another.execute(f"CREATE INDEX CONCURRENTLY {name} ON {index.on(table)}".encode())
    assert [valid for what, valid in indexes(old)[table] if f" {name} " in what] == [False]

    await old.migrate()

    assert await old.pending_migrations() == []
    assert all(valid for some in indexes(old).values() for _, valid in some)


async def test_processes_that_start_at_once_build_each_once(old: Custodes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(postgresql, "MIGRATION_PAUSE_SECONDS", 0.02)
    installs = [Custodes(old.settings.database_url, secret_key="k" * 32) for _ in range(3)]
    pending = await old.pending_migrations()

    applied = await asyncio.gather(*(install.migrate() for install in installs))

    assert sorted(revision for some in applied for revision in some) == pending
    assert all(valid for some in indexes(old).values() for _, valid in some)
    for install in installs:
        await install.close()


async def test_a_piece_that_retention_drops_meanwhile_needs_none(old: Custodes, monkeypatch: pytest.MonkeyPatch):
    lacking = added_indexes._lacking
    gone = [[(4_711, "api_monitoring_gone")]]
    monkeypatch.setattr(added_indexes, "_lacking", lambda *of: gone.pop() if gone else lacking(*of))

    await old.migrate()

    assert gone == []
    assert all(valid for some in indexes(old).values() for _, valid in some)


async def test_a_table_that_others_have_for_themselves_is_waited_for_a_little_at_a_time(
    old: Custodes, monkeypatch: pytest.MonkeyPatch
):
    """Given a transaction that writes the whole of a table that is cut, When an index is added to that,
    Then it is tried again and again, And everybody else goes on writing."""
    monkeypatch.setattr(postgresql, "MIGRATION_LOCK_MS", 30)
    monkeypatch.setattr(postgresql, "MIGRATION_PAUSE_SECONDS", 0.02)
    tries: list[str] = []
    build = added_indexes.Builder.build
    monkeypatch.setattr(
        added_indexes.Builder, "build", lambda self, index: (tries.append(index.name), build(self, index))
    )

    with writing(old, "api_monitoring"):
        migrating = asyncio.create_task(old.migrate())
        async with asyncio.timeout(60):
            while tries.count("ix_api_monitoring_error_group") < 3:
                await asyncio.sleep(0.01)
        with psycopg.connect(old.settings.database_url) as another:
            another.execute("SET lock_timeout = '1s'")
            another.execute("LOCK TABLE api_monitoring IN ROW EXCLUSIVE MODE")
        assert not migrating.done()

    await migrating
    assert await old.pending_migrations() == []


async def test_a_pooler_in_transaction_mode_is_no_hindrance(postgres_server, pgbouncer):
    old = await old_install(postgres_server)
    through = Custodes(pgbouncer.url(old.settings.database_url.rpartition("/")[2]), secret_key="k" * 32)

    assert len(await through.migrate()) > 5

    assert all(valid for some in indexes(old).values() for _, valid in some)
    await through.close()
    await old.close()
