"""On PostgreSQL, figures that are found by their time alone have a BRIN index and no B-tree (ADR 0008).

The new ones are built beside those who write (``INDEXES``), before the old ones go.

Revision ID: 0025_figures_by_time
Revises: 0024_nothing_is_replaced
"""

from __future__ import annotations

from alembic import op

from custodes.storage.sql.added_indexes import AddedIndex, add, drop

revision = "0025_figures_by_time"
down_revision = "0024_nothing_is_replaced"
branch_labels = None
depends_on = None

#: Of the table → what it is found by.
_FIGURES = {
    "api_rollups": ("level", "bucket"),
    "rate_limit_figures": ("bucket",),
    "webhook_refusal_counts": ("bucket",),
    "webhook_rollups": ("level", "bucket"),
    "webhook_source_rollups": ("level", "bucket"),
}

_STORED = "pages_per_range = 32, autosummarize = on"

INDEXES = tuple(
    AddedIndex(f"ix_{table}_{columns[0]}_brin", table, columns, using="brin", stored=_STORED)
    for table, columns in _FIGURES.items()
)

_BEFORE = tuple(AddedIndex(f"ix_{table}_{columns[0]}", table, columns) for table, columns in _FIGURES.items())


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        add(INDEXES)
        drop(_BEFORE)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        add(_BEFORE)
        drop(INDEXES)
