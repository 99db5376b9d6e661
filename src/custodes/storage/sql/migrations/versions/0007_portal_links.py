"""Links of the customer portal.

Revision ID: 0007_portal_links
Revises: 0006_audit_figures
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import Count, Id, Micros, String, Tenant, Text

revision = "0007_portal_links"
down_revision = "0006_audit_figures"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_portal_links",
        sa.Column("tenant_id", Tenant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("scope", String(16), nullable=False),
        sa.Column("channel", String(100), nullable=False),
        sa.Column("note", Text(), nullable=False),
        sa.Column("max_endpoints", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("session_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("made_by", Text(), nullable=False),
        sa.Column("created_at", Micros, nullable=False),
        sa.Column("expires_at", Micros, nullable=False),
        sa.Column("opened", Count, nullable=False),
        sa.Column("last_used_at", Micros, nullable=True),
        sa.Column("revoked_at", Micros, nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_webhook_portal_links")),
        sa.UniqueConstraint("session_hash", name=op.f("uq_webhook_portal_links_session_hash")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_webhook_portal_links_token_hash")),
    )
    op.create_index("ix_webhook_portal_links_id", "webhook_portal_links", ["id"])
    op.create_index("ix_webhook_portal_links_expires", "webhook_portal_links", ["expires_at"])


def downgrade() -> None:
    op.drop_table("webhook_portal_links")
