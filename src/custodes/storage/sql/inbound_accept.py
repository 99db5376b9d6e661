"""The hot insert of accepted webhooks on SQLite, beneath SQLAlchemy.

A group of arrivals costs three statements however large it is, so that the interpreter lock, which sqlite3 gives back
while a statement runs, changes hands three times and not three times for each webhook.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

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

#: Rows of one statement: its text is prepared once for each number of rows that occurs.
_MAX_ROWS = 128


def _accept(connection: Any, rows: Sequence[Arrival]) -> Sequence[str]:
    """Insert events, payloads and jobs; rows that are there already are looked for only when the count says so."""
    if len(rows) > _MAX_ROWS:
        return [*_accept(connection, rows[:_MAX_ROWS]), *_accept(connection, rows[_MAX_ROWS:])]
    ids = [row[1] for row in rows]
    values = list(chain.from_iterable(row[:11] for row in rows))
    inserted = connection.execute(_insert_events(len(rows)), values).rowcount
    fresh = rows
    if inserted != len(rows):
        fresh, ids = _settle_repeats(connection, rows)
    if fresh:
        bytes_of = list(chain.from_iterable((row[0], row[1], row[11], row[12]) for row in fresh))
        connection.execute(_insert_payloads(len(fresh)), bytes_of)
        due = list(chain.from_iterable((row[0], row[1], row[3], row[2]) for row in fresh))
        connection.execute(_insert_jobs(len(fresh)), due)
    return ids


def _settle_repeats(connection: Any, rows: Sequence[Arrival]) -> tuple[list[Arrival], list[str]]:
    """Tell first deliveries from repeats; give an open event without a job a new one."""
    fresh: list[Arrival] = []
    ids: list[str] = []
    for row in rows:
        kept = connection.execute(_FIRST_DELIVERY, (row.tenant, row.dedupe_key, row.source)).fetchone()[0]
        ids.append(kept)
        if kept == row.id:
            fresh.append(row)
        else:
            connection.execute(_REDRIVE, (row.received_at, kept))
    return fresh, ids


_FIRST_DELIVERY = f"SELECT id FROM {events.name} WHERE tenant_id = ? AND dedupe_key = ? AND source = ?"

_REDRIVE = (
    f"INSERT INTO {jobs.name} (tenant_id, kind, ref, lane, due_at, attempts, released, token)"
    f" SELECT tenant_id, '{JOB_KIND}', id, source, ?, 0, 0, 0 FROM {events.name}"
    f" WHERE id = ? AND status IN ('{Status.RECEIVED}', '{Status.PROCESSING}', '{Status.FAILED}')"
    " ON CONFLICT DO NOTHING"
)


@lru_cache(maxsize=_MAX_ROWS)
def _insert_events(rows: int) -> str:
    columns = ", ".join(EVENT_COLUMNS)
    row = f"({', '.join('?' * len(EVENT_COLUMNS))}, '{Status.RECEIVED}', 0, '{{}}')"
    return (
        f"INSERT INTO {events.name} ({columns}, status, attempts, handlers_done)"
        f" VALUES {', '.join([row] * rows)} ON CONFLICT DO NOTHING"
    )


@lru_cache(maxsize=_MAX_ROWS)
def _insert_payloads(rows: int) -> str:
    values = ", ".join(["(?, ?, ?, ?)"] * rows)
    return f"INSERT INTO {payloads.name} (tenant_id, event_id, headers, body) VALUES {values}"


@lru_cache(maxsize=_MAX_ROWS)
def _insert_jobs(rows: int) -> str:
    values = ", ".join([f"(?, '{JOB_KIND}', ?, ?, ?, 0, 0, 0)"] * rows)
    return (
        f"INSERT INTO {jobs.name} (tenant_id, kind, ref, lane, due_at, attempts, released, token) VALUES {values}"
        " ON CONFLICT DO NOTHING"  # a repeat in the same group has put it in already
    )


ACCEPT: Ingest[Arrival, str] = Ingest("webhook_accept", _accept)
