"""Moves an install from a SQLite file to PostgreSQL: every table, counted on both sides, resumable.

What has been copied is noted in the target, in the transaction that copies it: a move that was killed goes on where it
was when it is started again. The file is locked meanwhile, so that nothing is accepted there which would stay behind,
and not changed.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psycopg
from sqlalchemy import LargeBinary, Table, create_engine

from custodes.errors import ConfigurationError, Conflict, StorageUnavailable
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.storage.sql import partitions, schema
from custodes.storage.sql.postgresql import PostgresDatabase
from custodes.storage.sql.postgresql_text import without_nul
from custodes.storage.sql.schema import MOVE_NOTES as NOTES
from custodes.storage.sql.tables import metadata
from custodes.storage.sql.tables.audit import audit_sequence
from custodes.storage.sql.tables.inbound import webhook_handlers
from custodes.storage.sql.tables.leases import leader_leases

#: Most rows, and most bytes of payloads, of one transaction: what a kill undoes, and what is held in memory.
CHUNK_ROWS = 5_000
CHUNK_BYTES = 8 * 1024 * 1024

#: Not moved: who leads and who handles webhooks now, and the counter that is set from what was moved.
_LEFT = frozenset({leader_leases.name, webhook_handlers.name, audit_sequence.name})

#: Told after each transaction: (table, rows copied, rows to copy).
Report = Callable[[str, int, int], None]

# ruff: noqa: S608 - nothing but names of our own tables and columns is written into these statements


@dataclass(frozen=True, slots=True)
class Moved:
    """A table that was moved."""

    #: Its name.
    table: str
    #: Rows, the same on both sides.
    rows: int


class Stopped(Exception):
    """A move was stopped before its end."""


class Move:
    """One move.

    Args:
        source: the SQLite file.
        target: the database, its schema up to date and empty, or with a move of this file under way.
        report: told how far it is.
    """

    def __init__(self, source: Path, target: PostgresDatabase, report: Report) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._stopping = threading.Event()
        self._tables = [table for table in metadata.sorted_tables if table.name not in _LEFT]

    def stop(self) -> None:
        """Have it stop after the transaction that is under way; from any thread."""
        self._stopping.set()

    def run(self) -> list[Moved]:
        """Move everything that has not been moved yet; blocks.

        Raises:
            Stopped: by :meth:`stop`; run it again, and it goes on where it was.
            ConfigurationError: the file is not an install of this version, or the target holds other data, or a move
                of another file is under way there.
            StorageUnavailable: the file is in use, or one of the two failed; run it again.
            Conflict: the counts differ at the end; nothing was taken away.
        """
        try:
            with closing(self._opened_source()) as source, self._opened_target() as target:
                counts = {table.name: _count(source, table.name) for table in self._tables}
                if self._begin(source, target, counts):
                    self._make_pieces(source)
                    for table in self._tables:
                        self._copy(source, target, table, counts[table.name])
                    self._finish(source, target, counts)
                with self._transaction(target):
                    target.execute(b"ANALYZE")  # else the first hours are planned blindly
                return [Moved(name, rows) for name, rows in counts.items()]
        except sqlite3.Error as error:
            msg = f"The SQLite file could not be read: {error}"
            raise StorageUnavailable(msg, remedy="Stop what uses it, then run the same command again") from error
        except psycopg.Error as error:
            msg = f"PostgreSQL could not take it: {str(error).strip().partition(chr(10))[0]}"
            raise StorageUnavailable(msg, remedy="Look at the server, then run the same command again") from error

    # ── Both ends ────────────────────────────────────────────────────────────

    def _opened_source(self) -> sqlite3.Connection:
        if not self._source.is_file():
            msg = f"There is no file {self._source}"
            raise ConfigurationError(msg, remedy="Name the SQLite database: --from sqlite:///path/to/custodes.db")
        engine = create_engine(f"sqlite:///{self._source}")
        with engine.connect() as connection:
            current, pending = schema.current_revision(connection), schema.pending_revisions(connection)
        engine.dispose()
        if current is None or pending:
            msg = f"{self._source} has no schema of this version of Custodes"
            raise ConfigurationError(msg, remedy=f"Run custodes migrate --database sqlite:///{self._source}")
        source = sqlite3.connect(self._source, timeout=5, isolation_level=None)
        try:
            source.execute("BEGIN IMMEDIATE")  # nobody adds anything from here on
        except sqlite3.OperationalError:
            source.close()
            raise
        return source

    @contextmanager
    def _opened_target(self) -> Generator[psycopg.Connection[Any]]:
        url = self._target.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = psycopg.connect(url, autocommit=True, prepare_threshold=None, application_name="custodes-move")
        with connection as target, without_nul(target):
            yield target

    @contextmanager
    def _transaction(self, target: psycopg.Connection[Any]) -> Generator[psycopg.Connection[Any]]:
        with target.transaction():
            if self._target.search_path:
                target.execute(self._target.search_path.encode())
            yield target

    def _begin(self, source: sqlite3.Connection, target: psycopg.Connection[Any], counts: dict[str, int]) -> bool:
        """Make the notes; refuse a database that is in use. False when this very file was moved to the end."""
        with self._transaction(target):
            if _scalar(target, f"SELECT to_regclass('{NOTES}') IS NOT NULL"):
                self._check_file(source, target, counts)
                return True
            full = [table.name for table in self._tables if _scalar(target, f"SELECT EXISTS (TABLE {table.name})")]
            if full and all(self._holds(source, target, table, counts[table.name]) for table in self._tables):
                return False  # whoever moved it was killed, or lost the connection, before it could say so
            if full:
                msg = f"The target holds data already, in {', '.join(full)}"
                raise ConfigurationError(msg, remedy="Name an empty database, or another with CUSTODES_DATABASE_SCHEMA")
            target.execute(f"CREATE TABLE {NOTES} (name TEXT PRIMARY KEY, after TEXT, rows BIGINT NOT NULL)".encode())
        return True

    def _check_file(self, source: sqlite3.Connection, target: psycopg.Connection[Any], counts: dict[str, int]) -> None:
        """Refuse a file that is not the one whose move is under way: it lacks what was copied last of a table."""
        tables = {table.name: table for table in self._tables}
        for name, after, rows in target.execute(f"SELECT name, after, rows FROM {NOTES}".encode()).fetchall():
            keys = [column.name for column in tables[name].primary_key.columns]
            same = " AND ".join(f"{key} = ?" for key in keys)
            values = [_key_value(value) for value in json.loads(after)]
            there = source.execute(f"SELECT 1 FROM {name} WHERE {same}", values).fetchone()
            if there is None or rows > counts[name]:
                msg = f"A move of another file into this database is under way: {self._source} lacks rows of {name}"
                raise ConfigurationError(msg, remedy=f"Name that file, or empty the target (and {NOTES}) to begin anew")

    def _holds(self, source: sqlite3.Connection, target: psycopg.Connection[Any], table: Table, rows: int) -> bool:
        """Tell whether the target has as many rows of a table, among them the first and the last of the file."""
        if _scalar(target, f"SELECT count(*) FROM {table.name}") != rows:
            return False
        names = [column.name for column in table.primary_key.columns]
        same = " AND ".join(f"{name} = %s" for name in names)
        for order in ("", " DESC"):
            ordered = ", ".join(name + order for name in names)
            key = source.execute(f"SELECT {', '.join(names)} FROM {table.name} ORDER BY {ordered} LIMIT 1").fetchone()
            if key and not target.execute(f"SELECT 1 FROM {table.name} WHERE {same}".encode(), key).fetchone():
                return False
        return True

    def _make_pieces(self, source: sqlite3.Connection) -> None:
        """Make the partitions of what is there, so that retention can drop them as any other."""
        engine = create_engine(self._target.url)
        for slices in partitions.SLICES:
            level = "" if slices.level is None else f"WHERE level = {slices.level}"
            start = f"{slices.column} - {slices.column} % {slices.width}"
            starts = source.execute(f"SELECT DISTINCT {start} FROM {slices.table.name} {level} ORDER BY 1")
            for (at,) in starts:
                with engine.begin() as connection:
                    if self._target.search_path:
                        connection.exec_driver_sql(self._target.search_path)
                    partitions.make_piece(connection, slices, at)
        engine.dispose()

    # ── One table ────────────────────────────────────────────────────────────

    def _copy(self, source: sqlite3.Connection, target: psycopg.Connection[Any], table: Table, total: int) -> None:
        noted = target.execute
        with self._transaction(target):
            row = noted(f"SELECT after, rows FROM {NOTES} WHERE name = %s".encode(), (table.name,)).fetchone()
        after, done = (None, 0) if row is None else (json.loads(row[0]), row[1])
        self._report(table.name, done, total)
        rows = _rows(source, table, after)
        while chunk := _chunk(rows, table):
            if self._stopping.is_set():
                raise Stopped
            key = json.dumps(_key(table, chunk[-1]))
            done += len(chunk)
            with self._transaction(target), target.cursor() as cursor:
                with cursor.copy(f"COPY {table.name} ({_columns(table)}) FROM STDIN".encode()) as copy:
                    for values in chunk:
                        copy.write_row(values)
                cursor.execute(
                    f"INSERT INTO {NOTES} VALUES (%s, %s, %s) ON CONFLICT (name)"
                    " DO UPDATE SET after = excluded.after, rows = excluded.rows".encode(),
                    (table.name, key, done),
                )
            self._report(table.name, done, total)

    # ── The end ──────────────────────────────────────────────────────────────

    def _finish(self, source: sqlite3.Connection, target: psycopg.Connection[Any], counts: dict[str, int]) -> None:
        """Compare, and make the target ready for use; all or nothing."""
        with self._transaction(target):
            found = {name: _scalar(target, f"SELECT count(*) FROM {name}") for name in counts}
            wrong = [f"{name}: {counts[name]} and {found[name]}" for name in counts if counts[name] != found[name]]
            if wrong:
                msg = f"The counts of SQLite and PostgreSQL differ: {'; '.join(wrong)}"
                remedy = f"Something wrote meanwhile. Stop everything, empty the target (and {NOTES}), and move again"
                raise Conflict(msg, remedy=remedy)
            given = source.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit_logs'")
            # It is there when a file without rows was moved before, which nothing else tells; it never goes back.
            target.execute(
                f"INSERT INTO {audit_sequence.name} AS s (tenant_id, last) VALUES (%s, %s)"
                " ON CONFLICT (tenant_id) DO UPDATE SET last = greatest(s.last, excluded.last)".encode(),
                (DEFAULT_TENANT, given.fetchone()[0]),
            )
            target.execute(f"DROP TABLE {NOTES}".encode())


def _rows(source: sqlite3.Connection, table: Table, after: Sequence[Any] | None) -> Iterator[tuple[Any, ...]]:
    key = ", ".join(column.name for column in table.primary_key.columns)
    query = f"SELECT {_columns(table)} FROM {table.name}"
    values: tuple[Any, ...] = ()
    if after is not None:
        query += f" WHERE ({key}) > ({', '.join('?' * len(after))})"
        values = tuple(_key_value(value) for value in after)
    yield from source.execute(f"{query} ORDER BY {key}", values)


def _chunk(rows: Iterator[tuple[Any, ...]], table: Table) -> list[tuple[Any, ...]]:
    large = [place for place, column in enumerate(table.columns) if isinstance(column.type, LargeBinary)]
    chunk: list[tuple[Any, ...]] = []
    size = 0
    while len(chunk) < CHUNK_ROWS and size < CHUNK_BYTES and (row := next(rows, None)) is not None:
        chunk.append(row)
        size += sum(len(row[place] or b"") for place in large)
    return chunk


def _key(table: Table, row: tuple[Any, ...]) -> list[Any]:
    values = dict(zip((column.name for column in table.columns), row, strict=True))
    key = [values[column.name] for column in table.primary_key.columns]
    return [{"hex": value.hex()} if isinstance(value, bytes) else value for value in key]


def _key_value(noted: Any) -> Any:
    return bytes.fromhex(cast("dict[str, str]", noted)["hex"]) if isinstance(noted, dict) else noted


def _columns(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)


def _count(source: sqlite3.Connection, table: str) -> int:
    return source.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def _scalar(target: psycopg.Connection[Any], query: str) -> Any:
    row = target.execute(query.encode()).fetchone()
    return None if row is None else row[0]
