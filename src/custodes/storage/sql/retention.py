"""Runs of retention on SQL: :class:`~custodes.planes.retention.ports.RunStore`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select

from custodes.kernel.clock import MILLISECOND
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

    def last(
        self, tx: Transaction, policies: Sequence[str], *, until: int | None = None, succeeded: bool = False
    ) -> dict[str, Run]:
        """Find the newest run of each policy: most are among the newest of all, the others are looked for."""
        real = _runs().where(retention_runs.c.dry_run.is_(False))
        if until is not None:
            real = real.where(retention_runs.c.id < uuid7(until + MILLISECOND, lambda _bits: 0))
        if succeeded:
            real = real.where(retention_runs.c.error == "")
        most = 2 * len(policies)
        found: dict[str, Run] = {}
        newest = connection_of(tx).execute(real.limit(most)).mappings().all()
        for row in newest:
            found.setdefault(row.policy, _run(row))
        for policy in set(policies) - found.keys() if len(newest) == most else ():
            its_own = real.where(retention_runs.c.policy == policy).limit(1)
            found.update((row.policy, _run(row)) for row in connection_of(tx).execute(its_own).mappings())
        return {policy: found[policy] for policy in policies if policy in found}

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
