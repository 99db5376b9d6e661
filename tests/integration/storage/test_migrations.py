"""Custodes brings its own tables, beside the host's, without touching the host's migrations."""

import asyncio
import textwrap
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from custodes import Custodes, alembic_include_name
from custodes.errors import ConfigurationError
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.schema import VERSION_TABLE, metadata

SPECIFIED = {
    "webhook_events",
    "api_monitoring",
    "rate_limit_tracking",
    "audit_logs",
    "webhook_configurations",
    "system_metrics",
    "user_profiles",
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/app.db"


@pytest.fixture
async def custodes(url: str):
    install = Custodes(url)
    await install.database.open()
    yield install
    await install.close()


def test_the_tables_of_the_specification_are_there():
    assert set(metadata.tables) >= SPECIFIED


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_has_a_tenant_column(table):
    assert "tenant_id" in table.columns


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
async def test_the_migrations_make_exactly_the_tables_of_the_code(custodes: Custodes):
    await custodes.migrate()

    def difference(tx):
        options = {"version_table": VERSION_TABLE, "compare_type": False}
        return compare_metadata(MigrationContext.configure(connection_of(tx), opts=options), metadata)

    assert await custodes.database.read(difference) == []


async def test_migrations_and_tables_make_the_same_indexes_triggers_and_kinds_of_tables(
    custodes: Custodes, tmp_path: Path
):
    """What comparing tables does not find: partial indexes, triggers, tables without row ids."""
    await custodes.migrate()
    by_migrations = await custodes.database.read(made)

    engine = create_engine(f"sqlite:///{tmp_path}/by-code.db")
    with engine.begin() as connection:
        metadata.create_all(connection)
        by_code = made(connection)
    engine.dispose()

    assert by_migrations == by_code


def made(tx) -> dict[str, str]:
    """Everything in the schema but Alembic's own table: what it is called, and what it is, without layout."""
    rows = connection_of(tx).execute(text("SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
    return {name: described(kind, sql) for name, kind, sql in rows if name != VERSION_TABLE}


def described(kind: str, sql: str) -> str:
    # Columns of tables are compared above; here it counts whether there are row ids.
    return " ".join(sql.split()) if kind != "table" else f"table, without row ids: {'WITHOUT ROWID' in sql}"


async def test_migrating_twice_changes_nothing(custodes: Custodes):
    assert await custodes.migrate() != []
    assert await custodes.migrate() == []


async def test_two_processes_that_start_at_once_migrate_once(url: str):
    installs = [Custodes(url), Custodes(url)]

    await asyncio.gather(*(install.open() for install in installs))

    for install in installs:
        assert await install.pending_migrations() == []
        await install.close()


async def test_tables_of_another_program_are_not_touched(custodes: Custodes):
    # Given the host has a table of its own by the name of one of ours
    def host_table(tx):
        connection_of(tx).execute(text("CREATE TABLE user_profiles (nickname TEXT)"))

    await custodes.database.write(host_table)

    with pytest.raises(ConfigurationError, match="user_profiles") as refused:
        await custodes.migrate()

    assert "of its own" in refused.value.remedy
    names = await custodes.database.read(lambda tx: inspect(connection_of(tx)).get_table_names())
    assert names == ["user_profiles"]


async def test_a_database_of_a_newer_version_is_refused(custodes: Custodes):
    await custodes.migrate()
    await custodes.database.write(
        lambda tx: connection_of(tx).execute(text(f"UPDATE {VERSION_TABLE} SET version_num='9999'"))
    )

    with pytest.raises(ConfigurationError, match="9999"):
        await custodes.migrate()


class TestBesideTheHostsOwnMigrations:
    """One database, two programs with Alembic."""

    @pytest.fixture
    def host(self, tmp_path: Path, url: str) -> Config:
        """A host with Alembic set up and one migration."""
        scripts = tmp_path / "host"
        (scripts / "versions").mkdir(parents=True)
        (scripts / "env.py").write_text(
            textwrap.dedent(f"""
                from alembic import context
                from sqlalchemy import Column, Integer, MetaData, Table, create_engine
                from custodes import alembic_include_name

                metadata = MetaData()
                Table("orders", metadata, Column("id", Integer, primary_key=True))
                engine = create_engine({url!r})
                with engine.connect() as connection:
                    context.configure(
                        connection=connection, target_metadata=metadata, include_name=alembic_include_name
                    )
                    with context.begin_transaction():
                        context.run_migrations()
                engine.dispose()
            """)
        )
        (scripts / "versions" / "host1.py").write_text(
            textwrap.dedent("""
                import sqlalchemy as sa
                from alembic import op

                revision, down_revision = "host1", None

                def upgrade():
                    op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))

                def downgrade():
                    op.drop_table("orders")
            """)
        )
        config = Config()
        config.set_main_option("script_location", str(scripts))
        config.set_main_option("path_separator", "os")
        return config

    async def test_each_keeps_its_own_version_and_sees_nothing_of_the_other(
        self, host: Config, custodes: Custodes, url: str
    ):
        # Given the host migrates, Custodes migrates, and the host migrates down and up again
        await asyncio.to_thread(command.upgrade, host, "head")
        await custodes.migrate()
        await asyncio.to_thread(command.downgrade, host, "base")
        assert await custodes.pending_migrations() == []
        await asyncio.to_thread(command.upgrade, host, "head")

        # Then the host's autogenerate has nothing to say about our tables
        await asyncio.to_thread(command.check, host)

        # And both versions are where they belong
        engine = create_engine(url)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["host1"]
            assert connection.execute(text(f"SELECT count(*) FROM {VERSION_TABLE}")).scalar_one() == 1
        engine.dispose()


def test_the_filter_lets_the_hosts_own_tables_through():
    assert alembic_include_name("orders", "table", {})
    assert not alembic_include_name("audit_logs", "table", {})
    assert not alembic_include_name("actor", "column", {"table_name": "audit_logs"})
