"""Accepted webhooks in a SQL store: taking them in, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import ColumnElement, Table, bindparam, delete, insert, select, update

from custodes.kernel.paging import Page
from custodes.planes.inbound.model import (
    FINISHED,
    Arrival,
    Attempt,
    Ending,
    EventFilter,
    EventRecord,
    Facets,
    Outcome,
    Payload,
    Progress,
    Status,
    Verdict,
    WebhookEvent,
)
from custodes.runtime.transactions import Transaction
from custodes.runtime.writer import Told
from custodes.storage.sql import inbound_facets as facets
from custodes.storage.sql import inbound_queries as queries
from custodes.storage.sql.bulk import Bulk, counted
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.inbound_accept import ACCEPT, EVENT_COLUMNS
from custodes.storage.sql.lists import among
from custodes.storage.sql.tables.inbound import webhook_attempts as attempts
from custodes.storage.sql.tables.inbound import webhook_events as events
from custodes.storage.sql.tables.inbound import webhook_payloads as payloads

T = TypeVar("T")

#: Ids in one statement.
_MAX_IDS = 500


class SqlEventStore:
    """:class:`custodes.planes.inbound.ports.EventStore` in the tables of the inbound plane and in ``jobs``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ── In ───────────────────────────────────────────────────────────────────

    def accept(self, arrival: Arrival, told: Told | None = None) -> Awaitable[str]:
        """Keep an event and its job, together with whatever else arrives."""
        return self._database.ingest(ACCEPT, arrival, told)

    def log(self, tx: Transaction, arrival: Arrival, status: Status) -> str:
        """Keep an event without a job."""
        connection = connection_of(tx)
        known = connection.execute(
            select(events.c.id).where(
                events.c.tenant_id == arrival.tenant,
                events.c.dedupe_key == arrival.dedupe_key,
                events.c.source == arrival.source,
            )
        ).scalar()
        if known is not None:
            return cast("str", known)
        row = dict(zip(EVENT_COLUMNS, arrival, strict=False))
        finished = arrival.received_at if status in FINISHED else None
        connection.execute(
            insert(events).values(**row, status=status, attempts=0, handlers_done={}, finished_at=finished)
        )
        connection.execute(
            insert(payloads).values(
                tenant_id=arrival.tenant, event_id=arrival.id, headers=arrival.headers, body=arrival.body
            )
        )
        return arrival.id

    # ── Work ─────────────────────────────────────────────────────────────────

    def load(self, tx: Transaction, event_ids: Sequence[str]) -> Mapping[str, tuple[WebhookEvent, Progress]]:
        """Return events as handlers get them, each with how far it has come."""
        rows = connection_of(tx).execute(_LOAD, {"ids": event_ids})
        return {row.id: (_event_of(row), queries.progress_of(row)) for row in rows}

    def begin(self, tx: Transaction, event_ids: Sequence[str]) -> None:
        """Note that a worker is at these events."""
        if event_ids:
            connection_of(tx).execute(_BEGIN, {"ids": event_ids})

    def conclude(self, tx: Transaction, endings: Sequence[Ending]) -> None:
        """Note how attempts at events ended."""
        for statement, those in ((_CONCLUDE, True), (_CONCLUDE_UNCOUNTED, False)):
            rows = [_columns_of(ending) for ending in endings if ending.counted is those]
            if rows:
                connection_of(tx).execute(statement, rows)

    def add_attempts(self, tx: Transaction, made: Sequence[tuple[WebhookEvent, Attempt]]) -> None:
        """Note the handlers' attempts."""
        rows = [
            (
                event.tenant,
                event.id,
                attempt.number,
                attempt.handler,
                event.source,
                event.type,
                attempt.outcome.value,
                attempt.started_at,
                attempt.duration_us,
                attempt.error_type,
                attempt.error,
            )
            for event, attempt in made
        ]
        _ATTEMPTS.insert(connection_of(tx), rows)

    def hold(self, tx: Transaction, event_ids: Sequence[str]) -> set[str]:
        """Have events stay until the transaction ends; on SQLite there is no other writer meanwhile."""
        held: set[str] = set()
        for some in _slices(event_ids):
            query = select(events.c.id).where(events.c.id.in_(some)).with_for_update(read=True, key_share=True)
            held.update(connection_of(tx).execute(query).scalars())
        return held

    def reopen(self, tx: Transaction, event_ids: Sequence[str]) -> None:
        """Make finished events ``received`` again."""
        fresh: dict[str, Any] = {
            "status": Status.RECEIVED,
            "handlers_done": {},
            "finished_at": None,
            "next_retry_at": None,
        }
        for some in _slices(event_ids):
            connection_of(tx).execute(update(events).where(events.c.id.in_(some)).values(fresh))

    # ── Out ──────────────────────────────────────────────────────────────────

    def get(self, tx: Transaction, tenant: str | None, event_id: str) -> EventRecord | None:
        """Return one event."""
        row = connection_of(tx).execute(select(events).where(events.c.id == event_id, *_of(events, tenant))).first()
        return None if row is None else queries.record_of(row)

    def find(self, tx: Transaction, wanted: EventFilter, *, limit: int, cursor: str | None) -> Page[EventRecord]:
        """Return events, newest first."""
        return queries.find_events(connection_of(tx), wanted, limit=limit, cursor=cursor)

    def known(self, tx: Transaction, tenant: str, source: str, event_ids: Sequence[str]) -> set[str]:
        """Return which of the sender's ids are among the events of a source."""
        found: set[str] = set()
        for some in _slices(event_ids):
            query = select(events.c.event_id).where(
                events.c.tenant_id == tenant, events.c.event_id.in_(some), events.c.source == source
            )
            found.update(connection_of(tx).execute(query).scalars())
        return found

    def count(self, tx: Transaction, wanted: EventFilter, at_most: int) -> int:
        """Count events, and stop at so many."""
        return facets.count(connection_of(tx), wanted, at_most)

    def facets(self, tx: Transaction, wanted: EventFilter) -> Facets:
        """Count what could be chosen next."""
        return facets.facets(connection_of(tx), wanted)

    def payload(self, tx: Transaction, tenant: str | None, event_id: str) -> Payload | None:
        """Return what was received, exactly."""
        wanted = select(payloads.c.headers, payloads.c.body).where(
            payloads.c.event_id == event_id, *_of(payloads, tenant)
        )
        row = connection_of(tx).execute(wanted).first()
        return None if row is None else Payload([(name, value) for name, value in json.loads(row.headers)], row.body)

    def attempts(self, tx: Transaction, tenant: str | None, event_id: str, limit: int) -> Sequence[Attempt]:
        """Return the attempts at one event, newest first."""
        owner = select(events.c.tenant_id).where(events.c.id == event_id, *_of(events, tenant)).scalar_subquery()
        query = (
            select(attempts)
            .where(attempts.c.tenant_id == owner, attempts.c.event_id == event_id)
            .order_by(attempts.c.number.desc(), attempts.c.handler.desc())
            .limit(limit)
        )
        return [_attempt_of(row) for row in connection_of(tx).execute(query)]

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Delete finished events received before, with their attempts."""
        connection = connection_of(tx)
        deleted = 0
        for chosen in _slices(queries.finished_before(connection, before, limit)):
            # Their rows are locked now: what has got a job before that is seen by this statement, which looks again.
            these = events.c.id.in_([event_id for _, event_id in chosen])
            gone = connection.execute(
                delete(events).where(these, *queries.finished(before)).returning(events.c.tenant_id, events.c.id)
            ).all()
            ids = [event_id for _, event_id in gone]
            for tenant in {tenant for tenant, _ in gone}:
                connection.execute(delete(attempts).where(attempts.c.tenant_id == tenant, attempts.c.event_id.in_(ids)))
            connection.execute(delete(payloads).where(payloads.c.event_id.in_(ids)))
            deleted += len(gone)
        return deleted

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count finished events received before."""
        return counted(connection_of(tx), events, *queries.finished(before))


