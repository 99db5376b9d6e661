"""Lists of webhooks, newest first, each query along an index."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Table,
    UnaryExpression,
    and_,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from custodes.kernel.paging import Page, decode_cursor, page_of
from custodes.planes.inbound.model import JOB_KIND, EventFilter, EventRecord, Outcome, Progress, Status, Verdict, Wait
from custodes.storage.sql.bulk import MAX_REMOVED_BYTES
from custodes.storage.sql.tables.inbound import UNFINISHED
from custodes.storage.sql.tables.inbound import webhook_events as t
from custodes.storage.sql.tables.jobs import jobs
from custodes.storage.sql.tenants import tenants_of

T = TypeVar("T")

_RECEIVED = attrgetter("received_at", "id")

#: An id of ours (UUIDv7), as opposed to one of a sender.
_OUR_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch


def newest(
    connection: Connection,
    table: Table,
    tenant: str | None,
    make: Callable[[str], Select[Any]],
    *,
    limit: int,
    cursor: str | None,
) -> Sequence[Any]:
    """Return the first ``limit + 1`` rows after a cursor, of one tenant or of all, each tenant's along its own index.

    ``make`` writes the query of one tenant, ordered, without the cursor and the limit.
    """
    tenants = [tenant] if tenant is not None else tenants_of(connection, table)
    after = () if cursor is None else (_before(table, cursor),)
    found: list[Any] = []
    for each in tenants:
        found.extend(connection.execute(make(each).where(*after).limit(limit + 1)))
    if len(tenants) > 1:
        found.sort(key=_RECEIVED, reverse=True)
    return found[: limit + 1]


def find_events(connection: Connection, wanted: EventFilter, *, limit: int, cursor: str | None) -> Page[EventRecord]:
    """Return the events that a filter means."""
    rows = newest(connection, t, wanted.tenant, lambda tenant: events_query(tenant, wanted), limit=limit, cursor=cursor)
    return page_of([record_of(row) for row in rows], limit, _RECEIVED)


def events_query(tenant: str, wanted: EventFilter) -> Select[Any]:
    """Write the query of one tenant, newest first."""
    query = select(t).where(*conditions(tenant, wanted))
    if wanted.trace_id is None and wanted.event_id is None and wanted.any_id is None:
        return query.order_by(*newest_first(t))
    # These find a handful of rows by an index of their own; in disguise, the order cannot tempt SQLite to another one.
    return query.order_by((t.c.received_at + 0).desc(), t.c.id.desc())


def newest_first(table: Table) -> tuple[UnaryExpression[Any], UnaryExpression[Any]]:
    """Order of every list."""
    return table.c.received_at.desc(), table.c.id.desc()


def conditions(tenant: str, wanted: EventFilter) -> Iterable[ColumnElement[bool]]:
    """Write the conditions of a filter for one tenant."""
    yield t.c.tenant_id == tenant
    if wanted.source is not None:
        yield _one_of(t.c.source, wanted.source)
    if wanted.event_type is not None:
        yield or_(*(matches(t.c.event_type, pattern) for pattern in _several(wanted.event_type)))
    if wanted.status is not None:
        yield from _in_state(_several(wanted.status))
    if wanted.verdict is not None:
        yield _one_of(t.c.verdict, wanted.verdict)
    if wanted.any_id is not None:
        yield t.c.id.in_(_ids(tenant, wanted.any_id))
    if wanted.trace_id is not None:
        yield t.c.trace_id == wanted.trace_id
    if wanted.event_id is not None:
        yield (t.c.id if _OUR_ID(wanted.event_id) else t.c.event_id) == wanted.event_id
    if wanted.since is not None:
        yield t.c.received_at >= wanted.since
    if wanted.until is not None:
        yield t.c.received_at < wanted.until


def _ids(tenant: str, any_id: str) -> CompoundSelect[str]:
    """Find the ids of events by whichever id, each kind by its own index."""
    of = t.alias("named")
    columns = (of.c.id, of.c.event_id, of.c.trace_id)
    return union_all(*(select(of.c.id).where(of.c.tenant_id == tenant, column == any_id) for column in columns))


def matches(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Write that a type is of a pattern: the type itself, or ``prefix*``."""
    if not pattern.endswith("*"):
        return column == pattern
    prefix = pattern[:-1]
    return func.substr(column, 1, len(prefix)) == prefix  # LIKE would not mind the case on SQLite


