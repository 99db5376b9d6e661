"""One work on a pooled connection of PostgreSQL: its deadline, and the reasons for which it is run again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from custodes.errors import StorageUnavailable
from custodes.runtime.stop_iteration import no_stop_iteration
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import as_transaction
from custodes.storage.sql.deadlines import Deadlines, Overdue
from custodes.storage.sql.postgresql_codes import DENIED, code_of
from custodes.storage.sql.postgresql_text import has_nul, without_nul

#: Times that a work is run again after the server rolled it back for reasons of its own.
RETRIES = 5

#: Codes of such reasons (PostgreSQL documentation, appendix A): serialization_failure, deadlock_detected, and
#: query_canceled, which hits a work when the one before it on the same connection was cancelled too late.
ROLLED_BACK = frozenset({"40001", "40P01", "57014"})


#: query_canceled: the same once. A second time it is the server's own statement_timeout, which the work always exceeds.
_CANCELLED = "57014"

#: read_only_sql_transaction: the server is a standby, as in a fail-over; a new connection may reach the primary.
READ_ONLY = "25006"

#: idle_in_transaction_session_timeout: the process was frozen, or had no processor, between two statements of a work.
_IDLED = "25P03"

#: unique_violation: most works look before they insert, and somebody else was faster. Run again, they see it.
_TAKEN = "23505"


@dataclass(frozen=True, slots=True)
class Terms:
    """How works of a kind are run."""

    #: Where connections come from.
    engine: Engine
    #: Longest that one may take, seconds.
    seconds: float
    #: Run first in each transaction; empty for nothing.
    preamble: str


class PooledWork:
    """A work in a thread; run again when the server rolled it back, or had gone away before it began.

    Once, too, when it inserted what another process had inserted since it looked: works are written as for an engine
    that runs one at a time.
    """

    def __init__(self, work: Callable[[Transaction], object], terms: Terms, deadlines: Deadlines) -> None:
        self._work = work
        self._terms = terms
        self._deadlines = deadlines
        self._driver: Any = None
        self._abandoned = False
        # Whether a text held NUL, and whether a key was taken.
        self._has_nul = False
        self._was_taken = False
        self._was_cancelled = False

    def run(self) -> object:
        """Run it and commit; blocks.

        Raises:
            StorageUnavailable: nothing of it was kept, as far as can be known: when the server goes away during the
                commit, nobody knows.
        """
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
        self._committing = False
        try:
            return self._run_on_connection()
        except Overdue:
            msg = f"The database did not answer within {self._terms.seconds:g} s and the work was stopped"
            raise StorageUnavailable(msg, remedy="Ask for a shorter time range; look at the database server") from None
        except PoolTimeout as error:
            raise unavailable(error) from error
        except StopIteration as error:
            raise no_stop_iteration(error) from error
        except DBAPIError as error:
            if not last and self._may_succeed_now(error):
                raise _Again from error
            if isinstance(error, (OperationalError, InterfaceError)) or code_of(error) in {READ_ONLY, DENIED, _IDLED}:
                raise unavailable(error) from error
            raise

    def _run_on_connection(self) -> object:
        with self._terms.engine.connect() as connection:
            self._driver = driver = driver_of(connection)
            spelling = without_nul(driver) if self._has_nul else nullcontext()
            try:
                with self._deadlines.guard(driver, self._terms.seconds), spelling, connection.begin():
                    if self._terms.preamble:
                        connection.exec_driver_sql(self._terms.preamble)
                    result = self._work(as_transaction(connection))
                    self._committing = True
                return result
            except psycopg.Error as error:  # of what goes beneath SQLAlchemy
                gone: bool = driver.broken
                raise DBAPIError.instance(
                    None, None, error, psycopg.Error, connection_invalidated=gone, dialect=connection.dialect
                ) from error
            except DBAPIError as error:
                if code_of(error) == READ_ONLY:
                    connection.invalidate(error)
                raise
            finally:
                self._driver = None

    def _may_succeed_now(self, error: DBAPIError) -> bool:
        if has_nul(error) and not self._has_nul:
            self._has_nul = True
            return True
        code = code_of(error)
        if code == _TAKEN and not self._was_taken:
            self._was_taken = True
            return True
        if code == _CANCELLED:
            again, self._was_cancelled = not self._was_cancelled, True
            return again
        return code in ROLLED_BACK or (error.connection_invalidated and not self._committing)


class _Again(Exception):
    """The work may be run again."""


def driver_of(connection: Connection) -> Any:
    """Return the psycopg connection beneath."""
    return connection.connection.driver_connection


def unavailable(error: Exception) -> StorageUnavailable:
    """Say that the server could not do it, in its own words: one line, without values."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    first = str(cause).strip().partition("\n")[0]
    msg = f"PostgreSQL could not do it: {first}"
    if code_of(error) == DENIED:
        return StorageUnavailable(
            msg, remedy="Let the role of the database URL own the tables, and CREATE in the schema"
        )
    return StorageUnavailable(msg, remedy="Check that the database server runs and has connections and space left")
