"""Rate limits: what they did, and which rules hold."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from custodes.admin.dependencies import Admin, CustodesDep, TenantScope, Trail
from custodes.admin.exports import STREAMED, Export, ExportQuery
from custodes.admin.fields import Identifier, Reason, TimeRange
from custodes.admin.paging import PageModel, PageQuery
from custodes.admin.routes.ratelimit_models import (
    AccessModel,
    AnalyticsModel,
    NewRule,
    RuleChange,
    RuleModel,
    RuleUsageModel,
    SummaryModel,
    TotalModel,
    UsageModel,
    WindowModel,
)
from custodes.admin.routes.ratelimit_trial import EngineModel, RuleCheck, TrialRule, WhatIfModel
from custodes.admin.summaries import SummaryDep
from custodes.app import Custodes
from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY
from custodes.kernel.paging import MAX_LIMIT, walk
from custodes.kernel.tenant import EVERY_TENANT
from custodes.planes.audit.model import Reference
from custodes.planes.ratelimit.language import MAX_TEXT
from custodes.planes.ratelimit.model import EVERY_ENDPOINT, Rule
from custodes.planes.ratelimit.rules import MAX_LIST, MAX_NAME

router = APIRouter()

#: Rows of each list in the summary.
_FEW = 10

#: Why somebody does it, for the audit trail.

RuleFilter = Annotated[str | None, Query(max_length=100, description="Only this rule")]
IdentifierFilter = Annotated[str | None, Query(max_length=256, description="Only this identifier")]
RefusedOnly = Annotated[bool, Query(description="Only windows in which something was refused")]

_WINDOWS = Export("rate-limit-windows", WindowModel, WindowModel.of)


@router.get("/rate-limit-summary")
async def get_rate_limit_summary(
    custodes: CustodesDep, admin: Admin, tenant: TenantScope, when: TimeRange
) -> SummaryModel:
    """Tell at a glance how the limits do: health, sums, blocks that stand, who is refused and who is near a limit."""
    limiter = custodes.ratelimit
    health = custodes.health.as_told(await limiter.get_health_status(), whole=True)
    found = await limiter.get_rate_limit_analytics(since=when.since, until=when.until, tenant=tenant)
    blocks = await limiter.get_blocked_identifiers(tenant=tenant, limit=_FEW)
    near = await limiter.near_limits(tenant=tenant)
    untold = bool(_untold(custodes, tenant))
    return SummaryModel(
        state=health.state,
        reasons=list(health.reasons) if admin.tenant is None else [],
        figures=dict(health.figures) if admin.tenant is None else {},
        since=found.since,
        until=found.until,
        allowed=None if untold else found.allowed,
        refused=found.refused,
        would_refuse=found.would_refuse,
        refusal_rate=None if untold else found.refusal_rate,
        rules=len(limiter.list_rules(tenant=tenant)),
        blocks_in_force=await limiter.count_blocked_identifiers(tenant=tenant),
        active_blocks=[AccessModel.of(entry) for entry in blocks.items],
        top_endpoints=[TotalModel.of(total, untold=untold) for total in found.endpoints[:_FEW]],
        top_identifiers=[TotalModel.of(total, untold=untold) for total in found.identifiers[:_FEW]],
        near_limits=[UsageModel.of(usage) for usage in near[:_FEW]],
    )


@router.get("/rate-limits/analytics", response_model=AnalyticsModel)
async def get_rate_limit_analytics(
    custodes: CustodesDep, summary: SummaryDep, tenant: TenantScope, when: TimeRange
) -> Response:
    """Sum up what the limits did: totals, trend, most refused rules, endpoints and identifiers."""

    async def compute() -> AnalyticsModel:
        found = await custodes.ratelimit.get_rate_limit_analytics(since=when.since, until=when.until, tenant=tenant)
        known_since = custodes.clock.now() - custodes.settings.api_log_retention_days * DAY
        return AnalyticsModel.of(found, known_since, _untold(custodes, tenant))

    return await summary.of(compute)


@router.get("/rate-limits/engine")
async def get_rate_limit_engine(custodes: CustodesDep, admin: Admin) -> EngineModel:
    """Tell where limits count and how that does, as the worker sees it that answers."""
    health = await custodes.ratelimit.get_health_status()
    return EngineModel.of(custodes.ratelimit.engine(), dict(health.figures) if admin.tenant is None else {})


@router.get("/rate-limits/windows")
async def list_rate_limit_windows(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    when: TimeRange,
    rule: RuleFilter = None,
    identifier: IdentifierFilter = None,
    refused_only: RefusedOnly = False,
) -> PageModel[WindowModel]:
    """List counted windows of identifiers, newest first."""
    found = await custodes.ratelimit.list_windows(
        tenant=tenant,
        since=when.since,
        until=when.until,
        rule=rule,
        identifier=identifier,
        refused_only=refused_only,
        limit=page.limit,
        cursor=page.cursor,
    )
    return PageModel[WindowModel].of(found, WindowModel.of)


@router.get("/rate-limits/windows/export", **STREAMED)
async def export_rate_limit_windows(
    custodes: CustodesDep,
    tenant: TenantScope,
    when: TimeRange,
    trail: Trail,
    wanted: ExportQuery,
    rule: RuleFilter = None,
    identifier: IdentifierFilter = None,
    refused_only: RefusedOnly = False,
) -> StreamingResponse:
    """Stream every counted window found, newest first: who was admitted and refused how often, by which rule."""
    found = {"rule": rule, "identifier": identifier, "refused_only": refused_only}
    rows = walk(
        lambda cursor: custodes.ratelimit.list_windows(
            tenant=tenant,
            since=when.since,
            until=when.until,
            rule=rule,
            identifier=identifier,
            refused_only=refused_only,
            limit=MAX_LIMIT,
            cursor=cursor,
        )
    )
    return await _WINDOWS.stream(trail, wanted, rows, asked=found | when.told(), tenant=tenant)


@router.get("/rate-limits/usage")
async def get_rule_usage(
    custodes: CustodesDep,
    tenant: TenantScope,
    when: TimeRange,
    rule: Annotated[str, Query(min_length=1, max_length=100, description="Name of the rule")],
) -> RuleUsageModel:
    """Follow what one rule admitted and refused in a stretch of time, and list who is near its limits now."""
    limiter = custodes.ratelimit
    course = await limiter.get_rule_course(rule, since=when.since, until=when.until, tenant=tenant)
    near = await limiter.near_limits(tenant=tenant, rule=rule)
    return RuleUsageModel.of(course, near[:_FEW], untold=rule in _untold(custodes, tenant))


def _untold(custodes: Custodes, tenant: str | None) -> frozenset[str]:
    """Name the rules of which this tenant is not told what they admitted: the default tenant has it of all."""
    if tenant in (None, custodes.settings.default_tenant):
        return frozenset()
    return custodes.ratelimit.admitted_untold()


# ── Rules ────────────────────────────────────────────────────────────────────


@router.get("/rate-limits/rules")
async def list_rules(custodes: CustodesDep, tenant: TenantScope) -> list[RuleModel]:
    """List the rules: those in code, which are read-only, then those made at run time."""
    return [_shown(custodes, rule) for rule in custodes.ratelimit.list_rules(tenant=tenant)]


@router.post("/rate-limits/rules", status_code=201)
async def create_rule(
    body: NewRule,
    custodes: CustodesDep,
    principal: Admin,
    tenant: TenantScope,
    trail: Trail,
    reason: Reason = "",
) -> RuleModel:
    """Make a rule; it holds at once, in other workers within two seconds."""
    rule_id = custodes.new_id()
    target = Reference("rule", rule_id, body.name)
    also = trail.entry("rate_limit.rule_changed", target=target, context=_told(body), reason=reason, tenant=tenant)
    rule = await custodes.ratelimit.create_rule(
        actor=principal.actor, tenant=tenant, rule_id=rule_id, also=also, **body.model_dump()
    )
    return _shown(custodes, rule)


@router.patch("/rate-limits/rules/{rule_id}")
async def change_rule(
    rule_id: Identifier,
    body: RuleChange,
    custodes: CustodesDep,
    principal: Admin,
    tenant: TenantScope,
    trail: Trail,
    reason: Reason = "",
) -> RuleModel:
    """Change a rule made at run time; what was counted under limits that stay the same is kept."""
    target, owner = _meant(custodes, rule_id, tenant)
    also = trail.entry("rate_limit.rule_changed", target=target, context=_told(body), reason=reason, tenant=owner)
    given = body.model_dump(exclude_unset=True).items()
    # Null stands for "as before", but for the failure mode, where it is a choice.
    changes = {name: value for name, value in given if value is not None or name == "on_failure"}
    rule = await custodes.ratelimit.change_rule(rule_id, actor=principal.actor, tenant=tenant, also=also, **changes)
    return _shown(custodes, rule)


@router.delete("/rate-limits/rules/{rule_id}")
async def delete_rule(
    rule_id: Identifier, custodes: CustodesDep, tenant: TenantScope, trail: Trail, reason: Reason = ""
) -> RuleModel:
    """Delete a rule made at run time."""
    target, owner = _meant(custodes, rule_id, tenant)
    also = trail.entry("rate_limit.rule_deleted", target=target, reason=reason, tenant=owner)
    return _shown(custodes, await custodes.ratelimit.delete_rule(rule_id, tenant=tenant, also=also))


def _meant(custodes: Custodes, rule_id: str, tenant: str | None) -> tuple[Reference, str | None]:
    """Name a rule for the audit trail, and whose trail it is."""
    for rule in custodes.ratelimit.list_rules(tenant=tenant):
        if rule.id == rule_id:
            return Reference("rule", rule_id, rule.name), None if rule.tenant == EVERY_TENANT else rule.tenant
    return Reference("rule", rule_id), tenant


def _shown(custodes: CustodesDep, rule: Rule) -> RuleModel:
    return RuleModel.of(rule, custodes.ratelimit.over_admission(rule))


# ── Trying a rule out ────────────────────────────────────────────────────────


@router.get("/rate-limits/rule-check")
async def check_rule(
    custodes: CustodesDep,
    tenant: TenantScope,
    limits: Annotated[str, Query(max_length=MAX_TEXT, description="In the rule language")] = "",
    name: Annotated[str, Query(max_length=MAX_NAME, description="Name")] = "",
    by: Annotated[str, Query(max_length=64, description="Whom to count")] = "ip",
    route: Annotated[str, Query(max_length=256, description="Path template")] = EVERY_ENDPOINT,
    methods: Annotated[list[str] | None, Query(max_length=MAX_LIST, description="Methods")] = None,
    exempt: Annotated[list[str] | None, Query(max_length=MAX_LIST, description="Exempt path templates")] = None,
    lease: Annotated[int, Query(description="Units that an instance may take at once")] = 1,
) -> RuleCheck:
    """Tell whether a rule could be made as written, and what its limits promise; nothing changes.

    A rule that could not be made is an answer, not an error: what is typed is wrong until it is finished.
    """
    given = {
        "limits": limits,
        "name": name,
        "by": by,
        "route": route,
        "methods": methods or [],
        "exempt": exempt or [],
        "lease": lease,
    }
    try:
        rule = custodes.ratelimit.draft(given, tenant=tenant)
        return RuleCheck.of(rule, custodes.ratelimit.over_admission(rule))
    except InvalidInput as error:
        return RuleCheck(valid=False, detail=error.message, remedy=error.remedy, limits=[])


@router.post("/rate-limits/what-if")
async def replay_what_if(
    body: TrialRule, custodes: CustodesDep, tenant: TenantScope, when: TimeRange, trail: Trail
) -> WhatIfModel:
    """Replay the calls that were recorded in a stretch of time against a rule: whom would it have hit?

    Nothing that counts is touched. The rule begins to count with the first call. At most the newest 100,000 calls of
    the stretch are replayed, for at most ten seconds; the answer says which.
    """
    rule = custodes.ratelimit.draft(body.model_dump(), tenant=tenant)
    found = await custodes.ratelimit.what_if(rule, since=when.since, until=when.until, tenant=tenant)
    context = {**_told(body), "calls": found.calls, "refused": found.refused}
    await custodes.audit.commit(
        trail.entry("rate_limit.what_if", target=f"rule:{rule.name}", context=context, tenant=tenant)
    )
    return WhatIfModel.of(found)


def _told(body: NewRule | RuleChange | TrialRule) -> dict[str, Any]:
    """Write a rule small enough for the audit trail."""
    return {name: str(value)[:200] for name, value in body.model_dump(exclude_none=True).items()}
