"""Custodes brings its own tables, beside the host's, without touching the host's migrations."""

import asyncio
import re
import textwrap
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import String, create_engine, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine

from custodes import Custodes, alembic_include_name
from custodes.errors import ConfigurationError
from custodes.kernel.histogram import Histogram
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.traffic.folder import Folder
from custodes.planes.traffic.rollup import Level
from custodes.storage.sql import traffic_squares
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.schema import VERSION_TABLE, alembic_config, is_on, is_partition, metadata
from custodes.storage.sql.traffic import SqlTrafficStore
from custodes.testing.clock import FakeClock

#: Columns, indexes, constraints, triggers, functions and partitions of PostgreSQL, each in the server's own words.
MADE_ON_POSTGRESQL = text(r"""
    SELECT 'column ' || table_name || '.' || column_name, concat_ws(' ', data_type, collation_name, is_nullable,
        column_default) FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger ' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'function ' || proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'table ' || relname, concat_ws(' ', pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid))
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
""")

#: A row of rollups as before squares were kept.
OLD_ROLLUP = text("""
    INSERT INTO api_rollups (tenant_id, keyspace, level, bucket, name, method, writer_id, folded, count, client_errors,
        server_errors, limited, disconnected, request_bytes, response_bytes, timed, total_sum, total_min, total_max,
        statuses, total, ttfb)
    VALUES (:tenant, :keyspace, :level, :bucket, :name, 'GET', 'writer', 1, 3, 0, 0, 0, 0, 0, 0, 3, 41600, 700, 40000,
        '', :total, :total)
""")

