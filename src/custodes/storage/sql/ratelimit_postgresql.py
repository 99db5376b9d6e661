"""Rate-limit states shared by all instances of an install on PostgreSQL, where there is no Redis.

What waits in a process is decided in one transaction: the rows that take part are locked in order of their ids, so that
no two instances decide on a subject at once and none waits for the other in a circle; decided on in memory, by the same
function as everywhere; and written. The table is ``UNLOGGED`` and commits are not waited for: losing it forgets what
was used of each limit, nothing else. Time is the server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import MILLISECOND, SECOND
from custodes.kernel.window import Ask, Outcome
from custodes.kernel.window.cells import Key
from custodes.kernel.window.meter import State
from custodes.runtime.breaker import Breaker
from custodes.runtime.log import get_logger
from custodes.runtime.writer import Pending
from custodes.storage.dated import Objected
from custodes.storage.sql.ratelimit_groups import Decision, GroupedWindows, SharedCells, Task

#: How long a request waits for its decision.
DEFAULT_DEADLINE = 100 * MILLISECOND

#: Longest that connecting may take, seconds.
_CONNECT_SECONDS = 2

#: How often one request tries whether the server answers again, seconds.
_RETRY_SECONDS = 0.25

#: Rows that one step of the clean-up looks at, and how often there is one.
_CLEANED_ROWS = 1_000
_CLEAN_EVERY = SECOND

_TABLE = """
    CREATE UNLOGGED TABLE IF NOT EXISTS rate_limit_states
    (id bytea PRIMARY KEY, state bytea NOT NULL, dead_at bigint NOT NULL) WITH (fillfactor = 50)
"""
#: What the server says, at one step or another, when another instance makes the table at the same moment.
_MADE_BY_ANOTHER = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DuplicateObject,
    psycopg.errors.DuplicateTable,
)

#: Locks the rows, makes those that are missing, and tells what is in them and the time after the last was locked.
_LOCK = """
    INSERT INTO rate_limit_states AS kept (id, state, dead_at)
    SELECT id, '', 0 FROM unnest(%s::bytea[]) AS wanted (id) ORDER BY id
    ON CONFLICT (id) DO UPDATE SET dead_at = kept.dead_at
    RETURNING id, state, dead_at, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
"""
_PUT = """
    UPDATE rate_limit_states AS kept SET state = new.state, dead_at = new.dead_at
    FROM unnest(%s::bytea[], %s::bytea[], %s::bigint[]) AS new (id, state, dead_at) WHERE kept.id = new.id
"""
_PAGE = "SELECT id, dead_at FROM rate_limit_states WHERE id > %s ORDER BY id LIMIT %s"
_DELETE = """
    DELETE FROM rate_limit_states WHERE id IN
    (SELECT id FROM rate_limit_states WHERE id = ANY(%s) AND dead_at < %s FOR UPDATE SKIP LOCKED)
