"""Samples and series in a SQL store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from custodes.kernel.clock import HOUR
from custodes.planes.metrics.fold import Cell, absorb
from custodes.planes.metrics.model import LEVELS, Kind, Level, MetricInfo, Sample, Series
from custodes.planes.metrics.ports import Selection
from custodes.runtime.transactions import Store, Transaction
from custodes.storage.sql.bulk import counted
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.partitions import purge
from custodes.storage.sql.pipelined import Rows, Statement, Values, pipelined
from custodes.storage.sql.tables.metrics import metric_series as s
from custodes.storage.sql.tables.metrics import system_metrics as t

#: The catalogue notes when a series was last written, to this precision, so that most flushes leave it alone.
LAST_SEEN_PRECISION = HOUR

#: Series ids in one IN list; the drivers take more, the planners do not like it.
MAX_IDS = 500

_VALUES = (t.c.count, t.c.total, t.c.minimum, t.c.maximum, t.c.last, t.c.last_at, t.c.histogram)


class SqlMetricStore:
    """A :class:`~custodes.planes.metrics.ports.MetricStore` in a SQL database."""

    def __init__(self, database: Store) -> None:
        self._database = database
        self._catalogued: dict[str, int] = {}

    async def append(self, samples: Sequence[Sample], writer: str, at: int) -> None:
        """Add a batch of the finest level."""
        hour = at - at % LAST_SEEN_PRECISION
        series = {one.series.id: one.series for one in samples if self._catalogued.get(one.series.id) != hour}

        def work(tx: Transaction) -> None:
            connection = connection_of(tx)
            connection.execute(insert(t), [_row(sample, LEVELS[0], writer) for sample in samples])
            _catalogue(connection, list(series.values()), hour, at)

        if samples:
            await self._database.write(work, durable=False, once=writer)
            self._remember(series, hour)

    def _remember(self, series: Iterable[str], hour: int) -> None:
        """Remember what the catalogue says by now; what it said an hour ago is of no use."""
        self._catalogued = {known: at for known, at in self._catalogued.items() if at == hour}
        self._catalogued.update(dict.fromkeys(series, hour))

    async def fold(self, level: Level, into: Level, before: int, limit: int, writer: str) -> int:
        """Merge rows of a level into the next."""

        def work(tx: Transaction) -> int:
            return _fold(connection_of(tx), level, into, before, limit, writer)

        return await self._database.write(work, durable=False)

    async def read(self, selection: Selection, limit: int) -> list[Sample]:
        """Return samples, each measurement exactly once."""
        return await self._database.read(lambda tx: _read(connection_of(tx), selection, limit))

    async def list_series(
        self, tenant: str | None, name: str, limit: int, *, after: str = "", since: int | None = None
    ) -> list[Series]:
        """Return the series known under a name, after an id, or written since a moment, the last written last."""
        query = select(s.c.tenant_id, s.c.name, s.c.kind, s.c.labels, s.c.series_id).limit(limit)
        query = query.where(_scope(tenant), s.c.name == name, *((s.c.series_id > after,) if after else ()))
        if since is None:
            query = query.order_by(s.c.tenant_id, s.c.series_id)
        else:
            written = s.c.last_seen >= since - LAST_SEEN_PRECISION
            query = query.where(written).order_by(s.c.last_seen, s.c.tenant_id, s.c.series_id)
        rows = await self._database.read(lambda tx: connection_of(tx).execute(query).all())
        return [Series(row[0], row[1], Kind(row[2]), _labels(row[3]), row[4]) for row in rows]

    async def list_metrics(self, tenant: str | None, after: tuple[str, str] | None, limit: int) -> list[MetricInfo]:
        """Return metrics by tenant and name."""
        query = (
            select(
                *(s.c.tenant_id, s.c.name, func.min(s.c.kind), func.count(), func.max(s.c.last_seen)),
                func.max(s.c.kind),
            )
            .where(_scope(tenant))
            .group_by(s.c.tenant_id, s.c.name)
            .order_by(s.c.tenant_id, s.c.name)
            .limit(limit)
        )
        if after is not None:
            query = query.where(or_(s.c.tenant_id > after[0], and_(s.c.tenant_id == after[0], s.c.name > after[1])))

        def work(tx: Transaction) -> list[MetricInfo]:
            connection = connection_of(tx)
            found: list[MetricInfo] = []
            for of, name, kind, series, last_seen, other in connection.execute(query):
                newest = kind if kind == other else _newest_kind(connection, of, name)
                found.append(MetricInfo(of, name, Kind(newest), series, last_seen))
            return found

        return await self._database.read(work)

    async def purge(self, level: Level, before: int, limit: int) -> int:
        """Delete folded rows that began before a moment."""
        return await self._database.write(
            lambda tx: purge(connection_of(tx), t, before, limit, level=level.number), durable=False
        )

    async def count_purgeable(self, level: Level, before: int) -> int:
        """Count folded rows that began before a moment."""
        return await self._database.read(lambda tx: counted(connection_of(tx), t, *_purgeable(level, before)))

    async def purge_series(self, before: int, limit: int) -> int:
        """Delete series that were last written before a moment."""
        oldest = select(s.c.tenant_id, s.c.name, s.c.series_id).where(s.c.last_seen < before).limit(limit)

        def work(tx: Transaction) -> int:
            connection = connection_of(tx)
            keys = connection.execute(oldest).all()
            for key in keys:
                connection.execute(delete(s).where(_is_series(*key)))
            return len(keys)

        return await self._database.write(work, durable=False)

    async def count_purgeable_series(self, before: int) -> int:
        """Count series that were last written before a moment."""
        return await self._database.read(lambda tx: counted(connection_of(tx), s, s.c.last_seen < before))


# ── Writing ──────────────────────────────────────────────────────────────────


def _row(sample: Sample, level: Level, writer: str) -> dict[str, object]:
    return {
        "tenant_id": sample.series.tenant,
        "name": sample.series.name,
        "level": level.number,
        "bucket": sample.bucket,
        "series_id": sample.series.id,
        "writer": writer,
        "folded": level is LEVELS[-1],  # there is nothing coarser to fold it into
        "count": sample.count,
        "total": sample.total,
        "minimum": sample.minimum,
        "maximum": sample.maximum,
        "last": sample.last,
        "last_at": sample.last_at,
        "histogram": sample.histogram,
    }


def _catalogue(connection: Connection, series: Sequence[Series], hour: int, at: int) -> None:
    """Note when series were last written; new ones to the moment: a new kind of a name is the newest at once."""
    known: set[str] = set()
    for tenant, name, ids in _chunks(series):
        query = select(s.c.series_id).where(s.c.tenant_id == tenant, s.c.name == name, s.c.series_id.in_(ids))
        known.update(connection.execute(query).scalars())
        mine = and_(s.c.tenant_id == tenant, s.c.name == name, s.c.series_id.in_(ids), s.c.last_seen < hour)
        connection.execute(update(s).where(mine).values(last_seen=hour))
    # In one order in every process, so that two with the same new series never wait for each other.
    new = [_catalogue_row(one, at) for one in sorted(series, key=lambda one: one.id) if one.id not in known]
    if new:
        connection.execute(insert(s), new)


def _catalogue_row(one: Series, at: int) -> dict[str, object]:
    return {
        "tenant_id": one.tenant,
        "name": one.name,
        "series_id": one.id,
        "kind": str(one.kind),
        "labels": dict(one.labels),
        "last_seen": at,
    }


# ── Folding ──────────────────────────────────────────────────────────────────


def _fold(connection: Connection, level: Level, into: Level, before: int, limit: int, writer: str) -> int:
    upto = _bounded(connection, level, before, limit)
    marked = (
        update(t)
        .where(_unfolded(level), t.c.bucket < upto)
        .values(folded=True)
        .returning(t.c.tenant_id, t.c.name, t.c.series_id, t.c.bucket, *_VALUES)
    )
    rows = connection.execute(marked).all()
    together: dict[tuple[str, int], list[Sample]] = {}
    for row in rows:
        sample = Sample(_bare(row[0], row[1], row[2], row[10]), *row[3:])
        together.setdefault((sample.series.id, sample.bucket - sample.bucket % into.width), []).append(sample)
    merged: list[dict[str, object]] = []
    for (_, bucket), samples in together.items():
        cell = Cell(samples[0].series)
        absorb(cell, samples)
        merged.append(_row(cell.sample(bucket), into, writer))
    if merged:
        connection.execute(insert(t), merged)
    return len(rows)


def _bounded(connection: Connection, level: Level, before: int, limit: int) -> int:
    """Return the moment up to which about ``limit`` rows are unfolded: buckets are taken whole, and one at least."""
    by_time = (
        select(t.c.bucket)
        .where(t.c.level == level.number, t.c.folded.is_(False), t.c.bucket < before)
        .order_by(t.c.bucket)
    )
    over = connection.execute(by_time.offset(limit).limit(1)).scalar()
    if over is None:
        return before
    first = connection.execute(by_time.limit(1)).scalar()
    return over if over != first else over + 1


def _purgeable(level: Level, before: int) -> tuple[ColumnElement[bool], ...]:
    return t.c.level == level.number, t.c.folded.is_(True), t.c.bucket < before


# ── Reading ──────────────────────────────────────────────────────────────────


def _read(connection: Connection, selection: Selection, limit: int) -> list[Sample]:
    known = {one.id: one for one in selection.series}
    found: list[Sample] = []
    with pipelined(connection) as send:
        begins = _unfolded_from(send, selection.level)
        for tenant, _, ids in _chunks(selection.series):
            values = Values(connection.dialect.name)
            text = _samples_query(selection, begins, tenant, ids, values, limit + 1 - len(found))
            found += [Sample(known[row[0]], *row[1:]) for row in send((text, values.given))()]
            if len(found) > limit:
                break
    return found


def _chunks(series: Sequence[Series]) -> list[tuple[str, str, list[str]]]:
    """Series by tenant and name, as ids in lists that fit a query."""
    grouped: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for one in series:
        grouped[one.tenant, one.name].append(one.id)
    return [
        (tenant, name, ids[start : start + MAX_IDS])
        for (tenant, name), ids in sorted(grouped.items())
        for start in range(0, len(ids), MAX_IDS)
    ]


# Text beneath SQLAlchemy: thousands of rows cost as much there as adding them up.


def _unfolded_from(send: Callable[[Statement], Rows], level: Level) -> list[tuple[Level, int]]:
    """Tell from where on rows of finer levels are not folded yet."""
    finer = LEVELS[: level.number]
    if not finer:
        return []
    oldest = (f"(SELECT min(bucket) FROM {t.name} WHERE level = {one.number} AND folded = false)" for one in finer)  # noqa: S608 - names of our own columns
    [row] = send((f"SELECT {', '.join(oldest)}", {}))()
    return [(one, bucket) for one, bucket in zip(finer, row, strict=True) if bucket is not None]


def _samples_query(
    selection: Selection,
    begins: Sequence[tuple[Level, int]],
    tenant: str,
    ids: Sequence[str],
    values: Values,
    limit: int,
) -> str:
    """Write the query of rows of the level, and of the finer levels what is not folded yet: as :class:`Sample`."""
    of_these = (
        f"tenant_id = {values.one('tenant', tenant)} AND name = {values.one('name', selection.series[0].name)}"
        f" AND series_id {values.among('series', ids)}"
    )
    if selection.without:
        of_these += f" AND writer <> {values.one('without', selection.without)}"
    columns = "series_id, bucket, count, total, minimum, maximum, last, last_at"
    columns += ", histogram" if selection.histograms else ", NULL AS histogram"
    parts = [(selection.level, selection.since, "")]
    parts += [(level, max(selection.since, begin), " AND folded = false") for level, begin in begins]
    rows = " UNION ALL ".join(
        f"SELECT {columns} FROM {t.name} WHERE {of_these} AND level = {level.number}"  # noqa: S608 - names of our own columns
        f" AND bucket >= {since} AND bucket < {selection.until}{unfolded}"
        for level, since, unfolded in parts
    )
    if not (selection.histograms or selection.last):
        slot = f"bucket / {selection.step} * {selection.step}"
        # PostgreSQL adds BIGINT up as NUMERIC.
        rows = (
            f"SELECT series_id, {slot} AS slot, CAST(sum(count) AS BIGINT), sum(total), min(minimum), max(maximum),"  # noqa: S608 - as above
            f" CAST(0 AS DOUBLE PRECISION), 0, NULL FROM ({rows}) AS parts GROUP BY series_id, slot"
        )
    return f"{rows} LIMIT {limit}"


def _newest_kind(connection: Connection, tenant: str, name: str) -> str:
    """Return the kind of the series of a name that was written last: the same that is read of several."""
    same = select(s.c.kind).where(s.c.tenant_id == tenant, s.c.name == name)
    return connection.execute(same.order_by(s.c.last_seen.desc(), s.c.series_id.desc()).limit(1)).scalar_one()


def _unfolded(level: Level) -> ColumnElement[bool]:
    return and_(t.c.level == level.number, t.c.folded.is_(False))


def _bare(tenant: str, name: str, series_id: str, histogram: bytes | None) -> Series:
    """A series as far as its rows know it: enough to merge them."""
    return Series(tenant, name, Kind.GAUGE if histogram is None else Kind.HISTOGRAM, (), series_id)


def _scope(tenant: str | None) -> ColumnElement[bool]:
    return true() if tenant is None else s.c.tenant_id == tenant


def _is_series(tenant: str, name: str, series_id: str) -> ColumnElement[bool]:
    return and_(s.c.tenant_id == tenant, s.c.name == name, s.c.series_id == series_id)


def _labels(stored: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(stored.items()))
