"""An index of the calls in which one kind of error of one tenant was.

Revision ID: 0020_calls_of_an_error
Revises: 0019_shared_delivery_figures
"""

from __future__ import annotations

from custodes.storage.sql.added_indexes import AddedIndex, add, drop

revision = "0020_calls_of_an_error"
down_revision = "0019_shared_delivery_figures"
branch_labels = None
depends_on = None

INDEXES = (
    AddedIndex(
        "ix_api_monitoring_error_group",
        "api_monitoring",
        ("error_group", "tenant_id", "started_at"),
        "error_group <> ''",
    ),
)


def upgrade() -> None:
    add(INDEXES)


def downgrade() -> None:
    drop(INDEXES)
