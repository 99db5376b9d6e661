"""Figures of webhooks added up over a range of time: points by the rows of sources, types by the widest stretches.

A process writes the figures of the minute, the hour and the day under way of each type, and the same of each source.
So a chart of hours is read from one row a source and hour, and what each type did in a week from its days and from the
hours at both ends: the figures that all rows add up to, from a tenth of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, literal, or_, select

from custodes.kernel.histogram import parse
from custodes.kernel.stretches import Steps, Stretch
from custodes.planes.inbound.figures import ALL, Figures, Only, Sums
from custodes.storage.sql.inbound_queries import matches
from custodes.storage.sql.pipelined import Query, Rows
from custodes.storage.sql.tables.inbound import webhook_rollups as types
from custodes.storage.sql.tables.inbound import webhook_source_rollups as sources
from custodes.storage.sql.tenants import in_key

K = TypeVar("K", bound=Hashable)

#: Columns of plain counts.
COUNTS = ("received", "duplicates", "succeeded", "unhandled", "retried", "dead")


#: Sends a query.
Ask = Callable[[Query], Rows]


def sums(ask: Ask, connection: Connection, tenant: str | None, steps: Steps, only: Only = ALL) -> Callable[[], Sums]:
    """Ask for figures; what is returned adds them up by time, by type, and by time and source."""
    parts, stretches = steps.widest(), steps.stretches()

    def of_types(stretch: Stretch) -> Select[Any]:
        where = (*_within(connection, types, tenant, stretch), *of_only(types, only))
        return _rows(types, types.c.event_type).where(*where)

    def of_sources(stretch: Stretch) -> Iterable[Select[Any]]:
        within = _within(connection, sources, tenant, stretch)
        yield _rows(sources, literal("")).where(*within, *of_only(sources, only))
        # Processes of a version that wrote no rows of sources.
        yield of_types(stretch).where(types.c.writer.not_in(select(sources.c.writer).where(*within)))

    of_parts = of_points = [ask(of_types(each)) for each in parts]
    if not only.types:  # the rows of sources know no types
        of_points = [ask(query) for each in stretches for query in of_sources(each)]
    elif parts != stretches:
        of_points = [ask(of_types(each)) for each in stretches]

    def added() -> Sums:
        by_parts = _Added(rows() for rows in of_parts)
        points = by_parts if of_points is of_parts else _Added(rows() for rows in of_points)
        begins = [steps.begin_of(bucket) for bucket in points.buckets]
        return Sums(
            points.by(begins),
            by_parts.by(zip(by_parts.sources, by_parts.types, strict=True)),
            points.by(zip(begins, points.sources, strict=True), times=False),
        )

    return added


class _Added:
    """Rows, column by column, to be added up in several ways; histograms are taken apart once for all of them."""

    def __init__(self, found: Iterable[Sequence[Any]]) -> None:
        rows = [row for some in found for row in some]
        columns: Sequence[Sequence[Any]] = tuple(zip(*rows, strict=True)) or [()] * (4 + len(COUNTS))
        self.buckets, self.sources, self.types = columns[:3]
        self._parsed = [parse(one) for one in columns[3]]
        self._counts = columns[4:]

    def by(self, keys: Iterable[K], *, times: bool = True) -> dict[K, Figures]:
        """Add up the rows of each key; ``times=False`` leaves the histograms out."""
        places: dict[K, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        return {key: self._sum(some, times=times) for key, some in places.items()}

    def _sum(self, places: Sequence[int], *, times: bool) -> Figures:
        figures = Figures()
        for name, column in zip(COUNTS, self._counts, strict=True):
            setattr(figures, name, sum(map(column.__getitem__, places)))
        if times:
            figures.processing.merge_parsed(map(self._parsed.__getitem__, places))
        return figures


def _rows(table: Table, event_type: ColumnElement[str]) -> Select[Any]:
    return select(table.c.bucket, table.c.source, event_type, table.c.processing, *(table.c[name] for name in COUNTS))


def of_only(table: Table, only: Only) -> Iterable[ColumnElement[bool]]:
    """Conditions of the webhooks that are asked for."""
    if only.sources:
        yield table.c.source.in_(sorted(only.sources))
    if only.types:
        yield or_(*(matches(table.c.event_type, pattern) for pattern in sorted(only.types)))


def _within(
    connection: Connection, table: Table, tenant: str | None, stretch: Stretch
) -> tuple[ColumnElement[bool], ...]:
    within = (table.c.level == int(stretch.level), table.c.bucket >= stretch.since, table.c.bucket < stretch.until)
    return (*in_key(connection, table, tenant), *within)
