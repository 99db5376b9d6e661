"""The policies of a real install."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import Table, insert, text

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.kernel.clock import DAY, MINUTE
from custodes.planes.audit.model import ReviewState
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.audit.reviews import Verdict
from custodes.planes.retention.sweeper import TASK
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.alerts import alert_incidents
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.identity import admin_sessions, user_profiles
from custodes.storage.sql.tables.inbound import (
    webhook_events,
    webhook_refusals,
    webhook_rollups,
    webhook_source_secrets,
)
from custodes.storage.sql.tables.metrics import metric_series, system_metrics
from custodes.storage.sql.tables.outbound import webhook_delivery_rollups, webhook_messages, webhook_portal_links
from custodes.storage.sql.tables.ratelimit import rate_limit_tracking
from custodes.storage.sql.tables.retention import retention_runs
from custodes.storage.sql.tables.traffic import api_error_groups, api_monitoring, api_rollups
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock


@pytest.fixture
async def custodes(sqlite_url: str, clock: FakeClock):
    install = Custodes(sqlite_url, clock=clock)
    await install.open()
    yield install
    await install.close()


async def test_every_policy_keeps_as_long_and_sweeps_as_often_as_its_setting_says(sqlite_url: str, clock: FakeClock):
    install = Custodes(
        sqlite_url, clock=clock, audit_log_retention_days=400, webhook_log_retention_days=3,
        api_log_retention_days=2, rate_limit_cleanup_minutes=15,
    )  # fmt: skip
    await install.open()
    keep = {policy.name: policy.keep for policy in install.retention.policies}
    [sweep] = [task for task in install.scheduler.reports() if task.name == TASK]
    await install.close()

    assert keep["audit.entries"] == 400 * DAY
    assert keep["inbound.events"] == 3 * DAY
    assert keep["traffic.calls"] == 2 * DAY
    assert (install.retention.interval, sweep.leader_only) == (15 * MINUTE, True)


async def test_all_policies_run_on_an_empty_and_on_a_used_install(custodes: Custodes, clock: FakeClock):
    reviewed = await custodes.audit.log_audit_event("fraud.early_warning", actor="service:stripe")
    await custodes.audit.log_audit_event("fraud.early_warning", actor="service:stripe", reason="stays")
    await custodes.audit.log_audit_event("data.read", actor="user:1")
    await custodes.audit.review(reviewed.id, Verdict(ReviewState.BENIGN, "user:1"))
    clock.advance(91 * DAY)

    dry = {run.policy: run for run in await custodes.retention.run(dry_run=True)}
    real = {run.policy: run for run in await custodes.retention.run()}

    assert not [run.error for run in (*dry.values(), *real.values()) if run.error]
    assert all(run.finished for run in real.values())
    assert dry["audit.entries"].removed == real["audit.entries"].removed == 2
    assert [entry.reason for entry in (await custodes.audit.list_entries(AuditQuery())).items] == ["stays"]


async def test_new_entries_are_taken_while_a_sweep_deletes(custodes: Custodes, clock: FakeClock):
    # Given a backlog of three batches
    def fill(tx):
        columns = (
            "id, tenant_id, recorded_at, occurred_at, schema_version, kind, action, category, outcome, actor, ip, "
        )
        columns += "user_agent, trace_id, reason, observer, people, targets, changes, context, labels, risk_score, "
        columns += "risk_reasons, flagged"
        connection_of(tx).execute(
            text(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) INSERT INTO audit_logs"
                f" ({columns}) SELECT printf('00000000-%04d-7000-8000-000000000000', i), 'default', 1, 1, 1, 'event',"
                " 'a.b', 'other', 'success', 'user:1', '', '', '', '', '', '{}', '[]', '[]', '{}', '{}', 0, '[]', 0"
                " FROM n"
            )
        )

    await custodes.database.write(fill)

    sweep, *entries = await asyncio.gather(
        custodes.retention.run(), *(custodes.audit.log_audit_event("data.read", actor="user:2") for _ in range(50))
    )

    assert sweep[0].removed == 2_500
    assert {entry.id for entry in entries} == {
        entry.id for entry in (await custodes.audit.list_entries(AuditQuery(limit=100))).items
    }


async def test_over_http_policies_are_told_and_run_by_owners_only(custodes: Custodes):
    owner, admin = await key_for(custodes, "owner"), await key_for(custodes, "admin")
    of_one_tenant = await key_for(custodes, "owner", "acme")
    transport = httpx2.ASGITransport(app=create_admin_app(custodes))
    base = "https://ops.example.com/api/admin/enterprise"
    async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
        told = await client.get("/retention", headers=admin)
        refused = await client.post("/retention/run", json={"dry_run": False}, headers=admin)
        others = [
            (await client.post("/retention/run", json={"dry_run": False}, headers=of_one_tenant)).status_code,
            (await client.get("/retention/runs", headers=of_one_tenant)).status_code,
        ]
        done = await client.post("/retention/run", json={"dry_run": False}, headers=owner)
        runs = await client.get("/retention/runs", headers=owner)
        removed = {
            who: {
                one["last_run"]["removed"] for one in (await client.get("/retention", headers=who_)).json()["policies"]
            }
            for who, who_ in (("all", owner), ("one", of_one_tenant))
        }
        report = (await client.get("/compliance-report", headers=of_one_tenant)).json()

    assert removed == {"all": {0}, "one": {None}}, "what went is of all tenants, and told to those who see them"
    assert {one["last_run"]["removed"] for one in report["retention"]} == {None}
    assert {"audit.entries", "inbound.events", "traffic.calls"} <= {one["name"] for one in told.json()["policies"]}
    assert (refused.status_code, done.status_code) == (403, 200)
    assert others == [403, 403]
    assert len(runs.json()["items"]) == len(done.json()["runs"])
    (entry,) = (await custodes.audit.list_entries(AuditQuery(action="retention.run"))).items
    assert entry.context.extra["dry_run"] is False


#: A row that has been past its time for long, for each policy but its own.
ANCIENT: dict[str, tuple[Table, dict[str, Any]]] = {
    "audit.entries": (audit_logs, {"id": "00000000-0001-7000-8000-000000000000", "targets": "[]"}),
    "inbound.events": (webhook_events, {"status": "succeeded"}),
    "inbound.refusals": (webhook_refusals, {}),
    "inbound.secrets": (webhook_source_secrets, {}),
    "inbound.figures.minute": (webhook_rollups, {"level": 60}),
    "inbound.figures.hour": (webhook_rollups, {"level": 3_600}),
    "inbound.figures.day": (webhook_rollups, {"level": 86_400}),
    "outbound.messages": (webhook_messages, {"idempotency_key": None, "id": "m"}),
    "outbound.links": (webhook_portal_links, {}),
    "outbound.figures.minute": (webhook_delivery_rollups, {"level": 60}),
    "outbound.figures.hour": (webhook_delivery_rollups, {"level": 3_600}),
    "outbound.figures.day": (webhook_delivery_rollups, {"level": 86_400}),
    "traffic.calls": (api_monitoring, {}),
    "traffic.errors": (api_error_groups, {}),
    "traffic.rollups.ten_seconds": (api_rollups, {"level": 10, "folded": 1}),
    "traffic.rollups.minute": (api_rollups, {"level": 60, "folded": 1}),
    "traffic.rollups.ten_minutes": (api_rollups, {"level": 600, "folded": 1}),
    "traffic.rollups.hour": (api_rollups, {"level": 3_600, "folded": 1}),
    "traffic.rollups.six_hours": (api_rollups, {"level": 21_600, "folded": 1}),
    "traffic.rollups.day": (api_rollups, {"level": 86_400, "folded": 1}),
    "traffic.rollups.week": (api_rollups, {"level": 604_800, "folded": 1}),
    "ratelimit.windows": (rate_limit_tracking, {}),
    "metrics.points.ten_seconds": (system_metrics, {"level": 0, "folded": True}),
    "metrics.points.minute": (system_metrics, {"level": 1, "folded": True}),
    "metrics.points.hour": (system_metrics, {"level": 2, "folded": True}),
    "metrics.points.day": (system_metrics, {"level": 3, "folded": True}),
    "metrics.series": (metric_series, {}),
    "alerts.incidents": (alert_incidents, {}),
    "identity.sessions": (admin_sessions, {"profile_id": "somebody"}),
    "retention.runs": (retention_runs, {"id": "00000000-0001-7000-8000-000000000000", "tenant_id": "default"}),
}


def ancient(table: Table, known: dict[str, Any]) -> dict[str, Any]:
    """Fill a row with the least of everything: 1970, empty texts, no flags."""
    kinds = {column.name: column.type.python_type for column in table.c}
    least = {name: {} if kind is object else kind() for name, kind in kinds.items()}  # an object: JSON
    return {**least, **known}


async def test_a_dry_run_says_of_every_policy_what_the_run_then_deletes(custodes: Custodes):
    # Given one row past its time for each policy there is
    names = {policy.name for policy in custodes.retention.policies}

    def fill(tx: Transaction) -> None:
        connection_of(tx).execute(insert(user_profiles).values(ancient(user_profiles, {"id": "somebody"})))
        for table, known in ANCIENT.values():
            connection_of(tx).execute(insert(table).values(ancient(table, known)))

    await custodes.database.write(fill)

    dry = {run.policy: run for run in await custodes.retention.run(dry_run=True)}
    real = {run.policy: run for run in await custodes.retention.run()}

    assert names == ANCIENT.keys(), "a new policy needs a row here"
    assert [run.error for run in (*dry.values(), *real.values()) if run.error] == []
    assert {name: run.removed for name, run in dry.items()} == dict.fromkeys(ANCIENT, 1)
    assert {name: run.removed for name, run in real.items()} == dict.fromkeys(ANCIENT, 1)
