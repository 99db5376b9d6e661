"""Many rows at once, beneath SQLAlchemy where that is faster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Integer,
    LargeBinary,
    RowMapping,
    Table,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.types import TypeDecorator

# ruff: noqa: S608 - nothing but names of our own tables and columns is written into these statements


#: Bytes of bodies that are removed in one transaction: some 60 ms of SQLite's only writer.
MAX_REMOVED_BYTES = 4 * 1024 * 1024


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
    for some in _pieces(rows):
        statement = f"{insert} {_values(len(rows[0]), len(some))} {conflict}"
        driver.execute(statement, list(chain.from_iterable(some))).close()


def _pieces(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """Part rows into those of one statement each."""
    at_once = max(1, min(_MAX_ROWS, _MAX_VALUES // len(rows[0]))) if rows else 1
    for start in range(0, len(rows), at_once):
        yield rows[start : start + at_once]


@lru_cache(maxsize=1_024)
def _values(width: int, rows: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"VALUES {', '.join([row] * rows)}"


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, all with the same columns: one statement for many.

    ``executemany`` is none: psycopg sends a statement a row, each of which the server takes apart and plans; for
    ``sqlite3`` see :func:`insert_at_once`. PostgreSQL gets an array of values for each column.
    """
    insert_tables(connection, [(table, rows)])


def insert_tables(connection: Connection, parts: Sequence[tuple[Table, Sequence[Mapping[str, Any]]]]) -> None:
    """Insert rows into several tables, none of which refers to another: on PostgreSQL all of it is one round trip."""
    parts = [(table, rows) for table, rows in parts if rows]
    if connection.dialect.name == "sqlite":
        for table, rows in parts:
            names = tuple(rows[0])
            for some in _pieces(_tuples(table, names, rows)):
                values = tuple(chain.from_iterable(some))
                connection.exec_driver_sql(f"{_into(table, names)} {_values(len(names), len(some))}", values)
    elif parts:
        shapes = tuple((table, tuple(rows[0])) for table, rows in parts)
        values = [_columns(table, names, rows) for (table, names), (_, rows) in zip(shapes, parts, strict=True)]
        given = {f"{name}_{place}": column for place, columns in enumerate(values) for name, column in columns.items()}
        connection.exec_driver_sql(_insert_from_arrays(shapes), given)


@lru_cache(maxsize=256)
def _insert_from_arrays(shapes: tuple[tuple[Table, tuple[str, ...]], ...]) -> str:
    """Write the statement that inserts into all of these: all but the last as CTEs (PostgreSQL, "WITH Queries")."""
    *others, last = [
        f"{_into(table, names)} SELECT * FROM {_arrays(table, names, f'_{place}')}"
        for place, (table, names) in enumerate(shapes)
    ]
    before = ", ".join(f"part_{place} AS ({one})" for place, one in enumerate(others))
    return f"WITH {before} {last}" if before else last


def _into(table: Table, names: Sequence[str]) -> str:
    return f"INSERT INTO {table.name} ({', '.join(names)})"


