"""What an identifier was allowed is read from the index of identifiers alone.

Revision ID: 0009_allowed_by_identifier
Revises: 0008_forwarding
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_allowed_by_identifier"
down_revision = "0008_forwarding"
branch_labels = None
depends_on = None

_TABLE = "rate_limit_tracking"
_INDEX = "ix_rate_limit_tracking_identifier"
_KEY = ["identifier", "window_start"]


def upgrade() -> None:
    _make([*_KEY, "tenant_id", "kind", "allowed"])


def downgrade() -> None:
    _make(_KEY)


def _make(columns: list[str]) -> None:
    op.drop_index(_INDEX, table_name=_TABLE)
    identified = sa.text("identifier <> ''")
    op.create_index(_INDEX, _TABLE, columns, unique=False, sqlite_where=identified, postgresql_where=identified)
