"""Figures of deliveries on SQL: :class:`~custodes.planes.outbound.ports.FigureStore`."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, tuple_

from custodes.kernel.histogram import Parsed, parse
from custodes.kernel.stretches import Level, Steps
from custodes.planes.outbound.figures import Figures, Only, Series, Sums
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.bulk import affected, counted, upsert_rows
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.outbound import webhook_delivery_rollups as r

K = TypeVar("K")

#: Columns of plain counts.
_COUNTS = ("succeeded", "redirects", "client_errors", "server_errors", "unanswered", "exhausted")


class SqlDeliveryFigureStore:
    """Keeps one row a process, stretch of time, endpoint and type."""

    def put(self, tx: Transaction, writer: str, figures: Sequence[tuple[Series, Figures]]) -> None:
        """Write rows of one writer anew."""
        upsert_rows(connection_of(tx), r, [{**_key(series, writer), **_values(its)} for series, its in figures])

    def sums(self, tx: Transaction, steps: Steps, only: Only) -> Sums:
        """Add up: counts in SQL, histograms taken apart once for all ways."""
        connection = connection_of(tx)
        where = _within(steps, only)
        step = (r.c.bucket - r.c.bucket % steps.level.micros).label("step")
        times = select(step, r.c.tenant_id, r.c.configuration_id, r.c.event_type, r.c.took).where(*where)
        rows = [(row, parse(row.took)) for row in connection.execute(times)]
        return Sums(
            _added(connection, where, (step,), [(row.step, took) for row, took in rows]),
            _added(
                connection,
                where,
                (r.c.tenant_id, r.c.configuration_id),
                [((row.tenant_id, row.configuration_id), took) for row, took in rows],
            ),
            _added(connection, where, (r.c.event_type,), [(row.event_type, took) for row, took in rows]),
            _added(connection, where, (r.c.tenant_id,), [(row.tenant_id, took) for row, took in rows]),
        )

    def count_purgeable(self, tx: Transaction, level: Level, before: int) -> int:
        """Count the rows of a level from before a moment."""
        return counted(connection_of(tx), r, r.c.level == int(level), r.c.bucket < before)

    def purge(self, tx: Transaction, level: Level, before: int, limit: int) -> int:
        """Delete the oldest rows of a level from before a moment."""
        key = [r.c[column.name] for column in r.primary_key.columns]
        old = select(*key).where(r.c.level == int(level), r.c.bucket < before).order_by(r.c.bucket).limit(limit)
        return affected(connection_of(tx), delete(r).where(tuple_(*key).in_(old)))


def _within(steps: Steps, only: Only) -> list[ColumnElement[bool]]:
    pairs = (
        (r.c.tenant_id, only.tenant),
        (r.c.configuration_id, only.endpoint_id),
        (r.c.event_type, only.event_type),
    )
    stretches = (
        and_(r.c.level == int(each.level), r.c.bucket >= each.since, r.c.bucket < each.until)
        for each in steps.stretches()
    )
    return [or_(*stretches), *(column == value for column, value in pairs if value is not None)]


def _added(
    connection: Connection,
    where: Sequence[ColumnElement[bool]],
    key: Sequence[ColumnElement[Any]],
    times: Sequence[tuple[K, Parsed]],
) -> dict[K, Figures]:
    """Add up under each key; one of several columns is a tuple."""
    sums = [func.sum(r.c[name]).label(name) for name in _COUNTS]
    names = [column.key or "" for column in key]
    found: dict[K, Figures] = {}
    for row in connection.execute(select(*key, *sums).where(*where).group_by(*key)):
        found[_read(row, names)] = Figures(
            int(row.succeeded),
            int(row.redirects),
            int(row.client_errors),
            int(row.server_errors),
            int(row.unanswered),
            int(row.exhausted),
        )
    histograms: dict[K, list[Parsed]] = {}
    for which, took in times:
        histograms.setdefault(which, []).append(took)
    for which, some in histograms.items():
        found[which].took.merge_parsed(some)
    return found


def _read(row: Any, names: Sequence[str]) -> Any:
    """Return the value of one column, or the tuple of several."""
    return attrgetter(*names)(row)


def _key(series: Series, writer: str) -> dict[str, Any]:
    return {
        "tenant_id": series.tenant,
        "level": int(series.level),
        "bucket": series.bucket,
        "configuration_id": series.endpoint_id,
        "event_type": series.event_type,
        "writer": writer,
    }


def _values(figures: Figures) -> dict[str, Any]:
    return {**{name: getattr(figures, name) for name in _COUNTS}, "took": figures.took.encode()}