# Statements of the worker's round are put together once: to do so costs as much as to run them.

_THESE = among(events.c.id, "ids")

_BEGIN = (
    update(events)
    .where(_THESE)
    .values(status=Status.PROCESSING.value, attempts=events.c.attempts + 1, next_retry_at=None)
)

_LOAD = (
    select(events, payloads.c.headers, payloads.c.body).join(payloads, payloads.c.event_id == events.c.id).where(_THESE)
)

#: Sets the columns that the rows it is run with name.
_CONCLUDE = update(events).where(events.c.id == bindparam("of"))

#: The attempt that was begun was none.
_CONCLUDE_UNCOUNTED = _CONCLUDE.values(attempts=events.c.attempts - 1)

_ATTEMPTS = Bulk(
    attempts,
    (
        "tenant_id",
        "event_id",
        "number",
        "handler",
        "source",
        "event_type",
        "outcome",
        "started_at",
        "duration_us",
        "error_type",
        "error",
    ),
)


def _columns_of(ending: Ending) -> dict[str, Any]:
    return {
        "of": ending.event_id,
        "status": ending.status.value,
        "handlers_done": {**ending.progress.done, **ending.progress.waiting},
        "finished_at": ending.at if ending.status in FINISHED else None,
        "processing_us": ending.processing_us,
        "next_retry_at": ending.next_retry_at,
        "error": ending.error,
    }


def _event_of(row: Any) -> WebhookEvent:
    headers = json.loads(row.headers)
    return WebhookEvent(
        id=row.id,
        tenant=row.tenant_id,
        source=row.source,
        event_id=row.event_id,
        type=row.event_type,
        body=bytes(row.body),
        headers=dict(headers),
        verified=row.verdict != Verdict.UNVERIFIED,
        attempt=row.attempts,
        trace_id=row.trace_id,
        received_at=row.received_at,
        all_headers=headers,
    )


def _slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _MAX_IDS):
        yield items[start : start + _MAX_IDS]


def _of(table: Table, tenant: str | None) -> Iterable[ColumnElement[bool]]:
    return () if tenant is None else (table.c.tenant_id == tenant,)


def _attempt_of(row: Any) -> Attempt:
    return Attempt(
        number=row.number,
        handler=row.handler,
        outcome=Outcome(row.outcome),
        started_at=row.started_at,
        duration_us=row.duration_us,
        error_type=row.error_type,
        error=row.error,
    )
