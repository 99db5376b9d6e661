"""Deliveries that were given up lately are counted without reading all of them.

Revision ID: 0003_exhausted_deliveries
Revises: 0002_outgoing_deliveries
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_exhausted_deliveries"
down_revision = "0002_outgoing_deliveries"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_webhook_deliveries_exhausted",
        "webhook_deliveries",
        ["finished_at"],
        unique=False,
        sqlite_where=sa.text("status = 'failed'"),
        postgresql_where=sa.text("status = 'failed'"),
    )


def downgrade() -> None:
    op.drop_index("ix_webhook_deliveries_exhausted", table_name="webhook_deliveries")
