"""Outgoing webhooks are delivered: messages, deliveries, attempts, health of endpoints, the catalogue.

Revision ID: 0002_outgoing_deliveries
Revises: 0001
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import String, Text

revision = "0002_outgoing_deliveries"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("message_id", String(36), nullable=False),
        sa.Column("configuration_id", String(36), nullable=False),
        sa.Column("event_type", String(255), nullable=False),
        sa.Column("version", String(64), nullable=False),
        sa.Column("order_key", String(255), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("error", Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        "ix_webhook_deliveries_missed",
        "webhook_deliveries",
        ["tenant_id", "configuration_id", "id"],
        unique=False,
        sqlite_where=sa.text("status IN ('held', 'failed')"),
        postgresql_where=sa.text("status IN ('held', 'failed')"),
    )
    op.create_index(
        op.f("ix_webhook_deliveries_tenant_id_configuration_id_id"),
        "webhook_deliveries",
        ["tenant_id", "configuration_id", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_webhook_deliveries_tenant_id_created_at_id"),
        "webhook_deliveries",
        ["tenant_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_webhook_deliveries_tenant_id_message_id"),
        "webhook_deliveries",
        ["tenant_id", "message_id"],
        unique=False,
    )
    op.create_index(
        "ix_webhook_deliveries_waiting",
        "webhook_deliveries",
        ["tenant_id", "configuration_id", "order_key", "position"],
        unique=False,
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_table(
        "webhook_delivery_attempts",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("delivery_id", String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("configuration_id", String(36), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("url", String(2000), nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", Text(), nullable=False),
        sa.Column("excerpt", Text(), nullable=False),
        sa.Column("dns_us", sa.BigInteger(), nullable=False),
        sa.Column("connect_us", sa.BigInteger(), nullable=False),
        sa.Column("tls_us", sa.BigInteger(), nullable=False),
        sa.Column("first_byte_us", sa.BigInteger(), nullable=False),
        sa.Column("total_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_webhook_delivery_attempts")),
    )
    op.create_index(
        "ix_webhook_delivery_attempts_endpoint",
        "webhook_delivery_attempts",
        ["tenant_id", "configuration_id", "started_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_webhook_delivery_attempts_tenant_id_started_at"),
        "webhook_delivery_attempts",
        ["tenant_id", "started_at"],
        unique=False,
    )
    op.create_table(
        "webhook_endpoint_health",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("configuration_id", String(36), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=False),
        sa.Column("open_until", sa.BigInteger(), nullable=False),
        sa.Column("noticed", sa.Integer(), nullable=False),
        sa.Column("paced_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "configuration_id", name=op.f("pk_webhook_endpoint_health")),
    )
    op.create_table(
        "webhook_event_types",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("name", String(255), nullable=False),
        sa.Column("description", Text(), nullable=False),
        sa.Column("schema", Text(), nullable=True),
        sa.Column("example", Text(), nullable=True),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_webhook_event_types")),
    )
    op.create_table(
        "webhook_message_bodies",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("message_id", String(36), nullable=False),
        sa.Column("version", String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "version", name=op.f("pk_webhook_message_bodies")),
    )
    op.create_table(
        "webhook_messages",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("id", String(36), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("event_type", String(255), nullable=False),
        sa.Column("idempotency_key", String(255), nullable=True),
        sa.Column("order_key", String(255), nullable=False),
        sa.Column("channels", Text(), nullable=False),
        sa.Column("trace_id", String(32), nullable=False),
        sa.Column("content_type", String(100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_messages")),
        sa.UniqueConstraint("tenant_id", "idempotency_key", name=op.f("uq_webhook_messages_tenant_id_idempotency_key")),
    )
    op.create_index(
        op.f("ix_webhook_messages_tenant_id_created_at_id"),
        "webhook_messages",
        ["tenant_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_webhook_messages_tenant_id_trace_id"), "webhook_messages", ["tenant_id", "trace_id"], unique=False
    )
    op.add_column("webhook_configurations", sa.Column("options", Text(), server_default="{}", nullable=False))
    op.add_column("webhook_secrets", sa.Column("kind", String(8), server_default="v1", nullable=False))
    _give_schedules()


def _give_schedules() -> None:
    """Write the waits of each endpoint out: they were a first wait, a factor and a cap."""
    table = sa.table("webhook_configurations", sa.column("tenant_id"), sa.column("id"), sa.column("retry"))
    connection = op.get_bind()
    for tenant, identifier, text in connection.execute(sa.select(table.c.tenant_id, table.c.id, table.c.retry)).all():
        old = json.loads(text)
        waits = [
            int(min(old["max_delay"], old["first_delay"] * old["factor"] ** number))
            for number in range(old["max_attempts"] - 1)
        ]
        # No wait is longer than a day any more.
        schedule = [min(wait, 86_400_000_000) for wait in waits]
        retry = json.dumps({"schedule": schedule, "timeout": old["timeout"]}, separators=(",", ":"), sort_keys=True)
        connection.execute(
            sa.update(table).where(table.c.tenant_id == tenant, table.c.id == identifier).values(retry=retry)
        )


def downgrade() -> None:
    for name in (
        "webhook_event_types",
        "webhook_delivery_attempts",
        "webhook_deliveries",
        "webhook_message_bodies",
        "webhook_messages",
        "webhook_endpoint_health",
    ):
        op.drop_table(name)
    op.drop_column("webhook_secrets", "kind")
    op.drop_column("webhook_configurations", "options")
