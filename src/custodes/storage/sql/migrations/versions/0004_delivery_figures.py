"""Attempts at deliveries are counted by stretch of time, endpoint and type.

Revision ID: 0004_delivery_figures
Revises: 0003_exhausted_deliveries
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import String

revision = "0004_delivery_figures"
down_revision = "0003_exhausted_deliveries"
branch_labels = None
depends_on = None

_COUNTS = ("succeeded", "redirects", "client_errors", "server_errors", "unanswered", "exhausted")


def upgrade() -> None:
    count = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "webhook_delivery_rollups",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("configuration_id", String(36), nullable=False),
        sa.Column("event_type", String(255), nullable=False),
        sa.Column("writer", String(36), nullable=False),
        *(sa.Column(name, count, nullable=False) for name in _COUNTS),
        sa.Column("took", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "level",
            "bucket",
            "tenant_id",
            "configuration_id",
            "event_type",
            "writer",
            name=op.f("pk_webhook_delivery_rollups"),
        ),
    )
    op.create_index(
        "ix_webhook_delivery_rollups_endpoint",
        "webhook_delivery_rollups",
        ["tenant_id", "configuration_id", "level", "bucket"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_table("webhook_delivery_rollups")
