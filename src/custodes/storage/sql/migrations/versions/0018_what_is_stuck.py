"""An index of deliveries that are open or held, to find those that are stuck, and what an endpoint goes on holding.

That of the waiting ones is of no use any more, and stays until a later release: to take it away, whoever reads
deliveries has to be waited for, who may wait for the endpoints, which nobody reads until this is done: a deadlock.
Endpoints that are there go on holding what they hold until they are resumed anew.

Revision ID: 0018_what_is_stuck
Revises: 0017_who_handles_webhooks
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.added_indexes import AddedIndex, add, drop

revision = "0018_what_is_stuck"
down_revision = "0017_who_handles_webhooks"
branch_labels = None
depends_on = None

INDEXES = (
    AddedIndex(
        "ix_webhook_deliveries_unended",
        "webhook_deliveries",
        ("status", "tenant_id", "configuration_id", "order_key", "position", "id"),
        "status IN ('pending', 'waiting', 'held')",
    ),
)


def upgrade() -> None:
    op.add_column(
        "webhook_configurations",
        sa.Column("held_before", sa.BigInteger(), nullable=False, server_default=str(2**63 - 1)),
    )
    add(INDEXES)


def downgrade() -> None:
    drop(INDEXES)
    op.drop_column("webhook_configurations", "held_before")
