"""What is ranked, added up and deleted by age: squares of times, counts of 64 bits, indexes for retention.

Squares of the times of endpoints are filled afterwards (``storage/sql/traffic_squares.py``), and their column is added at
the end: until this is committed nobody else reads or writes the rollups. SQLite's integers have 64 bits already.

Revision ID: 0014_sums_and_ages
Revises: 0013_audit_lines
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.added_indexes import AddedIndex, add, drop

revision = "0014_sums_and_ages"
down_revision = "0013_audit_lines"
branch_labels = None
depends_on = None

#: Figures of the trail → columns of theirs that 31 bits are too few for: at 5,000 entries a second ten days are 4
#: billion.
_WIDER: Mapping[str, tuple[str, ...]] = {
    "audit_group_figures": ("events",),
    "audit_risk_figures": ("events", "flagged"),
    "audit_actor_figures": ("events", "failures", "new_addresses"),
    "audit_origin_figures": ("events",),
    "audit_failure_figures": ("failures",),
    "audit_rule_figures": ("entries",),
    "audit_habit_figures": ("events", "failures", "flagged", "impersonated"),
    "audit_lines": ("line", "events"),
    "audit_line_figures": ("line", "events"),
    "audit_line_addresses": ("line", "events"),
    "audit_span_figures": ("events",),
}

#: By age.
INDEXES = (
    AddedIndex("ix_webhook_refusals_received_at", "webhook_refusals", ("received_at",)),
    AddedIndex("ix_webhook_refusal_counts_bucket", "webhook_refusal_counts", ("bucket",)),
    AddedIndex("ix_webhook_rollups_level", "webhook_rollups", ("level", "bucket")),
    AddedIndex("ix_webhook_source_rollups_level", "webhook_source_rollups", ("level", "bucket")),
)


def upgrade() -> None:
    add(INDEXES)
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in _WIDER.items():  # each table is written anew once
            op.execute(f"ALTER TABLE {table} {', '.join(f'ALTER {name} TYPE BIGINT' for name in columns)}")
    op.add_column("api_rollups", sa.Column("total_squares", sa.Double()))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in _WIDER.items():
            op.execute(f"ALTER TABLE {table} {', '.join(f'ALTER {name} TYPE INTEGER' for name in columns)}")
    op.drop_column("api_rollups", "total_squares")
    drop(INDEXES)
