"""Tables of outgoing webhooks (spec T5)."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, UniqueConstraint, text

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
    #: What else it asks for: filters, headers, limits, signature.
    Column("options", JsonText, nullable=False, server_default="{}"),
    #: Source of incoming webhooks that is forwarded to it; empty: none.
    Column("source", String(64), nullable=False, server_default=""),
    #: What is held of it and was made before stays so while it is enabled; the default, of rows before: all.
    Column("held_before", Micros, nullable=False, server_default=str(2**63 - 1)),
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

#: Secrets of endpoints, sealed (:mod:`custodes.kernel.sealing`).
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
    #: What it is for: ``v1``, ``v1a``, ``auth``.
    Column("kind", String(8), nullable=False, server_default="v1"),
)

#: How endpoints are doing: what changes with deliveries is apart from what people change. No row: all is well.
webhook_endpoint_health = Table(
    "webhook_endpoint_health",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("configuration_id", Id, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failing_since", Micros, nullable=False),
    Column("open_until", Micros, nullable=False),
    Column("noticed", Integer, nullable=False),
    Column("paced_until", Micros, nullable=False),
    Column("open_for", Micros, nullable=False, server_default="0"),
)

#: Events that were emitted.
webhook_messages = Table(
    "webhook_messages",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("id", Id, primary_key=True),
    Column("created_at", Micros, nullable=False),
    Column("event_type", String(255), nullable=False),
    #: NULL when none was given.
    Column("idempotency_key", String(255)),
    Column("order_key", String(255), nullable=False),
    Column("channels", JsonText, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("content_type", String(100), nullable=False),
    #: Of what is forwarded: ``[[name, value], …]`` to send instead of our own headers.
    Column("headers", JsonText, nullable=False, server_default="[]"),
    #: Flags of the trace and its ``tracestate``, to go on with it; NULL when unknown.
    Column("trace_context", Text()),
    UniqueConstraint("tenant_id", "idempotency_key"),
    Index(None, "tenant_id", "created_at", "id"),
    Index(None, "tenant_id", "trace_id"),
)

#: The exact bytes, one row for each version that an endpoint asked for.
webhook_message_bodies = Table(
    "webhook_message_bodies",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("message_id", Id, primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("body", Bytes, nullable=False),
)

#: What has not ended, or is kept back: the few rows that are looked for again and again.
UNENDED = ("pending", "waiting", "held")

_waiting = text("status = 'waiting'")
_unended = text("status IN ('pending', 'waiting', 'held')")
_held = text("status IN ('held', 'failed')")
_failed = text("status = 'failed'")

#: One row a message and endpoint.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("id", Id, primary_key=True),
    Column("message_id", Id, nullable=False),
    Column("configuration_id", Id, nullable=False),
    Column("event_type", String(255), nullable=False),
    Column("version", String(64), nullable=False),
    Column("order_key", String(255), nullable=False),
    #: Place in the line of its order key; 0 where no order is kept.
    Column("position", Count, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("finished_at", Micros),
    Column("next_attempt_at", Micros),
    Column("last_status", Integer),
    Column("error", Text(), nullable=False),
    Index(None, "tenant_id", "message_id"),
    Index(None, "tenant_id", "configuration_id", "id"),
    Index(None, "tenant_id", "created_at", "id"),
    # Lines, whose turn it is, and what is stuck.
    Index(
        "ix_webhook_deliveries_unended",
        "status",
        "tenant_id",
        "configuration_id",
        "order_key",
        "position",
        "id",
        sqlite_where=_unended,
        postgresql_where=_unended,
    ),
    # Not used any more: a later release takes it away.
    Index(
        "ix_webhook_deliveries_waiting",
        "tenant_id",
        "configuration_id",
        "order_key",
        "position",
        sqlite_where=_waiting,
        postgresql_where=_waiting,
    ),
    Index(
        "ix_webhook_deliveries_missed",
        "tenant_id",
        "configuration_id",
        "id",
        sqlite_where=_held,
        postgresql_where=_held,
    ),
    Index(
        "ix_webhook_deliveries_exhausted",
        "finished_at",
        sqlite_where=_failed,
        postgresql_where=_failed,
    ),
)

#: One row an attempt.
webhook_delivery_attempts = Table(
    "webhook_delivery_attempts",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("delivery_id", Id, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("configuration_id", Id, nullable=False),
    Column("started_at", Micros, nullable=False),
    Column("url", String(2000), nullable=False),
    Column("succeeded", Boolean, nullable=False),
    #: HTTP status; NULL when there was no answer.
    Column("status", Integer),
    Column("error", Text(), nullable=False),
    #: The beginning of the answer.
    Column("excerpt", Text(), nullable=False),
    #: Where the time went, microseconds.
    Column("dns_us", Micros, nullable=False),
    Column("connect_us", Micros, nullable=False),
    Column("tls_us", Micros, nullable=False),
    Column("first_byte_us", Micros, nullable=False),
    Column("total_us", Micros, nullable=False),
    #: What was sent, then what was answered: ``[[name, value], …]``, secrets masked; the latter as ``<name``.
    Column("headers", JsonText, nullable=False, server_default="[]"),
    Index("ix_webhook_delivery_attempts_endpoint", "tenant_id", "configuration_id", "started_at"),
    Index(None, "tenant_id", "started_at"),
)

#: Attempts by stretch of time, endpoint, type and what came of them (planes/outbound/figures.py).
webhook_delivery_rollups = Table(
    "webhook_delivery_rollups",
    metadata,
    # By level and time first: most readers ask for all endpoints of a range.
    Column("level", Integer, primary_key=True),
    #: Begin of the stretch, microseconds since the epoch.
    Column("bucket", Micros, primary_key=True),
    Column("tenant_id", Tenant, primary_key=True),
    Column("configuration_id", Id, primary_key=True),
    Column("event_type", String(255), primary_key=True),
    #: Who wrote it: :data:`SHARED`, or a process of a version before, each of which kept rows of its own.
    Column("writer", Id, primary_key=True),
    Column("succeeded", Count, nullable=False),
    Column("redirects", Count, nullable=False),
    Column("client_errors", Count, nullable=False),
    Column("server_errors", Count, nullable=False),
    Column("unanswered", Count, nullable=False),
    Column("exhausted", Count, nullable=False),
    #: Histogram of how long attempts took, microseconds (kernel/histogram.py).
    Column("took", Bytes, nullable=False),
    Index("ix_webhook_delivery_rollups_endpoint", "tenant_id", "configuration_id", "level", "bucket"),
)

#: Writer of the rows that all processes add to.
SHARED = ""

#: Rows that a process of a version before wrote for itself; the same text in the index and in the query.
APART = text("writer <> ''")

# All of the key, or SQLite, which knows no statistics, would rather read all rows by the key itself.
Index(
    "ix_webhook_delivery_rollups_apart",
    *webhook_delivery_rollups.primary_key.columns,
    sqlite_where=APART,
    postgresql_where=APART,
)

#: The catalogue of event types: what they mean, and the schema of their payloads. The install's, so all rows are the
#: default tenant's.
webhook_event_types = Table(
    "webhook_event_types",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("description", Text(), nullable=False),
    #: JSON Schema (2020-12) of the payload; NULL: anything goes.
    Column("schema", JsonText),
    Column("example", JsonText),
    Column("archived", Boolean, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
)

#: Links of the customer portal; of their tokens only hashes.
webhook_portal_links = Table(
    "webhook_portal_links",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("scope", String(16), nullable=False),
    #: Only endpoints of this channel; empty: all of the tenant.
    Column("channel", String(100), nullable=False),
    Column("note", Text(), nullable=False),
    Column("max_endpoints", Integer, nullable=False),
    Column("token_hash", LargeBinary(32), nullable=False),
    Column("session_hash", LargeBinary(32), nullable=False),
    Column("made_by", Text(), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Column("opened", Count, nullable=False),
    Column("last_used_at", Micros),
    Column("revoked_at", Micros),
    UniqueConstraint("token_hash"),
    UniqueConstraint("session_hash"),
    Index("ix_webhook_portal_links_id", "id"),
    Index("ix_webhook_portal_links_expires", "expires_at"),
)
