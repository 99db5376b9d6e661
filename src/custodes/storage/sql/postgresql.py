"""PostgreSQL: works on pooled connections, hot inserts by one writer thread with group commit.

The server itself shares a flush among transactions that commit at once, so works of the cold path run side by side,
each in a transaction of its own. Safe behind PgBouncer in transaction mode: nothing outlives a transaction on a
connection, no statement is prepared, and settings are ``SET LOCAL``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar, cast

import psycopg
from psycopg.types.string import StrDumper
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from custodes.errors import ConfigurationError, StorageUnavailable
from custodes.runtime.transactions import Transaction
from custodes.runtime.writer import GroupCommitWriter, Pending
from custodes.storage.sql import database as sql
from custodes.storage.sql.database import Ingest, as_transaction
from custodes.storage.sql.deadlines import Deadlines, Overdue

T = TypeVar("T")
Row = TypeVar("Row")
Result = TypeVar("Result")

#: Connections of one process, by what they are for: reads, works, and one for hot inserts.
READERS = 4
WRITERS = 4

#: Longest a work may take, seconds: a server that hangs must never hold a thread for good.
TIMEOUT_SECONDS = 20.0

#: Longest a group of hot inserts may take, seconds: below the seven that their callers wait.
INGEST_TIMEOUT_SECONDS = 6.0

#: Longest to wait for a connection, seconds.
CONNECT_TIMEOUT_SECONDS = 5

#: Works that wait for a connection before new ones are refused: bounds memory when the server hangs.
MAX_WAITING = 20_000

#: Times that a work is run again after the server rolled it back for reasons of its own.
RETRIES = 5

#: Codes of such reasons (PostgreSQL documentation, appendix A): serialization_failure, deadlock_detected.
_ROLLED_BACK = frozenset({"40001", "40P01"})

_Work = Callable[[Transaction], object]


class _Insert:
    """A row of the hot path: goes with the others of its statement."""

    __slots__ = ("row", "statement")

    def __init__(self, statement: Ingest[Any, Any], row: object) -> None:
        self.statement = statement
        self.row = row


class PostgresDatabase:
    """The :class:`~custodes.storage.sql.database.Database` for ``postgresql+psycopg://…``."""

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = _checked(url)
        self._reader_engine = _engine(self.url, READERS, isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writer_engine = _engine(self.url, WRITERS)
        self._ingest_engine = _engine(self.url, 1, isolation_level="AUTOCOMMIT")
        self._ingesting: Connection | None = None
        self._waiting = 0
        self._closed = False
        self._start_threads()

    # ── Life ─────────────────────────────────────────────────────────────────

    def _start_threads(self) -> None:
        self._deadlines = Deadlines()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="custodes-reader")
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="custodes-writer")
        self._inserts: GroupCommitWriter[_Insert] = GroupCommitWriter(
            self._commit, on_stop=self._disconnect, name="custodes-ingest"
        )

    async def open(self) -> None:
        """Check that the server answers and is recent enough; a closed database opens again."""
        if self._closed:
            self._closed = False
            self._start_threads()
        version = await self.read(lambda tx: sql.connection_of(tx).dialect.server_version_info)
        if version is not None and version < (13,):
            msg = f"PostgreSQL {version[0]} is too old"
            raise ConfigurationError(msg, remedy="Use PostgreSQL 13 or newer")

    async def close(self) -> None:
        """Commit what waits, close every connection."""
        self._closed = True
        await asyncio.to_thread(self._inserts.close)
        await asyncio.to_thread(self._writers.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        self._deadlines.close()
        for engine in (self._reader_engine, self._writer_engine, self._ingest_engine):
            engine.dispose()

    @property
    def waiting(self) -> int:
        """Writes that wait for a connection or for their group."""
        return self._waiting + self._inserts.waiting

    # ── Works ────────────────────────────────────────────────────────────────

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a reading work on a snapshot of its own."""
        return await self._run(self._readers, self._reader_engine, work, durable=True)

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run a work and commit it."""
        return await self._run(self._writers, self._writer_engine, work, durable=durable)

    async def join(self, connection: object, work: Callable[[Transaction], T]) -> T:
        """Run a work in the caller's transaction."""
        return await sql.join(connection, work)

    async def _run(
        self, threads: ThreadPoolExecutor, engine: Engine, work: Callable[[Transaction], T], *, durable: bool
    ) -> T:
        if self._closed:
            msg = "The store is closed"
            raise StorageUnavailable(msg, remedy="Start Custodes before it is used, and not after it was stopped")
        if self._waiting >= MAX_WAITING:
            msg = f"The store is behind: {MAX_WAITING} works are waiting"
            raise StorageUnavailable(msg, remedy="Try again in a moment; look at the database server")
        running = _Running(engine, work, durable, self._deadlines)
        self._waiting += 1
        try:
            return cast("T", await asyncio.get_running_loop().run_in_executor(threads, running.run))
        except asyncio.CancelledError:
            if engine is self._reader_engine:  # nobody will look at it; a write is carried out all the same
                running.abandon()
            raise
        finally:
            self._waiting -= 1

    # ── Hot inserts ──────────────────────────────────────────────────────────

    def ingest(self, statement: Ingest[Row, Result], row: Row) -> Awaitable[Result]:
        """Insert one row with its group; nobody who has a client waiting is kept waiting for ever."""
        return cast("Awaitable[Result]", self._inserts.hand_in(_Insert(statement, row), patient=False))

    def _disconnect(self) -> None:
        connection, self._ingesting = self._ingesting, None
        if connection is not None:
            connection.close()

    def _commit(self, group: list[Pending[_Insert]]) -> None:
        by_statement: dict[Ingest[Any, Any], list[Pending[_Insert]]] = {}
        for pending in group:
            by_statement.setdefault(pending.payload.statement, []).append(pending)
        for statement, members in by_statement.items():
            try:
                self._insert(statement, members)
            except (DBAPIError, psycopg.Error, PoolTimeout) as error:
                connection, self._ingesting = self._ingesting, None
                if connection is not None:  # its state is unknown: never go on with it
                    connection.invalidate()
                    connection.close()
                failure = _unavailable(error)
                for pending in members:
                    pending.fail(failure)

    def _insert(self, statement: Ingest[Any, Any], members: list[Pending[_Insert]]) -> None:
        fresh = self._ingesting is None
        try:
            self._insert_all(statement, members)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            # A connection that idled while the server was restarted: nothing of this group has reached it.
            connection = self._ingesting
            if fresh or connection is None or not _driver(connection).broken:
                raise
            connection.invalidate()
            connection.close()
            self._ingesting = None
            self._insert_all(statement, members)

    def _insert_all(self, statement: Ingest[Any, Any], members: list[Pending[_Insert]]) -> None:
        """Insert all rows in one transaction; when that fails, one by one: a bad row hurts only itself."""
        if self._ingesting is None:
            self._ingesting = self._ingest_engine.connect()
        driver = _driver(self._ingesting)
        rows = [pending.payload.row for pending in members]
        with self._deadlines.guard(driver, INGEST_TIMEOUT_SECONDS):
            try:
                results = _insert_rows(driver, statement, rows)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                raise
            except Exception as error:  # noqa: BLE001 - it belongs to one of the callers
                if _has_nul(error):
                    with _without_nul(driver):
                        results = _insert_rows(driver, statement, rows)
                elif len(members) == 1:
                    members[0].fail(error)
                    return
                else:
                    for pending in members:
                        self._insert_all(statement, [pending])
                    return
        for pending, result in zip(members, results, strict=True):
            pending.result = result


class _Running:
    """One work in one thread, with a deadline; run again when the server rolled it back or had gone away before."""

    def __init__(self, engine: Engine, work: _Work, durable: bool, deadlines: Deadlines) -> None:  # noqa: FBT001
        self._engine = engine
        self._work = work
        self._durable = durable
        self._deadlines = deadlines
        self._driver: Any = None
        self._abandoned = False
        #: Whether a text held NUL, which PostgreSQL does not take.
        self._clean = False

    def run(self) -> object:
        for _ in range(RETRIES):
            try:
                return self._attempt()
            except _Again:
                continue
        return self._attempt(last=True)

    def abandon(self) -> None:
        """Stop: nobody waits for it any more."""
        self._abandoned = True
        driver = self._driver
        if driver is not None:
            self._deadlines.interrupt(driver)

    def _attempt(self, *, last: bool = False) -> object:
        if self._abandoned:
            return None
        committing = False
        try:
            with self._engine.connect() as connection:
                self._driver = driver = _driver(connection)
                try:
                    with self._deadlines.guard(driver, TIMEOUT_SECONDS), self._spelling(driver), connection.begin():
                        if not self._durable:
                            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                        result = self._work(as_transaction(connection))
                        committing = True
                    return result
                finally:
                    self._driver = None
        except Overdue:
            msg = f"The database did not answer within {TIMEOUT_SECONDS:g} s and the work was stopped"
            raise StorageUnavailable(msg, remedy="Ask for a shorter time range; look at the database server") from None
        except PoolTimeout as error:
            raise _unavailable(error) from error
        except DBAPIError as error:
            if not last and self._may_succeed_later(error, committing=committing):
                raise _Again from error
            if isinstance(error, (OperationalError, InterfaceError)):
                raise _unavailable(error) from error
            raise

    def _may_succeed_later(self, error: DBAPIError, *, committing: bool) -> bool:
        if _has_nul(error) and not self._clean:
            self._clean = True
            return True
        return _code(error) in _ROLLED_BACK or (error.connection_invalidated and not committing)

    def _spelling(self, driver: Any) -> AbstractContextManager[None]:
        return _without_nul(driver) if self._clean else nullcontext()


class _Again(Exception):  # noqa: N818 - no error, a way to go on
    """The work may be run again."""


class _CleanDumper(StrDumper):
    """Writes U+FFFD for NUL, which PostgreSQL refuses in text."""

    def dump(self, obj: str) -> Any:
        """Write a text."""
        return super().dump(obj.replace("\0", "\ufffd"))


@contextmanager
def _without_nul(driver: Any) -> Iterator[None]:
    """Have a connection take texts with NUL in them; slower for all texts, so only where one was refused."""
    driver.adapters.register_dumper(str, _CleanDumper)
    try:
        yield
    finally:
        driver.adapters.register_dumper(str, StrDumper)


def _has_nul(error: BaseException) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, psycopg.DataError) and "NUL" in str(cause)


