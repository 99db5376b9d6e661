"""Connections to SQLite: how each is set up, and how its transactions begin."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from custodes.errors import ConfigurationError
from custodes.kernel.clock import MILLISECOND
from custodes.runtime.system_clock import SystemClock
from custodes.storage.sql.sqlite_lock import BUSY_TIMEOUT_MS, LOOKS_MS, locked, patiently

#: How long to wait before a new file is asked again to switch to WAL, milliseconds.
_WAL_PAUSE_MS = 20

#: How often it is asked again when it is not for a lock: the files beside it may just come and go. That a disk cannot
#: be written to is said at once.
_OTHER_TRIES = 5

#: Pages in the log after which they are copied into the file: 16 MB. SQLite's own 1,000 would have a steady stream of
#: webhooks wait for a copy, and its sync to the disk, at every fifteenth commit; pages that change all the time (the
#: ends of indexes) are copied once for four times.
CHECKPOINT_PAGES = 4_000

#: Memory of each connection for pages of the file, KiB. Whoever reads alone has the same connection, and its pages,
#: again and again: those of a tab fit.
_PAGES_KIB = 16_384
_READ_PAGES_KIB = 32_768


# Always the real one: another process does not wait for ours.
_clock = SystemClock()


def make_private_file(file: Path) -> None:
    """Make a new file that nobody else may read: it will hold payloads, password hashes, who is limited.

    SQLite gives its own files beside it the same mode.
    """
    with suppress(OSError):  # it is there already, or SQLite will say what is wrong
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def begin(driver: sqlite3.Connection) -> None:
    """Begin a transaction that writes, once no other process has the lock."""
    patiently(lambda: driver.execute("BEGIN IMMEDIATE").close())


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Return the connection of ``sqlite3`` beneath."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def make_engine(path: Path | None, *, pool_size: int, read_only: bool = False) -> Engine:
    """Make the engine of a file, or of one database in memory; to read only neither makes nor changes it."""

    def connect() -> sqlite3.Connection:
        if path is not None and os.path.isdir(path):  # noqa: PTH112 - what no path can be is SQLite's to refuse
            msg = f"{path} is a folder, and no database"
            raise ConfigurationError(
                msg, remedy="Name the file in it that is, or is to be: sqlite:////folder/custodes.db"
            )
        connection = sqlite3.connect(
            # Only who writes makes the file: a look into the wrong folder must not leave one there.
            ":memory:" if path is None else f"{path.absolute().as_uri()}?mode=rw{'' if read_only else 'c'}",
            uri=path is not None,
            timeout=BUSY_TIMEOUT_MS / 1_000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            if not read_only:
                _use_wal(connection)
            for pragma in _pragmas(read_only=read_only):
                connection.execute(pragma).close()
        except sqlite3.DatabaseError as error:
            connection.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            msg = f"{path} is not an SQLite database"
            raise ConfigurationError(msg, remedy="Name another file: this one is not touched") from error
        return connection

    pool = (
        {"poolclass": StaticPool}
        if path is None
        else {"poolclass": QueuePool, "pool_size": pool_size, "max_overflow": 0, "pool_use_lifo": True}
    )
    engine = create_engine("sqlite://", creator=connect, **pool)

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        if read_only:
            connection.exec_driver_sql("BEGIN")
        else:
            begin(driver_of(connection))

    return engine


def _pragmas(*, read_only: bool) -> Sequence[str]:
    pages = _READ_PAGES_KIB if read_only else _PAGES_KIB
    common = ["PRAGMA foreign_keys=ON", "PRAGMA temp_store=MEMORY", f"PRAGMA cache_size=-{pages}"]
    if read_only:
        return [*common, "PRAGMA query_only=ON"]
    return [
        *common,
        f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}",
        "PRAGMA journal_size_limit=67108864",
        f"PRAGMA busy_timeout={LOOKS_MS}",
    ]


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; a new file that several processes open at once is locked without SQLite waiting for it.

    For some locks it does wait, as long as it may for any: then one try is all there is time for.
    """
    ends_at = _clock.monotonic() + BUSY_TIMEOUT_MS * MILLISECOND
    tried = 0
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if _clock.monotonic() >= ends_at or (not locked(error) and tried >= _OTHER_TRIES):
                raise
        else:
            return
        tried += 1
        time.sleep(_WAL_PAUSE_MS / 1_000)
