"""Partitions of PostgreSQL: tables that grow with the traffic are cut by time, and old pieces are dropped whole.

A ``DELETE`` of what a day of traffic wrote takes minutes, leaves its space behind and keeps vacuum busy; a ``DROP
TABLE`` takes milliseconds (PostgreSQL documentation, "Table Partitioning"). Pieces are made ahead by one process at a
time. What belongs into none (a late report, an import, a clock that is wrong) goes into the rest, so nothing is ever
refused for want of a partition, and is moved when its piece is made.

SQLite has no partitions: there retention deletes in small batches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Connection, MetaData, Table, delete, select, text, tuple_
from sqlalchemy.exc import OperationalError

from custodes.kernel.clock import DAY, HOUR, Clock, to_iso
from custodes.storage.sql.bulk import affected
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.postgresql_codes import LOCKED, code_of
from custodes.storage.sql.tables import REST
from custodes.storage.sql.tables.inbound import (
    webhook_refusal_counts,
    webhook_refusals,
    webhook_rollups,
    webhook_source_rollups,
)
from custodes.storage.sql.tables.metrics import system_metrics
from custodes.storage.sql.tables.ratelimit import rate_limit_figures, rate_limit_tracking
from custodes.storage.sql.tables.traffic import api_monitoring, api_rollups

#: How often pieces are made, seconds: a sixth of the shortest.
EVERY_SECONDS = 600.0

#: Key of the advisory lock that whoever makes pieces holds ("cust-cut" in ASCII).
LOCK = int.from_bytes(b"cust-cut", "big")

#: Longest that a change of partitions waits for a table, keeping others waiting meanwhile; then it is for next time.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"

# ruff: noqa: S608 - nothing but names of our own tables and numbers is written into these statements


@dataclass(frozen=True, slots=True)
class Slices:
    """How a table, or a level of one, is cut."""

    #: The table.
    table: Table
    #: Its column of time, microseconds since the epoch.
    column: str
    #: Length of a piece, microseconds: a sixth of how long rows are kept, about. Rows outlive their time by that much.
    width: int
    #: Level of the rows; None for a table without levels. It stands before the column of time in the bounds.
    level: int | None = None

    def start_of(self, at: int) -> int:
        """Return the begin of the piece that a moment is in."""
        return at - at % self.width

    def name(self, start: int) -> str:
        """Name the piece that begins then: ``api_rollups_l60_20261125_12``."""
        level = "" if self.level is None else f"_l{self.level}"
        return f"{self.table.name}{level}_{to_iso(start)[:13].replace('-', '').replace('T', '_')}"

    def bounds(self, start: int) -> str:
        """Write the bounds of a piece."""
        level = "" if self.level is None else f"{self.level}, "
        return f"FOR VALUES FROM ({level}{start}) TO ({level}{start + self.width})"

    def within(self, start: int) -> str:
        """Write the condition of the rows of a piece."""
        level = "" if self.level is None else f"level = {self.level} AND "
        return f"{level}{self.column} >= {start} AND {self.column} < {start + self.width}"


SLICES: tuple[Slices, ...] = (
    Slices(api_monitoring, "started_at", DAY),
    Slices(api_rollups, "bucket", 6 * HOUR, 10),
    Slices(api_rollups, "bucket", 12 * HOUR, 60),
    Slices(api_rollups, "bucket", DAY, 600),
    Slices(api_rollups, "bucket", 7 * DAY, 3_600),
    Slices(api_rollups, "bucket", 20 * DAY, 21_600),
    Slices(api_rollups, "bucket", 90 * DAY, 86_400),
    Slices(api_rollups, "bucket", 90 * DAY, 604_800),
    Slices(system_metrics, "bucket", HOUR, 0),
    Slices(system_metrics, "bucket", DAY, 1),
    Slices(system_metrics, "bucket", 14 * DAY, 2),
    Slices(system_metrics, "bucket", 180 * DAY, 3),
    Slices(webhook_rollups, "bucket", 12 * HOUR, 60),
    Slices(webhook_rollups, "bucket", 14 * DAY, 3_600),
    Slices(webhook_rollups, "bucket", 180 * DAY, 86_400),
    Slices(webhook_source_rollups, "bucket", 12 * HOUR, 60),
    Slices(webhook_source_rollups, "bucket", 14 * DAY, 3_600),
    Slices(webhook_source_rollups, "bucket", 180 * DAY, 86_400),
    Slices(webhook_refusals, "received_at", 5 * DAY),
    Slices(webhook_refusal_counts, "bucket", 5 * DAY),
    Slices(rate_limit_tracking, "window_start", DAY),
    Slices(rate_limit_figures, "bucket", DAY),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A partition that is there."""

    #: Its name.
    name: str
    #: When it ends, microseconds since the epoch.
    end: int
    #: Its rows, as the server's statistics know; negative when they know nothing.
    rows: int


