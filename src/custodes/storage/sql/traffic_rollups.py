"""Rollups in a SQL store: writing, folding, retention; :mod:`custodes.storage.sql.traffic_reading` adds them up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import compress, groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from custodes.planes.traffic.ports import FoldUnit
from custodes.planes.traffic.rollup import CONSUMERS, LEVELS, Figures, Keyspace, Level, Rollups, Series, coarsen
from custodes.storage.sql.bulk import Bulk, counted
from custodes.storage.sql.tables.traffic import UNFOLDED, api_rollups

t = api_rollups

#: Rows that one transaction folds, about: at 20 µs a row others wait for the writer no longer than 20 ms.
FOLD_ROWS = 1_000

_KEY = ("tenant_id", "keyspace", "level", "bucket", "name", "method", "writer_id")

#: Columns of plain figures, those of times last, and of what is no number.
PLAIN = (
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
RICH = ("statuses", "total", "ttfb")
#: Columns of a row that is written.
WRITTEN = (*_KEY, "folded", *PLAIN, *RICH, "total_squares")
_BULK = Bulk(t, WRITTEN)

_ADDED = PLAIN[: PLAIN.index("timed")]
_FIGURES = tuple(t.c[name] for name in (*PLAIN, *RICH))
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
            figures.total.squares() if series.keyspace is Keyspace.ENDPOINT else None,  # what is ranked by them
        )
        for series, figures in rollups.items()
    ]


def insert_rows(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert encoded rows; those of a writer that are there already are passed over."""
    _BULK.insert(connection, rows)


def figures_of(rows: Sequence[Sequence[Any]]) -> Figures:
    """Add up rows that begin with the columns of :data:`PLAIN` and :data:`RICH`: column by column, below Python."""
    figures = Figures()
    columns = tuple(zip(*rows, strict=True))
    (
        figures.count,
        figures.client_errors,
        figures.server_errors,
        figures.limited,
        figures.disconnected,
        figures.request_bytes,
        figures.response_bytes,
    ) = map(sum, columns[: len(_ADDED)])
    add_times(figures, *columns[len(_ADDED) : len(PLAIN)])
    statuses, total, ttfb = columns[len(PLAIN) : len(PLAIN) + len(RICH)]
    for told in filter(None, statuses):
        for status, count in json.loads(told).items():
            figures.statuses[int(status)] = figures.statuses.get(int(status), 0) + count
    if figures.timed:
        figures.total.wait_for(total)
        figures.ttfb.wait_for(ttfb)
    return figures


def add_times(
    figures: Figures, timed: Sequence[int], total_sum: Sequence[int], total_min: Sequence[int], total_max: Sequence[int]
) -> None:
    """Add up the plain figures of times; the shortest counts where something was timed."""
    if any(timed):
        figures.add_times(sum(timed), sum(total_sum), min(compress(total_min, timed)), max(total_max))


# ── Folding ──────────────────────────────────────────────────────────────────


def first_buckets(connection: Connection) -> dict[Level, int]:
    """Tell when the first bucket of each level begins: a look at the index of levels for each."""
    firsts = {level: select(func.min(t.c.bucket)).where(t.c.level == level.value) for level in LEVELS}
    found = connection.execute(select(*(query.scalar_subquery() for query in firsts.values()))).one()
    return {level: bucket for level, bucket in zip(firsts, found, strict=True) if bucket is not None}


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
    rows = connection.execute(marked).all()
    groups: dict[Series, list[Sequence[Any]]] = {}
    for row in rows:
        series = Series(row.tenant_id, unit.keyspace, unit.bucket, row.name, row.method)
        groups.setdefault(series, []).append(row)
    sums = {series: figures_of(some) for series, some in groups.items()}
    insert_rows(connection, rows_of(coarsen(sums, unit.into), unit.into, writer_id))
    return len(rows)


# ── Retention ────────────────────────────────────────────────────────────────


def count_purgeable(connection: Connection, level: Level, before: int) -> int:
    """Count the rows of a level that retention would delete in the end."""
    return counted(connection, t, *_purgeable(level, before))


def _purgeable(level: Level, before: int) -> tuple[ColumnElement[bool], ...]:
    return t.c.level == level.value, t.c.bucket < before, t.c.folded == 1
