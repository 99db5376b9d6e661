"""Tables of the identity plane: ``user_profiles`` (T7) and what they sign in with."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, UniqueConstraint

from custodes.storage.sql.tables import metadata
from custodes.storage.sql.types import Id, Micros, String, Tenant, Text

user_profiles = Table(
    "user_profiles",
    metadata,
    Column("id", Id, primary_key=True),
    #: NULL: all tenants.
    Column("tenant_id", Tenant),
    Column("issuer", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("email", String(254), nullable=False),
    Column("display_name", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("last_seen_at", Micros),
    UniqueConstraint("issuer", "subject"),
    Index("ix_user_profiles_tenant", "tenant_id", "created_at", "id"),
    Index("ix_user_profiles_created", "created_at", "id"),
    Index("ix_user_profiles_role", "role", "state", "tenant_id"),
)

local_credentials = Table(
    "local_credentials",
    metadata,
    Column("profile_id", Id, ForeignKey("user_profiles.id", ondelete="CASCADE"), primary_key=True),
    Column("tenant_id", Tenant),
    Column("password_hash", Text(), nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("changed_at", Micros, nullable=False),
)

admin_sessions = Table(
    "admin_sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Tenant),
    Column("profile_id", Id, ForeignKey("user_profiles.id", ondelete="CASCADE"), nullable=False),
    Column("token_hash", LargeBinary(32), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("last_seen_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Column("revoked_at", Micros),
    Column("ip", String(64), nullable=False),
    Column("user_agent", String(256), nullable=False),
    UniqueConstraint("token_hash"),
    Index("ix_admin_sessions_tenant", "tenant_id", "created_at", "id"),
    Index("ix_admin_sessions_created", "created_at", "id"),
    Index("ix_admin_sessions_profile", "profile_id", "created_at", "id"),
    Index("ix_admin_sessions_expires", "expires_at"),
)

api_keys = Table(
    "admin_api_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Tenant),
    Column("profile_id", Id, ForeignKey("user_profiles.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("prefix", String(32), nullable=False),
    Column("key_hash", LargeBinary(32), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros),
    Column("last_used_at", Micros),
    Column("revoked_at", Micros),
    UniqueConstraint("key_hash"),
    Index("ix_admin_api_keys_tenant", "tenant_id", "created_at", "id"),
    Index("ix_admin_api_keys_created", "created_at", "id"),
    Index("ix_admin_api_keys_profile", "profile_id", "created_at", "id"),
)

login_attempts = Table(
    "admin_login_attempts",
    metadata,
    #: SHA-256 of the account or the address.
    Column("key", LargeBinary(32), primary_key=True),
    #: Always NULL: who tries to sign in belongs to no tenant yet.
    Column("tenant_id", Tenant),
    Column("failures", Integer, nullable=False),
    Column("last_at", Micros, nullable=False),
    Column("blocked_until", Micros, nullable=False),
    Index("ix_admin_login_attempts_last", "last_at"),
)

saved_views = Table(
    "admin_saved_views",
    metadata,
    Column("id", Id, primary_key=True),
    #: NULL: those who see all tenants.
    Column("tenant_id", Tenant),
    Column("made_by", Id, ForeignKey("user_profiles.id", ondelete="SET NULL")),
    #: Who alone sees it, and with whom it goes; NULL: it is shared.
    Column("private_to", Id, ForeignKey("user_profiles.id", ondelete="CASCADE")),
    Column("name", String(60), nullable=False),
    Column("tab", String(16), nullable=False),
    Column("place", String(2048), nullable=False),
    Column("opens_tab", Boolean, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("changed_at", Micros, nullable=False),
    Index("ix_admin_saved_views_tenant", "tenant_id", "created_at", "id"),
    Index("ix_admin_saved_views_maker", "made_by", "name"),
    Index("ix_admin_saved_views_private", "private_to"),
)

view_defaults = Table(
    "admin_view_defaults",
    metadata,
    Column("profile_id", Id, ForeignKey("user_profiles.id", ondelete="CASCADE"), primary_key=True),
    Column("tab", String(16), primary_key=True),
    Column("tenant_id", Tenant),
    Column("view_id", Id, ForeignKey("admin_saved_views.id", ondelete="CASCADE"), nullable=False),
    Index("ix_admin_view_defaults_view", "view_id"),
)
