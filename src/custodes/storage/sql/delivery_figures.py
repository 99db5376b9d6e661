"""Figures of deliveries on SQL: :class:`~custodes.planes.outbound.ports.FigureStore`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, or_, select, tuple_

from custodes.kernel.histogram import Parsed, parse
from custodes.kernel.stretches import Level, Steps
from custodes.planes.outbound.figures import Figures, Only, Series, Sums
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.bulk import affected, counted, take_rows, upsert_rows
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.outbound import APART, SHARED
from custodes.storage.sql.tables.outbound import webhook_delivery_rollups as r

K = TypeVar("K")

#: Columns of plain counts.
COUNTS = ("succeeded", "redirects", "client_errors", "server_errors", "unanswered", "exhausted")


_COLUMNS = tuple(r.c[column.name] for column in r.primary_key.columns)
_in_order: Callable[[dict[str, Any]], tuple[Any, ...]] = itemgetter(*(column.name for column in _COLUMNS))

#: What is added to.
_NONE = Figures()


class SqlDeliveryFigureStore:
    """Keeps one row a stretch of time, endpoint and type, which all processes add to."""

    def add(self, tx: Transaction, figures: Sequence[tuple[Series, Figures]]) -> None:
        """Read the rows, locked, add to them and write them."""
        # By key, as every process takes them.
        rows = sorted(({**_key(series), **_values(_NONE)} for series, _ in figures), key=_in_order)
        more = dict(figures)
        sums: list[dict[str, Any]] = []
        for row in take_rows(connection_of(tx), r, rows):
            series = _series(row)
            sums.append({**_key(series), **_values(_read_figures([row], more[series]))})
        upsert_rows(connection_of(tx), r, sums)

    def fold(self, tx: Transaction, before: int, limit: int) -> int:
        """Take rows out and add them up: whoever else folds, or writes such a row, finds it gone or adds another."""
        connection, folded = connection_of(tx), 0
        for level in Level:
            ended = (r.c.level == int(level), r.c.bucket <= before - level.micros)
            oldest = select(*_COLUMNS).where(APART, *ended).order_by(r.c.bucket).limit(limit - folded)
            taken = delete(r).where(APART, tuple_(*_COLUMNS).in_(oldest)).returning(r)
            groups: defaultdict[Series, list[RowMapping]] = defaultdict(list)
            for row in connection.execute(taken).mappings():
                groups[_series(row)].append(row)
            self.add(tx, [(series, _read_figures(rows, Figures())) for series, rows in groups.items()])
            folded += sum(map(len, groups.values()))
            if folded >= limit:
                break
        return folded

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
        old = select(*_COLUMNS).where(r.c.level == int(level), r.c.bucket < before).order_by(r.c.bucket).limit(limit)
        return affected(connection_of(tx), delete(r).where(tuple_(*_COLUMNS).in_(old)))


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
    sums = [func.sum(r.c[name]).label(name) for name in COUNTS]
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


def _key(series: Series) -> dict[str, Any]:
    return {
        "tenant_id": series.tenant,
        "level": int(series.level),
        "bucket": series.bucket,
        "configuration_id": series.endpoint_id,
        "event_type": series.event_type,
        "writer": SHARED,
    }


def _series(row: RowMapping) -> Series:
    level = Level(row["level"])
    return Series(row["tenant_id"], level, row["bucket"], row["configuration_id"], row["event_type"])


def _read_figures(rows: Sequence[RowMapping], more: Figures) -> Figures:
    """Add rows up, and more to them."""
    found = Figures()
    for name in COUNTS:
        setattr(found, name, sum((row[name] for row in rows), getattr(more, name)))
    found.took.merge_all(row["took"] for row in rows)
    found.took.merge(more.took)
    return found


def _values(figures: Figures) -> dict[str, Any]:
    return {**{name: getattr(figures, name) for name in COUNTS}, "took": figures.took.encode()}
