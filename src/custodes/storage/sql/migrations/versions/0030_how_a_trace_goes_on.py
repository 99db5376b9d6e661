"""How a trace goes on with a webhook that is sent later: its flags and its ``tracestate``.

Revision ID: 0030_how_a_trace_goes_on
Revises: 0029_secrets_of_sources
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import Text

revision = "0030_how_a_trace_goes_on"
down_revision = "0029_secrets_of_sources"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_messages", sa.Column("trace_context", Text()))


def downgrade() -> None:
    op.drop_column("webhook_messages", "trace_context")
