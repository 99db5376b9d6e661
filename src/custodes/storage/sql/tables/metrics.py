"""Tables of the metrics plane (T6)."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Index, Integer, Table

from custodes.storage.sql.tables import metadata, partitioned
from custodes.storage.sql.types import Bytes, Count, JsonText, Micros, String, Tenant

#: One row per level, bucket, series and batch; rows are added, marked as folded and deleted, never counted up.
system_metrics = Table(
    "system_metrics",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("bucket", Micros, primary_key=True),
    Column("series_id", String(32), primary_key=True),
    Column("writer", String(64), primary_key=True),
    Column("folded", Boolean, nullable=False),
    Column("count", Count, nullable=False),
    Column("total", Double, nullable=False),
    Column("minimum", Double, nullable=False),
    Column("maximum", Double, nullable=False),
    Column("last", Double, nullable=False),
    Column("last_at", Micros, nullable=False),
    Column("histogram", Bytes),
    # Fold and purge walk all tenants of one level by time.
    Index("ix_system_metrics_level_folded_bucket", "level", "folded", "bucket"),
    sqlite_with_rowid=False,
    **partitioned("level", "bucket"),
)

#: The catalogue: which series there are, and what their labels say.
metric_series = Table(
    "metric_series",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("series_id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("labels", JsonText, nullable=False),
    Column("last_seen", Micros, nullable=False),
    # The same metric of all tenants, for somebody who may see them all.
    Index("ix_metric_series_name", "name", "tenant_id", "series_id"),
    sqlite_with_rowid=False,
)
