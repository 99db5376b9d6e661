"""Lines of the compliance report get a number, so that ranking them adds up and sorts numbers.

Nothing is filled: the leader folds the trail from its begin, and until then the entries themselves are counted. The
figures of duties, which lines take the place of, fade with retention; the table goes in a release after.

Revision ID: 0013_audit_lines
Revises: 0012_sealed_headers
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import Count, Micros, String, Tenant

revision = "0013_audit_lines"
down_revision = "0012_sealed_headers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_line_folds",
        sa.Column("tenant_id", Tenant, nullable=False),
        sa.Column("seq", Count, nullable=False),
        sa.Column("valid_from", Micros, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_line_folds")),
    )
    op.create_table(
        "audit_lines",
        sa.Column("tenant_id", Tenant, nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("duty", String(16), nullable=False),
        sa.Column("actor", String(250), nullable=False),
        sa.Column("action", String(100), nullable=False),
        sa.Column("outcome", String(16), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("last_at", Micros, nullable=False),
        sa.PrimaryKeyConstraint("line", name=op.f("pk_audit_lines")),
    )
    op.create_index("ix_audit_lines_name", "audit_lines", ["actor", "action", "outcome", "duty"], unique=True)
    op.create_index("ix_audit_lines_events", "audit_lines", ["duty", "events"])
    op.create_index("ix_audit_lines_last_at", "audit_lines", ["last_at"])
    op.create_table(
        "audit_line_figures",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("bucket", Micros, autoincrement=False, nullable=False),
        sa.Column("duty", String(16), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", Tenant, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("level", "bucket", "duty", "line", "tenant_id", name=op.f("pk_audit_line_figures")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_line_addresses",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("duty", String(16), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bucket", Micros, autoincrement=False, nullable=False),
        sa.Column("tenant_id", Tenant, nullable=False),
        sa.Column("ip", String(64), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("last_at", Micros, nullable=False),
        sa.PrimaryKeyConstraint(
            "level", "duty", "line", "bucket", "tenant_id", "ip", name=op.f("pk_audit_line_addresses")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_audit_line_addresses_level", "audit_line_addresses", ["level", "bucket"])


def downgrade() -> None:
    for name in ("audit_line_addresses", "audit_line_figures", "audit_lines", "audit_line_folds"):
        op.drop_table(name)
