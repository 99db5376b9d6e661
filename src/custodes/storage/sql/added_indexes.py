"""Indexes that a version adds to tables that are full already.

A plain ``CREATE INDEX`` keeps every writer of its table waiting until it is done: minutes of a large one. On PostgreSQL
it is built beside them (its documentation, "Building Indexes Concurrently"), which cannot be part of a transaction: so
that goes before the migration, which then finds the index there. Of a table that is cut into pieces the index of each
piece is built so and attached to that of the whole (same, "Partition Maintenance"). What was broken off before is
invalid, and built anew.

A SQLite file has one writer, which is the migration: there it makes the index itself, and so does a new install.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from custodes.runtime.log import get_logger
from custodes.storage.sql.postgresql_codes import UNDEFINED_TABLE, code_of

_log = get_logger("custodes.storage")


@dataclass(frozen=True, slots=True)
class AddedIndex:
    """An index that a migration adds to a table of the versions before."""

    #: Its name.
    name: str
    #: Its table.
    table: str
    #: Its columns.
    columns: tuple[str, ...]
    #: Condition of the rows that it holds, in SQL; empty for all.
    where: str = ""
    #: Kind of index and, after the columns, how it is stored, in SQL of PostgreSQL; empty for a B-tree.
    using: str = ""
    stored: str = ""

    def on(self, table: str) -> str:
        """Write what it is made of, on its table or a piece of it."""
        using = f" USING {self.using}" if self.using else ""
        stored = f" WITH ({self.stored})" if self.stored else ""
        where = f" WHERE {self.where}" if self.where else ""
        return f"{table}{using} ({', '.join(self.columns)}){stored}{where}"


def add(indexes: Iterable[AddedIndex]) -> None:
    """Within a migration: make those that were not built before it."""
    from alembic import op

    for index in indexes:
        op.execute(f"CREATE INDEX IF NOT EXISTS {index.name} ON {index.on(index.table)}")


def drop(indexes: Iterable[AddedIndex]) -> None:
    """Within a migration that is taken back."""
    from alembic import op

    for index in indexes:
        op.drop_index(index.name, index.table)


class Builder:
    """Builds indexes of PostgreSQL, for whoever holds the lock of builds.

    Args:
        engine: connections of their own for it, two at once.
        schema: schema of the tables, quoted, with its dot; empty for the first of the role's ``search_path``.
        lock_timeout: longest to wait for a table that others have, milliseconds: whoever comes after waits behind it.
    """

    def __init__(self, engine: Engine, schema: str, lock_timeout: int) -> None:
        self._engine = engine
        self._schema = schema
        self._short = f"SET LOCAL lock_timeout = {lock_timeout}"

    def build(self, index: AddedIndex) -> None:
        """Build one, of a table and all its pieces, unless it is there; takes as long as it takes.

        Raises:
            DBAPIError: what is not done yet is done by the next call.
        """
        whole = f"{self._schema}{index.table}"
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not _is_cut(connection, whole):
                self._build(connection, index, index.name, whole)
                return
            self._in_short(f"CREATE INDEX IF NOT EXISTS {index.name} ON ONLY {index.on(whole)}")
            while lacking := _lacking(connection, whole, f"{self._schema}{index.name}"):
                for number, piece in lacking:
                    name = f"{index.name[:50]}_{number}"
                    with _unless_gone():  # retention drops a piece whole
                        self._build(connection, index, name, f"{self._schema}{piece}")
                        attached = f"{self._schema}{index.name} ATTACH PARTITION {self._schema}{name}"
                        self._in_short(f"ALTER INDEX {attached}")

    def _build(self, connection: Connection, index: AddedIndex, name: str, table: str) -> None:
        """Build one of a single table beside those who write it."""
        valid = _is_valid(connection, f"{self._schema}{name}")
        if valid:
            return
        if valid is False:
            connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {self._schema}{name}")
        _log.info("index_is_built", index=name, table=table)
        connection.exec_driver_sql(f"CREATE INDEX CONCURRENTLY {name} ON {index.on(table)}")

    def _in_short(self, statement: str) -> None:
        with self._engine.begin() as connection:
            connection.exec_driver_sql(self._short)
            connection.exec_driver_sql(statement)


def _is_cut(connection: Connection, table: str) -> bool:
    kind = text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:table)")
    return connection.execute(kind, {"table": table}).scalar_one() == "p"


def _is_valid(connection: Connection, name: str) -> bool | None:
    """Tell whether an index can be used; None when there is none."""
    valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    return connection.execute(valid, {"name": name}).scalar_one_or_none()


def _lacking(connection: Connection, table: str, index: str) -> list[tuple[int, str]]:
    """List the pieces, by number and name, that an index of the whole has no part for."""
    return [(oid, name) for oid, name in connection.execute(_LACKING, {"table": table, "index": index})]


_LACKING = text("""
    SELECT piece.oid, piece.relname
    FROM pg_inherits JOIN pg_class piece ON piece.oid = inhrelid
    WHERE inhparent = to_regclass(:table) AND NOT EXISTS (
        SELECT FROM pg_index part JOIN pg_inherits attached ON attached.inhrelid = part.indexrelid
        WHERE part.indrelid = piece.oid AND attached.inhparent = to_regclass(:index)
    )
    ORDER BY piece.oid
""")


@contextmanager
def _unless_gone() -> Generator[None]:
    try:
        yield
    except ProgrammingError as error:
        if code_of(error) != UNDEFINED_TABLE:
            raise
