"""Flags: which entries have a review of their own, and reviews of many at once.

An attack that goes on is one thing to review. Of flagged entries with the same key the first one has the review; those
that follow within the window, while nobody has decided about it, belong to it. This is decided as entries are added,
where one writer at a time adds them, so that two processes never open two reviews for one attack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, select, update

from custodes.planes.audit.model import UNREVIEWED, AuditEntry, ReviewState
from custodes.planes.audit.ports import AuditQuery, ReviewChange
from custodes.planes.audit.risk import FLAG_WINDOW
from custodes.storage.sql.audit_filters import floor_id, selection
from custodes.storage.sql.tables.audit import audit_logs

_c = audit_logs.c

#: Finds the entry whose review a flagged one belongs to: (tenant, key, smallest id) → id.
FIND_FLAG = (
    "SELECT id FROM audit_logs WHERE tenant_id = ? AND flag_key = ? AND id >= ? AND review_state IS NOT NULL"
    " AND review_state IN ('open', 'acknowledged') ORDER BY id DESC LIMIT 1"
)

#: Ids in one statement: below the bound parameters that every engine takes.
_CHUNK = 500

#: (tenant, key, smallest id) → id of the entry with the open review; None when there is none.
FindFlag = Callable[[str, str, str], str | None]


def grouped(entries: Sequence[dict[str, Any]], find: FindFlag) -> None:
    """Decide which rows about to be added have a review of their own; sets ``flag_id`` and ``review_state``."""
    opened: dict[tuple[str, str], str] = {}
    for entry in entries:
        if entry["review_state"] is None:
            continue
        entry["flag_id"] = entry["id"]
        if not entry["flag_key"]:
            continue
        group = (entry["tenant_id"], entry["flag_key"])
        flag = opened.get(group) or find(*group, floor_id(entry["recorded_at"] - FLAG_WINDOW))
        if flag is not None:
            entry["flag_id"], entry["review_state"] = flag, None
        opened[group] = entry["flag_id"]


def find_flag(connection: Connection) -> FindFlag:
    """Make a finder on a connection of SQLAlchemy."""

    def find(tenant: str, key: str, oldest: str) -> str | None:
        query = (
            select(_c.id)
            .where(_c.tenant_id == tenant, _c.flag_key == key, _c.id >= oldest, _c.review_state.is_not(None))
            .where(_c.review_state.in_([state.value for state in UNREVIEWED]))
            .order_by(_c.id.desc())
            .limit(1)
        )
        return connection.execute(query).scalar()

    return find


def with_occurrences(connection: Connection, entries: Iterable[AuditEntry]) -> list[AuditEntry]:
    """Count, of each entry with a review, the entries that it is about."""
    entries = list(entries)
    flags = [entry for entry in entries if entry.review is not None]
    if not flags:
        return entries
    counted = {
        flag: (count, last)
        for flag, count, last in connection.execute(
            select(_c.flag_id, func.count(), func.max(_c.recorded_at))
            .where(_c.tenant_id.in_({entry.tenant for entry in flags}), _c.flag_id.in_([entry.id for entry in flags]))
            .group_by(_c.flag_id)
        )
    }
    return [
        entry
        if entry.review is None
        else replace(entry, occurrences=found[0], last_at=found[1])
        if (found := counted.get(entry.id))
        else replace(entry, occurrences=1, last_at=entry.recorded_at)
        for entry in entries
    ]


def count_reviews(connection: Connection, query: AuditQuery, states: Iterable[ReviewState]) -> dict[ReviewState, int]:
    """Count the reviews that a query finds in some states."""
    found = selection(connection, query, _c.review_state, func.count().label("reviews")).where(
        _c.review_state.is_not(None)
    )
    found = found.where(_c.review_state.in_([state.value for state in states])).group_by(_c.review_state)
    return {ReviewState(row.review_state): row.reviews for row in connection.execute(found)}


def review_many(
    connection: Connection, query: AuditQuery, states: Iterable[ReviewState], change: ReviewChange, limit: int
) -> list[str]:
    """Change the reviews that a query finds in some states, oldest first, at most ``limit``."""
    movable = _c.review_state.in_([state.value for state in states])
    found = selection(connection, query, _c.id).where(_c.review_state.is_not(None))
    ids: list[str] = list(connection.execute(found.where(movable).order_by(_c.id).limit(limit)).scalars())
    values = {"review_state": change.state.value, "reviewed_by": change.by, "reviewed_at": change.at}
    values |= {} if change.assignee is None else {"review_assignee": change.assignee}
    values |= {} if change.note is None else {"review_note": change.note}
    moved: list[str] = []
    for start in range(0, len(ids), _CHUNK):  # what somebody else has decided since is left as it is
        these = update(audit_logs).where(_c.id.in_(ids[start : start + _CHUNK]), movable)
        moved += connection.execute(these.values(**values).returning(_c.id)).scalars()
    return sorted(moved)