class Partitions:
    """Makes the pieces of all tables ahead; does nothing where there are none."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def make(self) -> int:
        """Make the pieces of now and of what comes next; returns how many are new.

        Each in a transaction of its own: a table that is busy does not keep the others from theirs.
        """
        if self._database.dialect != "postgresql":
            return 0
        now = self._clock.now()
        missing = await self._database.read(lambda tx: _missing(connection_of(tx), now))
        return sum(
            [
                await self._database.write(
                    lambda tx, each=slices, start=start: make_piece(connection_of(tx), each, start)
                )
                for slices, start in missing
            ]
        )


def _missing(connection: Connection, now: int) -> list[tuple[Slices, int]]:
    """List what is to be made: the piece that holds the moment, and the next."""
    wanted = [(slices, slices.start_of(now) + ahead) for slices in SLICES for ahead in (0, slices.width)]
    there = {name for table in _RESTS for name, _, _ in _pieces(connection, table)}
    return [(slices, start) for slices, start in wanted if slices.name(start) not in there]


def make_piece(connection: Connection, slices: Slices, start: int) -> bool:
    """Make a piece unless it is there; False, too, when its table is busy."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    if slices.name(start) in {name for name, _, _ in _pieces(connection, slices.table.name)}:
        return False  # another process was faster
    return _made(connection, slices, start)


def _made(connection: Connection, slices: Slices, start: int) -> bool:
    """Make one piece beside the table, move into it what waits in the rest, and attach it; False when it is busy."""
    table, rest, name = slices.table.name, f"{slices.table.name}{REST}", slices.name(start)
    return _unless_busy(
        connection,
        f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS)",
        f"LOCK TABLE {rest} IN ACCESS EXCLUSIVE MODE",
        f"WITH moved AS (DELETE FROM {rest} WHERE {slices.within(start)} RETURNING *)"
        f" INSERT INTO {name} SELECT * FROM moved",
        f"ALTER TABLE {table} ATTACH PARTITION {name} {slices.bounds(start)}",
    )


# ── Retention ────────────────────────────────────────────────────────────────


def purge(connection: Connection, table: Table, before: int, limit: int, *, level: int | None = None) -> int:
    """Remove the oldest rows from before a moment: whole pieces where there are any, else some rows.

    A piece that the moment falls into stays whole; so does one with rows that no coarser level holds yet.

    Args:
        connection: within a transaction.
        table: one of :data:`SLICES`.
        before: moment, microseconds since the epoch.
        limit: most rows that are deleted one by one.
        level: level of the rows.

    Returns:
        Rows that went, those of a piece as the server's statistics knew; 0 when there was nothing to do.
    """
    slices = next(one for one in SLICES if one.table is table and one.level == level)
    rows = table
    if connection.dialect.name == "postgresql":
        dropped = _drop_old(connection, slices, before)
        if dropped:
            return dropped
        rows = _RESTS[table.name]
    conditions = [rows.c[slices.column] < before]
    if level is not None:
        conditions.append(rows.c.level == level)
    if "folded" in rows.c:
        conditions.append(rows.c.folded == _folded(rows, value=True))
    key = [rows.c[column.name] for column in table.primary_key.columns]
    oldest = select(*key).where(*conditions).order_by(rows.c[slices.column]).limit(limit)
    return affected(connection, delete(rows).where(tuple_(*key).in_(oldest)))


def _folded(table: Table, *, value: bool) -> bool | int:
    return value if isinstance(table.c.folded.type, Boolean) else int(value)


def _drop_old(connection: Connection, slices: Slices, before: int) -> int:
    """Drop the oldest pieces that ended before a moment, up to the first that held rows."""
    for piece in pieces(connection, slices):
        if piece.end > before or _holds_unfolded(connection, slices, piece):
            break
        rows = piece.rows
        if rows < 0:  # never analysed: then it is small
            rows = connection.exec_driver_sql(f"SELECT count(*) FROM {piece.name}").scalar_one()
        if not _unless_busy(connection, f"DROP TABLE {piece.name}"):
            break
        if rows:
            return rows
    return 0


def _holds_unfolded(connection: Connection, slices: Slices, piece: Piece) -> bool:
    if "folded" not in slices.table.c:
        return False
    unfolded = _folded(slices.table, value=False)
    query = f"SELECT 1 FROM {piece.name} WHERE level = {slices.level} AND folded = {unfolded} LIMIT 1"
    return connection.exec_driver_sql(query).first() is not None


def pieces(connection: Connection, slices: Slices) -> Sequence[Piece]:
    """List the pieces that are there, oldest first."""
    found: list[Piece] = []
    for name, bounds, rows in _pieces(connection, slices.table.name):
        numbers = [int(number) for number in re.findall(r"-?\d+", bounds)]  # FOR VALUES FROM ('60', '1') TO ('60', '2')
        if slices.level is None or numbers[0] == slices.level:
            found.append(Piece(name, numbers[-1], rows))
    return sorted(found, key=lambda piece: piece.end)


def _pieces(connection: Connection, table: str) -> Sequence[Any]:
    return connection.execute(_PIECES, {"table": table}).all()


_PIECES = text("""
    SELECT child.relname, pg_get_expr(child.relpartbound, child.oid), child.reltuples::bigint
    FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
    WHERE inhparent = to_regclass(:table) AND pg_get_expr(child.relpartbound, child.oid) <> 'DEFAULT'
""")


def _unless_busy(connection: Connection, *statements: str) -> bool:
    """Run statements that need a table for themselves; False, and nothing done, when others are at it."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(_LOCK_TIMEOUT)
            for statement in statements:
                connection.exec_driver_sql(statement)
    except OperationalError as error:
        if code_of(error) != LOCKED:
            raise
        return False
    return True


#: Where rows of PostgreSQL are deleted one by one: what belongs into no piece.
_RESTS = {
    slices.table.name: slices.table.to_metadata(MetaData(), name=f"{slices.table.name}{REST}") for slices in SLICES
}
