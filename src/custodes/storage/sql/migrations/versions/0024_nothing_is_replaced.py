"""A guard of the audit trail on SQLite: an entry cannot be put in the place of another.

``INSERT OR REPLACE`` deletes what is in its way without asking the guard of deletes. PostgreSQL has no such statement:
its ``ON CONFLICT DO UPDATE`` is an update, and asks the guard of updates.

Revision ID: 0024_nothing_is_replaced
Revises: 0023_how_long_a_pause_was_meant
"""

from __future__ import annotations

from alembic import op

revision = "0024_nothing_is_replaced"
down_revision = "0023_how_long_a_pause_was_meant"
branch_labels = None
depends_on = None

GUARD = """CREATE TRIGGER audit_logs_nothing_is_replaced BEFORE INSERT ON audit_logs
    WHEN EXISTS (SELECT 1 FROM audit_logs WHERE seq = NEW.seq)
      OR EXISTS (SELECT 1 FROM audit_logs WHERE id = NEW.id)
      OR EXISTS (SELECT 1 FROM audit_logs WHERE tenant_id = NEW.tenant_id
                 AND idempotency_key = NEW.idempotency_key AND idempotency_key IS NOT NULL)
    BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only: what was recorded cannot be replaced'); END"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(GUARD)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_logs_nothing_is_replaced")
