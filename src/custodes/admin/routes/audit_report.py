"""What one actor usually does, and the compliance report: who has access, what was done, reviewed and kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from custodes.admin.dependencies import Admin, CustodesDep, TenantScope, Trail
from custodes.admin.fields import Range, TimeRange
from custodes.admin.routes.audit_models import EntryModel
from custodes.admin.routes.audit_report_models import (
    AccessModel,
    ActorModel,
    KeyAccessModel,
    ReportModel,
    TallyModel,
)
from custodes.admin.routes.retention import PolicyModel
from custodes.app import Custodes
from custodes.kernel.clock import MINUTE, to_iso
from custodes.kernel.csv_rows import csv_row
from custodes.kernel.paging import MAX_LIMIT
from custodes.kernel.tenant import EVERY_TENANT
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.identity.model import Role, State

router = APIRouter()

#: Longest that a zone is away from UTC, minutes.
MAX_OFFSET = 14 * 60


@router.get("/audit-actor")
async def get_audit_actor(
    custodes: CustodesDep,
    tenant: TenantScope,
    when: TimeRange,
    actor: Annotated[str, Query(min_length=3, max_length=250, description="Who, as `type:id`")],
    utc_offset: Annotated[
        int, Query(ge=-MAX_OFFSET, le=MAX_OFFSET, description="Minutes east of UTC that hours of the day are told in")
    ] = 0,
) -> ActorModel:
    """Tell how one actor behaves: since when it is known, its usual hours, addresses, devices and actions."""
    found = await custodes.audit.get_actor_behaviour(
        actor, when.since, when.until, tenant=tenant, shift=utc_offset * MINUTE
    )
    return ActorModel.of(found)


@router.get(
    "/compliance-report",
    responses={200: {"content": {"application/json": {}, "text/csv": {"schema": {"type": "string"}}}}},
    response_model=ReportModel,
)
async def get_compliance_report(
    custodes: CustodesDep,
    admin: Admin,
    tenant: TenantScope,
    when: TimeRange,
    trail: Trail,
    format: Annotated[  # noqa: A002 - the name in the query
        Literal["json", "csv"], Query(description="`csv`: every line of every section, to take away")
    ] = "json",
    take: Annotated[bool, Query(description="Taken away: recorded in the trail, sent as a file")] = False,
) -> ReportModel | Response:
    """Report on a period for auditors (SOC 2 CC6, CC7; GDPR articles 5, 30 and 32).

    Who has access, actions of administrators, sign-ins, flagged entries with what became of them, retention in force.
    """
    if take or format == "csv":
        asked = {"since": to_iso(when.since), "until": to_iso(when.until), "tenant": tenant or EVERY_TENANT}
        await custodes.audit.commit(
            trail.entry(
                "audit.exported", target="report:compliance", context={**asked, "format": format}, tenant=tenant
            )
        )
    own = None if admin.role.covers(Role.OWNER) else admin.profile_id
    report = await make_report(custodes, when, tenant=tenant, whole=admin.tenant is None, keys_of=own)
    name = f'attachment; filename="compliance-report.{format}"'
    if format == "csv":
        return Response("".join(csv_lines(report)), media_type="text/csv", headers={"content-disposition": name})
    if take:
        return Response(
            report.model_dump_json(indent=2), media_type="application/json", headers={"content-disposition": name}
        )
    return report


async def make_report(
    custodes: Custodes, when: Range, *, tenant: str | None, whole: bool, keys_of: str | None = None
) -> ReportModel:
    """Make the report.

    Args:
        custodes: the install.
        when: the period.
        tenant: whose; None: all tenants'.
        whole: whether it is for somebody of all tenants, who is told of those who have access to each.
        keys_of: only the API keys of this profile; None: all.
    """
    found = await custodes.audit.get_compliance(when.since, when.until, tenant=tenant)
    flags = await custodes.audit.list_entries(
        AuditQuery(tenant=tenant, flagged=True, since=when.since, until=when.until, limit=MAX_LIMIT)
    )
    profiles = await custodes.identity.profiles.list_profiles(tenant=tenant, reaching=whole, limit=MAX_LIMIT)
    keys = await custodes.identity.keys.list_keys(
        tenant=tenant,
        profile_id=keys_of,
        reaching=whole,
        limit=MAX_LIMIT,
    )
    policies = await custodes.retention.get_policies()
    health = custodes.audit.get_recording_health()
    return ReportModel(
        since=when.since,
        until=when.until,
        made_at=custodes.clock.now(),
        tenant=tenant,
        trail_state=health.state,
        trail_reasons=list(health.reasons) if whole else [],
        entries=found.entries,
        first_sequence=found.first_sequence,
        last_sequence=found.last_sequence,
        access=[AccessModel.of(profile) for profile in profiles.items if profile.state is State.ACTIVE],
        access_disabled=sum(profile.state is State.DISABLED for profile in profiles.items),
        access_cut=profiles.next_cursor is not None,
        api_keys=[KeyAccessModel.of(key) for key in keys.items if custodes.identity.keys.works(key)],
        api_keys_cut=keys.next_cursor is not None,
        admin_actions=[TallyModel.of(tally) for tally in found.admin_actions],
        admin_actions_cut=found.admin_actions_cut,
        privileged=[TallyModel.of(tally) for tally in found.privileged],
        sign_ins=[TallyModel.of(tally) for tally in found.sign_ins],
        sign_ins_cut=found.sign_ins_cut,
        reviews=found.reviews,
        median_to_verdict_us=found.median_to_verdict,
        oldest_waiting_at=found.oldest_waiting_at or None,
        flagged=[EntryModel.of(entry) for entry in flags.items],
        flagged_cut=flags.next_cursor is not None,
        retention=[PolicyModel.of(report, whole=whole) for report in policies],
    )


def csv_lines(report: ReportModel) -> Iterator[str]:
    """Write every line of every section: (section, what, who, outcome or state, number, when, remark)."""
    yield csv_row("section", "what", "who", "state", "number", "when", "remark")
    yield csv_row("period", "since", "", "", "", to_iso(report.since), "")
    yield csv_row("period", "until", "", "", "", to_iso(report.until), "")
    yield csv_row("trail", "entries", "", report.trail_state, report.entries, "", "; ".join(report.trail_reasons))
    for who in report.access:
        seen = "" if who.last_seen_at is None else to_iso(who.last_seen_at)
        yield csv_row("access", who.role, who.subject, who.issuer, "", seen, who.tenant or "all tenants")
    for key in report.api_keys:
        used = "" if key.last_used_at is None else to_iso(key.last_used_at)
        yield csv_row("api key", key.role, key.name, key.prefix, "", used, key.tenant or "all tenants")
    sections = (
        ("admin action", report.admin_actions), ("privileged action", report.privileged), ("sign-in", report.sign_ins)
    )  # fmt: skip
    for section, tallies in sections:
        for one in tallies:
            addresses = f"{one.addresses} addresses"
            yield csv_row(section, one.action, one.actor, one.outcome, one.events, to_iso(one.last_at), addresses)
    for state, number in report.reviews.items():
        yield csv_row("review", "", "", state, number, "", "")
    for entry in report.flagged:
        reasons = "; ".join(reason.sentence for reason in entry.risk_reasons)
        state = entry.review.state if entry.review else ""
        who = f"{entry.actor.type}:{entry.actor.id}"
        yield csv_row("flagged", entry.action, who, state, entry.risk_score, to_iso(entry.recorded_at), reasons)
    for policy in report.retention:
        last = "" if policy.last_run is None else to_iso(policy.last_run.started_at)
        yield csv_row("retention", policy.name, "", "", policy.keep_days, last, policy.description)
