"""The first schema.

Revision ID: 0001
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import String, Text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


#: What was recorded cannot be changed, and only retention deletes.
SQLITE_GUARDS = (
    """CREATE TRIGGER audit_logs_recorded_stays BEFORE UPDATE OF seq, id, tenant_id, recorded_at, occurred_at, schema_version, kind, action, category, outcome, actor, ip, user_agent, trace_id, reason, observer, idempotency_key, people, targets, changes, context, labels, risk_score, risk_reasons, flagged, flag_key, flag_id ON audit_logs
    BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only: what was recorded cannot be changed'); END""",
    """CREATE TRIGGER audit_logs_only_retention_deletes BEFORE DELETE ON audit_logs
    WHEN OLD.review_state IN ('open', 'acknowledged') OR EXISTS (SELECT 1 FROM audit_logs f WHERE f.id = OLD.flag_id AND f.review_state IN ('open', 'acknowledged'))
      OR NOT EXISTS (SELECT 1 FROM audit_purge_window WHERE before > OLD.recorded_at)
    BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only: only retention deletes, and nothing unreviewed'); END""",
)

#: The same guards on PostgreSQL.
POSTGRESQL_GUARDS = (
    """CREATE FUNCTION custodes_audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit_logs is append-only: what was recorded cannot be changed'; END $$""",
    """CREATE TRIGGER audit_logs_recorded_stays BEFORE UPDATE OF seq, id, tenant_id, recorded_at, occurred_at, schema_version, kind, action, category, outcome, actor, ip, user_agent, trace_id, reason, observer, idempotency_key, people, targets, changes, context, labels, risk_score, risk_reasons, flagged, flag_key, flag_id ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION custodes_audit_stays()""",
    """CREATE FUNCTION custodes_audit_retention() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF OLD.review_state IN ('open', 'acknowledged') OR EXISTS (SELECT 1 FROM audit_logs f WHERE f.id = OLD.flag_id AND f.review_state IN ('open', 'acknowledged'))
        OR NOT EXISTS (SELECT 1 FROM audit_purge_window WHERE before > OLD.recorded_at)
      THEN RAISE EXCEPTION 'audit_logs is append-only: only retention deletes, and nothing unreviewed'; END IF;
      RETURN OLD;
    END $$""",
    """CREATE TRIGGER audit_logs_only_retention_deletes BEFORE DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION custodes_audit_retention()""",
    """CREATE TRIGGER audit_logs_never_truncated BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION custodes_audit_stays()""",
)


#: Cut by time on PostgreSQL.
PARTITIONED = (
    "api_monitoring",
    "api_rollups",
    "system_metrics",
    "webhook_rollups",
    "webhook_refusals",
    "webhook_refusal_counts",
    "rate_limit_tracking",
)


