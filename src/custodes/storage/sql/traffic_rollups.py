"""Rollups in a SQL store: writing, adding up, folding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    cast,
    func,
    select,
    update,
)

from custodes.planes.traffic.ports import FoldUnit, RollupQuery
from custodes.planes.traffic.ranges import Stretch
from custodes.planes.traffic.rollup import CONSUMERS, LEVELS, Figures, Keyspace, Level, Rollups, Series, coarsen
from custodes.storage.sql.bulk import Bulk, counted
from custodes.storage.sql.tables.traffic import UNFOLDED, api_rollups

t = api_rollups

#: Rows that one transaction folds, about: at 20 µs a row others wait for the writer no longer than 20 ms.
FOLD_ROWS = 1_000

_KEY = ("tenant_id", "keyspace", "level", "bucket", "name", "method", "writer_id")
_PLAIN = (
    "count",
    "client_errors",
    "server_errors",
    "limited",
    "disconnected",
    "request_bytes",
    "response_bytes",
    "timed",
    "total_sum",
    "total_min",
    "total_max",
)
_RICH = ("statuses", "total", "ttfb")
_BULK = Bulk(t, (*_KEY, "folded", *_PLAIN, *_RICH))

_FIGURES = tuple(t.c[name] for name in (*_PLAIN, *_RICH))
_SERIES = (t.c.tenant_id, t.c.keyspace, t.c.bucket, t.c.name, t.c.method)


# ── Writing ──────────────────────────────────────────────────────────────────


def rows_of(rollups: Rollups, level: Level, writer_id: str) -> list[tuple[Any, ...]]:
    """Encode rollups as rows of a level, ready to insert."""
    folded = int(level is LEVELS[-1])
    return [
        (
            series.tenant,
            series.keyspace.value,
            level.value,
            series.bucket,
            series.name,
            series.method,
            writer_id,
            folded,
            figures.count,
            figures.client_errors,
            figures.server_errors,
            figures.limited,
            figures.disconnected,
            figures.request_bytes,
            figures.response_bytes,
            figures.timed,
            figures.total_sum,
            figures.total_min,
            figures.total_max,
            json.dumps(figures.statuses, separators=(",", ":")) if figures.statuses else "",
            figures.total.encode(),
            figures.ttfb.encode(),
        )
        for series, figures in rollups.items()
    ]


def insert_rows(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert encoded rows; those of a writer that are there already are passed over."""
    _BULK.insert(connection, rows)


def _add(figures: Figures, row: Row[Any]) -> None:
    """Add a row's figures to others."""
    _add_plain(figures, row)
    if row.statuses:
        for status, count in json.loads(row.statuses).items():
            figures.statuses[int(status)] = figures.statuses.get(int(status), 0) + count
    figures.total.merge_encoded(row.total)
    figures.ttfb.merge_encoded(row.ttfb)


def _add_plain(figures: Figures, row: Row[Any]) -> None:
    figures.count += row[0]
    figures.client_errors += row.client_errors
    figures.server_errors += row.server_errors
    figures.limited += row.limited
    figures.disconnected += row.disconnected
    figures.request_bytes += row.request_bytes
    figures.response_bytes += row.response_bytes
    if row.timed:
        figures.add_times(row.timed, row.total_sum, row.total_min, row.total_max)


# ── Adding up ────────────────────────────────────────────────────────────────


def read(connection: Connection, query: RollupQuery) -> Rollups:
    """Add up rollups with everything they hold."""
    found: Rollups = {}
    columns = (*_FIGURES, t.c.bucket, t.c.name, t.c.method)
    for where in _conditions(query):
        for row in connection.execute(select(*columns).where(where)):
            bucket = row.bucket - (row.bucket - query.since) % query.step
            series = Series("", query.keyspace, bucket, row.name, row.method)
            _add(found.setdefault(series, Figures()), row)
    return found


def read_sums(connection: Connection, query: RollupQuery) -> Rollups:
    """Add up the plain figures in SQL: one row a series comes back."""
    found: Rollups = {}
    for where in _conditions(query):
        for row in connection.execute(sums_query(where)):
            series = Series("", query.keyspace, query.since, row.name, row.method)
            _add_plain(found.setdefault(series, Figures()), row)
    return found


def sums_query(where: ColumnElement[bool]) -> Select[Any]:
    """Write the query that adds up plain figures by name and method."""
    # PostgreSQL adds up BIGINT to NUMERIC.
    added = [cast(func.sum(t.c[name]), BigInteger).label(name) for name in _PLAIN[:-2]]
    shortest = func.coalesce(func.min(t.c.total_min).filter(t.c.timed > 0), 0).label("total_min")
    return (
        select(*added, shortest, func.max(t.c.total_max).label("total_max"), t.c.name, t.c.method)
        .where(where)
        .group_by(t.c.name, t.c.method)
    )


