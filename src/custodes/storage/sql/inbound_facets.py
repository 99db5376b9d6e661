"""What webhooks there are, counted by source, type, state and verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, func, select

from custodes.planes.inbound.model import MAX_COUNTED, EventFilter, FacetCount, Facets
from custodes.storage.sql.inbound_queries import conditions, newest_first
from custodes.storage.sql.tables.inbound import webhook_events as t
from custodes.storage.sql.tenants import tenants_of

#: Values of one facet.
_MAX_VALUES = 100


def facets(connection: Connection, wanted: EventFilter) -> Facets:
    """Count the values of each filter with all the others in force, of the newest events only."""
    tenants = [wanted.tenant] if wanted.tenant is not None else tenants_of(connection, t)
    by_source = _counted(connection, t.c.source, tenants, replace(wanted, source=None))
    by_type = _counted(connection, t.c.event_type, tenants, replace(wanted, event_type=None))
    by_status = _counted(connection, t.c.status, tenants, replace(wanted, status=None))
    by_verdict = _counted(connection, t.c.verdict, tenants, replace(wanted, verdict=None))
    total = count(connection, wanted, MAX_COUNTED)
    most = max(total, *(sum(counts.values()) for counts in (by_source, by_type, by_status, by_verdict)))
    return Facets(
        source=_ranked(by_source),
        event_type=_ranked(by_type),
        status=_ranked(by_status),
        verdict=_ranked(by_verdict),
        total=total,
        complete=most < MAX_COUNTED,
    )


def count(connection: Connection, wanted: EventFilter, at_most: int) -> int:
    """Count the events that a filter means, and stop at so many."""
    counted = 0
    for tenant in [wanted.tenant] if wanted.tenant is not None else tenants_of(connection, t):
        found = select(t.c.id).where(*conditions(tenant, wanted)).limit(at_most - counted).subquery()
        counted += connection.execute(select(func.count()).select_from(found)).scalar_one()
    return counted


def _counted(
    connection: Connection, column: ColumnElement[str], tenants: list[str], wanted: EventFilter
) -> Counter[str]:
    counts = Counter[str]()
    for tenant in tenants:
        newest = (
            select(column.label("value"))
            .where(*conditions(tenant, wanted))
            .order_by(*newest_first(t))
            .limit(MAX_COUNTED)
            .subquery()
        )
        for value, events in connection.execute(select(newest.c.value, func.count()).group_by(newest.c.value)):
            counts[value] += events
    return counts


def _ranked(counts: Counter[str]) -> list[FacetCount]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [FacetCount(*item) for item in ranked[:_MAX_VALUES]]