def _insert_rows(driver: Any, statement: Ingest[Any, Any], rows: Sequence[Any]) -> Sequence[Any]:
    insert = cast("Callable[[Any, Sequence[Any]], Sequence[Any]]", statement.postgresql)
    if statement.alone and statement.durable:
        return insert(driver, rows)
    with driver.transaction():
        if not statement.durable:
            driver.execute("SET LOCAL synchronous_commit = off")
        return insert(driver, rows)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _code(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _unavailable(error: Exception) -> StorageUnavailable:
    cause = error.orig if isinstance(error, DBAPIError) else error
    first = str(cause).strip().partition("\n")[0]
    msg = f"PostgreSQL could not do it: {first}"
    return StorageUnavailable(msg, remedy="Check that the database server runs and has connections and space left")


def _checked(url: str) -> URL:
    """Read the URL; the driver is psycopg 3 whatever it says."""
    parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    if parsed.get_backend_name() != "postgresql" or parsed.get_driver_name() not in ("psycopg", "psycopg2"):
        msg = f"Not a PostgreSQL URL for psycopg: {parsed.render_as_string(hide_password=True)}"
        raise ConfigurationError(msg, remedy="Write postgresql+psycopg://user:password@host/database")
    return parsed.set(drivername="postgresql+psycopg")


def _engine(url: URL, size: int, **options: Any) -> Engine:
    isolation_level = options.pop("isolation_level", "READ COMMITTED")
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_SECONDS,
        pool_use_lifo=True,
        isolation_level=isolation_level,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "custodes",
            "prepare_threshold": None,  # a pooler may give each transaction another server connection
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )
    return engine.execution_options(**options) if options else engine