def upgrade() -> None:
    op.create_table(
        "admin_login_attempts",
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("tenant_id", String(64), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_admin_login_attempts")),
    )
    op.create_index("ix_admin_login_attempts_last", "admin_login_attempts", ["last_at"], unique=False)
    op.create_table(
        "alert_incidents",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("fingerprint", String(32), nullable=False),
        sa.Column("rule_id", String(100), nullable=False),
        sa.Column("name", Text(), nullable=False),
        sa.Column("labels", Text(), nullable=False),
        sa.Column("severity", String(16), nullable=False),
        sa.Column("state", String(16), nullable=False),
        sa.Column("summary", Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("fired_at", sa.BigInteger(), nullable=True),
        sa.Column("clear_since", sa.BigInteger(), nullable=True),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("notified_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", String(256), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("silenced_until", sa.BigInteger(), nullable=True),
        sa.Column("occurrences", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trace_id", String(32), nullable=False),
        sa.Column("open_key", String(100), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_incidents")),
        sa.UniqueConstraint("open_key", name=op.f("uq_alert_incidents_open_key")),
    )
    op.create_index("ix_alert_incidents_resolved_at", "alert_incidents", ["resolved_at"], unique=False)
    op.create_index("ix_alert_incidents_started_at", "alert_incidents", ["started_at", "id"], unique=False)
    op.create_index(
        "ix_alert_incidents_tenant_id_fingerprint",
        "alert_incidents",
        ["tenant_id", "fingerprint", "silenced_until"],
        unique=False,
    )
    op.create_index(
        "ix_alert_incidents_tenant_id_started_at", "alert_incidents", ["tenant_id", "started_at", "id"], unique=False
    )
    op.create_table(
        "alert_notifications",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("incident_id", String(36), nullable=False),
        sa.Column("sink", String(200), nullable=False),
        sa.Column("news", String(16), nullable=False),
        sa.Column("payload", Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("state", String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", Text(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_notifications")),
    )
    op.create_index("ix_alert_notifications_incident_id", "alert_notifications", ["incident_id", "id"], unique=False)
    op.create_index("ix_alert_notifications_state_due_at", "alert_notifications", ["state", "due_at"], unique=False)
    op.create_table(
        "alert_rules",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("definition", Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rules")),
    )
    op.create_table(
        "alert_sinks",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("name", String(200), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("reason", Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_alert_sinks")),
    )
    op.create_table(
        "api_error_groups",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("digest", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("title", Text(), nullable=False),
        sa.Column("method", String(32), nullable=False),
        sa.Column("route", Text(), nullable=True),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("trace_id", String(32), nullable=False),
        sa.Column("traceback", Text(), nullable=False),
        sa.Column("state", String(16), nullable=False),
        sa.Column("state_at", sa.BigInteger(), nullable=False),
        sa.Column("state_by", Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name=op.f("pk_api_error_groups")),
        sa.UniqueConstraint("id", name=op.f("uq_api_error_groups_id")),
    )
    op.create_index("ix_api_error_groups_last_seen", "api_error_groups", ["last_seen_at", "id"], unique=False)
    op.create_index("ix_api_error_groups_list", "api_error_groups", ["tenant_id", "last_seen_at", "id"], unique=False)
    op.create_table(
        "api_monitoring",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("kind", String(16), nullable=False),
        sa.Column("method", Text(), nullable=False),
        sa.Column("route", Text(), nullable=True),
        sa.Column("path", Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("total_us", sa.BigInteger(), nullable=False),
        sa.Column("ttfb_us", sa.BigInteger(), nullable=False),
        sa.Column("background_us", sa.BigInteger(), nullable=False),
        sa.Column("request_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("response_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", Text(), nullable=False),
        sa.Column("api_key_id", Text(), nullable=False),
        sa.Column("client_ip", Text(), nullable=False),
        sa.Column("trace_id", String(32), nullable=False),
        sa.Column("span_id", String(16), nullable=False),
        sa.Column("parent_id", String(16), nullable=False),
        sa.Column("user_agent", Text(), nullable=False),
        sa.Column("limited_by", Text(), nullable=False),
        sa.Column("disconnected", sa.Boolean(), nullable=False),
        sa.Column("error_group", String(64), nullable=False),
        sa.Column("error", Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "started_at", "id", name=op.f("pk_api_monitoring")),
        postgresql_partition_by="RANGE (started_at)",
    )
    op.create_index(
        "ix_api_monitoring_api_key_id",
        "api_monitoring",
        ["api_key_id", "started_at"],
        unique=False,
        sqlite_where=sa.text("api_key_id <> ''"),
        postgresql_where=sa.text("api_key_id <> ''"),
    )
    op.create_index(
        "ix_api_monitoring_client_ip",
        "api_monitoring",
        ["client_ip", "started_at"],
        unique=False,
        sqlite_where=sa.text("client_ip <> ''"),
        postgresql_where=sa.text("client_ip <> ''"),
    )
    op.create_index(
        "ix_api_monitoring_errors",
        "api_monitoring",
        ["started_at"],
        unique=False,
        sqlite_where=sa.text("(status >= 500 OR error_group <> '')"),
        postgresql_where=sa.text("(status >= 500 OR error_group <> '')"),
    )
    op.create_index("ix_api_monitoring_route", "api_monitoring", ["route", "started_at"], unique=False)
    op.create_index("ix_api_monitoring_started_at", "api_monitoring", ["started_at"], unique=False)
    op.create_index("ix_api_monitoring_trace_id", "api_monitoring", ["trace_id"], unique=False)
    op.create_index(
        "ix_api_monitoring_user_id",
        "api_monitoring",
        ["user_id", "started_at"],
        unique=False,
        sqlite_where=sa.text("user_id <> ''"),
        postgresql_where=sa.text("user_id <> ''"),
    )
    op.create_table(
        "api_rollups",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("keyspace", String(16), nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", Text(), nullable=False),
        sa.Column("method", String(32), nullable=False),
        sa.Column("writer_id", String(36), nullable=False),
        sa.Column("folded", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("client_errors", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("server_errors", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("limited", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("disconnected", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("response_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("timed", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("total_sum", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("total_min", sa.BigInteger(), nullable=False),
        sa.Column("total_max", sa.BigInteger(), nullable=False),
        sa.Column("statuses", Text(), nullable=False),
        sa.Column("total", sa.LargeBinary(), nullable=False),
        sa.Column("ttfb", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "keyspace", "level", "bucket", "name", "method", "writer_id", name=op.f("pk_api_rollups")
        ),
        postgresql_partition_by="RANGE (level, bucket)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_api_rollups_level", "api_rollups", ["level", "bucket"], unique=False)
    op.create_index(
        "ix_api_rollups_series", "api_rollups", ["tenant_id", "keyspace", "level", "name", "bucket"], unique=False
    )
    op.create_index(
        "ix_api_rollups_unfolded",
        "api_rollups",
        ["level", "tenant_id", "keyspace", "bucket"],
        unique=False,
        sqlite_where=sa.text("folded = 0"),
        postgresql_where=sa.text("folded = 0"),
    )
    op.create_table(
        "audit_logs",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("schema_version", sa.SmallInteger(), nullable=False),
        sa.Column("kind", String(16), nullable=False),
        sa.Column("action", String(100), nullable=False),
        sa.Column("category", String(40), nullable=False),
        sa.Column("outcome", String(16), nullable=False),
        sa.Column("actor", String(250), nullable=False),
        sa.Column("ip", String(64), nullable=False),
        sa.Column("user_agent", String(256), nullable=False),
        sa.Column("trace_id", String(64), nullable=False),
        sa.Column("reason", Text(), nullable=False),
        sa.Column("observer", String(200), nullable=False),
        sa.Column("idempotency_key", String(200), nullable=True),
        sa.Column("people", Text(), nullable=False),
        sa.Column("targets", Text(), nullable=False),
        sa.Column("changes", Text(), nullable=False),
        sa.Column("context", Text(), nullable=False),
        sa.Column("labels", Text(), nullable=False),
        sa.Column("risk_score", sa.SmallInteger(), nullable=False),
        sa.Column("risk_reasons", Text(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("flag_key", String(320), nullable=True),
        sa.Column("flag_id", String(36), nullable=True),
        sa.Column("review_state", String(16), nullable=True),
        sa.Column("review_assignee", String(200), nullable=True),
        sa.Column("review_note", Text(), nullable=True),
        sa.Column("reviewed_by", String(250), nullable=True),
        sa.Column("reviewed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_logs")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_logs_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_logs_action", "audit_logs", ["tenant_id", "action", "id"], unique=False)
    op.create_index("ix_audit_logs_actor", "audit_logs", ["tenant_id", "actor", "id"], unique=False)
    op.create_index(
        "ix_audit_logs_flag_id",
        "audit_logs",
        ["tenant_id", "flag_id", "id"],
        unique=False,
        sqlite_where=sa.text("flag_id IS NOT NULL"),
        postgresql_where=sa.text("flag_id IS NOT NULL"),
    )
    op.create_index(
        "ix_audit_logs_flag_key",
        "audit_logs",
        ["tenant_id", "flag_key", "id"],
        unique=False,
        sqlite_where=sa.text("review_state IS NOT NULL"),
        postgresql_where=sa.text("review_state IS NOT NULL"),
    )
    op.create_index(
        "ix_audit_logs_ip",
        "audit_logs",
        ["tenant_id", "ip", "id"],
        unique=False,
        sqlite_where=sa.text("ip <> ''"),
        postgresql_where=sa.text("ip <> ''"),
    )
    op.create_index("ix_audit_logs_recent", "audit_logs", ["tenant_id", "id"], unique=False)
    op.create_index(
        "ix_audit_logs_review",
        "audit_logs",
        ["tenant_id", "review_state", "id"],
        unique=False,
        sqlite_where=sa.text("review_state IS NOT NULL"),
        postgresql_where=sa.text("review_state IS NOT NULL"),
    )
    op.create_index(
        "ix_audit_logs_trace",
        "audit_logs",
        ["tenant_id", "trace_id", "id"],
        unique=False,
        sqlite_where=sa.text("trace_id <> ''"),
        postgresql_where=sa.text("trace_id <> ''"),
    )
    op.create_index(
        "uq_audit_logs_idempotency",
        "audit_logs",
        ["tenant_id", "idempotency_key"],
        unique=True,
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_table(
        "audit_purge_window",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_purge_window")),
    )
    op.create_table(
        "audit_targets",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("target", String(250), nullable=False),
        sa.Column("entry_id", String(36), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "target", "entry_id", name=op.f("pk_audit_targets")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "custodes_jobs",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("kind", String(32), nullable=False),
        sa.Column("ref", String(36), nullable=False),
        sa.Column("lane", String(128), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("released", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lease_owner", String(128), nullable=True),
        sa.PrimaryKeyConstraint("kind", "ref", name=op.f("pk_custodes_jobs")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_custodes_jobs_kind_due_at"), "custodes_jobs", ["kind", "due_at"], unique=False)
    op.create_index(
        op.f("ix_custodes_jobs_kind_lane_due_at"), "custodes_jobs", ["kind", "lane", "due_at"], unique=False
    )
    op.create_table(
        "leader_leases",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("name", String(64), nullable=False),
        sa.Column("owner", String(64), nullable=False),
        sa.Column("token", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("beats", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("renewed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_leader_leases")),
    )
    op.create_table(
        "metric_series",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("name", String(100), nullable=False),
        sa.Column("series_id", String(32), nullable=False),
        sa.Column("kind", String(16), nullable=False),
        sa.Column("labels", Text(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", "series_id", name=op.f("pk_metric_series")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_metric_series_name", "metric_series", ["name", "tenant_id", "series_id"], unique=False)
    op.create_table(
        "rate_limit_blocks",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("effect", String(8), nullable=False),
        sa.Column("kind", String(16), nullable=False),
        sa.Column("identifier", String(256), nullable=False),
        sa.Column("reason", Text(), nullable=False),
        sa.Column("actor", String(256), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("lifted_by", String(256), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_limit_blocks")),
    )
    op.create_index("ix_rate_limit_blocks_created_at_id", "rate_limit_blocks", ["created_at", "id"], unique=False)
    op.create_index("ix_rate_limit_blocks_ends_at", "rate_limit_blocks", ["ends_at"], unique=False)
    op.create_index(
        "ix_rate_limit_blocks_identifier_ends_at", "rate_limit_blocks", ["identifier", "ends_at"], unique=False
    )
    op.create_index(
        "ix_rate_limit_blocks_tenant_id_created_at_id",
        "rate_limit_blocks",
        ["tenant_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "rate_limit_rules",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("name", String(100), nullable=False),
        sa.Column("definition", Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", String(256), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_limit_rules")),
        sa.UniqueConstraint("name", name=op.f("uq_rate_limit_rules_name")),
    )
    op.create_table(
        "rate_limit_state",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_rate_limit_state")),
    )
    op.create_table(
        "rate_limit_tracking",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("rule", String(100), nullable=False),
        sa.Column("kind", String(64), nullable=False),
        sa.Column("identifier", String(256), nullable=False),
        sa.Column("endpoint", String(256), nullable=False),
        sa.Column("allowed", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("refused", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("would_refuse", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trace_id", String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", "window_start", name=op.f("pk_rate_limit_tracking")),
        sa.UniqueConstraint(
            "tenant_id",
            "window_start",
            "rule",
            "kind",
            "identifier",
            "endpoint",
            name=op.f("uq_rate_limit_tracking_tenant_id_window_start_rule_kind_identifier_endpoint"),
        ),
        postgresql_partition_by="RANGE (window_start)",
    )
    op.create_index(
        "ix_rate_limit_tracking_identifier",
        "rate_limit_tracking",
        ["identifier", "window_start"],
        unique=False,
        sqlite_where=sa.text("identifier <> ''"),
        postgresql_where=sa.text("identifier <> ''"),
    )
    op.create_index(
        "ix_rate_limit_tracking_refused",
        "rate_limit_tracking",
        ["window_start", "tenant_id", "kind", "identifier", "allowed", "refused", "would_refuse"],
        unique=False,
        sqlite_where=sa.text("identifier <> '' AND (refused > 0 OR would_refuse > 0)"),
        postgresql_where=sa.text("identifier <> '' AND (refused > 0 OR would_refuse > 0)"),
    )
    op.create_index(
        "ix_rate_limit_tracking_sums",
        "rate_limit_tracking",
        ["window_start", "tenant_id", "rule", "endpoint", "allowed", "refused", "would_refuse"],
        unique=False,
        sqlite_where=sa.text("identifier = ''"),
        postgresql_where=sa.text("identifier = ''"),
    )
    op.create_index(
        "ix_rate_limit_tracking_tenant_id_window_start_id",
        "rate_limit_tracking",
        ["tenant_id", "window_start", "id"],
        unique=False,
    )
    op.create_index(
        "ix_rate_limit_tracking_window_start_id", "rate_limit_tracking", ["window_start", "id"], unique=False
    )
    op.create_table(
        "retention_runs",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("policy", String(100), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("error", Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_retention_runs")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "system_metrics",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("name", String(100), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.Column("series_id", String(32), nullable=False),
        sa.Column("writer", String(64), nullable=False),
        sa.Column("folded", sa.Boolean(), nullable=False),
        sa.Column("count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("total", sa.Double(), nullable=False),
        sa.Column("minimum", sa.Double(), nullable=False),
        sa.Column("maximum", sa.Double(), nullable=False),
        sa.Column("last", sa.Double(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("histogram", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint(
            "tenant_id", "name", "level", "bucket", "series_id", "writer", name=op.f("pk_system_metrics")
        ),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (level, bucket)",
    )
    op.create_index(
        "ix_system_metrics_level_folded_bucket", "system_metrics", ["level", "folded", "bucket"], unique=False
    )
    op.create_table(
        "user_profiles",
        sa.Column("id", String(36), nullable=False),
        sa.Column("tenant_id", String(64), nullable=True),
        sa.Column("issuer", String(255), nullable=False),
        sa.Column("subject", String(255), nullable=False),
        sa.Column("email", String(254), nullable=False),
        sa.Column("display_name", String(200), nullable=False),
        sa.Column("role", String(16), nullable=False),
        sa.Column("state", String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_profiles")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_user_profiles_issuer_subject")),
    )
    op.create_index("ix_user_profiles_created", "user_profiles", ["created_at", "id"], unique=False)
    op.create_index("ix_user_profiles_role", "user_profiles", ["role", "state", "tenant_id"], unique=False)
    op.create_index("ix_user_profiles_tenant", "user_profiles", ["tenant_id", "created_at", "id"], unique=False)
    op.create_table(
        "webhook_attempts",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("event_id", String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("handler", String(255), nullable=False),
        sa.Column("source", String(64), nullable=False),
        sa.Column("event_type", String(255), nullable=False),
        sa.Column("outcome", String(16), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.Column("error_type", String(128), nullable=False),
        sa.Column("error", Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "event_id", "number", "handler", name=op.f("pk_webhook_attempts")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_webhook_attempts_failed",
        "webhook_attempts",
        ["tenant_id", "started_at"],
        unique=False,
        sqlite_where=sa.text("outcome <> 'succeeded'"),
        postgresql_where=sa.text("outcome <> 'succeeded'"),
    )
    op.create_table(
        "webhook_configurations",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("url", String(2000), nullable=False),
        sa.Column("description", Text(), nullable=False),
        sa.Column("event_types", Text(), nullable=False),
        sa.Column("retry", Text(), nullable=False),
        sa.Column("state", String(16), nullable=False),
        sa.Column("state_reason", Text(), nullable=False),
        sa.Column("success_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("failure_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_success_at", sa.BigInteger(), nullable=False),
        sa.Column("last_failure_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_webhook_configurations")),
    )
    op.create_index("ix_webhook_configurations_id", "webhook_configurations", ["id"], unique=False)
    op.create_index(
        "ix_webhook_configurations_living",
        "webhook_configurations",
        ["tenant_id", "id"],
        unique=False,
        sqlite_where=sa.text("deleted_at = 0"),
        postgresql_where=sa.text("deleted_at = 0"),
    )
    op.create_table(
        "webhook_events",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("source", String(64), nullable=False),
        sa.Column("event_id", String(255), nullable=False),
        sa.Column("event_type", String(255), nullable=False),
        sa.Column("dedupe_key", String(255), nullable=False),
        sa.Column("verdict", String(16), nullable=False),
        sa.Column("trace_id", String(32), nullable=False),
        sa.Column("client_ip", String(45), nullable=False),
        sa.Column("body_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("processing_us", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("next_retry_at", sa.BigInteger(), nullable=True),
        sa.Column("error", Text(), nullable=True),
        sa.Column("handlers_done", Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
        sa.UniqueConstraint(
            "tenant_id", "dedupe_key", "source", name=op.f("uq_webhook_events_tenant_id_dedupe_key_source")
        ),
    )
    op.create_index(
        op.f("ix_webhook_events_tenant_id_event_id"), "webhook_events", ["tenant_id", "event_id"], unique=False
    )
    op.create_index(
        op.f("ix_webhook_events_tenant_id_received_at_id"),
        "webhook_events",
        ["tenant_id", "received_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_webhook_events_tenant_id_source_received_at_id"),
        "webhook_events",
        ["tenant_id", "source", "received_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_webhook_events_tenant_id_trace_id"), "webhook_events", ["tenant_id", "trace_id"], unique=False
    )
    op.create_index(
        "ix_webhook_events_unfinished",
        "webhook_events",
        ["tenant_id", "status", "received_at", "id"],
        unique=False,
        sqlite_where=sa.text("status <> 'succeeded'"),
        postgresql_where=sa.text("status <> 'succeeded'"),
    )
    op.create_table(
        "webhook_payloads",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("event_id", String(36), nullable=False),
        sa.Column("headers", Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_webhook_payloads")),
    )
    op.create_table(
        "webhook_refusal_counts",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.Column("source", String(64), nullable=False),
        sa.Column("reason", String(64), nullable=False),
        sa.Column("writer", String(36), nullable=False),
        sa.Column("refused", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "bucket", "source", "reason", "writer", name=op.f("pk_webhook_refusal_counts")
        ),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (bucket)",
    )
    op.create_table(
        "webhook_refusals",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("source", String(64), nullable=False),
        sa.Column("reason", String(64), nullable=False),
        sa.Column("client_ip", String(45), nullable=False),
        sa.Column("trace_id", String(32), nullable=False),
        sa.Column("body_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("headers", Text(), nullable=False),
        sa.Column("body_head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", "received_at", name=op.f("pk_webhook_refusals")),
        postgresql_partition_by="RANGE (received_at)",
    )
    op.create_index(
        op.f("ix_webhook_refusals_tenant_id_received_at_id"),
        "webhook_refusals",
        ["tenant_id", "received_at", "id"],
        unique=False,
    )
    op.create_table(
        "webhook_rollups",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.Column("source", String(64), nullable=False),
        sa.Column("event_type", String(255), nullable=False),
        sa.Column("writer", String(36), nullable=False),
        sa.Column("received", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("duplicates", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("succeeded", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("retried", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("dead", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("processing", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "level", "bucket", "source", "event_type", "writer", name=op.f("pk_webhook_rollups")
        ),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (level, bucket)",
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("configuration_id", String(36), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("key_id", String(8), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "configuration_id", "id", name=op.f("pk_webhook_secrets")),
    )
    op.create_table(
        "admin_api_keys",
        sa.Column("id", String(36), nullable=False),
        sa.Column("tenant_id", String(64), nullable=True),
        sa.Column("profile_id", String(36), nullable=False),
        sa.Column("name", String(100), nullable=False),
        sa.Column("prefix", String(32), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("role", String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["profile_id"],
            ["user_profiles.id"],
            name=op.f("fk_admin_api_keys_profile_id_user_profiles"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_admin_api_keys_key_hash")),
    )
    op.create_index("ix_admin_api_keys_created", "admin_api_keys", ["created_at", "id"], unique=False)
    op.create_index("ix_admin_api_keys_profile", "admin_api_keys", ["profile_id", "created_at", "id"], unique=False)
    op.create_index("ix_admin_api_keys_tenant", "admin_api_keys", ["tenant_id", "created_at", "id"], unique=False)
    op.create_table(
        "admin_sessions",
        sa.Column("id", String(36), nullable=False),
        sa.Column("tenant_id", String(64), nullable=True),
        sa.Column("profile_id", String(36), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("ip", String(64), nullable=False),
        sa.Column("user_agent", String(256), nullable=False),
        sa.ForeignKeyConstraint(
            ["profile_id"],
            ["user_profiles.id"],
            name=op.f("fk_admin_sessions_profile_id_user_profiles"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_admin_sessions_token_hash")),
    )
    op.create_index("ix_admin_sessions_created", "admin_sessions", ["created_at", "id"], unique=False)
    op.create_index("ix_admin_sessions_expires", "admin_sessions", ["expires_at"], unique=False)
    op.create_index("ix_admin_sessions_profile", "admin_sessions", ["profile_id", "created_at", "id"], unique=False)
    op.create_index("ix_admin_sessions_tenant", "admin_sessions", ["tenant_id", "created_at", "id"], unique=False)
    op.create_table(
        "local_credentials",
        sa.Column("profile_id", String(36), nullable=False),
        sa.Column("tenant_id", String(64), nullable=True),
        sa.Column("password_hash", Text(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["profile_id"],
            ["user_profiles.id"],
            name=op.f("fk_local_credentials_profile_id_user_profiles"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("profile_id", name=op.f("pk_local_credentials")),
    )
    op.create_index(
        "ix_audit_logs_flagged",
        "audit_logs",
        ["tenant_id", sa.text("(CASE WHEN review_state IS NULL THEN 0 ELSE 1 END)"), "id"],
        unique=False,
        sqlite_where=sa.text("review_state IS NOT NULL"),
        postgresql_where=sa.text("review_state IS NOT NULL"),
    )
    op.create_table(
        "audit_sequence",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("last", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_sequence")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in PARTITIONED:
            op.execute(f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT")
    for guard in SQLITE_GUARDS if op.get_bind().dialect.name == "sqlite" else POSTGRESQL_GUARDS:
        op.execute(guard)


def downgrade() -> None:
    for table in (
        "local_credentials",
        "admin_sessions",
        "admin_api_keys",
        "webhook_secrets",
        "webhook_rollups",
        "webhook_refusals",
        "webhook_refusal_counts",
        "webhook_payloads",
        "webhook_events",
        "webhook_configurations",
        "webhook_attempts",
        "user_profiles",
        "system_metrics",
        "retention_runs",
        "rate_limit_tracking",
        "rate_limit_state",
        "rate_limit_rules",
        "rate_limit_blocks",
        "metric_series",
        "leader_leases",
        "custodes_jobs",
        "audit_targets",
        "audit_sequence",
        "audit_purge_window",
        "audit_logs",
        "api_rollups",
        "api_monitoring",
        "api_error_groups",
        "alert_sinks",
        "alert_rules",
        "alert_notifications",
        "alert_incidents",
        "admin_login_attempts",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION custodes_audit_stays, custodes_audit_retention")
