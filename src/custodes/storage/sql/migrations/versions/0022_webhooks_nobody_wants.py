"""How many of the webhooks that are done no handler wanted: nothing was attempted, so they are no part of the attempts.

Revision ID: 0022_webhooks_nobody_wants
Revises: 0021_names_of_rules
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022_webhooks_nobody_wants"
down_revision = "0021_names_of_rules"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = ("webhook_rollups", "webhook_source_rollups")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("unhandled", _COUNT, nullable=False, server_default="0"))


def downgrade() -> None:
    for table in _TABLES:
        op.drop_column(table, "unhandled")
