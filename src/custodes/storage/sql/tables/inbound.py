"""Tables of the webhooks that come in."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, UniqueConstraint, text

from custodes.storage.sql.tables import by_time, metadata, partitioned
from custodes.storage.sql.types import Bytes, Count, Id, JsonText, Micros, String, Tenant, Text

#: Condition of the index of what is not (yet) well. Queries must state it word by word for SQLite to use the index.
UNFINISHED = text("status <> 'succeeded'")

#: Condition of the index of failed attempts, from which errors are grouped.
FAILED = text("outcome <> 'succeeded'")

#: Every accepted webhook (T1). Its bytes stand in a table beside: what changes often is apart from what is large.
webhook_events = Table(
    "webhook_events",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("id", Id, primary_key=True),
    Column("received_at", Micros, nullable=False),
    Column("source", String(64), nullable=False),
    #: The sender's id of the event; empty when it gives none.
    Column("event_id", String(255), nullable=False),
    Column("event_type", String(255), nullable=False),
    #: What makes two deliveries the same event.
    Column("dedupe_key", String(255), nullable=False),
    #: ``verified``: the signature held; ``unverified``: logged by the host's own code.
    Column("verdict", String(16), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("client_ip", String(45), nullable=False),
    Column("body_bytes", Count, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    #: Time that the handlers of the last attempt took together, microseconds.
    Column("processing_us", Micros),
    #: When it reached its last state, microseconds since the epoch; NULL while it is open.
    Column("finished_at", Micros),
    Column("next_retry_at", Micros),
    #: Last error, one line; NULL when there was none.
    Column("error", Text()),
    #: Handlers that are done with it, and how each ended: they are not run again by a retry.
    Column("handlers_done", JsonText, nullable=False),
    UniqueConstraint("tenant_id", "dedupe_key", "source"),
    Index(None, "tenant_id", "received_at", "id"),
    Index(None, "tenant_id", "source", "received_at", "id"),
    Index(None, "tenant_id", "event_id"),
    Index(None, "tenant_id", "trace_id"),
    Index(
        "ix_webhook_events_unfinished",
        "tenant_id",
        "status",
        "received_at",
        "id",
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    ),
)

#: What was received, exactly: one row per event, written with it and never changed.
webhook_payloads = Table(
    "webhook_payloads",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("event_id", Id, primary_key=True),
    #: ``[[name, value], …]`` as received, credentials masked; signature headers are kept.
    Column("headers", Text(), nullable=False),
    Column("body", Bytes, nullable=False),
)

#: One row per handler and attempt.
webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("event_id", Id, primary_key=True),
    #: Which attempt at the event, from 1, counted on through replays.
    Column("number", Integer, primary_key=True),
    Column("handler", String(255), primary_key=True),
    Column("source", String(64), nullable=False),
    Column("event_type", String(255), nullable=False),
    #: ``succeeded``, ``failed``, ``timed_out`` or ``permanent``.
    Column("outcome", String(16), nullable=False),
    Column("started_at", Micros, nullable=False),
    Column("duration_us", Micros, nullable=False),
    #: Class of the error; empty when there was none.
    Column("error_type", String(128), nullable=False),
    Column("error", Text(), nullable=False),
    Index("ix_webhook_attempts_failed", "tenant_id", "started_at", sqlite_where=FAILED, postgresql_where=FAILED),
    sqlite_with_rowid=False,
)

#: Samples of refused deliveries: some of each source and reason, never all of a flood.
webhook_refusals = Table(
    "webhook_refusals",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("id", Id, primary_key=True),
    # In the key because PostgreSQL cuts the table by it.
    Column("received_at", Micros, primary_key=True, autoincrement=False),
    Column("source", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("client_ip", String(45), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("body_bytes", Count, nullable=False),
    Column("headers", Text(), nullable=False),
    #: The first bytes of the body.
    Column("body_head", Bytes, nullable=False),
    Index(None, "tenant_id", "received_at", "id"),
    # Retention deletes by age, whatever the tenant; so does that of the tables below.
    Index("ix_webhook_refusals_received_at", "received_at"),
    **partitioned("received_at"),
)

#: All refused deliveries, counted: a row per writer, source and reason in each stretch of time.
webhook_refusal_counts = Table(
    "webhook_refusal_counts",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    #: Begin of the stretch, microseconds since the epoch.
    Column("bucket", Micros, primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("writer", Id, primary_key=True),
    Column("refused", Count, nullable=False),
    *by_time("ix_webhook_refusal_counts_bucket", "bucket"),
    sqlite_with_rowid=False,
    **partitioned("bucket"),
)

#: Which processes handle webhooks, and by which handlers. Of the install: ``tenant_id`` is always the default tenant.
webhook_handlers = Table(
    "webhook_handlers",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("process", Id, primary_key=True),
    #: Wall clock of the process when it said so last; 0: it has ended. Whether it lives is told by its changing.
    Column("said_at", Micros, nullable=False),
    #: ``[[name, source, type], …]``
    Column("handlers", JsonText, nullable=False),
    sqlite_with_rowid=False,
)

#: When each secret of a source last signed: what its fingerprint stands for is kept nowhere.
webhook_source_secrets = Table(
    "webhook_source_secrets",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("fingerprint", String(16), primary_key=True),
    #: Place among the secrets of the source, from 0: the newest.
    Column("place", Integer, nullable=False),
    #: When a process had it first.
    Column("since", Micros, nullable=False),
    #: When a process said last that it has it.
    Column("said_at", Micros, nullable=False),
    #: Last delivery that it signed; NULL: none.
    Column("last_at", Micros),
    sqlite_with_rowid=False,
)

#: What is proven of the completeness of each source, and whether it is silent: one row a source.
webhook_completeness = Table(
    "webhook_completeness",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("source", String(64), primary_key=True),
    #: From when on its events are compared with the origin's; NULL: they are not.
    Column("since", Micros),
    Column("proven_until", Micros),
    Column("proven_at", Micros),
    #: End of the comparison under way, and where it goes on.
    Column("window_until", Micros),
    Column("cursor", String(500), nullable=False),
    Column("fetched", Count, nullable=False),
    Column("lost", Count, nullable=False),
    Column("asked_at", Micros),
    Column("error", Text(), nullable=False),
    Column("silent_since", Micros),
    Column("silent_expected", Count, nullable=False),
    sqlite_with_rowid=False,
)

#: What the analytics are made of: figures of a source and type in a stretch of time, one row per writer.
webhook_rollups = Table(
    "webhook_rollups",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    #: Length of the stretch, seconds: 60, 3600 or 86400.
    Column("level", Integer, primary_key=True),
    #: Its begin, microseconds since the epoch.
    Column("bucket", Micros, primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("event_type", String(255), primary_key=True),
    #: Process that counted; each writes rows of its own, and only those.
    Column("writer", Id, primary_key=True),
    Column("received", Count, nullable=False),
    Column("duplicates", Count, nullable=False),
    Column("succeeded", Count, nullable=False),
    #: Attempts that failed and will be tried again.
    Column("retried", Count, nullable=False),
    Column("dead", Count, nullable=False),
    #: Histogram of processing times, microseconds (kernel/histogram.py).
    Column("processing", Bytes, nullable=False),
    #: Of those that succeeded, the ones that no handler wants; 0 where a version wrote that did not tell them apart.
    Column("unhandled", Count, nullable=False, server_default="0"),
    *by_time("ix_webhook_rollups_level", "level", "bucket"),
    sqlite_with_rowid=False,
    **partitioned("level", "bucket"),
)

#: Figures of all types of a source together, written with those of its types: over a long time, a point of a chart is
#: then a row a source, however many types there are.
webhook_source_rollups = Table(
    "webhook_source_rollups",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("bucket", Micros, primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("writer", Id, primary_key=True),
    *(Column(name, Count, nullable=False) for name in ("received", "duplicates", "succeeded", "retried", "dead")),
    Column("processing", Bytes, nullable=False),
    Column("unhandled", Count, nullable=False, server_default="0"),
    *by_time("ix_webhook_source_rollups_level", "level", "bucket"),
    sqlite_with_rowid=False,
    **partitioned("level", "bucket"),
)
