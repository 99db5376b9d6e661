"""An index of the rows of endpoints whose squares of times are still to be filled (``storage/sql/traffic_squares.py``).

Empty once they are. To make it the rollups are read once; nothing is written into them until that is done.

Revision ID: 0016_what_lacks_squares
Revises: 0015_reviews_step_by_step
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016_what_lacks_squares"
down_revision = "0015_reviews_step_by_step"
branch_labels = None
depends_on = None

_LACKING = "(keyspace = 'endpoint' AND level >= 21600 AND total_squares IS NULL)"


def upgrade() -> None:
    op.create_index(
        "ix_api_rollups_lacking",
        "api_rollups",
        ["level", "bucket"],
        sqlite_where=sa.text(_LACKING),
        postgresql_where=sa.text(_LACKING),
    )


def downgrade() -> None:
    op.drop_index("ix_api_rollups_lacking", "api_rollups")
