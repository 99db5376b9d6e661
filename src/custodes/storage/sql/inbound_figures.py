"""Figures of webhooks and refused deliveries in a SQL store."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, desc, func, insert, select, tuple_

from custodes.kernel.histogram import Histogram
from custodes.kernel.paging import Page, page_of
from custodes.kernel.stretches import Level, Steps
from custodes.planes.inbound.figures import (
    ALL,
    REFUSAL_BUCKET,
    ErrorGroup,
    Figures,
    Only,
    Overview,
    RefusalCount,
    Series,
    Sums,
)
from custodes.planes.inbound.model import Refusal, Status
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.bulk import counted, insert_ignoring, insert_rows
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.inbound_queries import newest, newest_first
from custodes.storage.sql.inbound_sums import Ask, of_only, sums
from custodes.storage.sql.partitions import purge
from custodes.storage.sql.pipelined import Query, pipelined, written
from custodes.storage.sql.tables.inbound import FAILED, UNFINISHED
from custodes.storage.sql.tables.inbound import webhook_attempts as attempts
from custodes.storage.sql.tables.inbound import webhook_events as events
from custodes.storage.sql.tables.inbound import webhook_refusal_counts as counts
from custodes.storage.sql.tables.inbound import webhook_refusals as refusals
from custodes.storage.sql.tables.inbound import webhook_rollups as rollups
from custodes.storage.sql.tables.inbound import webhook_source_rollups as source_rollups
from custodes.storage.sql.tenants import in_key

#: Rows written by one statement: below the bind variable limit of every engine.
_CHUNK = 500


class SqlFigureStore:
    """:class:`custodes.planes.inbound.ports.FigureStore` in the tables of the inbound plane."""

    # ── Writing ──────────────────────────────────────────────────────────────

    def put_figures(self, tx: Transaction, writer: str, figures: Sequence[tuple[Series, Figures]]) -> None:
        """Write the rows of one writer anew."""
        of_types = [(series, values) for series, values in figures if series.event_type is not None]
        of_sources = [(series, values) for series, values in figures if series.event_type is None]
        for table, some in ((rollups, of_types), (source_rollups, of_sources)):
            key = [column.name for column in table.primary_key.columns]
            for begin in range(0, len(some), _CHUNK):
                rows = [
                    {**_series_key(series), "writer": writer, **_figure_values(values)}
                    for series, values in some[begin : begin + _CHUNK]
                ]
                before = tuple_(*(table.c[name] for name in key)).in_(
                    [tuple(row[name] for name in key) for row in rows]
                )
                connection_of(tx).execute(delete(table).where(before))
                insert_rows(connection_of(tx), table, rows)

    def put_refusals(
        self, tx: Transaction, writer: str, refused: Sequence[RefusalCount], samples: Sequence[Refusal]
    ) -> None:
        """Write the counts of one writer anew, and add samples."""
        connection = connection_of(tx)
        for row in refused:
            key = {
                "tenant_id": row.tenant,
                "bucket": row.bucket,
                "source": row.source,
                "reason": row.reason,
                "writer": writer,
            }
            connection.execute(delete(counts).where(*(counts.c[name] == value for name, value in key.items())))
            connection.execute(insert(counts).values(**key, refused=row.refused))
        if samples:
            # Some may be there: nobody was told that they were kept.
            connection.execute(insert_ignoring(connection, refusals), [_refusal_values(sample) for sample in samples])

    def purge_figures(self, tx: Transaction, level: Level, before: int, limit: int) -> int:
        """Delete folded figures of a level from before."""
        connection = connection_of(tx)
        gone = purge(connection, rollups, before, limit, level=int(level))
        return gone + purge(connection, source_rollups, before, max(0, limit - gone), level=int(level))

    def count_purgeable_figures(self, tx: Transaction, level: Level, before: int) -> int:
        """Count folded figures of a level from before."""
        tables = (rollups, source_rollups)
        return sum(counted(connection_of(tx), one, *_figures_before(one, level, before)) for one in tables)

    def purge_refusals(self, tx: Transaction, before: int, limit: int) -> int:
        """Delete samples and counts of refused deliveries from before."""
        connection = connection_of(tx)
        gone = purge(connection, refusals, before, limit)
        return gone + purge(connection, counts, before, max(0, limit - gone))

    def count_purgeable_refusals(self, tx: Transaction, before: int) -> int:
        """Count samples and counts of refused deliveries from before."""
        connection = connection_of(tx)
        samples = counted(connection, refusals, refusals.c.received_at < before)
        return samples + counted(connection, counts, counts.c.bucket < before)

    # ── Reading ──────────────────────────────────────────────────────────────

    def figures(
        self, tx: Transaction, tenant: str | None, level: Level, since: int, until: int
    ) -> Sequence[tuple[Series, Figures]]:
        """Return the folded figures of all writers, oldest first."""
        query = select(rollups).where(*_figures_within(connection_of(tx), tenant, level, since, until))
        query = query.order_by(rollups.c.bucket, rollups.c.source, rollups.c.event_type)
        folded: dict[Series, Figures] = {}
        for row in connection_of(tx).execute(query):
            series = Series(row.tenant_id, level, row.bucket, row.source, row.event_type)
            folded.setdefault(series, Figures()).merge(_figures_of(row))
        return list(folded.items())

    def sums(self, tx: Transaction, tenant: str | None, steps: Steps, only: Only = ALL) -> Sums:
        """Add figures up by time and by type."""
        with _asking(connection_of(tx)) as ask:
            return sums(ask, connection_of(tx), tenant, steps, only)()

    def refused(
        self, tx: Transaction, tenant: str | None, since: int, until: int, step: int = REFUSAL_BUCKET
    ) -> Sequence[RefusalCount]:
        """Return how many deliveries were refused, by stretch, source and reason."""
        connection = connection_of(tx)
        return _refused(connection.execute(_of_refused(connection, tenant, since, until, step)).all())

    def overview(
        self, tx: Transaction, tenant: str | None, steps: Steps, until: int, limit: int, only: Only = ALL
    ) -> Overview:
        """Return all that a range is told by: PostgreSQL counts what failed while figures are added up here."""
        connection = connection_of(tx)
        with _asking(connection) as ask:
            added = sums(ask, connection, tenant, steps, only)
            refused = ask(_of_refused(connection, tenant, steps.since, until, steps.level.micros))
            errors = ask(_of_errors(tenant, steps.since, until, limit, only))
            return Overview(added(), _refused(refused()), [ErrorGroup(*row) for row in errors()])

    def refusals(
        self,
        tx: Transaction,
        tenant: str | None,
        source: str | None,
        since: int,
        until: int,
        *,
        limit: int,
        cursor: str | None,
        reason: str | None = None,
        client_ip: str | None = None,
    ) -> Page[Refusal]:
        """Return samples of refused deliveries, newest first."""

        def query(each: str) -> Select[Any]:
            within = select(refusals).where(
                refusals.c.tenant_id == each, refusals.c.received_at >= since, refusals.c.received_at < until
            )
            chosen = within if source is None else within.where(refusals.c.source == source)
            chosen = chosen if reason is None else chosen.where(refusals.c.reason == reason)
            chosen = chosen if client_ip is None else chosen.where(refusals.c.client_ip == client_ip)
            return chosen.order_by(*newest_first(refusals))

        rows = newest(connection_of(tx), refusals, tenant, query, limit=limit, cursor=cursor)
        return page_of([_refusal_of(row) for row in rows], limit, attrgetter("received_at", "id"))

    def refusal(self, tx: Transaction, tenant: str | None, refusal_id: str) -> Refusal | None:
        """Return one sample."""
        query = select(refusals).where(refusals.c.id == refusal_id, *_of(refusals, tenant))
        row = connection_of(tx).execute(query).first()
        return None if row is None else _refusal_of(row)

    def states(self, tx: Transaction, tenant: str | None) -> dict[Status, int]:
        """Count the events that are not (yet) well, by state."""
        query = select(events.c.status, func.count()).where(*_of(events, tenant), UNFINISHED).group_by(events.c.status)
        return {Status(status): count for status, count in connection_of(tx).execute(query)}


@contextmanager
def _asking(connection: Connection) -> Generator[Ask]:
    with pipelined(connection) as send:
        yield lambda query: send(written(query, connection.dialect.name))


def _of_refused(connection: Connection, tenant: str | None, since: int, until: int, step: int) -> Query:
    stretch = counts.c.bucket - counts.c.bucket % step
    key = (counts.c.tenant_id, stretch, counts.c.source, counts.c.reason)
    within = (*in_key(connection, counts, tenant), counts.c.bucket >= since, counts.c.bucket < until)
    return select(*key, func.sum(counts.c.refused)).where(*within).group_by(*key).order_by(*key)


def _refused(rows: Iterable[Sequence[Any]]) -> Sequence[RefusalCount]:
    return [RefusalCount(row[0], row[1], row[2], row[3], int(row[4])) for row in rows]


def _of_errors(tenant: str | None, since: int, until: int, limit: int, only: Only) -> Query:
    """Group the failed attempts, most frequent first."""
    key = (attempts.c.source, attempts.c.handler, attempts.c.error_type)
    count = func.count().label("failures")
    return (
        select(*key, count, func.max(attempts.c.started_at), func.max(attempts.c.error))
        .where(*_of(attempts, tenant), *of_only(attempts, only), FAILED)
        .where(attempts.c.started_at >= since, attempts.c.started_at < until)
        .group_by(*key)
        .order_by(desc(count), *key)
        .limit(limit)
    )


def _of(table: Table, tenant: str | None) -> tuple[ColumnElement[bool], ...]:
    return () if tenant is None else (table.c.tenant_id == tenant,)


def _figures_before(table: Table, level: Level, before: int) -> tuple[ColumnElement[bool], ...]:
    return table.c.level == int(level), table.c.bucket < before


def _figures_within(
    connection: Connection, tenant: str | None, level: Level, since: int, until: int
) -> tuple[ColumnElement[bool], ...]:
    begin = since - since % level.micros
    within = (rollups.c.level == int(level), rollups.c.bucket >= begin, rollups.c.bucket < until)
    return (*in_key(connection, rollups, tenant), *within)


def _series_key(series: Series) -> dict[str, Any]:
    return {
        "tenant_id": series.tenant,
        "level": int(series.level),
        "bucket": series.bucket,
        "source": series.source,
        **({} if series.event_type is None else {"event_type": series.event_type}),
    }


def _figure_values(values: Figures) -> dict[str, Any]:
    return {
        "received": values.received,
        "duplicates": values.duplicates,
        "succeeded": values.succeeded,
        "unhandled": values.unhandled,
        "retried": values.retried,
        "dead": values.dead,
        "processing": values.processing.encode(),
    }


def _figures_of(row: Any) -> Figures:
    return Figures(
        received=row.received,
        duplicates=row.duplicates,
        succeeded=row.succeeded,
        unhandled=row.unhandled,
        retried=row.retried,
        dead=row.dead,
        processing=Histogram.decode(row.processing),
    )


def _refusal_values(sample: Refusal) -> dict[str, Any]:
    return {
        "tenant_id": sample.tenant,
        "id": sample.id,
        "received_at": sample.received_at,
        "source": sample.source,
        "reason": sample.reason,
        "client_ip": sample.client_ip,
        "trace_id": sample.trace_id,
        "body_bytes": sample.body_bytes,
        "headers": json.dumps(sample.headers),
        "body_head": sample.body_head,
    }


def _refusal_of(row: Any) -> Refusal:
    return Refusal(
        tenant=row.tenant_id,
        id=row.id,
        received_at=row.received_at,
        source=row.source,
        reason=row.reason,
        client_ip=row.client_ip,
        trace_id=row.trace_id,
        body_bytes=row.body_bytes,
        headers=[(name, value) for name, value in json.loads(row.headers)],
        body_head=bytes(row.body_head),
    )