SPECIFIED = {
    "webhook_events",
    "api_monitoring",
    "rate_limit_tracking",
    "audit_logs",
    "webhook_configurations",
    "system_metrics",
    "user_profiles",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.db"
    server = request.getfixturevalue("postgres_server")
    return server.url(server.new_database()).replace("postgresql:", "postgresql+psycopg:")


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
        # PostgreSQL spells the expression of this index in words of its own; the next test compares it.
        options = {
            "version_table": VERSION_TABLE,
            "compare_type": False,
            "include_name": lambda name, kind, _: kind != "table" or not is_partition(name),
            "include_object": lambda found, name, *_: (
                name != "ix_audit_logs_flagged" and is_on(connection_of(tx).dialect.name, found)
            ),
        }
        return compare_metadata(MigrationContext.configure(connection_of(tx), opts=options), metadata)

    assert await custodes.database.read(difference) == []


async def test_migrations_and_tables_make_the_same_indexes_triggers_and_kinds_of_tables(
    custodes: Custodes, tmp_path: Path, request: pytest.FixtureRequest
):
    """What comparing tables does not find: partial indexes, triggers, collations, tables without row ids."""
    await custodes.migrate()
    by_migrations = await custodes.database.read(made)

    by_code_url = f"sqlite:///{tmp_path}/by-code.db"
    if custodes.database.dialect == "postgresql":
        server = request.getfixturevalue("postgres_server")
        by_code_url = server.url(server.new_database()).replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(by_code_url)
    with engine.begin() as connection:
        metadata.create_all(connection)
        by_code = made(connection)
    engine.dispose()

    assert len(by_code) > len(metadata.tables)
    assert by_migrations == by_code


def made(tx) -> dict[str, str]:
    """Everything in the schema but Alembic's own table: what it is called, and what it is, without layout."""
    if connection_of(tx).dialect.name == "postgresql":
        # What is made ahead begins with a level or a date; migrations and tables make only the rest.
        found = connection_of(tx).execute(MADE_ON_POSTGRESQL)
        passed_over = re.compile(rf"{VERSION_TABLE}|_2\d{{7}}_|_rest[_. ]")
        return {name: what for name, what in found if not passed_over.search(name)}
    rows = connection_of(tx).execute(text("SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
    return {name: described(kind, sql) for name, kind, sql in rows if name != VERSION_TABLE}


def described(kind: str, sql: str) -> str:
    # Columns of tables are compared above; here it counts whether there are row ids.
    return " ".join(sql.split()) if kind != "table" else f"table, without row ids: {'WITHOUT ROWID' in sql}"


async def test_rules_outlive_that_their_names_become_the_tenants_own(custodes: Custodes):
    # Given a rule of the version before
    rule = {
        "tenant_id": "acme", "id": "r-1", "name": "login", "enabled": True, "version": 3, "updated_at": 7,
        "actor": "ann", "definition": '{"limits": "5/minute", "by": "ip"}',
    }  # fmt: skip
    insert = text(
        "INSERT INTO rate_limit_rules (tenant_id, id, name, definition, enabled, version, updated_at, actor)"
        " VALUES (:tenant_id, :id, :name, :definition, :enabled, :version, :updated_at, :actor)"
    )

    def before(tx):
        connection = connection_of(tx)
        command.upgrade(alembic_config(connection), "0020_calls_of_an_error")
        connection.execute(insert, rule)

    await custodes.database.migrate(before)

    # When the tables are brought up to date
    await custodes.migrate()

    # Then it is as it was, and its name free for another tenant
    await custodes.database.write(lambda tx: connection_of(tx).execute(insert, {**rule, "id": "r-2", "tenant_id": "b"}))
    await custodes.ratelimit.refresh()
    found = {one.tenant: one for one in custodes.ratelimit.list_rules()}
    assert (found["acme"].id, found["acme"].version, found["acme"].limits[0].text) == ("r-1", 3, "5/minute")
    assert found["b"].name == found["acme"].name == "login"


async def test_squares_of_endpoints_are_filled_after_the_migration_where_they_last_long(
    custodes: Custodes, clock: FakeClock, random_bits, monkeypatch: pytest.MonkeyPatch
):
    """Given rollups of a version without squares, when they are brought to this one, then that holds nobody up, and the
    leader fills the coarse ones, some rows each time it folds. Whoever leads next goes on where it was, and looks no
    more than once when all are filled; what an old leader wrote meanwhile is filled, too.
    """
    monkeypatch.setattr(traffic_squares, "FILL_ROWS", 3)
    monkeypatch.setattr(traffic_squares, "FILLS", 2)
    times = Histogram([700, 900, 40_000])
    levels = (Level.HOUR, Level.SIX_HOURS, Level.DAY, Level.WEEK)
    rows = [
        {
            "tenant": tenant, "keyspace": keyspace, "level": level.value, "bucket": bucket * level.micros, "name": name,
            "total": times.encode(),
        }
        for tenant in ("default", "*") for keyspace in ("endpoint", "total") for level in levels
        for bucket in (3_000, 3_001) for name in ("/a", "/b 'c'")
    ]  # fmt: skip

    def before(tx):
        connection = connection_of(tx)
        command.upgrade(alembic_config(connection), "0013_audit_lines")
        connection.execute(OLD_ROLLUP, rows)

    async def filled() -> dict[tuple[str, int], set[float | None]]:
        query = text("SELECT keyspace, level, total_squares FROM api_rollups")
        found: dict[tuple[str, int], set[float | None]] = {}
        for keyspace, level, squares in await custodes.database.read(lambda tx: connection_of(tx).execute(query).all()):
            found.setdefault((keyspace, level), set()).add(squares)
        return found

    await custodes.database.migrate(before)
    await custodes.migrate()
    assert set().union(*(await filled()).values()) == {None}

    # Of six hours, a day and a week two buckets each, with four rows of endpoints: two transactions a bucket
    store, forgotten = SqlTrafficStore(custodes.database), text("UPDATE api_rollups SET total_squares = NULL")
    done = {
        (keyspace, level): {times.squares() if keyspace == "endpoint" and level > Level.HOUR else None}
        for keyspace in ("endpoint", "total") for level in levels
    }  # fmt: skip
    left = text(
        "SELECT count(*) FROM api_rollups WHERE keyspace = 'endpoint' AND level > 3600 AND total_squares IS NULL"
    )
    for _ in range(2):
        for filled_so_far in range(4, 25, 4):
            leader = Folder(store, clock=clock, random_bits=random_bits, is_leader=lambda: True)  # each time a new one
            await leader.fold()
            assert await custodes.database.read(lambda tx: connection_of(tx).scalar(left)) == 24 - filled_so_far
        assert await filled() == done
        assert await store.fill_squares() is False
        await custodes.database.write(lambda tx: connection_of(tx).execute(forgotten))

    # And one that leads again looks again
    leads = True
    leader = Folder(store, clock=clock, random_bits=random_bits, is_leader=lambda: leads)
    for _ in range(7):
        await leader.fold()
    await custodes.database.write(lambda tx: connection_of(tx).execute(forgotten))
    await leader.fold()
    assert set().union(*(await filled()).values()) == {None}
    leads = False
    await leader.fold()
    leads = True
    await leader.fold()
    assert set().union(*(await filled()).values()) == {None, times.squares()}


async def test_migrating_twice_changes_nothing(custodes: Custodes):
    assert await custodes.migrate() != []
    assert await custodes.migrate() == []


async def test_processes_that_start_at_once_migrate_once(url: str):
    installs = [Custodes(url) for _ in range(3)]

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


@pytest.mark.parametrize(
    ("made", "name"),
    [
        ("CREATE VIEW audit_logs AS SELECT 1 AS x", "audit_logs"),
        ("CREATE TABLE host (x INTEGER); CREATE INDEX ix_admin_sessions_profile ON host (x)", "ix_admin_sessions"),
        ("CREATE TABLE Audit_Logs (x INTEGER)", "udit_"),
    ],
    ids=["view", "index", "case"],
)
async def test_whatever_has_one_of_our_names_is_named(custodes: Custodes, made: str, name: str):
    """Given a view, an index or a table in another case by one of our names, then it is refused with that name."""

    def host(tx):
        for statement in made.split(";"):
            connection_of(tx).execute(text(statement))

    await custodes.database.write(host)

    with pytest.raises(ConfigurationError, match=name):
        await custodes.migrate()

    assert await custodes.pending_migrations() != []


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_every_text_is_ordered_by_code_point(url: str):
    """Given any collation of the database, then ours is that of ranges of prefixes; text of JSON is not compared."""
    unordered = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, String) and column.type.dialect_impl(postgresql.dialect()).collation != "C"
    }

    assert unordered == set()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_tables_can_live_in_a_schema_of_their_own_beside_the_hosts(url: str):
    # Given a host whose tables have names of ours, with a transaction of its own under way
    engine = create_async_engine(url)
    async with engine.begin() as host:
        await host.execute(text("CREATE TABLE audit_logs (line TEXT)"))
        await host.execute(text("CREATE TABLE orders (id INTEGER)"))

    # When Custodes has a schema of its own
    custodes = Custodes(url, database_schema="Watch", secret_key="k" * 32)
    await custodes.start()
    async with engine.begin() as host:
        await custodes.audit.log_audit_event("order.made", actor="user:1", connection=host)
        await host.execute(text("INSERT INTO orders VALUES (1)"))
        await host.execute(text("INSERT INTO audit_logs VALUES ('the host''s own')"))
    entry = await custodes.audit.log_audit_event("order.seen", actor="user:1")
    entries = await custodes.audit.list_entries(AuditQuery())
    await custodes.stop()

    # Then both have what is theirs, and the host's transaction found its own tables again
    assert entry.id in {one.id for one in entries.items}
    assert {one.action for one in entries.items} >= {"order.made", "order.seen"}
    async with engine.begin() as host:
        assert (await host.execute(text("SELECT line FROM public.audit_logs"))).scalars().all() == ["the host's own"]
        assert (await host.execute(text('SELECT count(*) FROM "Watch".audit_logs'))).scalar_one() >= 2
        tables = await host.run_sync(lambda connection: inspect(connection).get_table_names("public"))
    await engine.dispose()
    assert sorted(tables) == ["audit_logs", "orders"]


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
    assert not alembic_include_name("api_rollups_l10_20261125_06", "table", {})
    assert not alembic_include_name("api_monitoring_rest", "table", {})
    assert alembic_include_name("api_monitoring_archive", "table", {})
    assert not alembic_include_name("actor", "column", {"table_name": "audit_logs"})
