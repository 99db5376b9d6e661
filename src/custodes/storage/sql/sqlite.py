"""SQLite: one writer thread with group commit, readers beside it (WAL).

Durable groups commit with ``synchronous=FULL``: in WAL mode ``NORMAL`` survives a killed process but not a power cut
(SQLite documentation, "PRAGMA synchronous"). Groups that hold nothing but figures commit with ``NORMAL``.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from custodes.errors import ConfigurationError, CustodesError, StorageUnavailable
from custodes.runtime.stop_iteration import no_stop_iteration
from custodes.runtime.transactions import Transaction
from custodes.runtime.writer import GroupCommitWriter, Pending, Told
from custodes.storage.sql import database as sql
from custodes.storage.sql.added_indexes import AddedIndex
from custodes.storage.sql.database import Ingest, as_transaction
from custodes.storage.sql.sqlite_connections import begin, driver_of, make_engine, make_private_file
from custodes.storage.sql.sqlite_lock import locked, patiently
from custodes.storage.sql.unkept import refusal_of, refusing

T = TypeVar("T")
Row = TypeVar("Row")
Result = TypeVar("Result")

#: How often a migration is tried; each try waits for the lock as long as any write does.
MIGRATION_TRIES = 6

#: Reader threads, each with a connection of its own.
READERS = 4

#: Longest a read may take, seconds: a dashboard query must never hold a reader for good.
READ_TIMEOUT_SECONDS = 20.0

#: How often reads under way are interrupted when the database is closed, seconds: one may be between two statements.
INTERRUPT_SECONDS = 0.05

_Work = Callable[[Transaction], object]

#: What SQLite says of a file that is damaged: an error of no kind of its own.
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@dataclass(slots=True)
class _Write:
    """A work of the cold path: runs on SQLAlchemy, in a savepoint of its own when the group has company."""

    work: _Work
    durable: bool


@dataclass(slots=True)
class _Insert:
    """A row of the hot path: goes with the others of its statement."""

    statement: Ingest[Any, Any]
    row: object


class SqliteDatabase:
    """The :class:`~custodes.storage.sql.database.Database` for ``sqlite:///path``, and ``sqlite://`` in memory."""

    dialect = "sqlite"

    def __init__(self, url: str) -> None:
        #: Path of the file; None in memory.
        self.path: Path | None = path_of(url)
        self._writer_engine = make_engine(self.path, pool_size=1)
        # In memory there is one database per connection, so readers share the writer's.
        self._reader_engine = None if self.path is None else make_engine(self.path, pool_size=READERS, read_only=True)
        self._connection: Connection | None = None
        self._synchronous = ""
        self._closed = False
        #: Reads that the threads have not done with.
        self._under_way: set[_Reading] = set()
        self._start_threads()

    # ── Life ─────────────────────────────────────────────────────────────────

    def _start_threads(self) -> None:
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="custodes-reader")
        self._writer: GroupCommitWriter[_Write | _Insert] = GroupCommitWriter(self._commit, on_stop=self._disconnect)

    async def open(self) -> None:
        """Create the folder and the file when they are missing, and check that it can be written.

        A closed database opens again: a test client may run an app's lifespan many times.
        """
        if self._closed:
            self._closed = False
            self._start_threads()
        if self.path is not None:
            _make_folder(self.path.parent)
            make_private_file(self.path)
        # As long as for a migration, for another process may be at its own, which a slow machine takes seconds for.
        await self.migrate(lambda tx: sql.connection_of(tx).exec_driver_sql("SELECT 1").scalar())

    async def close(self) -> None:
        """Commit what waits, close every connection."""
        self._closed = True
        await asyncio.to_thread(self._writer.close)
        ended = asyncio.ensure_future(asyncio.to_thread(self._readers.shutdown))
        while not ended.done():
            for reading in tuple(self._under_way):
                reading.interrupt()
            await asyncio.wait((ended,), timeout=INTERRUPT_SECONDS)
        if self._reader_engine is not None:
            self._reader_engine.dispose()
        self._writer_engine.dispose()

    @property
    def waiting(self) -> int:
        """Writes that wait for their group."""
        return self._writer.waiting

    # ── Works ────────────────────────────────────────────────────────────────

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a reading work on a reader's snapshot."""
        if self._reader_engine is None:
            return await self.write(_in_our_words(work), durable=False)
        reading = _Reading(self._reader_engine, refusing(work))
        self._under_way.add(reading)
        running = self._readers.submit(reading.run)
        running.add_done_callback(lambda _: self._under_way.discard(reading))
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                return cast("T", await asyncio.wrap_future(running))
        except TimeoutError:
            reading.interrupt()
            msg = f"A query took longer than {READ_TIMEOUT_SECONDS:g} s and was stopped"
            raise StorageUnavailable(msg, remedy="Ask for a shorter time range or fewer rows") from None
        except asyncio.CancelledError:
            reading.interrupt()
            raise

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True, once: str = "") -> T:
        """Run a work in the writer thread and commit it with its group; of a file the end is always known."""
        del once
        return cast("T", await self._writer.submit(_Write(refusing(work), durable)))

    async def migrate(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that changes tables; another process that starts at the same time has the lock while it does."""
        for _ in range(MIGRATION_TRIES - 1):
            try:
                return await self.write(work)
            except StorageUnavailable as error:
                if not locked(error.__cause__):
                    raise
        return await self.write(work)

    async def add_indexes(self, indexes: Sequence[AddedIndex]) -> None:
        """Leave them to the migration: a file has one writer, which is the migration either way."""

    def ingest(self, statement: Ingest[Row, Result], row: Row, told: Told | None = None) -> Awaitable[Result]:
        """Insert one row with its group; nobody who has a client waiting is kept waiting for ever."""
        return cast("Awaitable[Result]", self._writer.hand_in(_Insert(statement, row), patient=False, told=told))

    async def join(
        self, connection: object, work: Callable[[Transaction], T], *, committed: Callable[[], None] | None = None
    ) -> T:
        """Run a work in the caller's transaction."""
        return await sql.join(connection, work, committed)

    # ── The writer thread ────────────────────────────────────────────────────

    def _connect(self) -> None:
        try:
            self._connection = self._writer_engine.connect()
        except DBAPIError as error:
            raise _unavailable(error) from error
        self._synchronous = ""

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _commit(self, group: list[Pending[_Write | _Insert]]) -> None:
        try:
            if self._connection is None:
                self._connect()
            self._attempt(group)
        except (DBAPIError, sqlite3.Error) as error:
            # The state of the file is unknown after a failed commit: never go on with the same connection.
            self._reconnect()
            failure = _unavailable(error)
            failure.__cause__ = error
            for pending in group:
                pending.fail(failure)
        except CustodesError as error:
            for pending in group:
                pending.fail(error)

    def _reconnect(self) -> None:
        if self.path is None and self._connection is not None:  # in memory it is all there is
            driver = driver_of(self._connection)
            if driver.in_transaction:
                driver.execute("ROLLBACK").close()
            return
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _attempt(self, group: list[Pending[_Write | _Insert]]) -> None:
        connection = cast("Connection", self._connection)
        if self._insert_only(connection, group):
            return
        self._set_synchronous(connection, durable=any(_durable(pending.payload) for pending in group))
        alone = len(group) == 1
        with connection.begin():
            inserts: dict[Ingest[Any, Any], list[Pending[_Write | _Insert]]] = {}
            for pending in group:
                payload = pending.payload
                if isinstance(payload, _Insert):
                    inserts.setdefault(payload.statement, []).append(pending)
                else:
                    _run_work(connection, payload.work, pending, alone=alone)
            for statement, members in inserts.items():
                _run_inserts(connection, statement, members, alone=len(inserts) == 1 and len(members) == len(group))
            if alone and group[0].error is not None:
                connection.get_transaction().rollback()  # pyright: ignore[reportOptionalMemberAccess]

    def _insert_only(self, connection: Connection, group: list[Pending[_Write | _Insert]]) -> bool:
        """Commit a group of rows of one statement beneath SQLAlchemy; False, and nothing done, when it is another sort.

        A row that the statement cannot take rolls the group back; the long way then finds out which one it is.
        """
        first = group[0].payload
        if not isinstance(first, _Insert):
            return False
        statement, rows, driver = first.statement, list[object](), driver_of(connection)
        for pending in group:
            payload = pending.payload
            if not isinstance(payload, _Insert) or payload.statement is not statement:
                return False
            rows.append(payload.row)
        self._set_synchronous(connection, durable=statement.durable)
        if not statement.alone:
            begin(driver)
        try:
            results = patiently(lambda: statement.sqlite(driver, rows))
        except Exception as error:
            if _is_of_engine(error):
                raise
            # It belongs to one of the callers.
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            return False
        if driver.in_transaction:
            driver.execute("COMMIT")
        for pending, result in zip(group, results, strict=True):
            pending.result = result
        return True

    def _set_synchronous(self, connection: Connection, *, durable: bool) -> None:
        wanted = "FULL" if durable else "NORMAL"
        if wanted != self._synchronous:
            cursor = driver_of(connection).execute(f"PRAGMA synchronous={wanted}")
            cursor.close()
            self._synchronous = wanted


def path_of(url: str) -> Path | None:
    """Read the path of the file from a URL; None in memory.

    Raises:
        ConfigurationError: it is not a URL of SQLite's; or it names a host, which ``sqlite://custodes.db`` does, and
            would be kept in memory only; or it has options, none of which would be heeded.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "sqlite" or parsed.host:
        msg = "The database URL names no SQLite file"
        raise ConfigurationError(
            msg, remedy="Write sqlite:///custodes.db, or sqlite:////var/lib/custodes.db: a path after three /"
        )
    if "?" in url:
        msg = "The database URL has options behind a ?, which are not heeded for an SQLite file"
        raise ConfigurationError(msg, remedy="Leave out the ? and what follows")
    if "\0" in (parsed.database or ""):
        msg = "The database URL names a file with a NUL character, which no file can have"
        raise ConfigurationError(msg, remedy="Write sqlite:///custodes.db")
    return None if parsed.database in (None, "", ":memory:") else Path(str(parsed.database))


class _Reading:
    """One read in a reader thread, which can be interrupted from outside."""

    def __init__(self, engine: Engine, work: _Work) -> None:
        self._engine = engine
        self._work = work
        self._driver: sqlite3.Connection | None = None

    def run(self) -> object:
        try:
            with self._engine.connect() as connection:
                self._driver = driver_of(connection)
                try:
                    return self._work(as_transaction(connection))
                finally:
                    self._driver = None
        except (DBAPIError, sqlite3.Error) as error:
            if not _is_of_engine(error):
                raise
            raise _unavailable(error) from error
        except StopIteration as error:
            raise no_stop_iteration(error) from error

    def interrupt(self) -> None:
        driver = self._driver
        if driver is not None:
            driver.interrupt()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"The folder {folder} for the database cannot be made: {error.strerror}"
        raise StorageUnavailable(msg, remedy="Name another place in CUSTODES_DATABASE_URL") from error


def _durable(payload: _Write | _Insert) -> bool:
    return payload.statement.durable if isinstance(payload, _Insert) else payload.durable


def _run_work(connection: Connection, work: _Work, pending: Pending[Any], *, alone: bool) -> None:
    if alone:
        try:
            pending.result = work(as_transaction(connection))
        except Exception as error:
            if _is_of_engine(error):
                raise
            pending.fail(error)  # it belongs to the caller of this work
        return
    savepoint = connection.begin_nested()
    try:
        pending.result = work(as_transaction(connection))
        savepoint.commit()
    except Exception as error:
        if _is_of_engine(error):
            raise
        savepoint.rollback()
        pending.fail(error)  # it belongs to the caller of this work


def _in_our_words(work: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
    """Have a read that shares the writer's connection fail by itself, as one in a reader's thread does."""

    def read(tx: Transaction) -> T:
        try:
            return work(tx)
        except (DBAPIError, sqlite3.Error) as error:
            if not _is_of_engine(error):
                raise
            raise _unavailable(error) from error

    return read


def _run_inserts(
    connection: Connection, statement: Ingest[Any, Any], members: list[Pending[Any]], *, alone: bool
) -> None:
    """Run one statement for all its rows; when it fails, row by row, so that one bad row hurts only itself."""
    driver = driver_of(connection)
    try:
        if not alone:
            driver.execute("SAVEPOINT ingest").close()
        results = statement.sqlite(driver, [pending.payload.row for pending in members])
        if not alone:
            driver.execute("RELEASE ingest").close()
    except Exception as error:
        if _is_of_engine(error):
            raise
        # It belongs to the callers.
        driver.execute("ROLLBACK TO ingest" if not alone else "ROLLBACK").close()
        if not alone:
            driver.execute("RELEASE ingest").close()
        else:
            begin(driver)
        if len(members) == 1:
            members[0].fail(refusal_of(error) or error)
            return
        for pending in members:
            _run_inserts(connection, statement, [pending], alone=False)
        return
    for pending, result in zip(members, results, strict=True):
        pending.result = result


def _is_of_engine(error: Exception) -> bool:
    """Tell errors of the engine, through SQLAlchemy or beneath it, from those of who asked."""
    return isinstance(error, (OperationalError, sqlite3.OperationalError)) or _is_damage(error)


def _is_damage(error: Exception) -> bool:
    # Extended codes (SQLite documentation, "Result and Error Codes") have the plain one in their low byte.
    return getattr(getattr(error, "orig", error), "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _unavailable(error: Exception) -> StorageUnavailable:
    cause = error.orig if isinstance(error, DBAPIError) else error
    remedy = "Check that the disk has space and that the file can be written"
    if locked(error):
        remedy = "Another program holds the file: find it (fuser FILE), and end it, or the transaction it left open"
    elif _is_damage(error):
        remedy = "The file is damaged: put it aside and restore a backup, see docs/howto/back-up-and-restore.md"
    return StorageUnavailable(f"SQLite could not do it: {cause}", remedy=remedy)
