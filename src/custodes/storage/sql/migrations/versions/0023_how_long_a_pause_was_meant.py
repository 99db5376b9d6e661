"""How long an endpoint was to be left alone, beside until when.

A pause that lasts longer than it was meant to was begun by a clock that ran ahead. Of those that are under way nobody
knows how long they were meant to be: they may last for as long as a receiver can ask for, as they did before.

Revision ID: 0023_how_long_a_pause_was_meant
Revises: 0022_webhooks_nobody_wants
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023_how_long_a_pause_was_meant"
down_revision = "0022_webhooks_nobody_wants"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_endpoint_health", sa.Column("open_for", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("webhook_endpoint_health", "open_for")
