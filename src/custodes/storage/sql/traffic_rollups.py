"""Rollups in a SQL store: writing, adding up, folding."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import compress, groupby, pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from custodes.planes.traffic.ports import FoldUnit, RollupQuery
from custodes.planes.traffic.ranges import Stretch
from custodes.planes.traffic.rollup import CONSUMERS, LEVELS, Figures, Keyspace, Level, Rollups, Series, coarsen
from custodes.storage.sql.bulk import Bulk, counted
from custodes.storage.sql.tables.traffic import UNFOLDED, api_rollups

t = api_rollups

#: Rows that one transaction folds, about: at 20 µs a row others wait for the writer no longer than 20 ms.
FOLD_ROWS = 1_000

#: Buckets of a stretch that are named one by one, so that a key's next columns are searched in each.
MAX_NAMED = 100

#: Stretches of one level that are not folded and read by themselves: a statement of SQLite has 500 parts at most.
MAX_RUNS = 10

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


def _figures_of(rows: Sequence[Sequence[Any]]) -> Figures:
    """Add up rows that begin with the columns of :data:`_PLAIN` and :data:`_RICH`: column by column, below Python."""
    figures = Figures()
    columns = tuple(zip(*rows, strict=True))
    for name, column in zip(_ADDED, columns, strict=False):
        setattr(figures, name, sum(column))
    _time(figures, *columns[len(_ADDED) : len(_PLAIN)])
    statuses, total, ttfb = columns[len(_PLAIN) : _WHOLE]
    for told in filter(None, statuses):
        for status, count in json.loads(told).items():
            figures.statuses[int(status)] = figures.statuses.get(int(status), 0) + count
    if figures.timed:
        figures.total.merge_all(total)
        figures.ttfb.merge_all(ttfb)
    return figures


def _time(
    figures: Figures, timed: Sequence[int], total_sum: Sequence[int], total_min: Sequence[int], total_max: Sequence[int]
) -> None:
    """Add up the plain figures of times; the shortest counts where something was timed."""
    if any(timed):
        figures.add_times(sum(timed), sum(total_sum), min(compress(total_min, timed)), max(total_max))


#: Where all columns end in a row, and the plain ones that are added up.
_WHOLE = len(_PLAIN) + len(_RICH)
_ADDED = _PLAIN[: _PLAIN.index("timed")]

#: How a plain figure is added up in SQL, where it is not by ``sum``; PostgreSQL adds up BIGINT to NUMERIC.
_AGGREGATES = {
    "total_min": "coalesce(min(total_min) FILTER (WHERE timed > 0), 0)",
    "total_max": "max(total_max)",
}


# ── Adding up ────────────────────────────────────────────────────────────────


def read(connection: Connection, query: RollupQuery) -> Rollups:
    """Add up rollups with everything they hold."""
    dialect = connection.dialect.name
    unfolded = runs_of(connection, query)
    if query.ranking:
        return _totals(connection.exec_driver_sql(*totals_query(query, unfolded, dialect)).all(), query)
    groups: dict[tuple[int, str, str], list[Sequence[Any]]] = {}
    for row in connection.exec_driver_sql(*rows_query(query, unfolded, dialect)).all():
        bucket, name, method = row[_WHOLE:]
        groups.setdefault((bucket - (bucket - query.since) % query.step, name, method), []).append(row)
    return {Series("", query.keyspace, *key): _figures_of(rows) for key, rows in groups.items()}


def _totals(rows: Sequence[Any], query: RollupQuery) -> Rollups:
    """Add up what a ranking by time asks for: the times to the last byte."""
    groups: dict[tuple[str, str], list[Sequence[Any]]] = {}
    for name, method, *times in rows:
        groups.setdefault((name, method), []).append(times)
    found: Rollups = {}
    for key, some in groups.items():
        *plain, total = zip(*some, strict=True)
        if any(plain[0]):
            figures = found[Series("", query.keyspace, query.since, *key)] = Figures()
            _time(figures, *plain)
            figures.total.merge_all(total)
    return found


def read_sums(connection: Connection, query: RollupQuery) -> Rollups:
    """Add up the plain figures in SQL: one row a series comes back."""
    found: Rollups = {}
    wanted = query.figures or _PLAIN
    statement = sums_query(query, runs_of(connection, query), connection.dialect.name)
    for name, method, *row in connection.exec_driver_sql(*statement).all():
        figures = found[Series("", query.keyspace, query.since, name, method)] = Figures()
        for figure, value in zip(wanted, row, strict=True):
            setattr(figures, figure, value)
    return found


def runs_of(connection: Connection, query: RollupQuery) -> list[Stretch]:
    """Tell where finer levels hold rows that are not folded yet: stretches of adjacent buckets, the finest first.

    There are few, as a rule: the buckets of the hour, the day, the week under way. They are looked up in an index of
    what is not folded; the rows themselves are then read in their order, which is several times as fast as one by one.
    """
    statement = unfolded_query(query, connection.dialect.name)
    if statement is None:
        return []
    buckets: dict[Level, list[int]] = {}
    for number, bucket in connection.exec_driver_sql(*statement):
        buckets.setdefault(Level(number), []).append(bucket)
    return [run for level, some in sorted(buckets.items()) for run in _runs(level, sorted(set(some)))]


def _runs(level: Level, buckets: list[int]) -> list[Stretch]:
    """Join buckets that touch, and those nearest to each other while there are more than :data:`MAX_RUNS`."""
    gaps = sorted(((after - before, after) for before, after in pairwise(buckets)), reverse=True)
    begins = sorted([buckets[0], *(after for gap, after in gaps[: MAX_RUNS - 1] if gap > level.micros)])
    ends = [*(buckets[bisect_left(buckets, begin) - 1] for begin in begins[1:]), buckets[-1]]
    return [Stretch(level, begin, last + level.micros) for begin, last in zip(begins, ends, strict=True)]


#: A statement with the names of its parameters as the driver writes them, and their values. Text beneath SQLAlchemy: a
#: question about a long time has some twenty parts, and building as many expressions, or looking for parameters in as
#: much text, takes longer than the database takes to answer.
Statement = tuple[str, dict[str, Any]]


def rows_query(query: RollupQuery, unfolded: Sequence[Stretch], dialect: str) -> Statement:
    """Write the query of all rows, with their bucket, name and method."""
    rich = _RICH if query.statuses else ("''", *_RICH[1:])
    return _Parts(query, unfolded, dialect).of((*_PLAIN, *rich, "bucket", "name", "method"))


def totals_query(query: RollupQuery, unfolded: Sequence[Stretch], dialect: str) -> Statement:
    """Write the query of names, methods and times to the last byte."""
    return _Parts(query, unfolded, dialect).of(("name", "method", *_PLAIN[-4:], "total"))


def sums_query(query: RollupQuery, unfolded: Sequence[Stretch], dialect: str) -> Statement:
    """Write the query that adds up plain figures by name and method."""
    wanted = query.figures or _PLAIN
    read_of = dict.fromkeys((*wanted, "timed") if "total_min" in wanted else wanted)
    parts, values = _Parts(query, unfolded, dialect).of(("name", "method", *read_of))
    added = ", ".join(_AGGREGATES.get(name, f"CAST(sum({name}) AS BIGINT)") for name in wanted)
    return f"SELECT name, method, {added} FROM ({parts}) AS parts GROUP BY name, method", values  # noqa: S608 - names of our own columns


def unfolded_query(query: RollupQuery, dialect: str) -> Statement | None:
    """Write the query of buckets of finer levels that hold rows which are not folded yet; None without finer levels."""
    where = [(level, since, until) for level in LEVELS for since, until in _coarser(query.stretches, level)]
    parts = _Parts(query, (), dialect)
    if not where:
        return None
    if dialect == "sqlite":
        return _walk(parts, query.tenants, where), parts.values
    return " UNION ALL ".join(
        f"SELECT DISTINCT level, bucket FROM {t.name} WHERE {parts.within(Stretch(*each))} AND {UNFOLDED}"  # noqa: S608 - names of our own columns
        for each in where
    ), parts.values


def _walk(parts: _Parts, tenants: Sequence[str], where: Sequence[tuple[Level, int, int]]) -> str:
    """Write the query for SQLite: from one bucket to the next through the index.

    SQLite looks at the row of each entry of a partial index, even when it holds all that is asked for, and would rather
    read all rows of a bucket by the key: hence one entry of each bucket, and the index by its name.
    """

    def first(since: str) -> str:
        return (
            f"(SELECT t.bucket FROM {t.name} AS t INDEXED BY ix_api_rollups_unfolded"  # noqa: S608 - as above
            f" WHERE t.tenant_id = s.tenant AND t.keyspace = {parts.keyspace} AND t.level = s.level"
            f" AND t.bucket {since} AND t.bucket < s.until AND t.{UNFOLDED} ORDER BY t.bucket LIMIT 1)"
        )

    begins = ", ".join(
        f"({parts.one(f'tenant{number}', tenant)}, {level.value}, {since}, {until})"
        for number, tenant in enumerate(tenants)
        for level, since, until in where
    )
    return (
        f"WITH RECURSIVE begins (tenant, level, since, until) AS (VALUES {begins}),"  # noqa: S608 - as above
        f" s (tenant, level, until, bucket) AS ("
        f"SELECT s.tenant, s.level, s.until, {first('>= s.since')} FROM begins AS s"
        f" UNION ALL SELECT s.tenant, s.level, s.until, {first('> s.bucket')} FROM s WHERE s.bucket IS NOT NULL"
        f") SELECT level, bucket FROM s WHERE bucket IS NOT NULL"
    )


class _Parts:
    """Writes one SELECT for each stretch, and one for each stretch that is not folded yet.

    Args:
        query: what is asked.
        unfolded: where finer levels hold rows that are not folded yet.
        dialect: whose.
    """

    def __init__(self, query: RollupQuery, unfolded: Sequence[Stretch], dialect: str) -> None:
        self._query = query
        self._unfolded = unfolded
        self._sqlite = dialect == "sqlite"
        self.values: dict[str, Any] = {}
        self.keyspace = self.one("keyspace", query.keyspace.value)
        self._series = f"tenant_id IN ({self._all('tenant', query.tenants)}) AND keyspace = {self.keyspace}"

    def of(self, columns: Sequence[str]) -> Statement:
        """Write the query of some columns of all rows that are asked for."""
        query = self._query
        method = "" if query.method is None else f" AND method = {self.one('method', query.method)}"
        named, paired, begin = self._names()
        finest = f" AND writer_id NOT IN ({self._all('besides', query.besides)})" if query.besides else ""
        select = f"SELECT {', '.join(columns)} FROM"
        parts = [(stretch, "") for stretch in query.stretches]
        # Not in the words of the index of what is not folded: these rows are read in their own order.
        parts += [(stretch, " AND folded + 0 = 0") for stretch in self._unfolded]
        return begin + " UNION ALL ".join(
            f"{select} {self._rows(each, named, paired)}{method}{where}{finest if each.level is LEVELS[0] else ''}"
            for each, where in parts
        ), self.values

    def _names(self) -> tuple[str, str, str]:
        """Write the conditions on names and on pairs of name and method, and what they need before all parts."""
        names, pairs = self._query.names, self._query.pairs
        if pairs is None:
            return "" if names is None else f" AND name {self._among('name', names)}", "", ""
        named = f" AND name {self._among('name', tuple(dict.fromkeys(name for name, _ in pairs)))}"
        if not pairs or not self._sqlite:
            # No method holds a space.
            return named, f" AND method || ' ' || name {self._among('pair', [f'{m} {n}' for n, m in pairs])}", ""
        listed = ", ".join(
            f"({self.one(f'pair{number}', name)}, {self.one(f'of{number}', method)})"
            for number, (name, method) in enumerate(pairs)
        )
        return named, " AND (name, method) IN pairs", f"WITH pairs (name, method) AS (VALUES {listed}) "

    def _rows(self, stretch: Stretch, named: str, paired: str) -> str:
        """Write the table and the condition of a stretch.

        On SQLite, which knows no statistics and would rather read all of a bucket by the key: a few series in few
        buckets are looked up by the whole key, else some names over a long time by the index of series. PostgreSQL
        would look through pieces of other times for buckets that are named one by one.
        """
        buckets = range(stretch.since, stretch.until, stretch.level.micros)
        if self._sqlite and paired and len(buckets) <= MAX_NAMED:
            within = f"{self._series} AND level = {stretch.level.value} AND bucket IN ({', '.join(map(str, buckets))})"
            return f"{t.name} WHERE {within}{paired}"
        index = " INDEXED BY ix_api_rollups_series" if named and self._sqlite else ""
        return f"{t.name}{index} WHERE {self.within(stretch)}{named}{paired}"

    def within(self, stretch: Stretch) -> str:
        """Write the condition of the rows of a stretch."""
        bucket = f"bucket >= {stretch.since} AND bucket < {stretch.until}"
        return f"{self._series} AND level = {stretch.level.value} AND {bucket}"

    def one(self, name: str, value: object) -> str:
        """Name a parameter."""
        self.values[name] = value
        return f":{name}" if self._sqlite else f"%({name})s"

    def _among(self, name: str, members: Sequence[str]) -> str:
        """Write the condition of being among these: on PostgreSQL one parameter, which is planned far quicker."""
        return f"IN ({self._all(name, members)})" if self._sqlite else f"= ANY({self.one(name, list(members))})"

    def _all(self, name: str, members: Sequence[str]) -> str:
        """Name a parameter for each member; ``NULL``, which nothing equals, when there is none."""
        return ", ".join(self.one(f"{name}{number}", member) for number, member in enumerate(members)) or "NULL"


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
    rows = connection.execute(marked).all()
    groups: dict[Series, list[Sequence[Any]]] = {}
    for row in rows:
        series = Series(row.tenant_id, unit.keyspace, unit.bucket, row.name, row.method)
        groups.setdefault(series, []).append(row)
    sums = {series: _figures_of(some) for series, some in groups.items()}
    insert_rows(connection, rows_of(coarsen(sums, unit.into), unit.into, writer_id))
    return len(rows)


# ── Retention ────────────────────────────────────────────────────────────────


def count_purgeable(connection: Connection, level: Level, before: int) -> int:
    """Count the rows of a level that retention would delete in the end."""
    return counted(connection, t, *_purgeable(level, before))


def _purgeable(level: Level, before: int) -> tuple[ColumnElement[bool], ...]:
    return t.c.level == level.value, t.c.bucket < before, t.c.folded == 1
