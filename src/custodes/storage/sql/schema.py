"""The schema of an install: all tables, and the way from one version to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, String, column, inspect, select, table

from custodes.errors import ConfigurationError
from custodes.storage.sql.added_indexes import AddedIndex
from custodes.storage.sql.tables import ONLY, REST, metadata

if TYPE_CHECKING:
    from alembic.config import Config

#: Modules that define tables; importing them registers the tables on :data:`metadata`.
_TABLE_MODULES = (
    "alerts",
    "audit",
    "audit_figures",
    "identity",
    "inbound",
    "jobs",
    "leases",
    "metrics",
    "outbound",
    "ratelimit",
    "retention",
    "traffic",
)

#: Where a move from SQLite notes how far it has come (``move.py``); there from its begin to its end.
MOVE_NOTES = "custodes_move"

#: Alembic's table of our own: the host's ``alembic_version`` is never touched.
VERSION_TABLE = "custodes_schema_version"

#: Alembic's script folder.
_MIGRATIONS = Path(__file__).parent / "migrations"

for _module in _TABLE_MODULES:
    import_module(f"custodes.storage.sql.tables.{_module}")


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of the way to the newest version."""

    #: Built first, where that lets others go on writing.
    indexes: tuple[AddedIndex, ...]
    #: Version that the migrations which follow end with, in one transaction.
    until: str = "head"


def legs(connection: Connection) -> list[Leg]:
    """Cut the way to the newest version before each migration that adds indexes to tables which are full already.

    Never empty. A new install goes in one.

    Raises:
        ConfigurationError: the database is newer than this version of Custodes.
    """
    pending = pending_revisions(connection)
    if not pending or current_revision(connection) is None:
        return [Leg(())]
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(alembic_config(connection))
    found: list[Leg] = []
    for revision in pending:
        indexes: tuple[AddedIndex, ...] = getattr(script.get_revision(revision).module, "INDEXES", ())
        if indexes or not found:
            found.append(Leg(indexes, revision))
        else:
            found[-1] = replace(found[-1], until=revision)
    return found


def migrate(connection: Connection, until: str = "head") -> list[str]:
    """Bring the schema to the newest version, or one before; all or nothing, inside the caller's transaction.

    Returns:
        The revisions that were applied, oldest first; empty when there was nothing to do.

    Raises:
        ConfigurationError: the database holds tables of these names that are not ours, or it is newer than this
            version of Custodes.
    """
    pending = pending_revisions(connection)
    if until in pending:  # else another process was faster
        pending = pending[: pending.index(until) + 1]
    elif until != "head":
        return []
    if pending:
        from alembic import command

        if current_revision(connection) is None:
            _refuse_foreign_tables(connection)
        command.upgrade(alembic_config(connection), until)
    return pending


def move_is_under_way(connection: Connection) -> bool:
    """Tell whether a move from a SQLite file has begun to fill this database, and has not come to its end."""
    return inspect(connection).has_table(MOVE_NOTES)


def current_revision(connection: Connection) -> str | None:
    """Tell which version the database has; None when it has none of ours."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(
        select(column("version_num", String)).select_from(table(VERSION_TABLE))
    ).scalar_one_or_none()


@cache
def known_revisions() -> tuple[str, ...]:
    """List the versions that this code knows, oldest first: a file each, numbered.

    Read off the files once: every start and every readiness probe asks, and Alembic would run them all each time.
    """
    files = sorted((_MIGRATIONS / "versions").glob("[0-9]*.py"))
    return tuple(re.findall(r'^revision = ["\'](.+)["\']$', file.read_text("utf-8"), re.MULTILINE)[0] for file in files)


def pending_revisions(connection: Connection) -> list[str]:
    """List what ``migrate`` would apply, oldest first.

    Raises:
        ConfigurationError: the database is newer than this version of Custodes.
    """
    known = list(known_revisions())
    current = current_revision(connection)
    if current is None:
        return known
    if current not in known:
        msg = f"The database has schema version {current!r}, which this version of Custodes does not know"
        raise ConfigurationError(msg, remedy="Run the newer version of Custodes that made it")
    return known[known.index(current) + 1 :]


def alembic_include_name(
    name: str | None, type_: str, parent_names: Mapping[str, str | None], *, schema: str = ""
) -> bool:
    """Keep our tables out of the host's autogenerate: pass as ``include_name`` to ``context.configure`` in its env.py.

    Args:
        name: name of the thing that Alembic found in the database.
        type_: what it is: ``"table"``, ``"column"``, …
        parent_names: the table it belongs to.
        schema: the schema that is ours alone (``CUSTODES_DATABASE_SCHEMA``), by ``functools.partial``: it is left out,
            and elsewhere a table with one of our names is the host's. Empty: our tables stand beside the host's.
    """
    if schema:
        return (name if type_ == "schema" else parent_names.get("schema_name")) != schema
    table = name if type_ == "table" else parent_names.get("table_name")
    return not (table in metadata.tables or table == VERSION_TABLE or is_partition(table or ""))


def is_on(dialect: str, index: Any) -> bool:
    """Tell whether an engine has what a comparison asks about: some indexes belong to one engine alone."""
    return getattr(index, "info", {}).get(ONLY, dialect) == dialect


def is_partition(table: str) -> bool:
    """Tell whether a table is a piece of one of ours (:mod:`custodes.storage.sql.partitions`), by its name."""
    cut = (one.name for one in metadata.sorted_tables if one.dialect_options["postgresql"]["partition_by"])
    return any(re.fullmatch(rf"{name}({REST}|(_l\d+)?_\d{{8}}_\d\d)", table) for name in cut)


def _refuse_foreign_tables(connection: Connection) -> None:
    """Refuse a database in which something has a name that ours would have: tables, views and indexes share them."""
    ours = {name for one in metadata.sorted_tables for name in (one.name, *(str(index.name) for index in one.indexes))}
    taken = sorted(ours & set(_names_in(connection)))
    if taken:
        msg = f"The database already has tables of another program named {', '.join(taken)}"
        raise ConfigurationError(
            msg, remedy="Give Custodes a database file of its own, or a schema with CUSTODES_DATABASE_SCHEMA"
        )


def _names_in(connection: Connection) -> Sequence[str]:
    if connection.dialect.name == "postgresql":
        names = (
            "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE nspname = current_schema()"
        )
    else:  # where case makes no difference
        names = "SELECT lower(name) FROM sqlite_master"
    return connection.exec_driver_sql(names).scalars().all()


def alembic_config(connection: Connection) -> Config:
    """Make Alembic's configuration: our script folder, on this connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config
