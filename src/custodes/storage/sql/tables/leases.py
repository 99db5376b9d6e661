"""Table of the leader leases."""

from __future__ import annotations

from sqlalchemy import Column, Table

from custodes.storage.sql.tables import metadata
from custodes.storage.sql.types import Count, Micros, String, Tenant

#: One row per lease. Leases belong to the install: ``tenant_id`` is always the default tenant.
leader_leases = Table(
    "leader_leases",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("token", Count, nullable=False),
    Column("beats", Count, nullable=False),
    Column("renewed_at", Micros, nullable=False),
)
