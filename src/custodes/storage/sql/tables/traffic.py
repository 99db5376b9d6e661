"""Tables of the traffic plane: raw rows, rollups, error groups."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Index, Integer, Table, text

from custodes.storage.sql.tables import by_time, metadata, partitioned
from custodes.storage.sql.types import Bytes, Count, Id, Micros, String, Tenant, Text

# One row for each API call. The primary key is the main list's order and holds the time, so that PostgreSQL can
# partition by it; a single call is found through the moment inside of its UUIDv7. The other indexes begin with what is
# rare by itself (a trace, an address, a user), so that an operator of all tenants is served by them too. They leave out
# the id: it would double their size and cost a third of the ingest rate, to sort the few rows of one microsecond.
api_monitoring = Table(
    "api_monitoring",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("started_at", Micros, primary_key=True, autoincrement=False),
    Column("id", Id, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("method", Text(), nullable=False),
    Column("route", Text()),
    Column("path", Text(), nullable=False),
    Column("status", Integer, nullable=False),
    Column("total_us", Micros, nullable=False),
    Column("ttfb_us", Micros, nullable=False),
    Column("background_us", Micros, nullable=False),
    Column("request_bytes", Count, nullable=False),
    Column("response_bytes", Count, nullable=False),
    Column("user_id", Text(), nullable=False),
    Column("api_key_id", Text(), nullable=False),
    Column("client_ip", Text(), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("span_id", String(16), nullable=False),
    Column("parent_id", String(16), nullable=False),
    Column("user_agent", Text(), nullable=False),
    Column("limited_by", Text(), nullable=False),
    Column("disconnected", Boolean, nullable=False),
    Column("error_group", String(64), nullable=False),
    Column("error", Text(), nullable=False),
    Index("ix_api_monitoring_started_at", "started_at"),
    Index("ix_api_monitoring_trace_id", "trace_id"),
    Index("ix_api_monitoring_route", "route", "started_at"),
    **partitioned("started_at"),
)

# Conditions of partial indexes, for the index and for the query in the same words, so that both engines see they fit.
HAS_ADDRESS = text("client_ip <> ''")
HAS_USER = text("user_id <> ''")
HAS_API_KEY = text("api_key_id <> ''")
ERRORS_ONLY = text("(status >= 500 OR error_group <> '')")
HAS_ERROR_GROUP = text("error_group <> ''")

Index(
    "ix_api_monitoring_client_ip",
    api_monitoring.c.client_ip,
    api_monitoring.c.started_at,
    sqlite_where=HAS_ADDRESS,
    postgresql_where=HAS_ADDRESS,
)
Index(
    "ix_api_monitoring_user_id",
    api_monitoring.c.user_id,
    api_monitoring.c.started_at,
    sqlite_where=HAS_USER,
    postgresql_where=HAS_USER,
)
Index(
    "ix_api_monitoring_api_key_id",
    api_monitoring.c.api_key_id,
    api_monitoring.c.started_at,
    sqlite_where=HAS_API_KEY,
    postgresql_where=HAS_API_KEY,
)
Index(
    "ix_api_monitoring_errors",
    api_monitoring.c.started_at,
    sqlite_where=ERRORS_ONLY,
    postgresql_where=ERRORS_ONLY,
)
# Of one kind of error of one tenant, however loud others are: most calls have none and cost nothing here.
Index(
    "ix_api_monitoring_error_group",
    api_monitoring.c.error_group,
    api_monitoring.c.tenant_id,
    api_monitoring.c.started_at,
    sqlite_where=HAS_ERROR_GROUP,
    postgresql_where=HAS_ERROR_GROUP,
)

# Figures of one series in one bucket of time. Append-only: the same bucket may have several rows, one a writer, that
# are added up when read. ``folded`` is 1 once a coarser level holds the row too, and on the coarsest level always.
api_rollups = Table(
    "api_rollups",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("keyspace", String(16), primary_key=True),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("bucket", Micros, primary_key=True, autoincrement=False),
    Column("name", Text(), primary_key=True),
    Column("method", String(32), primary_key=True),
    Column("writer_id", Id, primary_key=True),
    Column("folded", Integer, nullable=False),
    Column("count", Count, nullable=False),
    Column("client_errors", Count, nullable=False),
    Column("server_errors", Count, nullable=False),
    Column("limited", Count, nullable=False),
    Column("disconnected", Count, nullable=False),
    Column("request_bytes", Count, nullable=False),
    Column("response_bytes", Count, nullable=False),
    Column("timed", Count, nullable=False),
    Column("total_sum", Count, nullable=False),
    Column("total_min", Micros, nullable=False),
    Column("total_max", Micros, nullable=False),
    Column("statuses", Text(), nullable=False),
    Column("total", Bytes, nullable=False),
    Column("ttfb", Bytes, nullable=False),
    # At least the sum of the squares of the times to the last byte, µs²: how far they can lie from their mean. Of
    # endpoints, which are ranked by it; NULL in rows of versions before.
    Column("total_squares", Double),
    # One endpoint over a long time reads its own rows only.
    Index("ix_api_rollups_series", "tenant_id", "keyspace", "level", "name", "bucket"),
    # Retention deletes a level by age, whatever the tenant.
    *by_time("ix_api_rollups_level", "level", "bucket"),
    **partitioned("level", "bucket"),
    # Rows in the order of their key: the figures of a bucket are read one after the other, not from all over the file.
    sqlite_with_rowid=False,
)

#: Rows that no coarser level holds yet; the same text in the index and in the queries.
UNFOLDED = text("folded = 0")

Index(
    "ix_api_rollups_unfolded",
    api_rollups.c.level,
    api_rollups.c.tenant_id,
    api_rollups.c.keyspace,
    api_rollups.c.bucket,
    sqlite_where=UNFOLDED,
    postgresql_where=UNFOLDED,
)

#: Rows of endpoints that a version before wrote without squares, on levels that are kept for months (six hours and
#: wider): what is still to be filled, the next one first.
LACKS_SQUARES = text("(keyspace = 'endpoint' AND level >= 21600 AND total_squares IS NULL)")

Index(
    "ix_api_rollups_lacking",
    api_rollups.c.level,
    api_rollups.c.bucket,
    sqlite_where=LACKS_SQUARES,
    postgresql_where=LACKS_SQUARES,
)

# What kinds of errors there are. How often each occurs is in the rollups (keyspace ``error``), so that writing the
# same batch twice changes nothing.
api_error_groups = Table(
    "api_error_groups",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("id", Id, nullable=False, unique=True),
    Column("title", Text(), nullable=False),
    Column("method", String(32), nullable=False),
    Column("route", Text()),
    Column("first_seen_at", Micros, nullable=False),
    Column("last_seen_at", Micros, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("traceback", Text(), nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_at", Micros, nullable=False),
    Column("state_by", Text(), nullable=False),
    Index("ix_api_error_groups_list", "tenant_id", "last_seen_at", "id"),
    Index("ix_api_error_groups_last_seen", "last_seen_at", "id"),
)
