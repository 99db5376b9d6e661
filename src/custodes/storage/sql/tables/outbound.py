"""Tables of outgoing webhooks (spec T5)."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, text

from custodes.storage.sql.tables import metadata
from custodes.storage.sql.types import Bytes, Count, Id, JsonText, Micros, String, Tenant, Text

webhook_configurations = Table(
    "webhook_configurations",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("url", String(2000), nullable=False),
    Column("description", Text(), nullable=False),
    Column("event_types", JsonText, nullable=False),
    Column("retry", JsonText, nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_reason", Text(), nullable=False),
    Column("success_count", Count, nullable=False),
    Column("failure_count", Count, nullable=False),
    Column("last_success_at", Micros, nullable=False),
    Column("last_failure_at", Micros, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    # 0 while it is not deleted; the row stays as a tombstone for the deliveries that name it.
    Column("deleted_at", Micros, nullable=False),
)

# Lists of one tenant, and of all of them.
_living = text("deleted_at = 0")
Index(
    "ix_webhook_configurations_living",
    webhook_configurations.c.tenant_id,
    webhook_configurations.c.id,
    sqlite_where=_living,
    postgresql_where=_living,
)
Index("ix_webhook_configurations_id", webhook_configurations.c.id)

#: Signing secrets, sealed (:mod:`custodes.kernel.sealing`).
webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("configuration_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("key_id", String(8), nullable=False),
    Column("sealed", Bytes, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
)