def _in_state(states: Sequence[Status]) -> Iterable[ColumnElement[bool]]:
    # Written out, not bound: SQLite must see that the condition of the partial index holds.
    written: list[ColumnElement[str]] = [literal_column(f"'{status.value}'") for status in states]
    yield t.c.status == written[0] if len(written) == 1 else t.c.status.in_(written)
    if Status.SUCCEEDED not in states:
        yield cast("ColumnElement[bool]", UNFINISHED)


def _several(value: T | tuple[T, ...]) -> tuple[T, ...]:
    return cast("tuple[T, ...]", value) if isinstance(value, tuple) else (value,)


def _one_of(column: ColumnElement[str], value: str | tuple[str, ...]) -> ColumnElement[bool]:
    several = _several(value)
    return column == several[0] if len(several) == 1 else column.in_(several)


def _before(table: Table, cursor: str) -> ColumnElement[bool]:
    at, last = decode_cursor(cursor)
    return and_(table.c.received_at <= at, or_(table.c.received_at < at, table.c.id < last))


def progress_of(row: Any) -> Progress:
    """Read how far an event has come: the outcome of a handler that is done, ``[tries, due_at]`` of one that waits."""
    done, waiting = dict[str, Outcome](), dict[str, Wait]()
    for name, kept in row.handlers_done.items():
        if isinstance(kept, str):
            done[name] = Outcome(kept)
        else:
            waiting[name] = Wait(*kept)
    return Progress(done, waiting)


def record_of(row: Any) -> EventRecord:
    """Turn a row into a record."""
    return EventRecord(
        tenant=row.tenant_id,
        id=row.id,
        received_at=row.received_at,
        source=row.source,
        event_id=row.event_id,
        event_type=row.event_type,
        verdict=Verdict(row.verdict),
        status=Status(row.status),
        attempts=row.attempts,
        processing_us=row.processing_us,
        finished_at=row.finished_at,
        next_retry_at=row.next_retry_at,
        error=row.error,
        progress=progress_of(row),
        trace_id=row.trace_id,
        client_ip=row.client_ip,
        body_bytes=row.body_bytes,
    )


def finished(before: int) -> tuple[ColumnElement[bool], ...]:
    """Write the conditions of events that were received before and that nothing will happen to any more.

    An event without a job is one of those whatever it says: the host has logged it so, and nobody here will take it up.
    """
    open_job = select(jobs.c.ref).where(jobs.c.kind == JOB_KIND, jobs.c.ref == t.c.id).correlate(t)
    done = t.c.status.in_([Status.SUCCEEDED, Status.DEAD])
    return t.c.received_at < before, or_(done, ~open_job.exists())


def finished_before(connection: Connection, before: int, limit: int) -> Sequence[tuple[str, str]]:
    """Name ``(tenant, id)`` of finished events received before, oldest first, and lock them.

    At most ``limit`` with their attempts, and no more bytes than are removed at once; one at least.

    What is delivered again or replayed just now is passed over; whoever comes after this waits for its end.
    """
    found: list[tuple[str, str]] = []
    room, bytes_left = limit, MAX_REMOVED_BYTES
    for tenant in tenants_of(connection, t):
        query = (
            select(t.c.tenant_id, t.c.id, t.c.attempts, t.c.body_bytes)
            .where(t.c.tenant_id == tenant, *finished(before))
            .order_by(t.c.received_at, t.c.id)
            .limit(limit - len(found))
            .with_for_update(of=t, skip_locked=True)
        )
        for row in connection.execute(query):
            room, bytes_left = room - 1 - row.attempts, bytes_left - row.body_bytes
            if found and (room < 0 or bytes_left < 0):
                return found
            found.append((row.tenant_id, row.id))
        if len(found) >= limit:
            break
    return found
