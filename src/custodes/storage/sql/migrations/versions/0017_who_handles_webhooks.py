"""Which processes handle webhooks.

Revision ID: 0017_who_handles_webhooks
Revises: 0016_what_lacks_squares
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import Id, JsonText, Micros, Tenant

revision = "0017_who_handles_webhooks"
down_revision = "0016_what_lacks_squares"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_handlers",
        sa.Column("tenant_id", Tenant, nullable=False),
        sa.Column("process", Id, nullable=False),
        sa.Column("said_at", Micros, nullable=False),
        sa.Column("handlers", JsonText, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "process"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("webhook_handlers")
