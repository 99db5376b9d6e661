"""An index of the figures of deliveries that a process kept for itself: they are folded into those that all share.

What is there is folded afterwards, in bounded steps; until then both are added up when they are read.

Revision ID: 0019_shared_delivery_figures
Revises: 0018_what_is_stuck
"""

from __future__ import annotations

from custodes.storage.sql.added_indexes import AddedIndex, add, drop

revision = "0019_shared_delivery_figures"
down_revision = "0018_what_is_stuck"
branch_labels = None
depends_on = None

INDEXES = (
    AddedIndex(
        "ix_webhook_delivery_rollups_apart",
        "webhook_delivery_rollups",
        ("level", "bucket", "tenant_id", "configuration_id", "event_type", "writer"),
        "writer <> ''",
    ),
)


def upgrade() -> None:
    add(INDEXES)


def downgrade() -> None:
    drop(INDEXES)
