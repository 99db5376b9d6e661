"""A schema of our own on PostgreSQL, beside a host whose tables have names of ours."""

import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from tests.servers.postgresql import PostgresServer

from custodes import Custodes

#: Schema of Custodes.
SCHEMA = "Watch"


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.url(postgres_server.new_database()).replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
async def custodes(url: str) -> AsyncIterator[Custodes]:
    engine = create_engine(url)
    with engine.begin() as host:
        host.execute(text("CREATE TABLE audit_logs (id VARCHAR(36) PRIMARY KEY, line TEXT)"))
    engine.dispose()
    install = Custodes(url, database_schema=SCHEMA, secret_key="k" * 32)
    await install.open()
    yield install
    await install.close()


async def test_what_an_entry_is_found_by_stays_though_the_host_has_a_trail_of_its_own(custodes: Custodes, url: str):
    """Given a host's table with a name of ours, When a session of the host deletes targets, Then they stay."""
    await custodes.audit.log_audit_event("order.made", actor="user:1", target="order:7")
    engine = create_engine(url)

    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as host:
        host.execute(text(f'DELETE FROM "{SCHEMA}".audit_targets'))

    with engine.begin() as host:
        targets = host.execute(text(f'SELECT target FROM "{SCHEMA}".audit_targets')).scalars().all()
    engine.dispose()
    assert "order:7" in targets


@pytest.mark.parametrize("everywhere", [False, True], ids=["default-schema", "all-schemas"])
@pytest.mark.usefixtures("custodes")
def test_the_hosts_autogenerate_sees_its_own_tables_and_nothing_of_ours(url: str, tmp_path: Path, everywhere: bool):
    """Given the schema that is ours, When the host's Alembic compares, Then its table is not taken for one of ours."""
    (tmp_path / "env.py").write_text(
        textwrap.dedent(f"""
            from functools import partial

            from alembic import context
            from sqlalchemy import Column, MetaData, String, Table, Text, create_engine
            from custodes import alembic_include_name

            metadata = MetaData()
            Table("audit_logs", metadata, Column("id", String(36), primary_key=True), Column("line", Text))
            engine = create_engine({url!r})
            with engine.connect() as connection:
                context.configure(
                    connection=connection,
                    target_metadata=metadata,
                    include_name=partial(alembic_include_name, schema={SCHEMA!r}),
                    include_schemas={everywhere},
                )
                with context.begin_transaction():
                    context.run_migrations()
            engine.dispose()
        """)
    )
    (tmp_path / "versions").mkdir()
    host = Config()
    host.set_main_option("script_location", str(tmp_path))
    host.set_main_option("path_separator", "os")

    command.check(host)
