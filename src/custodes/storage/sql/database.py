"""What every SQL engine offers to the repositories beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from custodes.errors import ConfigurationError
from custodes.runtime.transactions import Store, Transaction
from custodes.runtime.writer import Told
from custodes.storage.sql.added_indexes import AddedIndex
from custodes.storage.sql.commits import call_after_commit
from custodes.storage.sql.unkept import refusing

T = TypeVar("T")
Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Ingest(Generic[Row, Result]):
    """A hot insert that concurrent callers share: beneath SQLAlchemy, one statement for a whole group.

    A statement gets the driver's connection, inside an open transaction unless ``alone``, and the rows in order of
    arrival; it returns one result a row, in the same order. It must have no effect but on the database.
    """

    #: For logs and counters.
    name: str
    #: The statement for SQLite: ``(sqlite3.Connection, rows) -> results``.
    sqlite: Callable[[Any, Sequence[Row]], Sequence[Result]]
    #: The statement for PostgreSQL: ``(psycopg.Connection, rows) -> results``.
    postgresql: Callable[[Any, Sequence[Row]], Sequence[Result]]
    #: Whether the commit must have reached the disk before the answer.
    durable: bool = True
    #: Whether a group of nothing else is left to commit by itself: each statement that it runs then is a
    #: transaction of its own, and running it again, after one that failed half-way, does no harm.
    alone: bool = False


class Database(Store, Protocol):
    """**Protocol:** a SQL engine: a :class:`Store` whose transactions are SQLAlchemy connections."""

    @property
    def dialect(self) -> str:
        """``"sqlite"`` or ``"postgresql"``."""
        ...

    async def open(self) -> None:
        """Open and check the store; idempotent."""
        ...

    async def close(self) -> None:
        """Commit what waits and let go of everything; idempotent."""
        ...

    async def migrate(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that changes tables: in one process at a time, all or nothing.

        Raises:
            StorageUnavailable: nothing of it was kept.
        """
        ...

    async def add_indexes(self, indexes: Sequence[AddedIndex]) -> None:
        """Build indexes before the migration that they belong to, where that lets others go on writing.

        Raises:
            StorageUnavailable: it could not be done; what was not done yet is done by the next call.
        """
        ...

    def ingest(self, statement: Ingest[Row, Result], row: Row, told: Told | None = None) -> Awaitable[Result]:
        """Insert one row together with whatever else arrives; what is returned resolves after the commit.

        Args:
            statement: how.
            row: what.
            told: called once, in the caller's loop, with the result or the error, also when it is known only after who
                waits was told that it took too long, or was cancelled. Not when this raises at once.

        Raises:
            StorageUnavailable: it was not kept; at once or when it is awaited.
        """
        ...


def connection_of(tx: Transaction) -> Connection:
    """Look inside a transaction: storage only."""
    return cast("Connection", tx)


def as_transaction(connection: Connection) -> Transaction:
    """Make a SQLAlchemy connection opaque again."""
    return connection


async def join(connection: object, work: Callable[[Transaction], T], committed: Callable[[], None] | None = None) -> T:
    """Run a work in the caller's own transaction, whatever kind of SQLAlchemy handle it is.

    Raises:
        ConfigurationError: the handle is of another kind.
    """
    loop = asyncio.get_running_loop()

    def run(inner: Connection) -> T:
        result = refusing(work)(as_transaction(inner))
        if committed is not None:  # after the work: the first statement begins the transaction
            call_after_commit(inner, loop, committed)
        return result

    match connection:
        case AsyncConnection():
            return await connection.run_sync(run)
        case AsyncSession():
            return await connection.run_sync(lambda session: run(session.connection()))
        case Session():
            return run(connection.connection())
        case Connection():
            return run(connection)
        case _:
            msg = f"Cannot write in the transaction of a {type(connection).__name__}"
            remedy = "Pass a SQLAlchemy Connection, AsyncConnection, Session or AsyncSession on the same database"
            raise ConfigurationError(msg, remedy=remedy)
