"""Kinds of errors in a SQL database: found, listed, noted when one is seen, and where each was raised."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, and_, func, select, tuple_, update

from custodes.kernel.paging import decode_cursor
from custodes.planes.traffic.batch import GroupSighting
from custodes.planes.traffic.model import FAILED_SCANNED, FAILING_ENDPOINTS, ErrorGroup, GroupState
from custodes.storage.sql.bulk import affected, insert_ignoring
from custodes.storage.sql.tables.traffic import HAS_ERROR_GROUP
from custodes.storage.sql.tables.traffic import api_error_groups as g
from custodes.storage.sql.tables.traffic import api_monitoring as t


def failing_query(digest: str, tenant: str, since: int, until: int) -> Select[*tuple[Any, ...]]:
    """Write the query of the endpoints at which a kind of error was raised, along the index of its calls."""
    failed = (
        select(t.c.method, t.c.route, t.c.started_at)
        .where(t.c.error_group == digest, HAS_ERROR_GROUP, t.c.tenant_id == tenant)
        .where(t.c.started_at >= since, t.c.started_at < until)
        .order_by(t.c.started_at.desc())
        .limit(FAILED_SCANNED)
        .subquery()
        .c
    )
    calls, last = func.count(), func.max(failed.started_at)
    return (
        select(failed.method, failed.route, calls, last)
        .group_by(failed.method, failed.route)
        .order_by(calls.desc(), last.desc(), failed.method)
        .limit(FAILING_ENDPOINTS)
    )


def groups_query(
    tenant: str | None, state: GroupState | None, since: int | None, limit: int, cursor: str | None
) -> Select[Any]:
    """Write the query of a page of error groups, one row longer than asked for."""
    query = select(g).order_by(g.c.last_seen_at.desc(), g.c.id.desc()).limit(limit + 1)
    if tenant is not None:
        query = query.where(g.c.tenant_id == tenant)
    if state is not None:
        query = query.where(g.c.state == state)
    if since is not None:
        query = query.where(g.c.last_seen_at >= since)
    if cursor is not None:
        query = query.where(tuple_(g.c.last_seen_at, g.c.id) < tuple_(*decode_cursor(cursor)))
    return query


def find_group(connection: Connection, identifier: str, tenant: str | None) -> ErrorGroup | None:
    """Find one by its id; None when there is none for this tenant."""
    query = select(g).where(g.c.id == identifier)
    row = connection.execute(query if tenant is None else query.where(g.c.tenant_id == tenant)).first()
    return None if row is None else group_of_row(row)


def group_of_row(row: Any) -> ErrorGroup:
    """Read one; its ``count`` is in the rollups."""
    return ErrorGroup(
        row.id,
        row.tenant_id,
        row.digest,
        row.title,
        row.method,
        row.route,
        row.first_seen_at,
        row.last_seen_at,
        0,
        row.trace_id,
        row.traceback,
        GroupState(row.state),
        row.state_at,
        row.state_by,
    )


def note(connection: Connection, sighting: GroupSighting) -> bool:
    """Write a sighting down; True when the kind is new or has come back. Twice the same changes nothing."""
    seen = sighting.seen
    if affected(connection, insert_ignoring(connection, g).values(_new_group(sighting))):
        return True
    where = and_(g.c.tenant_id == seen.tenant, g.c.digest == seen.digest)
    known = connection.execute(select(g).where(where)).one()
    values: dict[str, Any] = {}
    if seen.last_at > known.last_seen_at:
        values |= {"last_seen_at": seen.last_at, "trace_id": seen.trace_id}
    if seen.first_at < known.first_seen_at:
        values["first_seen_at"] = seen.first_at
    came_back = known.state == GroupState.RESOLVED and seen.last_at > known.state_at
    if came_back:
        values |= {"state": GroupState.OPEN, "state_at": seen.last_at, "state_by": ""}
    if values:
        connection.execute(update(g).where(where).values(values))
    return came_back


def _new_group(sighting: GroupSighting) -> dict[str, Any]:
    seen = sighting.seen
    return {
        "id": sighting.id,
        "tenant_id": seen.tenant,
        "digest": seen.digest,
        "title": seen.title,
        "method": seen.method,
        "route": seen.route,
        "first_seen_at": seen.first_at,
        "last_seen_at": seen.last_at,
        "trace_id": seen.trace_id,
        "traceback": sighting.traceback,
        "state": GroupState.OPEN,
        "state_at": seen.first_at,
        "state_by": "",
    }
