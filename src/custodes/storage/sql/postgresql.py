"""PostgreSQL: works on pooled connections, hot inserts by one writer thread with group commit.

The server itself shares a flush among transactions that commit at once, so works of the cold path run side by side,
each in a transaction of its own. Safe behind PgBouncer in transaction mode: nothing outlives a transaction on a
connection, no statement is prepared, and settings are ``SET LOCAL``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar, cast

import psycopg
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from custodes.errors import ConfigurationError, StorageUnavailable
from custodes.runtime.log import get_logger
from custodes.runtime.transactions import Transaction
from custodes.runtime.writer import GroupCommitWriter, Pending, Told
from custodes.storage.sql import database as sql
from custodes.storage.sql.added_indexes import AddedIndex, Builder
from custodes.storage.sql.database import Ingest
from custodes.storage.sql.deadlines import Deadlines, Overdue
from custodes.storage.sql.postgresql_codes import HELD_BY_OTHERS, code_of
from custodes.storage.sql.postgresql_once import Endings
from custodes.storage.sql.postgresql_text import has_nul, without_nul
from custodes.storage.sql.postgresql_work import (
    READ_ONLY,
    ROLLED_BACK,
    PooledWork,
    Terms,
    driver_of,
    unavailable,
)
from custodes.storage.sql.unkept import refusal_of, refusing

T = TypeVar("T")
Row = TypeVar("Row")
Result = TypeVar("Result")

#: Connections of one process unless told otherwise: for reads, and for works. One more is for hot inserts.
READERS = 4
WRITERS = 4

#: Longest a work may take, seconds: a server that hangs must never hold a thread for good.
TIMEOUT_SECONDS = 20.0

#: Longest a group of hot inserts may take, seconds: below the seven that their callers wait.
INGEST_TIMEOUT_SECONDS = 6.0

#: Longest a migration may take, and wait for another process's, seconds.
MIGRATION_TIMEOUT_SECONDS = 3_600.0

#: Longest that a migration waits for a table that another transaction has, milliseconds: whoever comes after it waits
#: behind it, even to read (PostgreSQL documentation, "Explicit Locking").
MIGRATION_LOCK_MS = 2_000

#: How often a migration is tried, from its beginning, and how long the others are let go on in between, seconds: five
#: minutes in all. Our own works end within :data:`TIMEOUT_SECONDS`; what takes longer is the host's, or a backup.
MIGRATION_TRIES = 60
MIGRATION_PAUSE_SECONDS = 3.0

#: Longest to wait for a connection, seconds.
CONNECT_TIMEOUT_SECONDS = 5

#: Works that wait for a connection before new ones are refused: bounds memory when the server hangs.
MAX_WAITING = 20_000

#: Oldest version that is supported: the oldest that has what is used.
OLDEST = 13

#: Key of the advisory lock that migrations hold ("custodes" in ASCII).
MIGRATION_LOCK = int.from_bytes(b"custodes", "big")

#: The same for who builds indexes ("cust-idx").
BUILD_LOCK = int.from_bytes(b"cust-idx", "big")

#: Not waited for: figures that may be lost with the power. The server writes them within a second all the same.
_NOT_DURABLE = "SET LOCAL synchronous_commit = off"

#: Reads are neither compiled nor spread over workers: what takes the server milliseconds it may take for costly, and
#: compile for two seconds, or wait for processes to start that others keep from the processors.
_AT_ONCE = "SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0"

_log = get_logger("custodes.storage")


class _Insert:
    """A row of the hot path: goes with the others of its statement."""

    __slots__ = ("row", "statement")

    def __init__(self, statement: Ingest[Any, Any], row: object) -> None:
        self.statement = statement
        self.row = row


class PostgresDatabase:
    """The :class:`~custodes.storage.sql.database.Database` for ``postgresql+psycopg://…``.

    Args:
        url: of the server, or of a pooler before it.
        schema: schema of the tables; made by the first migration. Empty: the first of the role's ``search_path``.
        readers: connections for reads.
        writers: connections for works.
    """

    dialect = "postgresql"

    def __init__(self, url: str, *, schema: str = "", readers: int = READERS, writers: int = WRITERS) -> None:
        self.url = checked(url)
        self.schema = schema
        self._sizes = readers, writers
        self._reader_engine = _engine(self.url, readers, isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writer_engine = _engine(self.url, writers)
        self._ingest_engine = _engine(self.url, 1, isolation_level="AUTOCOMMIT")
        #: Statement that each transaction begins with; empty where there is no schema of our own.
        self.search_path = f"SET LOCAL search_path = {_quoted(schema)}" if schema else ""
        self._ingesting: Connection | None = None
        self._endings = Endings()
        self._waiting = 0
        self._closed = False
        self._start_threads()

    # ── Life ─────────────────────────────────────────────────────────────────

    def _start_threads(self) -> None:
        readers, writers = self._sizes
        self._deadlines = Deadlines()
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="custodes-reader")
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="custodes-writer")
        self._inserts: GroupCommitWriter[_Insert] = GroupCommitWriter(
            self._commit, on_stop=self._disconnect, name="custodes-ingest"
        )

    async def open(self) -> None:
        """Check that the server answers and can hold what we write; a closed database opens again."""
        if self._closed:
            self._closed = False
            self._start_threads()
        version, encoding = await self.read(_server)
        if version < OLDEST:
            msg = f"PostgreSQL {version} is too old"
            raise ConfigurationError(msg, remedy=f"Use PostgreSQL {OLDEST} or newer")
        if encoding != "UTF8":
            msg = f"The database has the encoding {encoding}, which cannot hold every text"
            raise ConfigurationError(msg, remedy="Make a database with ENCODING 'UTF8' and TEMPLATE template0")

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
        preamble = _joined(_AT_ONCE, self.search_path)
        return await self._run(self._readers, work, Terms(self._reader_engine, TIMEOUT_SECONDS, preamble))

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True, once: str = "") -> T:
        """Run a work and commit it."""
        preamble = self.search_path if durable else _joined(self.search_path, _NOT_DURABLE)
        terms = Terms(self._writer_engine, TIMEOUT_SECONDS, preamble)
        if not once:
            return await self._run(self._writers, work, terms)
        result = await self._run(self._writers, self._endings.once(once, work), terms)
        self._endings.known(once)
        return result

    async def migrate(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that changes tables: in one process at a time, for as long as it takes.

        A table that others have is waited for a little at a time, so that they, and who comes after them, go on. It is
        one transaction: one that a deadlock was ended by has changed nothing either, and is tried again like it.

        Raises:
            StorageUnavailable: others had a table all the time, or the server could not do it; nothing was changed.
        """
        make = f"CREATE SCHEMA IF NOT EXISTS {_quoted(self.schema)}" if self.schema else ""
        alone = f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"  # waited for as long as another process migrates
        wait = f"SET LOCAL lock_timeout = {MIGRATION_LOCK_MS}"
        return await self._in_turn(work, _joined(alone, wait, make, self.search_path))

    async def _in_turn(self, work: Callable[[Transaction], T], preamble: str) -> T:
        """Run a work that waits for tables a little at a time, until it had each that it needs."""
        terms = Terms(self._writer_engine, MIGRATION_TIMEOUT_SECONDS, preamble)
        for tried in range(MIGRATION_TRIES):
            if tried:
                await asyncio.sleep(MIGRATION_PAUSE_SECONDS)
            try:
                return await self._run(self._writers, work, terms)
            except StorageUnavailable as error:
                if code_of(error.__cause__) not in HELD_BY_OTHERS:
                    raise
                _log.warning("migration_waits", tried=tried + 1, error=error.message)
        msg = f"The tables were not changed: others had one of them at each of {MIGRATION_TRIES} tries"
        remedy = "End what runs for minutes (pg_stat_activity, oldest xact_start first: a backup?), then migrate again"
        raise StorageUnavailable(msg, remedy=remedy)

    async def add_indexes(self, indexes: Sequence[AddedIndex]) -> None:
        """Build indexes while others go on writing; one process at a time.

        Raises:
            StorageUnavailable: the server could not do it; what was not done yet is done by the next call.
        """
        if not indexes:
            return
        engine = _engine(self.url, 2)
        builder = Builder(engine, f"{_quoted(self.schema)}." if self.schema else "", MIGRATION_LOCK_MS)

        def work(tx: Transaction) -> bool:
            # Asked for again and again: who waits for it in the server has a snapshot, which the build waits for.
            mine = sql.connection_of(tx).exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({BUILD_LOCK})").scalar_one()
            for index in indexes if mine else ():
                builder.build(index)
            return mine

        try:
            for _ in range(round(MIGRATION_TIMEOUT_SECONDS / MIGRATION_PAUSE_SECONDS)):
                if await self._in_turn(work, "SET LOCAL idle_in_transaction_session_timeout = 0"):
                    return
                await asyncio.sleep(MIGRATION_PAUSE_SECONDS)
        finally:
            engine.dispose()
        msg = f"Another process has built indexes for more than {MIGRATION_TIMEOUT_SECONDS:.0f} s"
        raise StorageUnavailable(msg, remedy="Look what it waits for (pg_stat_progress_create_index), then start again")

    async def join(
        self, connection: object, work: Callable[[Transaction], T], *, committed: Callable[[], None] | None = None
    ) -> T:
        """Run a work in the caller's transaction, which keeps its own ``search_path``."""
        return await sql.join(connection, self._in_schema(work) if self.schema else work, committed)

    def _in_schema(self, work: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
        def scoped(tx: Transaction) -> T:
            connection = sql.connection_of(tx)
            before = connection.execute(text("SELECT current_setting('search_path')")).scalar_one()
            connection.execute(_SET_PATH, {"path": _quoted(self.schema)})
            try:
                return work(tx)
            finally:
                with suppress(DBAPIError):  # after an error of the server, the caller's roll-back puts it right
                    connection.execute(_SET_PATH, {"path": before})

        return scoped

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[Transaction], T], terms: Terms) -> T:
        if self._closed:
            msg = "The store is closed"
            raise StorageUnavailable(msg, remedy="Start Custodes before it is used, and not after it was stopped")
        if self._waiting >= MAX_WAITING:
            msg = f"The store is behind: {MAX_WAITING} works are waiting"
            raise StorageUnavailable(msg, remedy="Try again in a moment; look at the database server")
        pooled = PooledWork(refusing(work), terms, self._deadlines)
        self._waiting += 1
        try:
            return cast("T", await asyncio.get_running_loop().run_in_executor(threads, pooled.run))
        except asyncio.CancelledError:
            if threads is self._readers:  # nobody will look at it; a write is carried out all the same
                pooled.abandon()
            raise
        finally:
            self._waiting -= 1

    # ── Hot inserts ──────────────────────────────────────────────────────────

    def ingest(self, statement: Ingest[Row, Result], row: Row, told: Told | None = None) -> Awaitable[Result]:
        """Insert one row with its group; nobody who has a client waiting is kept waiting for ever."""
        return cast("Awaitable[Result]", self._inserts.hand_in(_Insert(statement, row), patient=False, told=told))

    def _disconnect(self) -> None:
        connection, self._ingesting = self._ingesting, None
        if connection is not None:
            connection.close()

    def _drop_connection(self) -> None:
        """Never go on with a connection whose state is unknown."""
        if self._ingesting is not None:
            self._ingesting.invalidate()
        self._disconnect()

    def _commit(self, group: list[Pending[_Insert]]) -> None:
        by_statement: dict[Ingest[Any, Any], list[Pending[_Insert]]] = {}
        for pending in group:
            by_statement.setdefault(pending.payload.statement, []).append(pending)
        for statement, members in by_statement.items():
            try:
                self._insert(statement, members)
            except Overdue:
                self._fail(members, TimeoutError(f"no answer within {INGEST_TIMEOUT_SECONDS:g} s"))
            except (DBAPIError, psycopg.Error, PoolTimeout) as error:
                self._fail(members, error)

    def _fail(self, members: Sequence[Pending[_Insert]], error: Exception) -> None:
        self._drop_connection()
        failure = unavailable(error)
        for pending in members:
            pending.fail(failure)

    def _insert(self, statement: Ingest[Any, Any], members: list[Pending[_Insert]]) -> None:
        reused = self._ingesting is not None
        try:
            self._insert_all(statement, members)
        except _NOT_THE_ROWS as error:
            # Rolled back by the server; or the connection idled while the server was restarted, or became a standby.
            # Each statement may be run again after one whose end is not known.
            standby = code_of(error) == READ_ONLY
            broken = standby or self._ingesting is None or driver_of(self._ingesting).broken
            if code_of(error) not in ROLLED_BACK and not (reused and broken):
                raise
            if broken:
                self._drop_connection()
            self._insert_all(statement, members)

    def _insert_all(self, statement: Ingest[Any, Any], members: list[Pending[_Insert]]) -> None:
        """Insert all rows in one transaction; when that fails, one by one: a bad row hurts only itself."""
        if self._ingesting is None:
            self._ingesting = self._ingest_engine.connect()
        driver = driver_of(self._ingesting)
        rows = [pending.payload.row for pending in members]
        with self._deadlines.guard(driver, INGEST_TIMEOUT_SECONDS):
            try:
                results = self._insert_rows(driver, statement, rows)
            except _NOT_THE_ROWS:
                raise
            except Exception as error:  # noqa: BLE001 - it belongs to one of the callers
                if has_nul(error):
                    with without_nul(driver):
                        results = self._insert_rows(driver, statement, rows)
                elif len(members) == 1:
                    members[0].fail(refusal_of(error) or error)
                    return
                else:
                    results = None
        if results is None:
            for pending in members:
                self._insert_all(statement, [pending])
            return
        for pending, result in zip(members, results, strict=True):
            pending.result = result

    def _insert_rows(self, driver: Any, statement: Ingest[Any, Any], rows: Sequence[Any]) -> Sequence[Any]:
        if statement.alone and statement.durable and not self.search_path:
            return statement.postgresql(driver, rows)
        preamble = self.search_path if statement.durable else _joined(self.search_path, _NOT_DURABLE)
        with driver.transaction():
            if preamble:
                driver.execute(preamble)
            return statement.postgresql(driver, rows)


