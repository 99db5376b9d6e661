"""The audit trail: summary, search, one entry, export."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime
from starlette.responses import StreamingResponse

from custodes.admin.dependencies import Admin, CustodesDep, TenantScope, Trail
from custodes.admin.exports import STREAMED, Export, ExportQuery
from custodes.admin.fields import Identifier, TimeRange
from custodes.admin.paging import PageModel, PageQuery
from custodes.admin.routes.audit_models import (
    CSV_COLUMNS,
    ActionModel,
    Catalogue,
    EntryModel,
    RuleModel,
    SummaryModel,
    cells_of,
)
from custodes.kernel.clock import from_datetime
from custodes.kernel.filters import given
from custodes.kernel.paging import MAX_LIMIT, walk
from custodes.planes.audit.analytics import DEFAULT_TOP, MAX_TOP
from custodes.planes.audit.catalogue import ACTIONS
from custodes.planes.audit.model import Kind, Outcome, ReviewState
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.audit.reviews import MAX_PERSON
from custodes.planes.audit.risk import RULES

router = APIRouter()

_ENTRIES = Export("audit-logs", EntryModel, EntryModel.of, columns=CSV_COLUMNS, cells=cells_of, action="audit.exported")


def audit_query(
    tenant: TenantScope,
    actor: Annotated[str, Query(max_length=250, description="`type:id`; `*` stands for any characters")] = "",
    action: Annotated[str, Query(max_length=100, description="`webhook.*`, `*.deleted`, `member.removed`")] = "",
    kind: Annotated[Kind | None, Query(description="`admin`: only admin actions")] = None,
    category: Annotated[str, Query(max_length=40, description="Category of the action")] = "",
    target: Annotated[str, Query(max_length=250, description="Any of the targets, as `type:id`")] = "",
    outcome: Annotated[Outcome | None, Query(description="How it ended")] = None,
    ip: Annotated[str, Query(max_length=64, description="Client address")] = "",
    trace_id: Annotated[str, Query(max_length=64, description="W3C trace id")] = "",
    flag_id: Annotated[
        str, Query(max_length=36, description="Only entries that the review of this entry is about")
    ] = "",
    flagged: Annotated[bool | None, Query(description="Only entries with a review, or only those without")] = None,
    review_state: Annotated[ReviewState | None, Query(description="Only reviews in this state")] = None,
    assignee: Annotated[str, Query(max_length=MAX_PERSON, description="Only reviews of this person")] = "",
    min_risk: Annotated[int, Query(ge=0, le=100, description="Only scores from this on")] = 0,
    since: Annotated[AwareDatetime | None, Query(description="Recorded from this moment on (RFC 3339)")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Recorded before this moment (RFC 3339)")] = None,
    text: Annotated[str, Query(max_length=200, description="Part of a reason, name, id, path or label")] = "",
) -> AuditQuery:
    """Read the filters of a query."""
    return AuditQuery(
        tenant=tenant, actor=actor, action=action, kind=kind, category=category, target=target,
        outcome=outcome or "", ip=ip, trace_id=trace_id, flag_id=flag_id, flagged=flagged,
        review_state=review_state, assignee=assignee, min_risk=min_risk,
        since=None if since is None else max(0, from_datetime(since)),
        until=None if until is None else max(0, from_datetime(until)), text=text,
    )  # fmt: skip


#: Which entries are asked for.
Filters = Annotated[AuditQuery, Depends(audit_query)]


@router.get("/audit-summary")
async def audit_summary(
    custodes: CustodesDep,
    admin: Admin,
    tenant: TenantScope,
    when: TimeRange,
    top: Annotated[int, Query(ge=1, le=MAX_TOP, description="Length of the rankings")] = DEFAULT_TOP,
) -> SummaryModel:
    """Sum up the trail: volume, failures, risk over time, what was flagged and why, who behaves how."""
    analytics = await custodes.audit.get_audit_analytics(when.since, when.until, tenant=tenant, top=top)
    health = custodes.health.as_told(await custodes.audit.get_health_status(), whole=True)
    return SummaryModel.of(analytics, health, whole=admin.tenant is None)


@router.get("/audit-logs")
async def list_audit_logs(custodes: CustodesDep, filters: Filters, page: PageQuery) -> PageModel[EntryModel]:
    """List entries, newest first; of all time when no range is given."""
    found = await custodes.audit.list_entries(filters.paged(page.limit, page.cursor or ""))
    return PageModel[EntryModel].of(found, EntryModel.of)


@router.get("/audit-catalogue")
async def audit_catalogue() -> Catalogue:
    """List the actions of the catalogue and the rules that score them."""
    rules = [RuleModel(name=rule.name, points=rule.points, description=rule.description) for rule in RULES]
    return Catalogue(actions=[ActionModel.of(ACTIONS[name]) for name in sorted(ACTIONS)], rules=rules)


@router.get("/audit-logs/export", **STREAMED)
async def export_audit_logs(
    custodes: CustodesDep, filters: Filters, trail: Trail, wanted: ExportQuery
) -> StreamingResponse:
    """Stream every entry found, newest first, as CSV with the main columns; recorded before the first line is sent."""
    rows = walk(lambda cursor: custodes.audit.list_entries(filters.paged(MAX_LIMIT, cursor or "")))
    asked = given(filters, "limit", "cursor", "tenant")
    return await _ENTRIES.stream(trail, wanted, rows, asked=asked, tenant=filters.tenant)


@router.get("/audit-logs/{id}")
async def get_audit_log(id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> EntryModel:  # noqa: A002
    """Return one entry."""
    return EntryModel.of(await custodes.audit.get_entry(id, tenant=tenant))
