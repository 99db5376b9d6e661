"""Retention of the audit trail on SQL: what may go, and how it goes past the guards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, FromClause, and_, delete, func, insert, or_, select

from custodes.planes.audit.model import UNREVIEWED
from custodes.storage.sql import audit_figures
from custodes.storage.sql.audit_filters import floor_id
from custodes.storage.sql.bulk import counted
from custodes.storage.sql.tables.audit import audit_logs, audit_purge_window, audit_targets


def count_purgeable(connection: Connection, before: int) -> int:
    """Count what :func:`purge` would remove in the end."""
    return counted(connection, audit_logs, *_purgeable(before))


def purge(connection: Connection, before: int, limit: int) -> int:
    """Remove the oldest entries past their time, and the figures that tell of them; returns how many entries.

    With their targets they are some ``limit`` rows; one at least.
    """
    oldest = (
        select(audit_logs.c.id, audit_logs.c.tenant_id, audit_logs.c.targets, audit_logs.c.recorded_at)
        .where(*_purgeable(before))
        .order_by(audit_logs.c.id)
        .limit(limit)
    )
    rows = _light(connection.execute(oldest).all(), limit)
    if rows:
        audit_figures.hold(connection)
        _delete(connection, [tuple(row[:3]) for row in rows], before)
        audit_figures.forget(connection, max(row.recorded_at for row in rows))
    return len(rows)


def _purgeable(before: int) -> tuple[Any, ...]:
    """What may go: recorded before the moment (by id, which is in its order), and decided before it, if ever flagged.

    The time of what was flagged begins with the verdict: one on an old flag must not take its evidence away.
    """
    flag = audit_logs.alias("flag")
    stays = (
        select(flag.c.id)
        .where(flag.c.id == audit_logs.c.flag_id)
        .where(~_decided_before(flag, before))
        .correlate(audit_logs)
    )
    return audit_logs.c.id < floor_id(before), _decided_before(audit_logs, before), ~stays.exists()


def _decided_before(entries: FromClause, before: int) -> ColumnElement[bool]:
    """Never flagged, or decided about before a moment; false, never NULL, for all others."""
    state, decided_at = entries.c.review_state, func.coalesce(entries.c.reviewed_at, entries.c.recorded_at)
    waiting = [waiting.value for waiting in UNREVIEWED]
    return or_(state.is_(None), and_(state.not_in(waiting), decided_at < before))


def _delete(connection: Connection, rows: Sequence[tuple[Any, ...]], before: int) -> None:
    """Delete entries and their targets while the purge window stands open, which the guards ask for."""
    window = {"tenant_id": rows[0][1], "before": before}
    connection.execute(insert(audit_purge_window), window)
    ids = [entry_id for entry_id, _tenant, _targets in rows]
    for start in range(0, len(ids), _CHUNK):
        connection.execute(delete(audit_logs).where(audit_logs.c.id.in_(ids[start : start + _CHUNK])))
    _delete_targets(connection, rows)
    connection.execute(delete(audit_purge_window))


def _light(rows: Sequence[Any], limit: int) -> Sequence[Any]:
    """Take the first of some entries that are no more than so many rows with their targets, one at least."""
    for place, row in enumerate(rows):
        limit -= 1 + len(json.loads(row.targets))
        if place and limit < 0:
            return rows[:place]
    return rows


def _delete_targets(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    for entry_id, tenant, targets in rows:
        names = {f"{target['type']}:{target['id']}" for target in cast("list[dict[str, str]]", json.loads(targets))}
        if names:
            connection.execute(
                delete(audit_targets).where(
                    audit_targets.c.tenant_id == tenant,
                    audit_targets.c.target.in_(names),
                    audit_targets.c.entry_id == entry_id,
                )
            )


#: Ids in one DELETE: below the bound parameters that every engine takes.
_CHUNK = 500
