"""Many rows at once, beneath SQLAlchemy where that is faster."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
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


#: Values of one statement: SQLite before 3.32 takes 999 at most where it was built with its defaults, Debian's and
#: Python's own builds 32,766 and more.
_MAX_VALUES = 8_192

#: Rows of one statement: its text is prepared once for each number of rows that occurs.
_MAX_ROWS = 128


def insert_at_once(driver: Any, insert: str, rows: Sequence[Sequence[Any]], conflict: str = "") -> None:
    """Insert rows on SQLite with one statement for many.

    ``executemany`` gives the interpreter lock back and takes it again at each row. Beside an event loop that is busy
    the writer waits for it up to 5 ms each time (``sys.getswitchinterval``).

    Args:
        driver: the connection of ``sqlite3``.
        insert: how the statement begins, up to its values.
        rows: values in the order of the columns.
        conflict: how it ends.
    """
    if not rows:
        return
    width = len(rows[0])
    at_once = max(1, min(_MAX_ROWS, _MAX_VALUES // width))
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        statement = _many(insert, width, len(some), conflict)
        driver.execute(statement, list(chain.from_iterable(some))).close()


@lru_cache(maxsize=1_024)
def _many(insert: str, width: int, rows: int, conflict: str) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{insert} VALUES {', '.join([row] * rows)} {conflict}"


class Bulk:
    """Inserts tuples of fixed columns into a table, passing over those whose key is there already.

    The drivers take the tuples as they are: SQLite many with one statement, PostgreSQL by COPY, which knows no
    conflict: when there is one, the rows go into a temporary table first.
    """

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        names = ", ".join(columns)
        target = f"{table.name} ({names})"
        # Names of our own tables and columns are all that is written into these.
        self._sqlite = f"INSERT INTO {target}"
        self._copy = f"COPY {target} FROM STDIN"
        self._copy_beside = (
            f"CREATE TEMP TABLE beside ON COMMIT DROP AS SELECT {names} FROM {table.name} WITH NO DATA",  # noqa: S608
            "COPY beside FROM STDIN",
            f"INSERT INTO {target} SELECT * FROM beside ON CONFLICT DO NOTHING",  # noqa: S608
            "DROP TABLE beside",
        )

    def insert(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows inside of the connection's transaction."""
        if not rows:
            return
        driver = cast("Any", connection.connection.driver_connection)
        if connection.dialect.name == "sqlite":
            insert_at_once(driver, self._sqlite, rows, "ON CONFLICT DO NOTHING")
            return
        try:
            with connection.begin_nested():
                _copy(connection, driver, self._copy, rows)
        except IntegrityError:
            make, copy, take, drop = self._copy_beside
            driver.execute(make)
            _copy(connection, driver, copy, rows)
            driver.execute(take)
            driver.execute(drop)


def _copy(connection: Connection, driver: Any, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    errors = connection.dialect.loaded_dbapi
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except errors.Error as error:  # in the words that the engine understands
        raise DBAPIError.instance(
            statement, None, error, errors.Error, connection_invalidated=driver.closed, dialect=connection.dialect
        ) from error
