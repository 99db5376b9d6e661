"""Counted windows as they are written: added to those of the same minute, and to the figures of their hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, func
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from custodes.kernel.clock import HOUR
from custodes.planes.ratelimit.model import Window
from custodes.storage.sql.tables.ratelimit import rate_limit_figures, rate_limit_tracking

#: Rows written by one statement: below the bind variable limit of every engine.
_CHUNK = 500

_COUNTS = ("allowed", "refused", "would_refuse")
_WINDOW_KEY = ("tenant_id", "window_start", "rule", "kind", "identifier", "endpoint")
_FIGURE_KEY = tuple(column.name for column in rate_limit_figures.primary_key.columns)


def record(connection: Connection, windows: Sequence[Window]) -> None:
    """Add windows to those that are there, and to the figures of their hours."""
    _add(connection, rate_limit_tracking, _WINDOW_KEY, [_columns(window) for window in windows])
    _add(connection, rate_limit_figures, _FIGURE_KEY, _figures(windows))


def _figures(windows: Sequence[Window]) -> list[dict[str, Any]]:
    """Add windows up by hour: sums by rule and endpoint, who was refused by identifier."""
    added: dict[tuple[Any, ...], list[int]] = {}
    for window in windows:
        hour = window.window_start - window.window_start % HOUR
        if not window.identifier:
            key = (0, hour, window.tenant, window.rule, "", "", window.endpoint)
        elif window.refused or window.would_refuse:
            key = (1, hour, window.tenant, "", window.kind, window.identifier, "")
        else:
            continue
        counts = added.setdefault(key, [0, 0, 0])
        counts[0] += 0 if window.identifier else window.allowed
        counts[1] += window.refused
        counts[2] += window.would_refuse
    return [dict(zip((*_FIGURE_KEY, *_COUNTS), (*key, *counts), strict=True)) for key, counts in added.items()]


def _add(connection: Connection, table: Table, key: Sequence[str], rows: list[dict[str, Any]]) -> None:
    """Insert rows, or add their counts to those of the same key.

    In the order of the key: processes that write the same rows wait for each other, and never in a circle.
    """
    make = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    rows.sort(key=lambda row: tuple(row[name] for name in key))
    for first in range(0, len(rows), _CHUNK):
        statement = make(table).values(rows[first : first + _CHUNK])
        new = statement.excluded
        changed: dict[str, Any] = {name: table.c[name] + new[name] for name in _COUNTS}
        if "trace_id" in table.c:
            changed["trace_id"] = func.coalesce(func.nullif(new.trace_id, ""), table.c.trace_id)
        connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changed))


def _columns(window: Window) -> dict[str, Any]:
    return {
        "tenant_id": window.tenant,
        "id": window.id,
        "window_start": window.window_start,
        "window_end": window.window_end,
        "rule": window.rule,
        "kind": window.kind,
        "identifier": window.identifier,
        "endpoint": window.endpoint,
        "allowed": window.allowed,
        "refused": window.refused,
        "would_refuse": window.would_refuse,
        "trace_id": window.trace_id,
    }
