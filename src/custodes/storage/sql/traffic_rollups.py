"""Rollups in a SQL store: writing, adding up, folding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, TextClause, func, select, text, update

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


class _Sums:
    """Adds rows up; histograms all at once at the end, which is quicker."""

    def __init__(self) -> None:
        self._figures: dict[Series, Figures] = {}
        self._totals: dict[Series, list[bytes]] = {}
        self._ttfbs: dict[Series, list[bytes]] = {}

    def add(self, series: Series, row: Sequence[Any]) -> None:
        """Add a row that begins with the columns of :data:`_PLAIN` and :data:`_RICH`."""
        figures = self._figures.get(series)
        if figures is None:
            figures = self._figures[series] = Figures()
            self._totals[series], self._ttfbs[series] = [], []
        statuses, total, ttfb = row[len(_PLAIN) : _WHOLE]
        _add_plain(figures, row)
        if statuses:
            for status, count in json.loads(statuses).items():
                figures.statuses[int(status)] = figures.statuses.get(int(status), 0) + count
        if total:
            self._totals[series].append(total)
            self._ttfbs[series].append(ttfb)

    def done(self) -> Rollups:
        """Return the sums."""
        for series, figures in self._figures.items():
            figures.total.merge_all(self._totals[series])
            figures.ttfb.merge_all(self._ttfbs[series])
        return self._figures


def _add_plain(figures: Figures, row: Sequence[Any]) -> None:
    count, client_errors, server_errors, limited, disconnected, request_bytes, response_bytes, *times = row[:_TIMES]
    figures.count += count
    figures.client_errors += client_errors
    figures.server_errors += server_errors
    figures.limited += limited
    figures.disconnected += disconnected
    figures.request_bytes += request_bytes
    figures.response_bytes += response_bytes
    if times[0]:
        figures.add_times(*times)


#: Where the plain columns end in a row, and all of them.
_TIMES = len(_PLAIN)
_WHOLE = _TIMES + len(_RICH)


# ── Adding up ────────────────────────────────────────────────────────────────


def read(connection: Connection, query: RollupQuery) -> Rollups:
    """Add up rollups with everything they hold."""
    if query.ranking:
        return _read_totals(connection, query)
    sums = _Sums()
    for *row, bucket, name, method in connection.execute(*rows_query(query, connection.dialect.name)):
        at = bucket - (bucket - query.since) % query.step
        sums.add(Series("", query.keyspace, at, name, method), row)
    return sums.done()


def _read_totals(connection: Connection, query: RollupQuery) -> Rollups:
    """Add up what a ranking by time asks for: the times to the last byte."""
    found: Rollups = {}
    encoded: dict[Series, list[bytes]] = {}
    parts, values = _parts(
        query, connection.dialect.name, "name, method, timed, total_sum, total_min, total_max, total"
    )
    for name, method, timed, *times, total in connection.execute(text(" UNION ALL ".join(parts)), values):
        if timed:
            series = Series("", query.keyspace, query.since, name, method)
            figures = found.setdefault(series, Figures())
            figures.add_times(timed, *times)
            encoded.setdefault(series, []).append(total)
    for series, figures in found.items():
        figures.total.merge_all(encoded[series])
    return found


def read_sums(connection: Connection, query: RollupQuery) -> Rollups:
    """Add up the plain figures in SQL: one row a series comes back."""
    found: Rollups = {}
    for *row, name, method in connection.execute(*sums_query(query, connection.dialect.name)):
        figures = found[Series("", query.keyspace, query.since, name, method)] = Figures()
        _add_plain(figures, row)
    return found


def rows_query(query: RollupQuery, dialect: str) -> tuple[TextClause, dict[str, Any]]:
    """Write the query of all rows, with their bucket, name and method, and its parameters."""
    parts, values = _parts(query, dialect, ", ".join((*_PLAIN, *_RICH, "bucket", "name", "method")))
    return text(" UNION ALL ".join(parts)), values


def sums_query(query: RollupQuery, dialect: str) -> tuple[TextClause, dict[str, Any]]:
    """Write the query that adds up plain figures by name and method, and its parameters."""
    parts, values = _parts(query, dialect, ", ".join((*_PLAIN, "name", "method")))
    # PostgreSQL adds up BIGINT to NUMERIC.
    added = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in _PLAIN[:-2])
    return text(
        f"SELECT {added}, coalesce(min(total_min) FILTER (WHERE timed > 0), 0), max(total_max), name, method "  # noqa: S608 - names of our own columns
        f"FROM ({' UNION ALL '.join(parts)}) AS parts GROUP BY name, method"
    ), values


def _parts(query: RollupQuery, dialect: str, columns: str) -> tuple[list[str], dict[str, Any]]:
    """Write one SELECT for each stretch, and one for what each finer level holds that is not folded yet.

    Text, since a question about a long time has some twenty of them: building as many expressions would take SQLAlchemy
    longer than the database takes to answer.
    """
    values: dict[str, Any] = {"keyspace": query.keyspace.value}
    common = [f"tenant_id IN ({_listed('tenant', query.tenants, values)})", "keyspace = :keyspace"]
    if query.method is not None:
        values["method"] = query.method
        common.append("method = :method")
    wanted = query.names
    if query.pairs is not None:
        wanted = tuple(dict.fromkeys(name for name, _ in query.pairs))
        # No method holds a space.
        pairs = _listed("pair", [f"{method} {name}" for name, method in query.pairs], values)
        common.append(f"method || ' ' || name IN ({pairs})")
    names = _listed("name", wanted or (), values)
    besides = _listed("besides", query.besides, values)
    parts: list[str] = []

    def part(level: Level, since: int, until: int, *conditions: str, source: str = t.name) -> None:
        number = len(parts)
        values.update({f"level{number}": level.value, f"since{number}": since, f"until{number}": until})
        where = [*common, f"level = :level{number}", f"bucket >= :since{number}", f"bucket < :until{number}"]
        if besides and level is LEVELS[0]:
            where.append(f"writer_id NOT IN ({besides})")
        parts.append(f"SELECT {columns} FROM {source} WHERE {' AND '.join((*where, *conditions))}")  # noqa: S608 - as above

    # SQLite, which knows no statistics, would rather read all of a bucket by the key than a few rows by another index.
    by_name, by_unfolded = (
        f"{t.name} INDEXED BY ix_api_rollups_{index}" if dialect == "sqlite" else t.name
        for index in ("series", "unfolded")
    )
    named = [f"name IN ({names})"] if wanted is not None else []
    for stretch in query.stretches:
        part(stretch.level, stretch.since, stretch.until, *named, source=by_name if named else t.name)
    # Of the few unfolded rows the names are chosen afterwards: the index of names would lead through all folded ones.
    chosen = [f"name || '' IN ({names})"] if named else []
    for level in LEVELS:
        for since, until in _coarser(query.stretches, level):
            part(level, since, until, str(UNFOLDED), *chosen, source=by_unfolded)
    return parts, values


def _listed(name: str, members: Sequence[str], values: dict[str, Any]) -> str:
    """Name a parameter for each member; ``NULL``, which nothing equals, when there is none."""
    values.update({f"{name}{number}": member for number, member in enumerate(members)})
    return ", ".join(f":{name}{number}" for number in range(len(members))) or ("" if name == "besides" else "NULL")


def _coarser(stretches: Sequence[Stretch], level: Level) -> list[tuple[int, int]]:
    """Tell where a coarser level than this one is read; stretches that touch are one."""
    found: list[tuple[int, int]] = []
    for stretch in sorted(stretches, key=lambda one: one.since):
        if stretch.level <= level:
            continue
        if found and found[-1][1] == stretch.since:
            found[-1] = (found[-1][0], stretch.until)
        else:
            found.append((stretch.since, stretch.until))
    return found


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
    sums = _Sums()
    rows = connection.execute(marked).all()
    for row in rows:
        sums.add(Series(row.tenant_id, unit.keyspace, unit.bucket, row.name, row.method), row)
    insert_rows(connection, rows_of(coarsen(sums.done(), unit.into), unit.into, writer_id))
    return len(rows)


# ── Retention ────────────────────────────────────────────────────────────────


def count_purgeable(connection: Connection, level: Level, before: int) -> int:
    """Count the rows of a level that retention would delete in the end."""
    return counted(connection, t, *_purgeable(level, before))


def _purgeable(level: Level, before: int) -> tuple[ColumnElement[bool], ...]:
    return t.c.level == level.value, t.c.bucket < before, t.c.folded == 1
