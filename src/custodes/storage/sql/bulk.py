"""Many rows at once, beneath SQLAlchemy where that is faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Delete, Insert, Update


def insert_ignoring(connection: Connection, table: Table) -> Insert:
    """Begin an insert that passes over rows whose key is there already."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def affected(connection: Connection, statement: Insert | Update | Delete) -> int:
    """Run a statement and return how many rows it touched."""
    return connection.execute(statement).rowcount


def counted(connection: Connection, table: Table, *where: ColumnElement[bool]) -> int:
    """Count the rows of a table that meet all conditions."""
    return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()


class Bulk:
    """Inserts tuples of fixed columns into a table, passing over those whose key is there already.

    On SQLite the driver takes the tuples as they are; other engines go through SQLAlchemy's own batching.
    """

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self._table = table
        self._columns = tuple(columns)
        self._sqlite = (
            f"INSERT INTO {table.name} ({', '.join(columns)}) "  # noqa: S608 - names of our own columns
            f"VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO NOTHING"
        )

    def insert(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows inside of the connection's transaction."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            driver = cast("Any", connection.connection.driver_connection)
            driver.executemany(self._sqlite, rows).close()
        else:
            named = [dict(zip(self._columns, row, strict=True)) for row in rows]
            connection.execute(insert_ignoring(connection, self._table), named)
