"""The hot insert of accepted webhooks, beneath SQLAlchemy: a group of arrivals is one statement, however large it is.

On PostgreSQL it writes to three tables from arrays of values: one round trip, which is the transaction too.

On SQLite rows are put into a temporary view, whose trigger puts event, payload and job where they belong. The
interpreter lock, which sqlite3 gives back while a statement runs, so changes hands once a group and not at each of
BEGIN, three INSERTs and COMMIT: each time, the writer would wait for the event loop to pause, up to 5 ms
(``sys.getswitchinterval``), and the loop would find nothing to do while the writer works. SQLite itself needs as long
for it as for three statements of many rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from custodes.errors import StorageUnavailable
from custodes.planes.inbound.model import JOB_KIND, Arrival, Status
from custodes.storage.sql.database import Ingest
from custodes.storage.sql.tables.inbound import webhook_events as events
from custodes.storage.sql.tables.inbound import webhook_payloads as payloads
from custodes.storage.sql.tables.jobs import jobs

# ruff: noqa: S608 - nothing but names of our own tables and columns is written into these statements

#: Columns of ``webhook_events`` that an arrival brings, in the order of its fields.
EVENT_COLUMNS = (
    "tenant_id",
    "id",
    "received_at",
    "source",
    "event_id",
    "event_type",
    "dedupe_key",
    "verdict",
    "trace_id",
    "client_ip",
    "body_bytes",
)

#: Looks for an event that comes again. It is either there or it is not: a second look follows only on a clean-up, or a
#: third delivery, in the very moment between two statements.
_SETTLE_TRIES = 10

#: Rows of one statement: its text is prepared once for each number of rows that occurs.
_MAX_ROWS = 128


def _accept(connection: Any, rows: Sequence[Arrival]) -> Sequence[str]:
    """Insert events, payloads and jobs; rows that are there already are looked for only when the count says so."""
    if len(rows) > _MAX_ROWS:
        return [*_accept(connection, rows[:_MAX_ROWS]), *_accept(connection, rows[_MAX_ROWS:])]
    before: int = connection.total_changes
    values = list(chain.from_iterable(rows))
    try:
        connection.execute(_insert(len(rows)), values)
    except sqlite3.OperationalError as error:
        if f"no such table: {_DOOR}" not in str(error):
            raise
        for statement in _DOOR_DDL:  # a new connection: temporary things are its own
            connection.execute(statement)
        connection.execute(_insert(len(rows)), values)
    if connection.total_changes - before == _CHANGES * len(rows):
        return [row[1] for row in rows]
    return [_settle(connection, row) for row in rows]


def _settle(connection: Any, row: Arrival) -> str:
    """Find the id that an event is kept under; give an open event that comes again, without a job, a new one."""
    for _ in range(_SETTLE_TRIES):
        found = connection.execute(_FIRST_DELIVERY, (row.tenant, row.dedupe_key, row.source)).fetchone()
        if found is None:  # just deleted for its age, by another process: taken in anew
            connection.execute(_insert(1), list(row))
        elif found[0] == row.id or connection.execute(_REDRIVE, (row.received_at, found[0])).rowcount:
            return found[0]
        elif connection.execute(_STILL_THERE, (found[0],)).fetchone():
            return found[0]  # and has its job, or needs none
    raise _neither_found_nor_taken_in()


_FIRST_DELIVERY = f"SELECT id FROM {events.name} WHERE tenant_id = ? AND dedupe_key = ? AND source = ?"

_STILL_THERE = f"SELECT 1 FROM {events.name} WHERE id = ?"

_OPEN = f"status IN ('{Status.RECEIVED}', '{Status.PROCESSING}', '{Status.FAILED}')"

_JOB_COLUMNS = "tenant_id, kind, ref, lane, due_at, attempts, released, token"

_REDRIVE = (
    f"INSERT INTO {jobs.name} ({_JOB_COLUMNS})"
    f" SELECT tenant_id, '{JOB_KIND}', id, source, ?, 0, 0, 0 FROM {events.name} WHERE id = ? AND {_OPEN}"
    " ON CONFLICT DO NOTHING"
)

#: Name of the view that arrivals are put into; there is one for each connection that takes any in.
_DOOR = "webhook_door"

#: Rows that one arrival adds: event, payload and job.
_CHANGES = 3

# In a trigger, changes() tells of the statement before: a repeat, whose event is there, adds neither payload nor job.
_DOOR_DDL = (
    f"CREATE TEMP VIEW {_DOOR} AS SELECT {', '.join(f'NULL AS {name}' for name in Arrival._fields)}",
    (
        f"CREATE TEMP TRIGGER {_DOOR}_in INSTEAD OF INSERT ON {_DOOR} BEGIN"
        f" INSERT INTO {events.name} ({', '.join(EVENT_COLUMNS)}, status, attempts, handlers_done)"
        f" VALUES ({', '.join(f'NEW.{name}' for name in Arrival._fields[: len(EVENT_COLUMNS)])},"
        f" '{Status.RECEIVED}', 0, '{{}}') ON CONFLICT DO NOTHING;"
        f" INSERT INTO {payloads.name} (tenant_id, event_id, headers, body)"
        " SELECT NEW.tenant, NEW.id, NEW.headers, NEW.body WHERE changes() > 0;"
        f" INSERT INTO {jobs.name} ({_JOB_COLUMNS})"
        f" SELECT NEW.tenant, '{JOB_KIND}', NEW.id, NEW.source, NEW.received_at, 0, 0, 0 WHERE changes() > 0;"
        " END"
    ),
)


@lru_cache(maxsize=_MAX_ROWS)
def _insert(rows: int) -> str:
    row = f"({', '.join('?' * len(Arrival._fields))})"
    return f"INSERT INTO {_DOOR} VALUES {', '.join([row] * rows)}"


# ── PostgreSQL ───────────────────────────────────────────────────────────────


def _accept_postgresql(driver: Any, rows: Sequence[Arrival]) -> Sequence[str]:
    """Insert events, payloads and jobs; what was there already is settled one by one."""
    # In one order in every process, so that two with the same events never wait for each other.
    in_order = sorted(rows, key=lambda row: (row.tenant, row.dedupe_key, row.source))
    columns = [list(column) for column in zip(*in_order, strict=True)]
    kept = {row[0] for row in driver.execute(_ACCEPT_POSTGRESQL, columns)}
    return [row.id if row.id in kept else _settle_postgresql(driver, row) for row in rows]


def _settle_postgresql(driver: Any, row: Arrival) -> str:
    """As :func:`_settle`; what is no longer there, because it was just deleted for its age, is taken in anew."""
    columns = [[value] for value in row]
    for _ in range(_SETTLE_TRIES):
        found = driver.execute(
            _REDRIVE_POSTGRESQL, (row.tenant, row.dedupe_key, row.source, row.received_at)
        ).fetchone()
        found = found or driver.execute(_ACCEPT_POSTGRESQL, columns).fetchone()
        if found:
            return found[0]
    raise _neither_found_nor_taken_in()


def _neither_found_nor_taken_in() -> StorageUnavailable:
    return StorageUnavailable("An event that comes again was neither found nor taken in", remedy="Send it again")


_OTHER_TYPES = {"received_at": "bigint", "body_bytes": "bigint", "body": "bytea"}
_ARRAYS = ", ".join(f"%b::{_OTHER_TYPES.get(name, 'text')}[]" for name in Arrival._fields)

_ACCEPT_POSTGRESQL = (
    f"WITH arrived AS (SELECT * FROM unnest({_ARRAYS}) AS arrived({', '.join(Arrival._fields)})),"
    f" kept AS (INSERT INTO {events.name} ({', '.join(EVENT_COLUMNS)}, status, attempts, handlers_done)"
    f" SELECT {', '.join(Arrival._fields[: len(EVENT_COLUMNS)])}, '{Status.RECEIVED}', 0, '{{}}' FROM arrived"
    " ON CONFLICT DO NOTHING RETURNING id),"
    f" bytes AS (INSERT INTO {payloads.name} (tenant_id, event_id, headers, body)"
    " SELECT tenant, id, headers, body FROM arrived JOIN kept USING (id)),"
    f" work AS (INSERT INTO {jobs.name} ({_JOB_COLUMNS})"
    f" SELECT tenant, '{JOB_KIND}', id, source, received_at, 0, 0, 0 FROM arrived JOIN kept USING (id))"
    " SELECT id FROM kept"
)

# One statement, because each may be a transaction of its own: the event cannot be deleted before its job is there.
_REDRIVE_POSTGRESQL = (
    f"WITH first AS (SELECT tenant_id, id, source, status FROM {events.name}"
    " WHERE tenant_id = %s AND dedupe_key = %s AND source = %s FOR KEY SHARE),"
    f" work AS (INSERT INTO {jobs.name} ({_JOB_COLUMNS})"
    f" SELECT tenant_id, '{JOB_KIND}', id, source, %s, 0, 0, 0 FROM first WHERE {_OPEN} ON CONFLICT DO NOTHING)"
    " SELECT id FROM first"
)


ACCEPT: Ingest[Arrival, str] = Ingest("webhook_accept", _accept, _accept_postgresql, alone=True)
