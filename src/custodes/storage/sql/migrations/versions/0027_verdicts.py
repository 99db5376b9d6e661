"""Verdicts over entries of the trail are found by an index that tells all of them.

Revision ID: 0027_verdicts
Revises: 0026_targets_stay
"""

from __future__ import annotations

from custodes.storage.sql.added_indexes import AddedIndex, add, drop

revision = "0027_verdicts"
down_revision = "0026_targets_stay"
branch_labels = None
depends_on = None

INDEXES = (
    AddedIndex(
        "ix_audit_logs_verdicts",
        "audit_logs",
        ("tenant_id", "id", "review_state", "reviewed_at", "recorded_at"),
        "reviewed_at IS NOT NULL",
    ),
)


def upgrade() -> None:
    add(INDEXES)


def downgrade() -> None:
    drop(INDEXES)
