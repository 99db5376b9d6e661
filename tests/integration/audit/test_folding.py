"""The leader of an install folds the trail into figures, without being asked."""

from __future__ import annotations

from sqlalchemy import func, select

from custodes import Custodes
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.audit_figures import audit_folds


async def test_the_leader_folds_what_was_recorded(custodes: Custodes):
    # Given an entry in the trail, and an instance that leads
    await custodes.audit.log_audit_event("invoice.created", actor="user:ann")
    await custodes.leader.campaign()

    # When its scheduler has its turn
    assert await custodes.scheduler.run_now("audit.fold")

    # Then the mark stands at the last entry
    mark = select(audit_folds.c.seq, select(func.max(audit_logs.c.seq)).scalar_subquery())
    folded, last = await custodes.database.read(lambda tx: connection_of(tx).execute(mark).one())
    assert folded == last > 0
