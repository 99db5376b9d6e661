"""An index of deliveries that are open or held, to find those that are stuck, and what an endpoint goes on holding.

The index takes the place of that of the waiting ones. To make it the deliveries are read once; nothing is written into
them until that is done. Endpoints that are there go on holding what they hold until they are resumed anew.

Revision ID: 0018_what_is_stuck
Revises: 0017_who_handles_webhooks
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018_what_is_stuck"
down_revision = "0017_who_handles_webhooks"
branch_labels = None
depends_on = None

_UNENDED = sa.text("status IN ('pending', 'waiting', 'held')")
_WAITING = sa.text("status = 'waiting'")


def upgrade() -> None:
    op.add_column(
        "webhook_configurations",
        sa.Column("held_before", sa.BigInteger(), nullable=False, server_default=str(2**63 - 1)),
    )
    op.create_index(
        "ix_webhook_deliveries_unended",
        "webhook_deliveries",
        ["status", "tenant_id", "configuration_id", "order_key", "position", "id"],
        sqlite_where=_UNENDED,
        postgresql_where=_UNENDED,
    )
    op.drop_index("ix_webhook_deliveries_waiting", "webhook_deliveries")


def downgrade() -> None:
    op.create_index(
        "ix_webhook_deliveries_waiting",
        "webhook_deliveries",
        ["tenant_id", "configuration_id", "order_key", "position"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.drop_index("ix_webhook_deliveries_unended", "webhook_deliveries")
    op.drop_column("webhook_configurations", "held_before")
