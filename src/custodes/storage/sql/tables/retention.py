"""Table of retention: what was deleted when."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Table

from custodes.storage.sql.tables import metadata
from custodes.storage.sql.types import Count, Id, Micros, String, Tenant, Text

#: An id is a UUIDv7 of ``started_at``: the order by id is the order by moment. Every policy has a row in every sweep,
#: so the newest of one is found within a few rows of the key.
retention_runs = Table(
    "retention_runs",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("policy", String(100), nullable=False),
    Column("started_at", Micros, nullable=False),
    Column("before", Micros, nullable=False),
    Column("removed", Count),
    Column("duration_us", Micros, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("error", Text(), nullable=False),
    sqlite_with_rowid=False,
)
