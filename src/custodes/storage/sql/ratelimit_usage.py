"""What limits admitted and refused over a stretch of time, read in two passes over the counted windows.

One goes over the sums of all identifiers, the other over the windows in which somebody was refused; each along an index
that holds all it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from custodes.planes.ratelimit.ports import Total, Usages
from custodes.storage.sql.tables.ratelimit import IDENTIFIED, REFUSED, SUMS
from custodes.storage.sql.tables.ratelimit import rate_limit_tracking as w

#: Identifiers looked up by one statement: below the bind variable limit of every engine.
_CHUNK = 500

_COUNTS = ("allowed", "refused", "would_refuse")


def usages(connection: Connection, tenant: str | None, since: int, until: int, bucket: int, top: int) -> Usages:
    """Sum windows up by time, rule, endpoint and identifier."""
    where = [w.c.window_start >= since, w.c.window_start < until]
    if tenant is not None:
        where.append(w.c.tenant_id == tenant)
    at = (w.c.window_start - w.c.window_start % bucket).label("at")
    sums = [func.sum(w.c[name]) for name in _COUNTS]
    rows = connection.execute(
        select(at, w.c.rule, w.c.endpoint, *sums).where(*where, SUMS).group_by(at, w.c.rule, w.c.endpoint)
    ).all()
    return Usages(
        points=sorted(_added(rows, lambda row: str(row[0])), key=lambda point: int(point.label)),
        rules=sorted(_added(rows, lambda row: row[1]), key=_most_refused)[:top],
        endpoints=sorted(_added(rows, lambda row: row[2]), key=_most_refused)[:top],
        identifiers=_refused(connection, where, top),
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


def _refused(connection: Connection, where: Sequence[ColumnElement[bool]], top: int) -> dict[str, list[Total]]:
    """Rank who was refused, or would have been, by kind; what they were allowed is looked up for those alone."""
    who = (w.c.kind, w.c.identifier)
    summed = (
        select(*who, *(func.sum(w.c[name]).label(name) for name in _COUNTS[1:])).where(*where, REFUSED).group_by(*who)
    ).cte("summed")
    order = (summed.c.refused.desc(), summed.c.would_refuse.desc(), summed.c.identifier)
    place = func.row_number().over(partition_by=summed.c.kind, order_by=order).label("place")
    ranked = select(summed, place).subquery("ranked")
    columns = (ranked.c.kind, ranked.c.identifier, ranked.c.refused, ranked.c.would_refuse)
    found = {
        (kind, identifier): counts
        for kind, identifier, *counts in connection.execute(select(*columns).where(ranked.c.place <= top))
    }
    allowed: dict[tuple[str, str], int] = {}
    names = sorted({identifier for _, identifier in found})
    for first in range(0, len(names), _CHUNK):
        some = w.c.identifier.in_(names[first : first + _CHUNK])
        units = select(*who, func.sum(w.c.allowed)).where(*where, some, IDENTIFIED).group_by(*who)
        allowed.update({(kind, identifier): int(its) for kind, identifier, its in connection.execute(units)})
    by_kind: dict[str, list[Total]] = {}
    for (kind, identifier), counts in found.items():
        total = Total(f"{kind}:{identifier}", allowed.get((kind, identifier), 0), *map(int, counts))
        by_kind.setdefault(kind, []).append(total)
    return {kind: sorted(totals, key=_most_refused) for kind, totals in by_kind.items()}


def _most_refused(total: Total) -> tuple[int, int, int, str]:
    return -total.refused, -total.would_refuse, -total.allowed, total.label
