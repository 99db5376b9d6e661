"""Tables of the rate limiter (spec T3)."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, SmallInteger, Table, TextClause, UniqueConstraint, text

from custodes.storage.sql.tables import by_time, metadata, partitioned
from custodes.storage.sql.types import Count, Id, JsonText, Micros, String, Tenant, Text

#: Counted windows: one row per identifier, rule, endpoint and minute; a row without identifier is the sum over all.
rate_limit_tracking = Table(
    "rate_limit_tracking",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("id", Id, primary_key=True),
    # In the key because PostgreSQL cuts the table by it.
    Column("window_start", Micros, primary_key=True, autoincrement=False),
    Column("window_end", Micros, nullable=False),
    Column("rule", String(100), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("identifier", String(256), nullable=False),
    Column("endpoint", String(256), nullable=False),
    Column("allowed", Count, nullable=False),
    Column("refused", Count, nullable=False),
    Column("would_refuse", Count, nullable=False),
    Column("trace_id", String(32), nullable=False),
    UniqueConstraint("tenant_id", "window_start", "rule", "kind", "identifier", "endpoint"),
    # The list of one tenant, and of all; the clean-up.
    Index("ix_rate_limit_tracking_tenant_id_window_start_id", "tenant_id", "window_start", "id"),
    Index("ix_rate_limit_tracking_window_start_id", "window_start", "id"),
    **partitioned("window_start"),
)

# Conditions of partial indexes, for the index and for the query in the same words, so that both engines see they fit.
SUMS = text("identifier = ''")
IDENTIFIED = text("identifier <> ''")
REFUSED = text("identifier <> '' AND (refused > 0 OR would_refuse > 0)")


def _partial(name: str, where: TextClause, *columns: str) -> None:
    chosen = (rate_limit_tracking.c[column] for column in columns)
    Index(f"ix_rate_limit_tracking_{name}", *chosen, sqlite_where=where, postgresql_where=where)


# Figures over days: the few rows that are sums, read from the index alone; who was refused; and all of one identifier,
# with what it was allowed.
_COUNTS = ("allowed", "refused", "would_refuse")
_partial("sums", SUMS, "window_start", "tenant_id", "rule", "endpoint", *_COUNTS)
_partial("refused", REFUSED, "window_start", "tenant_id", "kind", "identifier", *_COUNTS)
_partial("identifier", IDENTIFIED, "identifier", "window_start", "tenant_id", "kind", "allowed")

#: What the windows of an hour say together, written with them, so that days are answered without reading minutes: of
#: each rule and endpoint (no kind, no identifier), and of each identifier that was refused, or would have been by a
#: rule in shadow (no rule, no endpoint, and of its counts those two only).
rate_limit_figures = Table(
    "rate_limit_figures",
    metadata,
    #: 1: of an identifier. First in the key, because there are many of these and few of the others.
    Column("identified", SmallInteger, primary_key=True, autoincrement=False),
    #: Begin of the hour, microseconds since the epoch.
    Column("bucket", Micros, primary_key=True, autoincrement=False),
    Column("tenant_id", Tenant, primary_key=True),
    Column("rule", String(100), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("identifier", String(256), primary_key=True),
    Column("endpoint", String(256), primary_key=True),
    Column("allowed", Count, nullable=False),
    Column("refused", Count, nullable=False),
    Column("would_refuse", Count, nullable=False),
    # The clean-up.
    *by_time("ix_rate_limit_figures_bucket", "bucket"),
    sqlite_with_rowid=False,
    **partitioned("bucket"),
)

#: Blocks, bans, the deny list and the allow list.
rate_limit_blocks = Table(
    "rate_limit_blocks",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("id", Id, primary_key=True),
    Column("effect", String(8), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("identifier", String(256), nullable=False),
    Column("reason", Text(), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("ends_at", Micros, nullable=False),
    Column("level", Integer, nullable=False),
    Column("lifted_by", String(256), nullable=False),
    Index("ix_rate_limit_blocks_tenant_id_created_at_id", "tenant_id", "created_at", "id"),
    Index("ix_rate_limit_blocks_created_at_id", "created_at", "id"),
    Index("ix_rate_limit_blocks_identifier_ends_at", "identifier", "ends_at"),
    Index("ix_rate_limit_blocks_ends_at", "ends_at"),
)

#: Rules made at run time; those in code are not here.
rate_limit_rules = Table(
    "rate_limit_rules",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("id", Id, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("definition", JsonText, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("version", Count, nullable=False),
    Column("updated_at", Micros, nullable=False),
    Column("actor", String(256), nullable=False),
    # A tenant's rule has not the name of one for all either: the store looks, for no constraint says so.
    UniqueConstraint("tenant_id", "name"),
)

#: One row: grows with each change of the two tables above, so that a worker sees a change by reading one number.
rate_limit_state = Table(
    "rate_limit_state",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("version", Count, nullable=False),
)
