"""Rate-limit states shared by the workers of one host: a SQLite file of its own, beside the database.

Its own file, because this state is worth nothing after a power cut: it is written with ``synchronous=OFF``, which must
never be done to the file that holds accepted events. Decisions run in ``IMMEDIATE`` transactions, so that no two
workers decide at once; all that wait in a worker share one.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import cast

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import MILLISECOND, SECOND
from custodes.kernel.window import SHARED_STATES, Ask, Cells, Concurrency, Meter, Outcome, decide
from custodes.kernel.window.cells import Key
from custodes.kernel.window.meter import State
from custodes.runtime.log import get_logger
from custodes.runtime.writer import GroupCommitWriter, Pending
from custodes.storage.sql.sqlite import make_private_file

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
_PUT = (
    "INSERT INTO states VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state, dead_at = excluded.dead_at"
)

_log = get_logger("custodes.ratelimit")


class SharedCells(Cells):
    """States of one limit; touched in the deciding thread only, but for the tally."""

    __slots__ = ("_engine", "_lock", "_ready", "name")

    def __init__(self, engine: SqliteWindows, name: str, meter: Meter, *, shadow: bool) -> None:
        super().__init__(meter, shadow=shadow)
        self._engine = engine
        self._lock = threading.Lock()
        self._ready: defaultdict[Key, int] = defaultdict(int)
        self.name = name

    def recall(self, key: Key, now: int) -> tuple[Key, State]:
        """Read a state from the file."""
        state = self._engine.load(self, key)
        if state is None and self._engine.full:
            shared = ("shared", int.from_bytes(self.row_id(key)[:4], "little") % SHARED_STATES)
            self._engine.overflow(self, key, shared)
            key = shared
            state = self._engine.load(self, key)
        if state is None:
            return key, self.meter.fresh()
        self.at_hand[key] = state
        return key, state

    def row_id(self, key: Key) -> bytes:
        """Name a state in the file: of one size, and no address in clear."""
        return blake2b(f"{self.name}\0{key!r}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def settle(self) -> None:
        """Have what was counted since the last time be taken; called after a commit."""
        with self._lock:
            for key, units in self.tally.items():
                self._ready[key] += units
        self.tally.clear()

    def take_tally(self) -> dict[Key, int]:
        """Hand over the units of committed decisions, and begin again."""
        with self._lock:
            ready, self._ready = self._ready, defaultdict(int)
        return ready


@dataclass(slots=True)
class _Decision:
    """Limits of a request to decide on."""

    asks: Sequence[Ask]
    now: int


@dataclass(slots=True)
class _Release:
    """Slots to give back."""

    cells: SharedCells
    key: Key
    taken_at: int
    cost: int


_Task = _Decision | _Release


class SqliteWindows:
    """The :class:`~custodes.planes.ratelimit.ports.Windows` of the workers of one host.

    Args:
        path: the file; made when it is missing. Losing it forgets what was used of each limit, nothing else.
        deadline: how long a request waits for its decision, microseconds.
        max_bytes: largest size of the file.
    """

    #: Whether ``decide`` answers at once.
    synchronous = False

    def __init__(self, path: Path, *, deadline: int = DEFAULT_DEADLINE, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._deadline = deadline / SECOND
        self._max_bytes = max_bytes
        self._cells: dict[str, SharedCells] = {}
        self._writer: GroupCommitWriter[_Task] | None = None
        self._connection: sqlite3.Connection | None = None
        self._data_version = -1
        self._dirty: dict[tuple[SharedCells, Key], None] = {}
        self._aliases: dict[tuple[SharedCells, Key], Key] = {}
        self._cleaned_up_to = b""
        self._cleaned_at = 0
        self._releases: set[asyncio.Task[None]] = set()
        #: Whether the file has reached its largest size.
        self.full = False
        #: Decisions on subjects that had to share a state.
        self.overflowed = 0
        #: Decisions that could not be made, or not in time.
        self.failures = 0

    # ── Port ─────────────────────────────────────────────────────────────────

    def cells(self, name: str, meter: Meter, *, shadow: bool = False) -> SharedCells:
        """Return the states of a limit; the same ones for the same name, in every worker."""
        found = self._cells.get(name)
        if found is None:
            found = self._cells[name] = SharedCells(self, name, meter, shadow=shadow)
        found.shadow = shadow
        return found

    async def decide(self, asks: Sequence[Ask], now: int) -> Outcome:
        """Decide on all limits of a request, in one transaction with whatever else waits.

        Raises:
            StorageUnavailable: there is no decision within the deadline.
        """
        try:
            async with asyncio.timeout(self._deadline):
                return cast("Outcome", await self._running().submit(_Decision(asks, now)))
        except TimeoutError:
            self.failures += 1
            msg = f"Limits were not decided within {self._deadline * 1_000:g} ms"
            raise StorageUnavailable(msg, remedy="Look at the disk of the limits file") from None
        except StorageUnavailable:
            self.failures += 1
            raise

    def release(self, cells: SharedCells, key: Key, taken_at: int, cost: int) -> None:
        """Give back slots in the background; what cannot be given back is free at the end of its lease."""
        task = asyncio.get_running_loop().create_task(self._release(_Release(cells, key, taken_at, cost)))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    @property
    def instances(self) -> int:
        """Workers of this host are not counted: each falls back to the whole limit."""
        return 1

    @property
    def available(self) -> bool:
        """A file is tried every time."""
        return True

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the limits of other names; their rows are cleaned up in time."""
        wanted = set(names)
        self._cells = {name: cells for name, cells in self._cells.items() if name in wanted}

    async def start(self) -> None:
        """Nothing to do: the file is opened by the first decision."""

    async def stop(self) -> None:
        """Decide on what waits, then close the file."""
        if self._releases:
            await asyncio.gather(*self._releases, return_exceptions=True)
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(writer.close)

    async def _release(self, release: _Release) -> None:
        with contextlib.suppress(StorageUnavailable):
            await self._running().submit(release)

    def _running(self) -> GroupCommitWriter[_Task]:
        if self._writer is None:
            self._writer = GroupCommitWriter(self._commit, on_stop=self._close, name="custodes-limits")
        return self._writer

    # ── The deciding thread ──────────────────────────────────────────────────

    def load(self, cells: SharedCells, key: Key) -> State | None:
        """Read a state; None when there is none, or none that can be read."""
        assert self._connection is not None
        row = self._connection.execute("SELECT state FROM states WHERE id = ?", (cells.row_id(key),)).fetchone()
        if row is None:
            return None
        try:
            return cells.meter.unpack(row[0])
        except ValueError:
            return None

    def overflow(self, cells: SharedCells, key: Key, shared: Key) -> None:
        """Note that a subject has to share a state."""
        self.overflowed += 1
        self._aliases[cells, key] = shared

    def _commit(self, group: list[Pending[_Task]]) -> None:
        try:
            connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            self._forget_what_others_wrote(connection)
            for pending in group:
                pending.result = self._carry_out(pending.payload)
            connection.executemany(_PUT, self._rows(group[-1].payload))
            self._clean_up(connection, group[-1].payload)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._abandon(error)
            msg = f"Limits could not be decided: {error}"
            raise StorageUnavailable(msg, remedy=f"Check that {self._path} can be written") from error
        finally:
            self._dirty.clear()
            self._aliases.clear()
        for cells in self._cells.values():
            cells.settle()
            if len(cells.at_hand) > _MAX_REMEMBERED:
                cells.at_hand.clear()

    def _carry_out(self, task: _Task) -> Outcome | None:
        if isinstance(task, _Release):
            self._give_back(task)
            return None
        outcome = decide(task.asks, task.now)
        if not outcome.refused:
            for cells, key, _ in task.asks:
                self._dirty[cells, self._aliases.get((cells, key), key)] = None
        return outcome

    def _give_back(self, task: _Release) -> None:
        cells, meter = task.cells, task.cells.meter
        state = cells.at_hand.get(task.key)
        if state is None:
            _, state = cells.recall(task.key, task.taken_at)
        if isinstance(meter, Concurrency):
            cells.at_hand[task.key] = meter.release(state, task.taken_at, task.cost)
            self._dirty[cells, task.key] = None

    def _rows(self, last: _Task) -> list[tuple[bytes, bytes, int]]:
        now = last.now if isinstance(last, _Decision) else last.taken_at
        return [
            (cells.row_id(key), cells.meter.pack(cells.at_hand[key]), now + cells.meter.refill)
            for cells, key in self._dirty
            if key in cells.at_hand  # not a limit in shadow that would have refused somebody new
        ]

    def _forget_what_others_wrote(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self._data_version = version
            self._forget()

    def _forget(self) -> None:
        for cells in self._cells.values():
            cells.at_hand.clear()

    def _clean_up(self, connection: sqlite3.Connection, last: _Task) -> None:
        """Delete dead states of the next so many rows, round and round."""
        now = last.now if isinstance(last, _Decision) else last.taken_at
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
        for pragma in ("journal_mode=WAL", "synchronous=OFF", "temp_store=MEMORY", "journal_size_limit=16777216"):
            connection.execute(f"PRAGMA {pragma}").close()
        connection.execute(_SCHEMA).close()
        self._connection = connection
        return connection

    def _abandon(self, error: sqlite3.Error) -> None:
        """Start afresh after a failure: what is remembered may differ from the file."""
        self._forget()
        for cells in self._cells.values():
            cells.tally.clear()
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
