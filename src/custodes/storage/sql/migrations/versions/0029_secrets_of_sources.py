"""When each secret of a webhook source last signed.

Revision ID: 0029_secrets_of_sources
Revises: 0028_targets_in_a_schema
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import Micros, String, Tenant

revision = "0029_secrets_of_sources"
down_revision = "0028_targets_in_a_schema"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_source_secrets",
        sa.Column("tenant_id", Tenant, nullable=False),
        sa.Column("source", String(64), nullable=False),
        sa.Column("fingerprint", String(16), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("since", Micros, nullable=False),
        sa.Column("said_at", Micros, nullable=False),
        sa.Column("last_at", Micros),
        sa.PrimaryKeyConstraint("tenant_id", "source", "fingerprint"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("webhook_source_secrets")
