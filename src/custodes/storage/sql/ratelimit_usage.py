"""What limits admitted and refused over a stretch of time, read in two passes over the counted windows.

One goes over the sums of all identifiers, the other over the windows in which somebody was refused; each along an index
that holds all it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select

from custodes.planes.ratelimit.ports import Total, Usages
from custodes.storage.sql.tables.ratelimit import IDENTIFIED, REFUSED, SUMS
from custodes.storage.sql.tables.ratelimit import rate_limit_tracking as w

_COUNTS = ("allowed", "refused", "would_refuse")

#: Sums that are read to be added up here; where a stranger made up more endpoints than that, the database ranks them.
MAX_GROUPS = 20_000


def usages(connection: Connection, tenant: str | None, since: int, until: int, bucket: int, top: int) -> Usages:
    """Sum windows up by time, rule, endpoint and identifier."""
    where = within(tenant, since, until)
    rows = connection.execute(sums_query(where, bucket).limit(MAX_GROUPS + 1)).all()
    if len(rows) <= MAX_GROUPS:
        endpoints = sorted(_added(rows, lambda row: row[2]), key=_most_refused)[:top]
    else:
        rows = connection.execute(sums_query(where, bucket, of_all_endpoints=True)).all()
        endpoints = [_total(row) for row in connection.execute(endpoints_query(where, top))]
    return Usages(
        points=sorted(_added(rows, lambda row: str(row[0])), key=lambda point: int(point.label)),
        rules=sorted(_added(rows, lambda row: row[1]), key=_most_refused)[:top],
        endpoints=endpoints,
        identifiers=_refused(connection, where, top),
    )


def within(tenant: str | None, since: int, until: int) -> list[ColumnElement[bool]]:
    """Choose the windows of a tenant (None: of all) and a stretch of time."""
    where = [w.c.window_start >= since, w.c.window_start < until]
    # Not as it stands: SQLite, which knows no statistics, would rather read all windows of the tenant by another index.
    return where if tenant is None else [*where, w.c.tenant_id.concat("") == tenant]


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


def sums_query(
    where: Sequence[ColumnElement[bool]], bucket: int, *, of_all_endpoints: bool = False
) -> Select[*tuple[Any, ...]]:
    """Add up what was counted of all identifiers, by time, rule and endpoint (empty: of all)."""
    at = (w.c.window_start - w.c.window_start % bucket).label("at")
    sums = (func.sum(w.c[name]) for name in _COUNTS)
    if of_all_endpoints:
        return select(at, w.c.rule, literal(""), *sums).where(*where, SUMS).group_by(at, w.c.rule)
    return select(at, w.c.rule, w.c.endpoint, *sums).where(*where, SUMS).group_by(at, w.c.rule, w.c.endpoint)


def endpoints_query(where: Sequence[ColumnElement[bool]], top: int) -> Select[*tuple[Any, ...]]:
    """Rank endpoints by what was refused there."""
    allowed, refused, would_refuse = (func.sum(w.c[name]) for name in _COUNTS)
    order = (refused.desc(), would_refuse.desc(), allowed.desc(), w.c.endpoint)
    summed = select(w.c.endpoint, allowed, refused, would_refuse).where(*where, SUMS).group_by(w.c.endpoint)
    return summed.order_by(*order).limit(top)


def refused_query(where: Sequence[ColumnElement[bool]], top: int) -> Select[*tuple[Any, ...]]:
    """Rank who was refused, or would have been, by kind; what they were allowed is looked up for those alone."""
    who = (w.c.kind, w.c.identifier)
    summed = (
        select(*who, *(func.sum(w.c[name]).label(name) for name in _COUNTS[1:])).where(*where, REFUSED).group_by(*who)
    ).cte("summed")
    order = (summed.c.refused.desc(), summed.c.would_refuse.desc(), summed.c.identifier)
    place = func.row_number().over(partition_by=summed.c.kind, order_by=order).label("place")
    ranked = select(summed, place).cte("ranked")
    allowed = (
        select(func.sum(w.c.allowed))
        .where(*where, IDENTIFIED, w.c.identifier == ranked.c.identifier, w.c.kind == ranked.c.kind)
        .scalar_subquery()
    )
    columns = (ranked.c.kind, ranked.c.identifier, allowed, ranked.c.refused, ranked.c.would_refuse)
    return select(*columns).where(ranked.c.place <= top)


def _refused(connection: Connection, where: Sequence[ColumnElement[bool]], top: int) -> dict[str, list[Total]]:
    by_kind: dict[str, list[Total]] = {}
    for kind, identifier, allowed, refused, would_refuse in connection.execute(refused_query(where, top)):
        total = Total(f"{kind}:{identifier}", int(allowed), int(refused), int(would_refuse))
        by_kind.setdefault(kind, []).append(total)
    return {kind: sorted(totals, key=_most_refused) for kind, totals in by_kind.items()}


def _most_refused(total: Total) -> tuple[int, int, int, str]:
    return -total.refused, -total.would_refuse, -total.allowed, total.label