"""

_log = get_logger("custodes.ratelimit")


class PostgresWindows(GroupedWindows):
    """The :class:`~custodes.planes.ratelimit.ports.Windows` of an install on PostgreSQL.

    Args:
        conninfo: URL of the server, or of a pooler before it.
        schema: where the table is; empty for the first of the role's ``search_path``.
        deadline: how long a request waits for its decision, microseconds.
        clock: what to go by instead of the server's clock, in tests.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        schema: str = "",
        deadline: int = DEFAULT_DEADLINE,
        clock: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(deadline)
        self._conninfo = conninfo
        self._clock = clock
        self._breaker = Breaker()
        self._tried_at = 0.0
        milliseconds = deadline // MILLISECOND
        self._begin = sql.SQL("; ").join(
            [
                sql.SQL("BEGIN"),
                sql.SQL("SET LOCAL synchronous_commit = off"),
                sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(milliseconds)),
                sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(2 * milliseconds)),
                *([sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(schema))] if schema else []),
            ]
        )
        self._connection: psycopg.Connection[Any] | None = None
        self._cleaned_up_to = b""
        self._cleaned_at = 0

    @property
    def available(self) -> bool:
        """False while the server is known not to answer."""
        return not self._breaker.open

    @property
    def trouble(self) -> str:
        """Its health of its own says why."""
        return "PostgreSQL does not answer" if self._breaker.open else ""

    async def decide(self, asks: Sequence[Ask], now: int) -> Outcome:
        """Decide on all limits of a request, in one transaction with whatever else waits.

        Raises:
            StorageUnavailable: there is no decision within the deadline, or the server is known not to answer.
        """
        now_seconds = asyncio.get_running_loop().time()
        if self._breaker.open and now_seconds - self._tried_at < _RETRY_SECONDS:
            self.failures += 1
            msg = "Limits were not decided: PostgreSQL does not answer"
            raise StorageUnavailable(msg, remedy="Look at PostgreSQL and CUSTODES_DATABASE_URL")
        self._tried_at = now_seconds
        try:
            outcome = await super().decide(asks, now)
        except StorageUnavailable:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return outcome

    # ── The deciding thread ──────────────────────────────────────────────────

    def load(self, cells: SharedCells, key: Key, now: int) -> State | None:
        """All that are there were read when they were locked."""
        del cells, key, now

    def _commit(self, group: list[Pending[Task]]) -> None:
        try:
            connection = self._connection or self._open()
            connection.execute(self._begin)
            now = self._lock(connection, group)
            for pending in group:
                task = pending.payload
                if isinstance(task, Decision):
                    outcome = self.carry_out(Decision(task.asks, now))
                    assert outcome is not None
                    pending.result = Objected(outcome.views, outcome.refused, outcome.would_refuse, now)
                else:
                    self.carry_out(task)
            rows = self.rows(now)
            if rows:
                connection.execute(_PUT, tuple(map(list, zip(*rows, strict=True))))
            connection.execute("COMMIT")
            self._clean_up(connection, now)
        except (psycopg.Error, OSError) as error:
            self.abandon()
            self._close()
            msg = f"Limits could not be decided: {type(error).__name__}"
            raise StorageUnavailable(msg, remedy="Look at PostgreSQL and CUSTODES_DATABASE_URL") from error
        finally:
            self.forget()
            self._dirty.clear()
        self.settle()

    def _lock(self, connection: psycopg.Connection[Any], group: list[Pending[Task]]) -> int:
        wanted: dict[bytes, tuple[SharedCells, Key]] = {}
        for pending in group:
            task = pending.payload
            if isinstance(task, Decision):
                for cells, key, _ in task.asks:
                    wanted[cells.row_id(key)] = cells, key
            else:
                wanted[task.cells.row_id(task.key)] = task.cells, task.key
        rows = connection.execute(_LOCK, (list(wanted),)).fetchall()
        now = self._clock() if self._clock else max(at for *_, at in rows)
        for row_id, packed, dead_at, _ in rows:
            cells, key = wanted[row_id]
            if packed and dead_at <= cells.latest(now):
                cells.at_hand[key] = cells.meter.unpack(packed)
        return now

    def _clean_up(self, connection: psycopg.Connection[Any], now: int) -> None:
        """Delete dead states of the next so many rows, round and round; those that somebody decides on are passed."""
        if now - self._cleaned_at < _CLEAN_EVERY:
            return
        self._cleaned_at = now
        connection.execute(self._begin)
        rows = connection.execute(_PAGE, (self._cleaned_up_to, _CLEANED_ROWS)).fetchall()
        self._cleaned_up_to = rows[-1][0] if len(rows) == _CLEANED_ROWS else b""
        dead = [row_id for row_id, dead_at in rows if dead_at < now]
        if dead:
            connection.execute(_DELETE, (dead, now))
        connection.execute("COMMIT")

    def _open(self) -> psycopg.Connection[Any]:
        connection: psycopg.Connection[Any] = psycopg.connect(
            self._conninfo,
            autocommit=True,
            prepare_threshold=None,  # a pooler may give each transaction another server connection
            connect_timeout=_CONNECT_SECONDS,
            application_name="custodes",
            tcp_user_timeout=_CONNECT_SECONDS * 1_000,
        )
        try:
            connection.execute(self._begin)
            connection.execute(_TABLE)
            connection.execute("COMMIT")
        except _MADE_BY_ANOTHER:
            connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
