"""Accepted webhooks in a SQL store: taking them in, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import ColumnElement, Table, delete, insert, select, update

from custodes.kernel.paging import Page
from custodes.planes.inbound.model import (
    FINISHED,
    Arrival,
    Attempt,
    EventFilter,
    EventRecord,
    Outcome,
    Payload,
    Status,
    Verdict,
    WebhookEvent,
)
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import inbound_queries as queries
from custodes.storage.sql.bulk import counted
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.inbound_accept import ACCEPT, EVENT_COLUMNS
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

    def accept(self, arrival: Arrival) -> Awaitable[str]:
        """Keep an event and its job, together with whatever else arrives."""
        return self._database.ingest(ACCEPT, arrival)

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

    def load(self, tx: Transaction, event_id: str) -> tuple[WebhookEvent, Mapping[str, Outcome]] | None:
        """Return an event as handlers get it, and the handlers that are done with it."""
        query = (
            select(events, payloads.c.headers, payloads.c.body)
            .join(payloads, payloads.c.event_id == events.c.id)
            .where(events.c.id == event_id)
        )
        row = connection_of(tx).execute(query).first()
        if row is None:
            return None
        event = WebhookEvent(
            id=row.id,
            tenant=row.tenant_id,
            source=row.source,
            event_id=row.event_id,
            type=row.event_type,
            body=bytes(row.body),
            headers=dict(json.loads(row.headers)),
            verified=row.verdict == Verdict.VERIFIED,
            attempt=row.attempts,
            trace_id=row.trace_id,
            received_at=row.received_at,
        )
        return event, queries.done_of(row)

    def begin(self, tx: Transaction, event_ids: Sequence[str]) -> None:
        """Note that a worker is at these events."""
        if event_ids:
            begun = {"status": Status.PROCESSING, "attempts": events.c.attempts + 1, "next_retry_at": None}
            connection_of(tx).execute(update(events).where(events.c.id.in_(event_ids)).values(begun))

    def conclude(
        self,
        tx: Transaction,
        event_id: str,
        *,
        status: Status,
        done: Mapping[str, Outcome],
        at: int,
        processing_us: int | None,
        next_retry_at: int | None,
        error: str | None,
    ) -> None:
        """Note how an attempt at an event ended."""
        connection_of(tx).execute(
            update(events)
            .where(events.c.id == event_id)
            .values(
                status=status,
                handlers_done=done,
                finished_at=at if status in FINISHED else None,
                processing_us=processing_us,
                next_retry_at=next_retry_at,
                error=error,
            )
        )

    def add_attempts(self, tx: Transaction, event: WebhookEvent, made: Sequence[Attempt]) -> None:
        """Note the handlers' attempts."""
        connection = connection_of(tx)
        for attempt in made:
            connection.execute(
                insert(attempts).values(
                    tenant_id=event.tenant,
                    event_id=event.id,
                    number=attempt.number,
                    handler=attempt.handler,
                    source=event.source,
                    event_type=event.type,
                    outcome=attempt.outcome,
                    started_at=attempt.started_at,
                    duration_us=attempt.duration_us,
                    error_type=attempt.error_type,
                    error=attempt.error,
                )
            )

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
        doomed = queries.finished_before(connection, before, limit)
        for some in _slices(doomed):
            ids = [event_id for _, event_id in some]
            for tenant in {tenant for tenant, _ in some}:
                connection.execute(delete(attempts).where(attempts.c.tenant_id == tenant, attempts.c.event_id.in_(ids)))
            connection.execute(delete(payloads).where(payloads.c.event_id.in_(ids)))
            connection.execute(delete(events).where(events.c.id.in_(ids)))
        return len(doomed)

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count finished events received before."""
        return counted(connection_of(tx), events, *queries.finished(before))


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