#: What no row is at fault for.
_NOT_THE_ROWS = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)

_SET_PATH = text("SELECT set_config('search_path', :path, true)")


def _server(tx: Transaction) -> tuple[int, str]:
    connection = sql.connection_of(tx)
    version: int = connection.exec_driver_sql("SHOW server_version_num").scalar_one()
    return int(version) // 10_000, connection.exec_driver_sql("SHOW server_encoding").scalar_one()


def _joined(*statements: str) -> str:
    """Make one string of several statements: one round trip."""
    return "; ".join(statement for statement in statements if statement)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def checked(url: str) -> URL:
    """Read the URL; the driver is psycopg 3 whatever it says.

    Raises:
        ConfigurationError: it is not one of PostgreSQL; the message holds no password.
    """
    try:
        parsed = make_url("postgresql" + url.removeprefix("postgres") if url.startswith("postgres:") else url)
    except (ArgumentError, ValueError):  # of which the second is a port that is no number
        parsed = None
    if parsed is None or parsed.get_backend_name() != "postgresql":
        msg = "The database URL is not one of PostgreSQL"
        raise ConfigurationError(msg, remedy="Write postgresql+psycopg://user:password@host/database")
    unknown = sorted(set(parsed.query) - _options())
    if unknown:
        msg = f"The database URL has options that PostgreSQL does not know: {', '.join(unknown)[:100]}"
        raise ConfigurationError(msg, remedy="Use those of libpq, as in ?sslmode=require")
    return parsed.set(drivername="postgresql+psycopg")


def _options() -> set[str]:
    """Return the names of what a connection can be told (libpq, parameter key words)."""
    return {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}


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
    # Rows of an INSERT are counted too, as SQLite counts them.
    return engine.execution_options(preserve_rowcount=True, **options)
