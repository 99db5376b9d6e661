"""Whether the webhooks of a source are complete, and whether it is silent.

Revision ID: 0005_webhook_completeness
Revises: 0004_delivery_figures
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import Count, Micros, String, Tenant, Text

revision = "0005_webhook_completeness"
down_revision = "0004_delivery_figures"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_completeness",
        sa.Column("tenant_id", Tenant, nullable=False),
        sa.Column("source", String(64), nullable=False),
        sa.Column("since", Micros, nullable=True),
        sa.Column("proven_until", Micros, nullable=True),
        sa.Column("proven_at", Micros, nullable=True),
        sa.Column("window_until", Micros, nullable=True),
        sa.Column("cursor", String(500), nullable=False),
        sa.Column("fetched", Count, nullable=False),
        sa.Column("lost", Count, nullable=False),
        sa.Column("asked_at", Micros, nullable=True),
        sa.Column("error", Text(), nullable=False),
        sa.Column("silent_since", Micros, nullable=True),
        sa.Column("silent_expected", Count, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "source"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("webhook_completeness")
