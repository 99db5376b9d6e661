"""Table of the open jobs."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table

from custodes.storage.sql.tables import metadata
from custodes.storage.sql.types import Count, Id, Micros, String, Tenant

#: One row per open job; a finished job is deleted, so the table stays as small as the work that waits.
jobs = Table(
    "custodes_jobs",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("kind", String(32), primary_key=True),
    Column("ref", Id, primary_key=True),
    Column("lane", String(128), nullable=False),
    #: Not before; while leased, the end of the lease.
    Column("due_at", Micros, nullable=False),
    Column("attempts", Integer, nullable=False),
    #: Leases that were given back before the work began or when we broke it off.
    Column("released", Integer, nullable=False),
    #: Fencing token of the last lease; 0 before the first.
    Column("token", Count, nullable=False),
    #: Who holds it; NULL when nobody does.
    Column("lease_owner", String(128)),
    # Workers take jobs of all tenants, so these indexes, alone of all, do not begin with the tenant; a lane has one.
    Index(None, "kind", "lane", "due_at"),
    Index(None, "kind", "due_at"),
    sqlite_with_rowid=False,
)
