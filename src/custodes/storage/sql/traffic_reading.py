"""Rollups of a SQL store, added up: what a question asks for is read in few statements, on one snapshot."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise, product
from typing import Any

from sqlalchemy import Connection

from custodes.planes.traffic.ports import Answer, RollupQuery
from custodes.planes.traffic.ranges import Stretch
from custodes.planes.traffic.rollup import LEVELS, Figures, Keyspace, Level, Rollups, Series
from custodes.storage.sql.pipelined import Rows, Statement, Values
from custodes.storage.sql.tables.traffic import UNFOLDED
from custodes.storage.sql.tables.traffic import api_rollups as t
from custodes.storage.sql.traffic_rollups import PLAIN, RICH, add_times, figures_of

#: Buckets of a stretch that are named one by one, so that a key's next columns are searched in each.
MAX_NAMED = 100

#: Stretches of one level that are not folded and read by themselves: a statement of SQLite has 500 parts at most.
MAX_RUNS = 10

#: Where all columns of figures end in a row.
_WHOLE = len(PLAIN) + len(RICH)

#: How a plain figure is added up in SQL, where it is not by ``sum``; PostgreSQL adds up BIGINT to NUMERIC. No square is
#: above the longest times the time itself: that is for rows of versions which kept no squares.
_AGGREGATES = {
    "total_min": "coalesce(min(total_min) FILTER (WHERE timed > 0), 0)",
    "total_max": "max(total_max)",
    "total_squares": "sum(coalesce(total_squares, CAST(total_max AS DOUBLE PRECISION) * total_sum))",
}

#: Columns that a plain figure is made of, where it is not that of its name alone.
_MADE_OF = {"total_min": ("total_min", "timed"), "total_squares": ("total_squares", "total_max", "total_sum")}


#: Buckets of finer levels that hold rows which are not folded yet, by keyspace and level.
Unfolded = dict[tuple[Keyspace, Level], list[int]]


def unfolded_in(connection: Connection, about: Sequence[RollupQuery]) -> Unfolded:
    """Look up what is not folded yet: once for all that is going to be asked."""
    found: Unfolded = {}
    statement = unfolded_query(about, connection.dialect.name)
    if statement is not None:
        for keyspace, level, bucket in connection.exec_driver_sql(*statement):
            found.setdefault((Keyspace(keyspace), Level(level)), []).append(bucket)
    return found


class SqlSnapshot:
    """A :class:`custodes.planes.traffic.ports.Snapshot` in a transaction.

    Args:
        send: sends a statement.
        dialect: whose.
        unfolded: what is not folded yet of all that is going to be asked (:func:`unfolded_in`).
    """

    def __init__(self, send: Callable[[Statement], Rows], dialect: str, unfolded: Unfolded) -> None:
        self._send = send
        self._dialect = dialect
        self._unfolded = unfolded

    def rollups(self, query: RollupQuery) -> Answer[Rollups]:
        """Add up rollups with everything they hold."""
        if query.ranking:
            ranked = self._send(totals_query(query, self._runs(query), self._dialect))
            return lambda: _totals(ranked(), query)
        rows = self._send(rows_query(query, self._runs(query), self._dialect))
        return lambda: _everything(rows(), query)

    def sums(self, query: RollupQuery) -> Answer[Rollups]:
        """Add up the plain figures in SQL: one row a series comes back."""
        plain = self.plain(query)
        return lambda: _figures(plain(), query)

    def plain(self, query: RollupQuery) -> Answer[dict[tuple[Keyspace, str, str], Sequence[Any]]]:
        """Add up the plain figures in SQL and leave them as they are."""
        if (
            self._dialect == "sqlite"
            and query.figures == ("count",)
            and not (query.beside or query.names or query.pairs)
        ):
            listed = self._send(counts_query(query, self._runs(query)))
            return lambda: {(query.keyspace, *key): (count,) for key, count in _counted(listed()).items()}
        wanted = len(query.figures or PLAIN)
        kinds = {kind.value: kind for kind in query.keyspaces}
        rows = self._send(sums_query(query, self._runs(query), self._dialect))
        if query.beside:
            return lambda: {(kinds[row[-1]], row[wanted], row[wanted + 1]): row for row in rows()}
        return lambda: {(query.keyspace, row[wanted], row[wanted + 1]): row for row in rows()}

    def _runs(self, query: RollupQuery) -> list[Stretch]:
        """Tell where finer levels hold rows that are not folded yet: stretches of adjacent buckets, the finest first.

        There are few, as a rule: the buckets of the hour, the day, the week under way. They are looked up in an index
        of what is not folded; the rows themselves are then read in their order, which is several times as fast as one
        by one.
        """
        runs: list[Stretch] = []
        for level in LEVELS:
            known = {bucket for each in query.keyspaces for bucket in self._unfolded.get((each, level), ())}
            for since, until in _coarser(query.stretches, level):
                if within := sorted(bucket for bucket in known if since <= bucket < until):
                    runs += _runs(level, within)
        return runs


def _everything(rows: Iterable[Any], query: RollupQuery) -> Rollups:
    """Add up all that rows hold, series by series."""
    groups: dict[tuple[int, str, str], list[Sequence[Any]]] = {}
    since, step = query.since, query.step
    for row in rows:
        bucket, name, method = row[_WHOLE:]
        groups.setdefault((bucket - (bucket - since) % step, name, method), []).append(row)
    return {Series("", query.keyspace, *key): figures_of(some) for key, some in groups.items()}


def _totals(rows: Iterable[Any], query: RollupQuery) -> Rollups:
    """Add up what a ranking by time asks for: the times to the last byte."""
    groups: dict[tuple[str, str], list[Sequence[Any]]] = {}
    for name, method, *times in rows:
        groups.setdefault((name, method), []).append(times)
    found: Rollups = {}
    for key, some in groups.items():
        *plain, total = zip(*some, strict=True)
        if any(plain[0]):
            figures = found[Series("", query.keyspace, query.since, *key)] = Figures()
            add_times(figures, *plain)
            figures.total.wait_for(total)
    return found


def _counted(rows: Iterable[Any]) -> dict[tuple[str, str], int]:
    """Add up counts bucket by bucket; most buckets of a level are of the same series in the same order."""
    alike: dict[tuple[str, str], list[list[int]]] = {}
    for names, methods, counts in rows:
        alike.setdefault((names, methods), []).append(json.loads(counts))
    found: dict[tuple[str, str], int] = {}
    for (names, methods), some in alike.items():
        for key, *counts in zip(zip(json.loads(names), json.loads(methods), strict=True), *some, strict=True):
            found[key] = found.get(key, 0) + sum(counts)
    return found


def _figures(plain: Mapping[tuple[Keyspace, str, str], Sequence[Any]], query: RollupQuery) -> Rollups:
    """Make figures of sums."""
    found: Rollups = {}
    for (keyspace, name, method), row in plain.items():
        figures = found[Series("", keyspace, query.since, name, method)] = Figures()
        for figure, value in zip(query.figures or PLAIN, row, strict=False):
            setattr(figures, figure, value)
    return found


def _runs(level: Level, buckets: list[int]) -> list[Stretch]:
    """Join buckets that touch, and those nearest to each other while there are more than :data:`MAX_RUNS`."""
    gaps = sorted(((after - before, after) for before, after in pairwise(buckets)), reverse=True)
    begins = sorted([buckets[0], *(after for gap, after in gaps[: MAX_RUNS - 1] if gap > level.micros)])
    ends = [*(buckets[bisect_left(buckets, begin) - 1] for begin in begins[1:]), buckets[-1]]
    return [Stretch(level, begin, last + level.micros) for begin, last in zip(begins, ends, strict=True)]


# Statements are text beneath SQLAlchemy: a question about a long time has some twenty parts, and building as many
# expressions, or looking for parameters in as much text, takes longer than the database takes to answer.


def rows_query(query: RollupQuery, unfolded: Sequence[Stretch], dialect: str) -> Statement:
    """Write the query of all rows, with their bucket, name and method."""
    rich = RICH if query.statuses else ("''", *RICH[1:])
    return _Parts(query, unfolded, dialect).of((*PLAIN, *rich, "bucket", "name", "method"))


def totals_query(query: RollupQuery, unfolded: Sequence[Stretch], dialect: str) -> Statement:
    """Write the query of names, methods and times to the last byte."""
    return _Parts(query, unfolded, dialect).of(("name", "method", *PLAIN[-4:], "total"))


def sums_query(query: RollupQuery, unfolded: Sequence[Stretch], dialect: str) -> Statement:
    """Write the query that adds up plain figures by keyspace, name and method."""
    wanted = query.figures or PLAIN
    read_of = dict.fromkeys(column for name in wanted for column in _MADE_OF.get(name, (name,)))
    # What is sorted by first tells most apart: SQLite sorts to add up, and compares what follows far more slowly.
    by = ("name", "method", "keyspace") if query.beside else ("name", "method")
    # In the order in which they are added up: PostgreSQL then takes the rows of the parts as they are.
    parts, values = _Parts(query, unfolded, dialect).of((*read_of, *by))
    added = ", ".join(_AGGREGATES.get(name, f"CAST(sum({name}) AS BIGINT)") for name in wanted)
    keys = ", ".join(by)
    return f"SELECT {added}, {keys} FROM ({parts}) AS parts GROUP BY {keys}", values  # noqa: S608 - names of our own columns


def counts_query(query: RollupQuery, unfolded: Sequence[Stretch]) -> Statement:
    """Write the query of names, methods and counts for SQLite: the lists of each bucket, as JSON.

    They come in the order of the key. To add up by name, SQLite would sort all rows, which takes twice as long.
    """
    values: dict[str, Any] = {}
    texts: list[str] = []
    for place, tenant in enumerate(query.tenants):
        parts = _Parts(replace(query, tenants=(tenant,)), unfolded, "sqlite", of=f"_{place}")
        lists = [f"json_group_array({column})" for column in ("name", "method", "count")]
        text, given = parts.of(lists, " GROUP BY bucket")
        texts.append(text)
        values |= given
    return " UNION ALL ".join(texts), values


def unfolded_query(about: Sequence[RollupQuery], dialect: str) -> Statement | None:
    """Write the query of buckets of finer levels that hold rows which are not folded yet, by keyspace and level.

    None without finer levels.
    """
    stretches = [stretch for query in about for stretch in query.stretches]
    where = [(level, since, until) for level in LEVELS for since, until in _coarser(stretches, level)]
    if not where:
        return None
    values = Values(dialect)
    tenants = [values.one(f"tenant{number}", one) for number, one in enumerate(_united(q.tenants for q in about))]
    kinds = [values.one(f"keyspace{number}", one) for number, one in enumerate(_united(q.keyspaces for q in about))]
    if dialect == "sqlite":
        return _walk(product(tenants, kinds, where)), values.given
    series = f"tenant_id IN ({', '.join(tenants)}) AND keyspace IN ({', '.join(kinds)})"
    return " UNION ALL ".join(
        f"SELECT DISTINCT keyspace, level, bucket FROM {t.name} WHERE {series} AND level = {level.value}"  # noqa: S608 - names of our own columns
        f" AND bucket >= {since} AND bucket < {until} AND {UNFOLDED}"
        for level, since, until in where
    ), values.given


def _walk(begins: Iterable[tuple[str, str, tuple[Level, int, int]]]) -> str:
    """Write the query for SQLite: from one bucket to the next through the index.

    SQLite looks at the row of each entry of a partial index, even when it holds all that is asked for, and would rather
    read all rows of a bucket by the key: hence one entry of each bucket, and the index by its name.
    """

    def first(since: str) -> str:
        return (
            f"(SELECT t.bucket FROM {t.name} AS t INDEXED BY ix_api_rollups_unfolded"  # noqa: S608 - as above
            f" WHERE t.tenant_id = s.tenant AND t.keyspace = s.keyspace AND t.level = s.level"
            f" AND t.bucket {since} AND t.bucket < s.until AND t.{UNFOLDED} ORDER BY t.bucket LIMIT 1)"
        )

    listed = ", ".join(
        f"({tenant}, {keyspace}, {level.value}, {since}, {until})" for tenant, keyspace, (level, since, until) in begins
    )
    return (
        f"WITH RECURSIVE begins (tenant, keyspace, level, since, until) AS (VALUES {listed}),"  # noqa: S608 - as above
        f" s (tenant, keyspace, level, until, bucket) AS ("
        f"SELECT s.tenant, s.keyspace, s.level, s.until, {first('>= s.since')} FROM begins AS s"
        f" UNION ALL SELECT s.tenant, s.keyspace, s.level, s.until, {first('> s.bucket')}"
        f" FROM s WHERE s.bucket IS NOT NULL) SELECT keyspace, level, bucket FROM s WHERE bucket IS NOT NULL"
    )


class _Parts:
    """Writes one SELECT for each stretch, and one for each stretch that is not folded yet.

    Args:
        query: what is asked.
        unfolded: where finer levels hold rows that are not folded yet.
        dialect: whose.
        of: end of the names of values, where statements are put together.
    """

    def __init__(self, query: RollupQuery, unfolded: Sequence[Stretch], dialect: str, of: str = "") -> None:
        self._query = query
        self._unfolded = unfolded
        self._sqlite = dialect == "sqlite"
        self._values = values = Values(dialect, of)
        tenants, keyspaces = values.all("tenant", query.tenants), values.all("keyspace", query.keyspaces)
        self._series = f"tenant_id IN ({tenants}) AND keyspace IN ({keyspaces})"

    def of(self, columns: Sequence[str], grouped: str = "") -> Statement:
        """Write the query of some columns of all rows that are asked for; ``grouped`` ends each part."""
        query, values = self._query, self._values
        method = "" if query.method is None else f" AND method = {values.one('method', query.method)}"
        named, paired, begin = self._names()
        finest = f" AND writer_id NOT IN ({values.all('besides', query.besides)})" if query.besides else ""
        select = f"SELECT {', '.join(columns)} FROM"
        parts = [(stretch, "") for stretch in query.stretches]
        # Not in the words of the index of what is not folded: these rows are read in their own order.
        parts += [(stretch, " AND folded + 0 = 0") for stretch in self._unfolded]
        return begin + " UNION ALL ".join(
            f"{select} {self._rows(each, named, paired)}{method}{where}"
            f"{finest if each.level is LEVELS[0] else ''}{grouped}"
            for each, where in parts
        ), values.given

    def _names(self) -> tuple[str, str, str]:
        """Write the conditions on names and on pairs of name and method, and what they need before all parts."""
        names, pairs, values = self._query.names, self._query.pairs, self._values
        if pairs is None:
            return "" if names is None else f" AND name {values.among('name', names)}", "", ""
        of_pairs = _united((name,) for name, _ in pairs)
        if not self._sqlite:
            # A subquery: PostgreSQL does not compare its names with the commonest of each piece to make a plan, which
            # takes a sixth of the time. Methods come first, for most often there are few, and they are compared sooner.
            named = f" AND name = ANY((SELECT {values.one('name', list(of_pairs))}::text[])::text[])"
            methods = values.among("of", _united((method,) for _, method in pairs))
            joined = [f"{method} {name}" for name, method in pairs]  # no method holds a space
            return named, f" AND method {methods} AND method || ' ' || name {values.among('pair', joined)}", ""
        named = f" AND name {values.among('name', of_pairs)}"
        if not pairs:
            return named, "", ""
        listed = ", ".join(
            f"({values.one(f'pair{number}', name)}, {values.one(f'of{number}', method)})"
            for number, (name, method) in enumerate(pairs)
        )
        return named, " AND (name, method) IN pairs", f"WITH pairs (name, method) AS (VALUES {listed}) "

    def _rows(self, stretch: Stretch, named: str, paired: str) -> str:
        """Write the table and the condition of a stretch.

        On SQLite, which knows no statistics and would rather read all of a bucket by the key: a few series in few
        buckets are looked up by the whole key, else some names over a long time by the index of series. PostgreSQL
        would look through pieces of other times for buckets that are named one by one.
        """
        of_level = f"{self._series} AND level = {stretch.level.value}"
        buckets = range(stretch.since, stretch.until, stretch.level.micros)
        if self._sqlite and paired and len(buckets) <= MAX_NAMED:
            return f"{t.name} WHERE {of_level} AND bucket IN ({', '.join(map(str, buckets))}){paired}"
        index = " INDEXED BY ix_api_rollups_series" if named and self._sqlite else ""
        within = f"{of_level} AND bucket >= {stretch.since} AND bucket < {stretch.until}"
        return f"{t.name}{index} WHERE {within}{named}{paired}"


def _united(some: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Put members together, each once."""
    return tuple(dict.fromkeys(chain.from_iterable(some)))


def _coarser(stretches: Sequence[Stretch], level: Level) -> list[tuple[int, int]]:
    """Tell where a coarser level than this one is read; stretches that touch are one."""
    found: list[tuple[int, int]] = []
    for stretch in sorted(stretches, key=lambda one: one.since):
        if stretch.level <= level:
            continue
        if found and stretch.since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stretch.until))
        else:
            found.append((stretch.since, stretch.until))
    return found
