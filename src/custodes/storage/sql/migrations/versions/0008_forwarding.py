"""Incoming webhooks are forwarded; attempts keep the headers that were sent.

Revision ID: 0008_forwarding
Revises: 0007_portal_links
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import String, Text

revision = "0008_forwarding"
down_revision = "0007_portal_links"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_configurations", sa.Column("source", String(64), server_default="", nullable=False))
    for table in ("webhook_messages", "webhook_delivery_attempts"):
        op.add_column(table, sa.Column("headers", Text(), server_default="[]", nullable=False))


def downgrade() -> None:
    for table in ("webhook_delivery_attempts", "webhook_messages"):
        op.drop_column(table, "headers")
    op.drop_column("webhook_configurations", "source")
