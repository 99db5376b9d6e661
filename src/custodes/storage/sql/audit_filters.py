"""Which entries of the audit trail: a query as SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, and_, func, literal_column, or_, select

from custodes.kernel.ids import uuid7
from custodes.kernel.paging import decode_cursor
from custodes.planes.audit.ports import AuditQuery
from custodes.storage.sql.tables.audit import HAS_REVIEW, audit_logs, audit_targets

#: Tenants that a search over all of them names one by one, so that the indexes, which begin with the tenant, serve.
MAX_TENANTS = 100

#: Escapes the wildcards of LIKE.
_ESCAPE = "\\"


def selection(connection: Connection, query: AuditQuery, *columns: Any) -> Select[Any]:
    """Select what a query asks for, unordered and without a limit; all columns when none is named.

    Raises:
        InvalidInput: the cursor is not one of ours.
    """
    conditions = [*_tenant(connection, query), *_exact(query), *_ranges(query), *_patterns(query)]
    return select(*(columns or (audit_logs,))).where(*conditions)


def floor_id(moment: int) -> str:
    """Smallest id that an entry recorded at this moment can have."""
    return uuid7(max(moment, 0), lambda _bits: 0)


def unordered(column: Any) -> Any:
    """A column without its index: SQLite would read a tenant's whole index in its order rather than sort a range."""
    return column.concat("")


def _tenant(connection: Connection, query: AuditQuery) -> list[Any]:
    if query.tenant is not None:
        return [audit_logs.c.tenant_id == query.tenant]
    selective = query.actor or query.action or query.target or query.ip or query.trace_id or query.flagged
    selective = selective or query.flag_id or query.review_state is not None
    if not selective:
        return []  # the index of ids alone gives the order
    tenants = _tenants(connection)
    return [audit_logs.c.tenant_id.in_(tenants)] if len(tenants) <= MAX_TENANTS else []


def _tenants(connection: Connection) -> list[str]:
    """Every tenant in the trail, found by hopping through the index: one step a tenant, not one a row."""
    tenants: list[str] = []
    last = ""
    while len(tenants) <= MAX_TENANTS:
        step = select(func.min(audit_logs.c.tenant_id)).where(audit_logs.c.tenant_id > last)
        following = connection.execute(step).scalar()
        if following is None:
            break
        tenants.append(following)
        last = following
    return tenants


def _exact(query: AuditQuery) -> list[Any]:
    columns = audit_logs.c
    conditions: list[Any] = []
    if query.kind is not None:
        conditions.append(columns.kind == query.kind.value)
    if query.category:
        conditions.append(columns.category == query.category)
    if query.outcome:
        conditions.append(columns.outcome == query.outcome)
    if query.ip:
        conditions += [columns.ip == query.ip, columns.ip != ""]
    if query.trace_id:
        conditions += [columns.trace_id == query.trace_id, columns.trace_id != ""]
    if query.flag_id:
        conditions += [columns.flag_id == query.flag_id, columns.flag_id.is_not(None)]
    if query.target:
        conditions.append(_with_target(query))
    if query.assignee:
        conditions += [columns.review_assignee == query.assignee, columns.review_state.is_not(None)]
    return conditions


def _with_target(query: AuditQuery) -> Any:
    having = select(audit_targets.c.entry_id).where(audit_targets.c.target == query.target)
    if query.tenant is not None:
        having = having.where(audit_targets.c.tenant_id == query.tenant)
    return audit_logs.c.id.in_(having)


def _ranges(query: AuditQuery) -> list[Any]:
    columns = audit_logs.c
    conditions: list[Any] = []
    if query.review_state is not None:
        conditions += [columns.review_state == query.review_state.value, columns.review_state.is_not(None)]
    elif query.flagged:
        conditions += [literal_column(HAS_REVIEW) == 1, columns.review_state.is_not(None)]
    elif query.flagged is not None:
        conditions.append(columns.review_state.is_(None))
    if query.min_risk > 0:
        conditions.append(columns.risk_score >= query.min_risk)
    if query.since is not None:
        conditions.append(columns.id >= floor_id(query.since))
    if query.until is not None:
        conditions.append(columns.id < floor_id(query.until))
    if query.cursor:
        conditions.append(columns.id < decode_cursor(query.cursor)[1])
    return conditions


def _patterns(query: AuditQuery) -> list[Any]:
    columns = audit_logs.c
    conditions = [_like(columns.actor, query.actor), _like(columns.action, query.action)]
    if query.text:
        part = f"%{_escaped(query.text)}%"
        searched = (
            columns.actor,
            columns.reason,
            columns.people,
            columns.targets,
            columns.changes,
            columns.action,
            columns.labels,
        )
        conditions.append(or_(*(func.lower(column).like(func.lower(part), escape=_ESCAPE) for column in searched)))
    return [condition for condition in conditions if condition is not None]


def _like(column: Any, pattern: str) -> Any:
    """Compare with a text in which ``*`` stands for any characters; a prefix becomes a range of the index."""
    if not pattern:
        return None
    if "*" not in pattern:
        return column == pattern
    prefix, _, rest = pattern.partition("*")
    starts = and_(column >= prefix, column < f"{prefix}\U0010ffff") if prefix else None
    if prefix and not rest:
        return starts
    matches = column.like("%".join(_escaped(part) for part in pattern.split("*")), escape=_ESCAPE)
    return matches if starts is None else and_(starts, matches)


def _escaped(text: str) -> str:
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, f"{_ESCAPE}{special}")
    return text
