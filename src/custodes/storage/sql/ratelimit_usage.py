"""What limits admitted and refused over a stretch of time: sums of all identifiers, and who was refused.

Whole hours are read from their figures, which are written with the windows; the minutes at both ends, and charts with
points of minutes, from the windows, along indexes that hold all that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Subquery, func, literal, select, union_all

from custodes.kernel.clock import HOUR
from custodes.planes.ratelimit.ports import Total, Usages
from custodes.storage.sql.tables.ratelimit import IDENTIFIED, REFUSED, SUMS
from custodes.storage.sql.tables.ratelimit import rate_limit_figures as f
from custodes.storage.sql.tables.ratelimit import rate_limit_tracking as w

_COUNTS = ("allowed", "refused", "would_refuse")

#: Sums that are read to be added up here; where a stranger made up more endpoints than that, the database ranks them.
MAX_GROUPS = 20_000


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose windows of which time."""

    #: None: of all tenants.
    tenant: str | None
    #: Begin and end of the range, microseconds; the end is not included.
    since: int
    until: int

    def windows(self) -> list[ColumnElement[bool]]:
        """Conditions of all windows of the range."""
        return self._windows(self.since, self.until)

    def sums(self, bucket: int) -> Subquery:
        """What was counted of all identifiers: ``at``, rule, endpoint, counts."""
        names = ("rule", "endpoint", *_COUNTS)
        edges, hours = self._parts(by_hour=bucket % HOUR == 0)
        parts = [
            select(w.c.window_start.label("at"), *(w.c[name] for name in names)).where(*edge, SUMS) for edge in edges
        ]
        if hours is not None:
            parts.append(
                select(f.c.bucket.label("at"), *(f.c[name] for name in names)).where(f.c.identified == 0, *hours)
            )
        return union_all(*parts).subquery()

    def refused(self) -> Subquery:
        """What was refused to each identifier: kind, identifier, counts."""
        names = ("kind", "identifier", *_COUNTS[1:])
        edges, hours = self._parts(by_hour=True)
        parts = [select(*(w.c[name] for name in names)).where(*edge, REFUSED) for edge in edges]
        if hours is not None:
            parts.append(select(*(f.c[name] for name in names)).where(f.c.identified == 1, *hours))
        return union_all(*parts).subquery()

    def _parts(self, *, by_hour: bool) -> tuple[list[list[ColumnElement[bool]]], list[ColumnElement[bool]] | None]:
        """Conditions of the windows at both ends of the range, and of the figures of whole hours (None: none)."""
        begin, end = self.since + -self.since % HOUR, self.until - self.until % HOUR
        if not by_hour or begin >= end:
            return [self.windows()], None
        edges = [self._windows(*edge) for edge in ((self.since, begin), (end, self.until)) if edge[0] < edge[1]]
        hours = [f.c.bucket >= begin, f.c.bucket < end]
        return edges, hours if self.tenant is None else [*hours, f.c.tenant_id == self.tenant]

    def _windows(self, since: int, until: int) -> list[ColumnElement[bool]]:
        where = [w.c.window_start >= since, w.c.window_start < until]
        # Not as it stands: SQLite, which knows no statistics, would rather read all windows of the tenant by another
        # index.
        return where if self.tenant is None else [*where, w.c.tenant_id.concat("") == self.tenant]


def usages(connection: Connection, asked: Asked, bucket: int, top: int) -> Usages:
    """Sum windows up by time, rule, endpoint and identifier."""
    rows = connection.execute(sums_query(asked, bucket).limit(MAX_GROUPS + 1)).all()
    if len(rows) <= MAX_GROUPS:
        endpoints = sorted(_added(rows, lambda row: row[2]), key=_most_refused)[:top]
    else:
        rows = connection.execute(sums_query(asked, bucket, of_all_endpoints=True)).all()
        endpoints = [_total(row) for row in connection.execute(endpoints_query(asked, bucket, top))]
    return Usages(
        points=sorted(_added(rows, lambda row: str(row[0])), key=lambda point: int(point.label)),
        rules=sorted(_added(rows, lambda row: row[1]), key=_most_refused)[:top],
        endpoints=endpoints,
        identifiers=_refused(connection, asked, top),
    )


