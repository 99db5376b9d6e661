"""Saved views, and which of them the tabs of the dashboard open with.

Revision ID: 0010_saved_views
Revises: 0009_allowed_by_identifier
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import Id, Micros, String, Tenant

revision = "0010_saved_views"
down_revision = "0009_allowed_by_identifier"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admin_saved_views",
        sa.Column("id", Id, nullable=False),
        sa.Column("tenant_id", Tenant, nullable=True),
        sa.Column("made_by", Id, nullable=True),
        sa.Column("private_to", Id, nullable=True),
        sa.Column("name", String(60), nullable=False),
        sa.Column("tab", String(16), nullable=False),
        sa.Column("place", String(2048), nullable=False),
        sa.Column("opens_tab", sa.Boolean(), nullable=False),
        sa.Column("created_at", Micros, nullable=False),
        sa.Column("changed_at", Micros, nullable=False),
        sa.ForeignKeyConstraint(
            ["made_by"],
            ["user_profiles.id"],
            name=op.f("fk_admin_saved_views_made_by_user_profiles"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["private_to"],
            ["user_profiles.id"],
            name=op.f("fk_admin_saved_views_private_to_user_profiles"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_saved_views")),
    )
    op.create_index("ix_admin_saved_views_tenant", "admin_saved_views", ["tenant_id", "created_at", "id"])
    op.create_index("ix_admin_saved_views_maker", "admin_saved_views", ["made_by", "name"])
    op.create_index("ix_admin_saved_views_private", "admin_saved_views", ["private_to"])
    op.create_table(
        "admin_view_defaults",
        sa.Column("profile_id", Id, nullable=False),
        sa.Column("tab", String(16), nullable=False),
        sa.Column("tenant_id", Tenant, nullable=True),
        sa.Column("view_id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["profile_id"],
            ["user_profiles.id"],
            name=op.f("fk_admin_view_defaults_profile_id_user_profiles"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["view_id"],
            ["admin_saved_views.id"],
            name=op.f("fk_admin_view_defaults_view_id_admin_saved_views"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("profile_id", "tab", name=op.f("pk_admin_view_defaults")),
    )
    op.create_index("ix_admin_view_defaults_view", "admin_view_defaults", ["view_id"])


def downgrade() -> None:
    op.drop_table("admin_view_defaults")
    op.drop_table("admin_saved_views")
