"""An index of the calls in which one kind of error of one tenant was.

To make it the calls are read once; nothing is written into them.

Revision ID: 0020_calls_of_an_error
Revises: 0019_shared_delivery_figures
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_calls_of_an_error"
down_revision = "0019_shared_delivery_figures"
branch_labels = None
depends_on = None

_HAS_ERROR_GROUP = sa.text("error_group <> ''")


def upgrade() -> None:
    op.create_index(
        "ix_api_monitoring_error_group",
        "api_monitoring",
        ["error_group", "tenant_id", "started_at"],
        sqlite_where=_HAS_ERROR_GROUP,
        postgresql_where=_HAS_ERROR_GROUP,
    )


def downgrade() -> None:
    op.drop_index("ix_api_monitoring_error_group", "api_monitoring")
