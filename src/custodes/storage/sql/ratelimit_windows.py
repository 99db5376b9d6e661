"""Rate-limit states shared by the workers of one host: a SQLite file of its own, beside the database.

Its own file, because this state is worth nothing after a power cut: it is written with ``synchronous=OFF``, which must
never be done to the file that holds accepted events. Decisions run in ``IMMEDIATE`` transactions, so that no two
workers decide at once; all that wait in a worker share one.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import MILLISECOND, SECOND
from custodes.kernel.window.cells import Key
from custodes.kernel.window.meter import State
from custodes.runtime.log import get_logger
from custodes.runtime.writer import Pending
from custodes.storage.sql.ratelimit_groups import Decision, GroupedWindows, SharedCells, Task
from custodes.storage.sql.sqlite_connections import make_private_file

#: How long a request waits for its decision.
DEFAULT_DEADLINE = 100 * MILLISECOND

#: Largest size of the file, bytes: beyond it, new subjects share states. A state takes 100 bytes and 8 for each event.
MAX_BYTES = 256 * 1024 * 1024

#: States of a limit that are remembered between two transactions, as long as no other worker writes.
_MAX_REMEMBERED = 20_000

#: Rows that one step of the clean-up looks at, and how often there is one.
_CLEANED_ROWS = 1_000
_CLEAN_EVERY = SECOND

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS states (id BLOB PRIMARY KEY, state BLOB NOT NULL, dead_at INTEGER NOT NULL) WITHOUT ROWID
"""
_GET = "SELECT state FROM states WHERE id = ? AND dead_at <= ?"
_PUT = (
    "INSERT INTO states VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state, dead_at = excluded.dead_at"
)

_log = get_logger("custodes.ratelimit")


class SqliteWindows(GroupedWindows):
    """The :class:`~custodes.planes.ratelimit.ports.Windows` of the workers of one host.

    Args:
        path: the file; made when it is missing. Losing it forgets what was used of each limit, nothing else.
        deadline: how long a request waits for its decision, microseconds.
        max_bytes: largest size of the file.
    """

    remedy = "Look at the disk of the limits file"

    def __init__(self, path: Path, *, deadline: int = DEFAULT_DEADLINE, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(deadline)
        self._path = path
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._data_version = -1
        self._cleaned_up_to = b""
        self._cleaned_at = 0

    def load(self, cells: SharedCells, key: Key, now: int) -> State | None:
        """Read a state; None when there is none, or none that can be read or believed."""
        assert self._connection is not None
        row = self._connection.execute(_GET, (cells.row_id(key), cells.latest(now))).fetchone()
        if row is None:
            return None
        try:
            return cells.meter.unpack(row[0])
        except ValueError:
            return None

    def _commit(self, group: list[Pending[Task]]) -> None:
        last = group[-1].payload
        now = last.now if isinstance(last, Decision) else last.taken_at
        try:
            connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            self._forget_what_others_wrote(connection)
            for pending in group:
                pending.result = self.carry_out(pending.payload)
            connection.executemany(_PUT, self.rows(now))
            self._clean_up(connection, now)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._start_afresh(error)
            msg = f"Limits could not be decided: {error}"
            raise StorageUnavailable(msg, remedy=f"Check that {self._path} can be written") from error
        finally:
            self._dirty.clear()
            self._aliases.clear()
        self.settle()
        for cells in self._cells.values():
            if len(cells.at_hand) > _MAX_REMEMBERED:
                cells.at_hand.clear()

    def _forget_what_others_wrote(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self._data_version = version
            self.forget()

    def _clean_up(self, connection: sqlite3.Connection, now: int) -> None:
        """Delete dead states of the next so many rows, round and round."""
        if now - self._cleaned_at < _CLEAN_EVERY:
            return
        self._cleaned_at = now
        rows = connection.execute(
            "SELECT id, dead_at FROM states WHERE id > ? ORDER BY id LIMIT ?", (self._cleaned_up_to, _CLEANED_ROWS)
        ).fetchall()
        self._cleaned_up_to = rows[-1][0] if len(rows) == _CLEANED_ROWS else b""
        connection.executemany("DELETE FROM states WHERE id = ?", [(one,) for one, dead_at in rows if dead_at < now])
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        self.full = (pages - free) * size >= self._max_bytes

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        make_private_file(self._path)
        connection = sqlite3.connect(self._path, timeout=self._deadline, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("journal_mode=WAL", "synchronous=OFF", "temp_store=MEMORY", "journal_size_limit=16777216"):
                connection.execute(f"PRAGMA {pragma}").close()
            connection.execute(_SCHEMA).close()
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _start_afresh(self, error: sqlite3.Error) -> None:
        self.abandon()
        self._close()
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        if damaged:
            _log.warning("limits_file_damaged", path=str(self._path), error=str(error))
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._data_version = -1
        if connection is not None:
            connection.close()