def upsert_rows(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    changes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Insert rows of different primary keys, or set those that are there: one statement, as :func:`insert_rows`.

    Args:
        connection: in a transaction.
        table: which.
        rows: all with the same columns.
        changes: as for :func:`update_rows`.
    """
    for _ in _upserted(connection, table, rows, changes, ""):
        pass


def take_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[RowMapping]:
    """Insert rows that are not there; return all as they are, each kept from others until the transaction ends.

    Args:
        connection: in a transaction.
        table: which.
        rows: all with the same columns, in the order in which every process takes them.
    """
    as_it_is = dict.fromkeys(rows[0], "{old}") if rows else {}
    return [row for result in _upserted(connection, table, rows, as_it_is, "RETURNING *") for row in result.mappings()]


def _upserted(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    changes: Mapping[str, str],
    end: str,
) -> Iterator[CursorResult[Any]]:
    """Run the statements of an upsert; each when the result of the one before has been read."""
    if not rows:
        return
    names = tuple(rows[0])
    key = [column.name for column in table.primary_key.columns]
    sets = _sets(table, (name for name in names if name not in key), changes, "excluded")
    into, conflict = _into(table, names), f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets} {end}"
    if connection.dialect.name == "sqlite":
        for some in _pieces(_tuples(table, names, rows)):
            values = tuple(chain.from_iterable(some))
            yield connection.exec_driver_sql(f"{into} {_values(len(names), len(some))} {conflict}", values)
    else:
        given = _columns(table, names, rows)
        yield connection.exec_driver_sql(f"{into} SELECT * FROM {_arrays(table, names)} {conflict}", given)


def update_rows(
    connection: Connection,
    table: Table,
    key: str,
    rows: Sequence[Mapping[str, Any]],
    changes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Set columns of rows that are found by one column, each to its own values: one statement, as :func:`insert_rows`.

    Args:
        connection: in a transaction.
        table: which.
        key: column that finds a row.
        rows: of each row its key and what it is set to, all with the same columns.
        changes: columns that are set to something made of what is there and what is given: ``"{old} + {new}"``.
    """
    for _ in _updated(connection, table, (key,), rows, changes, ""):
        pass


def update_those(
    connection: Connection,
    table: Table,
    keys: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    changes: Mapping[str, str],
    where: str,
) -> set[tuple[Any, ...]]:
    """Set columns as :func:`update_rows` does, of the rows that still are as said; return the keys of those.

    Args:
        connection: in a transaction.
        table: which.
        keys: columns that find a row, and say how it must still be.
        rows: as for :func:`update_rows`.
        changes: likewise.
        where: what must hold of it beside.
    """
    how = f"AND {where} RETURNING {', '.join(f'{table.name}.{name}' for name in keys)}"
    return {tuple(row) for result in _updated(connection, table, keys, rows, changes, how) for row in result}


def _updated(
    connection: Connection,
    table: Table,
    keys: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    changes: Mapping[str, str],
    end: str,
) -> Iterator[CursorResult[Any]]:
    """Run the statements of an update; each when the result of the one before has been read."""
    if not rows:
        return
    rows = sorted(rows, key=itemgetter(*keys))  # in one order in every process: none waits for another in a circle
    names = tuple(rows[0])
    sets = _sets(table, (name for name in names if name not in keys), changes, "given")
    found = " AND ".join(f"{table.name}.{key} = given.{key}" for key in keys)
    change, found = f"UPDATE {table.name} SET {sets} FROM", f"WHERE {found} {end}"
    if connection.dialect.name == "sqlite":
        columns = ", ".join(f"column{place} AS {name}" for place, name in enumerate(names, 1))
        for some in _pieces(_tuples(table, names, rows)):
            given = f"(SELECT {columns} FROM ({_values(len(names), len(some))})) AS given"
            yield connection.exec_driver_sql(f"{change} {given} {found}", tuple(chain.from_iterable(some)))
    else:
        given = f"{_arrays(table, names)} AS given({', '.join(names)})"
        yield connection.exec_driver_sql(f"{change} {given} {found}", _columns(table, names, rows))


def _sets(table: Table, names: Iterable[str], changes: Mapping[str, str], given: str) -> str:
    """Write what columns are set to: what is given, or what ``changes`` makes of it and of what is there."""
    return ", ".join(
        f"{name} = {changes.get(name, '{new}').format(old=f'{table.name}.{name}', new=f'{given}.{name}')}"
        for name in names
    )


def _arrays(table: Table, names: Sequence[str], suffix: str = "") -> str:
    return f"unnest({', '.join(_array(table.c[name], suffix) for name in names)})"


def _array(column: Column[Any], suffix: str) -> str:
    match column.type:
        case BigInteger() | Integer():
            kind = "bigint"
        case Boolean():
            kind = "boolean"
        case LargeBinary():
            kind = "bytea"
        case _:
            kind = "text"
    return f"%({column.name}{suffix})b::{kind}[]"


def _columns(table: Table, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: _column(table.c[name], [row[name] for row in rows]) for name in names}


def _tuples(table: Table, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*_columns(table, names, rows).values(), strict=True))


def _column(column: Column[Any], values: list[Any]) -> list[Any]:
    kind = column.type
    return [kind.process_bind_param(value, _ANY) for value in values] if isinstance(kind, TypeDecorator) else values


#: Our own types write the same on every engine.
_ANY = postgresql.dialect()


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
            f"CREATE TEMP TABLE beside ON COMMIT DROP AS SELECT {names} FROM {table.name} WITH NO DATA",
            "COPY beside FROM STDIN",
            f"INSERT INTO {target} SELECT * FROM beside ON CONFLICT DO NOTHING",
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