def _added(rows: Sequence[Any], key: Callable[[Any], str]) -> list[Total]:
    """Add rows that end with the counts up by a label."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        allowed, refused, would_refuse = row[3:]
        its = counts.setdefault(key(row), [0, 0, 0])
        its[0] += int(allowed)
        its[1] += int(refused)
        its[2] += int(would_refuse)
    return [Total(label, *its) for label, its in counts.items()]


def _total(row: Sequence[Any]) -> Total:
    label, allowed, refused, would_refuse = row
    return Total(label, int(allowed), int(refused), int(would_refuse))


def sums_query(asked: Asked, bucket: int, *, of_all_endpoints: bool = False) -> Select[*tuple[Any, ...]]:
    """Add up what was counted of all identifiers, by time, rule and endpoint (empty: of all)."""
    rows = asked.sums(bucket).c
    at = (rows.at - rows.at % bucket).label("point")
    sums = (func.sum(rows[name]) for name in _COUNTS)
    if of_all_endpoints:
        return select(at, rows.rule, literal(""), *sums).group_by(at, rows.rule)
    return select(at, rows.rule, rows.endpoint, *sums).group_by(at, rows.rule, rows.endpoint)


def points_query(asked: Asked, rule: str, whom: tuple[str, str] | None, bucket: int) -> Select[*tuple[Any, ...]]:
    """Add up what was counted under one rule, of everybody or of one identifier, by time."""
    rows = asked.sums(bucket).c if whom is None else _windows_of(asked, *whom).c
    at = (rows.at - rows.at % bucket).label("point")
    sums = (func.sum(rows[name]) for name in _COUNTS)
    return select(at, *sums).where(rows.rule == rule).group_by(at).order_by(at)


def _windows_of(asked: Asked, kind: str, identifier: str) -> Subquery:
    """Windows of one identifier, along the index of it."""
    where = (*asked.windows(), IDENTIFIED, w.c.identifier == identifier, w.c.kind == kind)
    return select(w.c.window_start.label("at"), w.c.rule, *(w.c[name] for name in _COUNTS)).where(*where).subquery()


def endpoints_query(asked: Asked, bucket: int, top: int) -> Select[*tuple[Any, ...]]:
    """Rank endpoints by what was refused there."""
    rows = asked.sums(bucket).c
    allowed, refused, would_refuse = (func.sum(rows[name]) for name in _COUNTS)
    order = (refused.desc(), would_refuse.desc(), allowed.desc(), rows.endpoint)
    summed = select(rows.endpoint, allowed, refused, would_refuse).group_by(rows.endpoint)
    return summed.order_by(*order).limit(top)


def refused_query(asked: Asked, top: int) -> Select[*tuple[Any, ...]]:
    """Rank who was refused, or would have been, by kind; what they were allowed is looked up for those alone."""
    rows = asked.refused().c
    who = (rows.kind, rows.identifier)
    summed = select(*who, *(func.sum(rows[name]).label(name) for name in _COUNTS[1:])).group_by(*who).cte("summed")
    order = (summed.c.refused.desc(), summed.c.would_refuse.desc(), summed.c.identifier)
    place = func.row_number().over(partition_by=summed.c.kind, order_by=order).label("place")
    ranked = select(summed, place).cte("ranked")
    allowed = (
        select(func.sum(w.c.allowed))
        .where(*asked.windows(), IDENTIFIED, w.c.identifier == ranked.c.identifier, w.c.kind == ranked.c.kind)
        .scalar_subquery()
    )
    columns = (ranked.c.kind, ranked.c.identifier, allowed, ranked.c.refused, ranked.c.would_refuse)
    return select(*columns).where(ranked.c.place <= top)


def _refused(connection: Connection, asked: Asked, top: int) -> dict[str, list[Total]]:
    by_kind: dict[str, list[Total]] = {}
    for kind, identifier, allowed, refused, would_refuse in connection.execute(refused_query(asked, top)):
        total = Total(f"{kind}:{identifier}", int(allowed or 0), int(refused), int(would_refuse))
        by_kind.setdefault(kind, []).append(total)
    return {kind: sorted(totals, key=_most_refused) for kind, totals in by_kind.items()}


def _most_refused(total: Total) -> tuple[int, int, int, str]:
    return -total.refused, -total.would_refuse, -total.allowed, total.label
