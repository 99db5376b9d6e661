"""Upgrades without downtime: while new processes start, the old ones go on, on the new schema."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, create_engine, inspect, text

from custodes import Custodes
from custodes.errors import ConfigurationError, StorageUnavailable
from custodes.storage.sql import postgresql, postgresql_work, schema
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.schema import VERSION_TABLE, alembic_config, metadata
from custodes.storage.sql.tables.audit import audit_logs


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/custodes.db"
    server = request.getfixturevalue("postgres_server")
    return server.url(server.new_database())


async def test_code_goes_on_when_a_later_version_has_added_to_every_table(url: str, exercise):
    """Given columns, an index and a table that this version does not know, then all of its statements still work."""
    custodes = Custodes(url, secret_key="k" * 32)
    await custodes.open()

    def upgrade(tx: Any) -> None:
        connection = connection_of(tx)
        for table in metadata.sorted_tables:
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN added_later TEXT"))
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN also_added INTEGER NOT NULL DEFAULT 7"))
        connection.execute(text(f"CREATE INDEX ix_added ON {audit_logs.name} (tenant_id, added_later)"))
        connection.execute(text("CREATE TABLE added_table (id INTEGER PRIMARY KEY)"))

    await custodes.database.write(upgrade)

    await exercise(custodes)


async def test_processes_that_run_stay_ready_when_a_newer_one_has_migrated_and_no_old_one_starts(url: str):
    custodes = Custodes(url)
    await custodes.start()
    assert await custodes.is_ready()

    newer = text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    await custodes.database.write(lambda tx: connection_of(tx).execute(newer))

    assert await custodes.is_ready()
    old = Custodes(url)
    with pytest.raises(ConfigurationError, match="9999"):
        await old.open()
    await old.close()
    await custodes.stop()
    assert not await custodes.is_ready()


# ── The rule for migrations ──────────────────────────────────────────────────


def broken(before: MetaData, after: MetaData) -> list[str]:
    """What code of the version before misses, or cannot write, on the schema after."""
    found: list[str] = []
    for name, old in before.tables.items():
        new = after.tables.get(name)
        if new is None:
            found.append(f"{name} is gone")
            continue
        for column in old.columns:
            if column.name not in new.columns:
                found.append(f"{name}.{column.name} is gone")
            elif type(new.columns[column.name].type) is not type(column.type):
                found.append(f"{name}.{column.name} has another type")
            elif column.nullable and not new.columns[column.name].nullable:
                found.append(f"{name}.{column.name} must not be null any more")
        found += [
            f"{name}.{column.name} is new, not null and has no default"
            for column in new.columns
            if column.name not in old.columns and not column.nullable and column.server_default is None
        ]
        if _unique(new) - _unique(old):
            found.append(f"{name} has a new unique constraint")
    return found


def _unique(table: Table) -> set[tuple[str, ...]]:
    return {tuple(column.name for column in index.columns) for index in table.indexes if index.unique}


def test_the_rule_finds_what_would_break():
    def table(*columns: Column[Any]) -> MetaData:
        made = MetaData()
        Table("notes", made, Column("id", Integer, primary_key=True), *columns)
        return made

    before = table(Column("text", String))

    assert broken(before, table(Column("text", String), Column("more", String))) == []
    assert (
        broken(before, table(Column("text", String), Column("more", String, nullable=False, server_default="x"))) == []
    )
    assert broken(before, MetaData()) == ["notes is gone"]
    assert broken(before, table()) == ["notes.text is gone"]
    assert broken(before, table(Column("text", Integer))) == ["notes.text has another type"]
    assert broken(before, table(Column("text", String, nullable=False))) == ["notes.text must not be null any more"]
    assert broken(before, table(Column("text", String), Column("more", String, nullable=False))) == [
        "notes.more is new, not null and has no default"
    ]


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_every_migration_leaves_the_code_before_it_working(tmp_path: Path):
    """From each revision to the next: only what old code does not notice. A column goes in the release after."""
    engine = create_engine(f"sqlite:///{tmp_path}/custodes.db")
    with engine.begin() as connection:
        config = alembic_config(connection)
        revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]
        before: MetaData | None = None
        for revision in revisions:
            command.upgrade(config, revision)
            after = _tables(connection)
            if before is not None:
                assert broken(before, after) == [], revision
            before = after
        assert before is not None
        assert set(metadata.tables) <= set(before.tables)
    engine.dispose()


def _tables(connection: Connection) -> MetaData:
    found = MetaData()
    names = [name for name in inspect(connection).get_table_names() if not re.match("sqlite_|custodes_schema", name)]
    found.reflect(connection, only=names)
    return found


class TestATableThatAnotherTransactionHas:
    """PostgreSQL: whoever waits for a table keeps all who come after it waiting, even to read."""

    @pytest.fixture
    def tries(self, monkeypatch: pytest.MonkeyPatch) -> Tries:
        monkeypatch.setattr(postgresql, "MIGRATION_LOCK_MS", 30)
        monkeypatch.setattr(postgresql, "MIGRATION_PAUSE_SECONDS", 0.02)
        tries = Tries(schema.migrate)
        monkeypatch.setattr(schema, "migrate", tries)
        return tries

    async def test_is_waited_for_a_little_at_a_time_so_that_others_go_on(self, postgres_server, tries: Tries):
        """Given a backup that reads a table, When a process migrates that table, Then others read and write it
        meanwhile, And it is migrated when the backup has ended."""
        custodes = await at_version(postgres_server, "0013_audit_lines")
        count = text("SELECT count(*) FROM api_rollups")
        with backup_of(custodes, "api_rollups"):
            migrating = asyncio.create_task(custodes.migrate())
            async with asyncio.timeout(60):
                while len(tries.begun) < 2:
                    await custodes.database.read(lambda tx: connection_of(tx).execute(count).scalar_one())
                    await custodes.database.write(lambda tx: connection_of(tx).execute(text("DELETE FROM api_rollups")))
            assert not migrating.done()

        assert "0014_sums_and_ages" in await migrating
        assert await custodes.pending_migrations() == []
        await custodes.close()

    async def test_is_not_waited_for_for_ever(self, postgres_server, tries: Tries, monkeypatch: pytest.MonkeyPatch):
        """Given a transaction that does not end, Then it is said what to look for, and nothing was changed."""
        monkeypatch.setattr(postgresql, "MIGRATION_TRIES", 2)
        custodes = await at_version(postgres_server, "0013_audit_lines")
        with backup_of(custodes, "api_rollups"), pytest.raises(StorageUnavailable, match="at each of 2 tries") as said:
            await custodes.migrate()

        assert "pg_stat_activity" in said.value.remedy
        assert len(tries.begun) == 2
        assert (await custodes.pending_migrations())[0] == "0014_sums_and_ages"
        await custodes.close()

    async def test_is_tried_again_too_when_each_waited_for_the_other(self, postgres_server, tries: Tries):
        """Given deadlocks, one after another, that the server ends by rolling the migration back,
        When there is none any more, Then it is migrated."""
        custodes = await at_version(postgres_server, "0013_audit_lines")
        tries.deadlocks = postgresql_work.RETRIES + 2  # more than a work by itself is run again

        legs = await custodes.database.read(lambda tx: schema.legs(connection_of(tx)))
        assert "0014_sums_and_ages" in await custodes.migrate()
        assert len(tries.begun) == tries.deadlocks + len(legs)
        assert await custodes.pending_migrations() == []
        await custodes.close()


class Tries:
    """Counts how often a migration is begun."""

    def __init__(self, migrate: Callable[..., list[str]]) -> None:
        self._migrate = migrate
        self.begun: list[Connection] = []
        #: How many of them, the first ones, end in a deadlock after everything was done.
        self.deadlocks = 0

    def __call__(self, connection: Connection, *until: str) -> list[str]:
        self.begun.append(connection)
        done = self._migrate(connection, *until)
        if len(self.begun) <= self.deadlocks:
            connection.exec_driver_sql("DO $$ BEGIN RAISE deadlock_detected; END $$")
        return done


async def at_version(server: Any, revision: str) -> Custodes:
    custodes = Custodes(server.url(server.new_database()), secret_key="k" * 32)
    await custodes.database.open()
    await custodes.database.migrate(lambda tx: command.upgrade(alembic_config(connection_of(tx)), revision))
    return custodes


@contextmanager
def backup_of(custodes: Custodes, table: str) -> Iterator[None]:
    """Have a table read in a transaction that goes on."""
    with psycopg.connect(custodes.settings.database_url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
        yield
        connection.rollback()