def _conditions(query: RollupQuery) -> Iterator[ColumnElement[bool]]:
    """Write one condition for each stretch and level: all of its level, and of finer ones what is not folded yet."""
    for stretch in query.stretches:
        for level in LEVELS:
            if level <= stretch.level:
                yield and_(*_condition(query, stretch, level))


def _condition(query: RollupQuery, stretch: Stretch, level: Level) -> Iterator[Any]:
    yield t.c.tenant_id.in_(query.tenants)
    yield t.c.keyspace == query.keyspace.value
    yield t.c.level == level.value
    yield t.c.bucket >= stretch.since
    yield t.c.bucket < stretch.until
    if level is not stretch.level:
        yield UNFOLDED
    if query.names is not None:
        # The few unfolded rows are found by their own index; the index of names would lead through all folded ones.
        name = t.c.name if level is stretch.level else t.c.name.concat("")
        yield name.in_(query.names)
    if query.method is not None:
        yield t.c.method == query.method
    if query.besides and level is LEVELS[0]:
        yield t.c.writer_id.not_in(query.besides)


# ── Folding ──────────────────────────────────────────────────────────────────


def foldable(connection: Connection, level: Level, into: Level, before: int) -> list[FoldUnit]:
    """List what waits to be folded, cut into units of about :data:`FOLD_ROWS` rows."""
    wider = t.c.bucket - t.c.bucket % into.micros
    query = (
        select(t.c.tenant_id, t.c.keyspace, wider.label("wider"), t.c.name, func.count().label("rows"))
        .where(t.c.level == level.value, UNFOLDED, t.c.bucket < into.start_of(before))
        .group_by(t.c.tenant_id, t.c.keyspace, wider, t.c.name)
        .order_by(t.c.tenant_id, t.c.keyspace, wider, t.c.name)
    )
    units: list[FoldUnit] = []
    for (tenant, keyspace, bucket), names in groupby(connection.execute(query), lambda row: tuple(row[:3])):
        kind = Keyspace(keyspace)
        units += [
            FoldUnit(level, into, tenant, kind, bucket, (chunk[0][0], chunk[-1][0]), sum(rows for _, rows in chunk))
            for chunk in _chunks([(row.name, row.rows) for row in names], whole=kind in CONSUMERS)
        ]
    return units


def _chunks(names: list[tuple[str, int]], *, whole: bool) -> Iterator[list[tuple[str, int]]]:
    """Cut names into runs of about :data:`FOLD_ROWS` rows; consumers stay together, to find the heaviest of all."""
    chunk: list[tuple[str, int]] = []
    rows = 0
    for name, count in names:
        chunk.append((name, count))
        rows += count
        if rows >= FOLD_ROWS and not whole:
            yield chunk
            chunk, rows = [], 0
    if chunk:
        yield chunk


def fold(connection: Connection, unit: FoldUnit, writer_id: str) -> int:
    """Mark the rows of a unit as folded and add them up into the coarser level.

    Marking returns the rows, so that what was marked and what was added up are the same rows on every engine, whoever
    writes meanwhile.
    """
    first, last = unit.names
    marked = (
        update(t)
        .where(
            t.c.level == unit.level.value,
            UNFOLDED,
            t.c.tenant_id == unit.tenant,
            t.c.keyspace == unit.keyspace.value,
            t.c.bucket >= unit.bucket,
            t.c.bucket < unit.bucket + unit.into.micros,
            t.c.name >= first,
            t.c.name <= last,
        )
        .values(folded=1)
        .returning(*_FIGURES, *_SERIES)
    )
    taken: Rollups = {}
    rows = connection.execute(marked).all()
    for row in rows:
        series = Series(row.tenant_id, unit.keyspace, unit.bucket, row.name, row.method)
        _add(taken.setdefault(series, Figures()), row)
    insert_rows(connection, rows_of(coarsen(taken, unit.into), unit.into, writer_id))
    return len(rows)


# ── Retention ────────────────────────────────────────────────────────────────


def count_purgeable(connection: Connection, level: Level, before: int) -> int:
    """Count the rows of a level that retention would delete in the end."""
    return counted(connection, t, *_purgeable(level, before))


def _purgeable(level: Level, before: int) -> tuple[ColumnElement[bool], ...]:
    return t.c.level == level.value, t.c.bucket < before, t.c.folded == 1
