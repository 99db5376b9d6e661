"""Tables of the alerts plane."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Index, Integer, Table

from custodes.storage.sql.tables import metadata
from custodes.storage.sql.types import Count, Id, JsonText, Micros, String, Tenant, Text

#: Rules that an administrator wrote. ``tenant_id`` is empty for a rule over all tenants.
alert_rules = Table(
    "alert_rules",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("id", Id, primary_key=True),
    Column("definition", JsonText, nullable=False),
    Column("updated_at", Micros, nullable=False),
)

#: One row per problem, from its first sign to its end.
alert_incidents = Table(
    "alert_incidents",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("id", Id, primary_key=True),
    Column("fingerprint", String(32), nullable=False),
    Column("rule_id", String(100), nullable=False),
    Column("name", Text(), nullable=False),
    Column("labels", JsonText, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("summary", Text(), nullable=False),
    Column("value", Double),
    Column("started_at", Micros, nullable=False),
    Column("last_seen_at", Micros, nullable=False),
    Column("fired_at", Micros),
    Column("clear_since", Micros),
    Column("resolved_at", Micros),
    Column("notified_at", Micros),
    Column("acknowledged_by", String(256), nullable=False),
    Column("acknowledged_at", Micros),
    Column("silenced_until", Micros),
    Column("occurrences", Count, nullable=False),
    Column("trace_id", String(32), nullable=False),
    # The fingerprint while the incident is open, null when it is over: unique, so that a problem has one open incident
    # whoever opens it. (Null is never equal to null, on every engine.)
    Column("open_key", String(100), unique=True),
)
Index(
    "ix_alert_incidents_tenant_id_started_at",
    alert_incidents.c.tenant_id,
    alert_incidents.c.started_at,
    alert_incidents.c.id,
)
Index("ix_alert_incidents_started_at", alert_incidents.c.started_at, alert_incidents.c.id)
Index(
    "ix_alert_incidents_tenant_id_fingerprint",
    alert_incidents.c.tenant_id,
    alert_incidents.c.fingerprint,
    alert_incidents.c.silenced_until,
)
Index("ix_alert_incidents_resolved_at", alert_incidents.c.resolved_at)

#: Messages: an outbox, written together with the change that they tell of.
alert_notifications = Table(
    "alert_notifications",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("id", Id, primary_key=True),
    Column("incident_id", Id, nullable=False),
    Column("sink", String(200), nullable=False),
    Column("news", String(16), nullable=False),
    Column("payload", JsonText, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("due_at", Micros, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text(), nullable=False),
    Column("finished_at", Micros),
    Index("ix_alert_notifications_state_due_at", "state", "due_at"),
    Index("ix_alert_notifications_incident_id", "incident_id", "id"),
)

#: Sinks that were switched off; a sink without a row works. Sinks belong to the install: the default tenant.
alert_sinks = Table(
    "alert_sinks",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("disabled", Boolean, nullable=False),
    Column("reason", Text(), nullable=False),
    Column("changed_at", Micros),
)
