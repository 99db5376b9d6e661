"""Runs of retention on SQL: :class:`~custodes.planes.retention.ports.RunStore`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select

from custodes.kernel.ids import uuid7
from custodes.kernel.paging import Page, decode_cursor, page_of
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.retention.model import Run
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.bulk import counted
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.retention import retention_runs


class SqlRunStore:
    """Keeps runs in ``retention_runs``; they are the install's, so all are the default tenant's."""

    def add(self, tx: Transaction, run: Run) -> None:
        """Record a run."""
        connection_of(tx).execute(insert(retention_runs).values(tenant_id=DEFAULT_TENANT, **asdict(run)))

    def last(self, tx: Transaction, policies: Iterable[str]) -> dict[str, Run]:
        """Find the newest run of each policy."""
        found: dict[str, Run] = {}
        for policy in policies:
            newest = _runs().where(retention_runs.c.policy == policy, retention_runs.c.dry_run.is_(False)).limit(1)
            row = connection_of(tx).execute(newest).mappings().first()
            if row is not None:
                found[policy] = _run(row)
        return found

    def newest(self, tx: Transaction, count: int) -> list[Run]:
        """Read the newest real runs of all policies."""
        query = _runs().where(retention_runs.c.dry_run.is_(False)).limit(count)
        return [_run(row) for row in connection_of(tx).execute(query).mappings()]

    def page(self, tx: Transaction, limit: int, cursor: str) -> Page[Run]:
        """Read a page, newest first."""
        query = _runs().limit(limit + 1)
        if cursor:
            query = query.where(retention_runs.c.id < decode_cursor(cursor)[1])
        rows = [_run(row) for row in connection_of(tx).execute(query).mappings()]
        return page_of(rows, limit, lambda run: (run.started_at, run.id))

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Remove the oldest records."""
        oldest = select(retention_runs.c.id).where(*_past(before)).order_by(retention_runs.c.id).limit(limit)
        gone = connection_of(tx).execute(
            delete(retention_runs).where(
                retention_runs.c.tenant_id == DEFAULT_TENANT, retention_runs.c.id.in_(oldest.scalar_subquery())
            )
        )
        return gone.rowcount

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count records past their time."""
        return counted(connection_of(tx), retention_runs, *_past(before))


def _runs() -> Any:
    return (
        select(retention_runs).where(retention_runs.c.tenant_id == DEFAULT_TENANT).order_by(retention_runs.c.id.desc())
    )


def _past(before: int) -> tuple[Any, ...]:
    return retention_runs.c.tenant_id == DEFAULT_TENANT, retention_runs.c.id < uuid7(max(before, 0), lambda _bits: 0)


def _run(row: RowMapping) -> Run:
    return Run(**{name: value for name, value in row.items() if name != "tenant_id"})
