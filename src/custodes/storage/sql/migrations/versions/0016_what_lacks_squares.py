"""An index of the rows of endpoints whose squares of times are still to be filled (``storage/sql/traffic_squares.py``).

Empty once they are.

Revision ID: 0016_what_lacks_squares
Revises: 0015_reviews_step_by_step
"""

from __future__ import annotations

from custodes.storage.sql.added_indexes import AddedIndex, add, drop

revision = "0016_what_lacks_squares"
down_revision = "0015_reviews_step_by_step"
branch_labels = None
depends_on = None

_LACKING = "(keyspace = 'endpoint' AND level >= 21600 AND total_squares IS NULL)"

INDEXES = (AddedIndex("ix_api_rollups_lacking", "api_rollups", ("level", "bucket"), _LACKING),)


def upgrade() -> None:
    add(INDEXES)


def downgrade() -> None:
    drop(INDEXES)
