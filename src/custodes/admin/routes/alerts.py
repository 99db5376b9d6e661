"""Alerts: incidents, rules and sinks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import StreamingResponse

from custodes.admin.dependencies import WHOLE_INSTALL, Admin, CustodesDep, TenantScope, Trail
from custodes.admin.exports import STREAMED, Export, ExportQuery
from custodes.admin.fields import Body, Identifier, Moment, Reason
from custodes.admin.own_metrics import SeesBuiltIn, check_seen
from custodes.admin.paging import PageModel, PageQuery
from custodes.app import Custodes
from custodes.kernel.clock import MILLISECOND, SECOND, from_datetime
from custodes.kernel.paging import MAX_LIMIT, walk
from custodes.kernel.tenant import MAX_TENANT_LENGTH
from custodes.planes.alerts.model import (
    Comparator,
    Delivery,
    Incident,
    News,
    Notification,
    Origin,
    Rule,
    Severity,
    SinkTrial,
    State,
)
from custodes.planes.audit.model import Reference

router = APIRouter()

#: The longest time that a rule may name, seconds.
_WEEK = 604_800

RuleId = Annotated[str, Path(min_length=1, max_length=36, pattern=r"^[A-Za-z0-9._-]+$", description="Id of the rule")]


class IncidentModel(BaseModel):
    """One problem from its first sign to its end."""

    id: str = Field(description="UUIDv7")
    tenant: str = Field(description="Whose it is")
    rule_id: str = Field(description="Rule that it broke; `signal:` and a name for a failure that was reported")
    name: str = Field(description="One line")
    labels: dict[str, str] = Field(description="Labels of the figure")
    severity: Severity = Field(description="How much it matters")
    state: State = Field(description="Where it is in its life")
    summary: str = Field(description="One sentence")
    value: float | None = Field(description="Last value of the figure; null for a failure")
    occurrences: int = Field(description="How often the failure happened; 1 for a figure")
    started_at: Moment = Field(description="First sign")
    last_seen_at: Moment = Field(description="Last sign")
    fired_at: Moment | None = Field(description="When it began to fire")
    resolved_at: Moment | None = Field(description="When it was over")
    acknowledged_by: str = Field(description="Who has seen it; empty when nobody has")
    acknowledged_at: Moment | None = Field(description="When")
    silenced_until: Moment | None = Field(description="Nobody is told before this moment")
    trace_id: str = Field(description="Trace of the first sign; empty when there is none")

    @classmethod
    def of(cls, incident: Incident) -> IncidentModel:
        """Tell an incident."""
        return cls(**_fields(incident, cls), labels=dict(incident.labels))


class NotificationModel(BaseModel):
    """One message to one sink."""

    id: str = Field(description="UUIDv7, the same on every attempt")
    sink: str = Field(description="Name of the sink; never its URL")
    news: News = Field(description="Why somebody is told")
    state: Delivery = Field(description="Where it is")
    attempts: int = Field(description="Attempts so far")
    error: str = Field(description="What the last attempt failed of; empty when none did")
    created_at: Moment = Field(description="When it was made")
    due_at: Moment = Field(description="When the next attempt is due")

    @classmethod
    def of(cls, notification: Notification) -> NotificationModel:
        """Tell a message."""
        return cls.model_validate(notification, from_attributes=True)


class IncidentDetail(IncidentModel):
    """One problem, with the messages about it."""

    notifications: list[NotificationModel] = Field(description="Oldest first")


class SilenceBody(Body):
    """For how long nobody is told."""

    until: AwareDatetime = Field(description="End of the silence (RFC 3339), within 30 days")
    reason: str = Field(default="", max_length=500, description="Why; goes into the audit trail")


class RuleBody(Body):
    """When a figure becomes an incident, and when it is over."""

    name: str = Field(min_length=1, max_length=300, description="One line for a person")
    metric: str = Field(min_length=1, max_length=100, description="Name of the metric")
    aggregation: str = Field(default="avg", max_length=20, description="`rate`, `avg`, `max`, `last`, `p95`, …")
    comparator: Comparator = Field(description="How the figure is compared")
    threshold: float = Field(allow_inf_nan=False, description="With what")
    clear: float | None = Field(default=None, allow_inf_nan=False, description="Must pass back over this to be over")
    critical: float | None = Field(default=None, allow_inf_nan=False, description="From this value on it is critical")
    severity: Severity = Field(default=Severity.WARNING, description="How much it matters")
    labels: dict[str, str] = Field(default_factory=dict, max_length=10, description="Only series with these labels")
    by: list[str] = Field(default_factory=list, max_length=5, description="One incident for each value of these labels")
    window_seconds: int = Field(default=60, ge=10, le=_WEEK, description="Time that the figure is taken over")
    hold_seconds: int = Field(default=60, ge=0, le=_WEEK, description="How long it must be broken before it fires")
    clear_hold_seconds: int = Field(default=60, ge=0, le=_WEEK, description="How long it must be clear to be over")
    remind_seconds: int = Field(default=14_400, ge=0, le=_WEEK, description="Tell again after this long; 0: never")
    message: str = Field(
        default="{name}: {value} ({labels})",
        max_length=300,
        description="Sentence; `{name}`, `{value}`, `{percent}` of a share, `{threshold}`, `{labels}`, each label "
        "by its own name (`{host}`) and `{meaning}` (of a state of health: system, state, reasons) are filled in",
    )
    enabled: bool = Field(default=True, description="False: not evaluated")
    tenant: str | None = Field(
        default=None, max_length=MAX_TENANT_LENGTH, description="Whose metric; null: all that you may see"
    )

    def rule(self, tenant: str | None) -> Rule:
        """Make the rule."""
        values = self.model_dump(exclude={"window_seconds", "hold_seconds", "clear_hold_seconds", "remind_seconds"})
        values.update(
            id="",
            tenant=tenant or self.tenant,
            by=tuple(self.by),
            window=self.window_seconds * SECOND,
            hold=self.hold_seconds * SECOND,
            clear_hold=self.clear_hold_seconds * SECOND,
            remind=self.remind_seconds * SECOND,
        )
        return Rule(**values)


class RuleModel(RuleBody):
    """A rule that exists."""

    id: str = Field(description="UUIDv7, or a short name for rules that are not stored")
    origin: Origin = Field(description="`built-in`, `code` or `stored`")
    no_data: str = Field(description="Why it has no figure at present; empty when it has one, or is switched off")

    @classmethod
    def of(cls, rule: Rule, no_data: str = "") -> RuleModel:
        """Tell a rule."""
        values: dict[str, Any] = {
            **_fields(rule, cls),
            "no_data": no_data,
            "labels": dict(rule.labels),
            "by": list(rule.by),
            "window_seconds": rule.window // SECOND,
            "hold_seconds": rule.hold // SECOND,
            "clear_hold_seconds": rule.clear_hold // SECOND,
            "remind_seconds": rule.remind // SECOND,
        }
        return cls(**values)


class Rules(BaseModel):
    """All rules."""

    items: list[RuleModel] = Field(description="By id")


class SinkModel(BaseModel):
    """Where alerts go."""

    name: str = Field(description="Kind, host and a short hash; never a secret")
    disabled_reason: str = Field(description="Why it gets nothing any more; empty while it works")
    disabled_at: Moment | None = Field(description="Since when")


class Sinks(BaseModel):
    """All sinks."""

    items: list[SinkModel] = Field(description="In the order of the settings")


class SinkBody(Body):
    """Which sink."""

    name: str = Field(min_length=1, max_length=200, description="Its name")


class SinkTestBody(Body):
    """Which sinks are tried."""

    name: str | None = Field(default=None, min_length=1, max_length=200, description="Only this one; null: all")


class SinkTrialModel(BaseModel):
    """What came of a test message."""

    name: str = Field(description="Name of the sink")
    taken: bool = Field(description="Whether it took the message")
    error: str = Field(description="What happened otherwise; empty when it was taken")
    duration_ms: float = Field(description="How long it took")

    @classmethod
    def of(cls, trial: SinkTrial) -> SinkTrialModel:
        """Tell a trial."""
        return cls(
            name=trial.name, taken=trial.taken, error=trial.error, duration_ms=round(trial.duration / MILLISECOND, 1)
        )


class SinkTrials(BaseModel):
    """What came of each."""

    items: list[SinkTrialModel] = Field(description="In the order of the settings")


def _fields(thing: object, model: type[BaseModel]) -> dict[str, Any]:
    """Take what model and thing share by name, but for what is written differently."""
    return {
        name: getattr(thing, name)
        for name in model.model_fields
        if hasattr(thing, name) and name not in {"labels", "by"}
    }


def _changes(before: Rule, after: Rule) -> list[tuple[str, Any, Any]]:
    """Tell the trail what changes of a rule, in the words of the API."""
    old, new = (
        RuleModel.of(rule).model_dump(mode="json", include=set(RuleBody.model_fields)) for rule in (before, after)
    )
    return [(name, old[name], new[name]) for name in RuleBody.model_fields if old[name] != new[name]]


async def _told(custodes: Custodes, rule: Rule) -> RuleModel:
    return RuleModel.of(rule, await custodes.alerts.no_data(rule))


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else from_datetime(moment)


StateFilter = Annotated[State | None, Query(description="Only incidents in this state")]
BegunSince = Annotated[AwareDatetime | None, Query(description="Begun from this moment on (RFC 3339)")]
BegunUntil = Annotated[AwareDatetime | None, Query(description="Begun before this moment (RFC 3339)")]

_INCIDENTS = Export("alerts", IncidentModel, IncidentModel.of)


@router.get("/alerts")
async def list_alerts(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    state: StateFilter = None,
    since: BegunSince = None,
    until: BegunUntil = None,
) -> PageModel[IncidentModel]:
    """List incidents, newest first; of all time when no range is given."""
    found = await custodes.alerts.incidents.list(
        tenant=tenant,
        state=state,
        since=_micros(since),
        until=_micros(until),
        limit=page.limit,
        cursor=page.cursor,
    )
    return PageModel[IncidentModel].of(found, IncidentModel.of)


@router.get("/alerts/export", **STREAMED)
async def export_alerts(
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
    wanted: ExportQuery,
    state: StateFilter = None,
    since: BegunSince = None,
    until: BegunUntil = None,
) -> StreamingResponse:
    """Stream every incident found, newest first."""
    begin, end = _micros(since), _micros(until)
    rows = walk(
        lambda cursor: custodes.alerts.incidents.list(
            tenant=tenant, state=state, since=begin, until=end, limit=MAX_LIMIT, cursor=cursor
        )
    )
    asked = {"state": state, "since": since, "until": until}
    return await _INCIDENTS.stream(trail, wanted, rows, asked=asked, tenant=tenant)


@router.get("/alerts/{id}")
async def get_alert(id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> IncidentDetail:  # noqa: A002
    """Return one incident, with the messages about it."""
    incident = await custodes.alerts.incidents.get(id, tenant=tenant)
    messages = await custodes.alerts.incidents.notifications(id, tenant=tenant)
    told = [NotificationModel.of(one) for one in messages]
    return IncidentDetail(**_fields(incident, IncidentModel), labels=dict(incident.labels), notifications=told)


@router.post("/alerts/{id}/acknowledge")
async def acknowledge_alert(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    admin: Admin,
    tenant: TenantScope,
    trail: Trail,
) -> IncidentModel:
    """Note that you have seen it: no more reminders."""
    owner = (await custodes.alerts.incidents.get(id, tenant=tenant)).tenant
    also = trail.entry("alert.acknowledged", target=f"alert:{id}", tenant=owner)
    incident = await custodes.alerts.incidents.acknowledge(id, admin.actor, tenant=tenant, also=also)
    return IncidentModel.of(incident)


@router.post("/alerts/{id}/silence")
async def silence_alert(
    id: Identifier,  # noqa: A002
    body: SilenceBody,
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> IncidentModel:
    """Tell nobody of this problem for a while, also when it comes back in the meantime."""
    until = from_datetime(body.until)
    context = {"until": body.until.isoformat()}
    owner = (await custodes.alerts.incidents.get(id, tenant=tenant)).tenant
    also = trail.entry("alert.silenced", target=f"alert:{id}", context=context, reason=body.reason, tenant=owner)
    return IncidentModel.of(await custodes.alerts.incidents.silence(id, until, tenant=tenant, also=also))


@router.delete("/alerts/{id}/silence")
async def end_silence(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
    reason: Reason = "",
) -> IncidentModel:
    """Tell of this problem again: at once where nobody was told that it began, else from its next change on."""
    owner = (await custodes.alerts.incidents.get(id, tenant=tenant)).tenant
    also = trail.entry("alert.unsilenced", target=f"alert:{id}", reason=reason, tenant=owner)
    return IncidentModel.of(await custodes.alerts.incidents.end_silence(id, tenant=tenant, also=also))


@router.get("/alert-rules")
async def list_rules(custodes: CustodesDep, tenant: TenantScope) -> Rules:
    """List the rules: built-in, of the code, and stored."""
    return Rules(items=[await _told(custodes, rule) for rule in await custodes.alerts.rules.list(tenant)])


@router.post("/alert-rules", status_code=201)
async def create_rule(
    body: RuleBody,
    custodes: CustodesDep,
    tenant: TenantScope,
    sees: SeesBuiltIn,
    trail: Trail,
    reason: Reason = "",
) -> RuleModel:
    """Store a new rule."""
    check_seen(body.metric, sees)
    rule = body.rule(tenant)
    rule_id = custodes.new_id()
    also = trail.entry(
        "alert_rule.created",
        target=Reference("alert_rule", rule_id, body.name),
        context={"name": body.name, "metric": body.metric, "threshold": body.threshold, "enabled": body.enabled},
        reason=reason,
        tenant=rule.tenant,
    )
    return await _told(custodes, await custodes.alerts.rules.create(rule, rule_id=rule_id, also=also))


@router.get("/alert-rules/{rule_id}")
async def get_rule(rule_id: RuleId, custodes: CustodesDep, tenant: TenantScope) -> RuleModel:
    """Return one rule."""
    return await _told(custodes, await custodes.alerts.rules.get(rule_id, tenant))


@router.put("/alert-rules/{rule_id}")
async def replace_rule(
    rule_id: RuleId,
    body: RuleBody,
    custodes: CustodesDep,
    tenant: TenantScope,
    sees: SeesBuiltIn,
    trail: Trail,
    reason: Reason = "",
) -> RuleModel:
    """Write a rule anew; a built-in one is overridden until that is deleted."""
    check_seen(body.metric, sees)
    before, asked = await custodes.alerts.rules.get(rule_id, tenant), body.rule(tenant)
    also = trail.entry(
        "alert_rule.updated",
        target=Reference("alert_rule", rule_id, body.name),
        context={"name": body.name},
        changes=_changes(before, asked),
        reason=reason,
        tenant=before.tenant or body.tenant,
    )
    made = await custodes.alerts.rules.replace(rule_id, asked, tenant=tenant, also=also)
    return await _told(custodes, made)


@router.delete("/alert-rules/{rule_id}", status_code=204, response_model=None)
async def delete_rule(
    rule_id: RuleId, custodes: CustodesDep, tenant: TenantScope, trail: Trail, reason: Reason = ""
) -> None:
    """Delete a stored rule; one that it stood above comes back."""
    rule = await custodes.alerts.rules.get(rule_id, tenant)
    context = {"name": rule.name, "metric": rule.metric, "threshold": rule.threshold, "enabled": rule.enabled}
    target = Reference("alert_rule", rule_id, rule.name)
    also = trail.entry("alert_rule.deleted", target=target, context=context, reason=reason, tenant=rule.tenant)
    await custodes.alerts.rules.delete(rule_id, tenant=tenant, also=also)


@router.get("/alert-sinks")
async def list_sinks(custodes: CustodesDep, admin: Admin) -> Sinks:
    """List where alerts go; none for an admin of one tenant, since sinks belong to the install."""
    found = await custodes.alerts.list_sinks() if admin.tenant is None else []
    return Sinks(items=[SinkModel.model_validate(one, from_attributes=True) for one in found])


@router.post("/alert-sinks/enable", status_code=204, response_model=None, dependencies=[WHOLE_INSTALL])
async def enable_sink(body: SinkBody, custodes: CustodesDep, trail: Trail) -> None:
    """Switch a sink on again that was switched off."""
    also = trail.entry("alert_sink.enabled", target=f"alert_sink:{body.name}", context={"sink": body.name})
    await custodes.alerts.enable_sink(body.name, also=also)


@router.post("/alert-sinks/test", dependencies=[WHOLE_INSTALL])
async def test_sinks(body: SinkTestBody, custodes: CustodesDep, admin: Admin, trail: Trail) -> SinkTrials:
    """Send a message that says it is a test to each sink, once, and tell what came of it; a failure changes nothing.

    It goes the way alerts go: signed, and only where requests may go. The answer comes when the slowest has answered,
    within half a minute.
    """
    tried = await custodes.alerts.try_sinks(body.name, by=admin.actor)
    targets = [f"alert_sink:{one.name}" for one in tried]
    context = {"failed": {one.name: one.error for one in tried if not one.taken}}
    await custodes.audit.commit(trail.entry("alert_sink.tested", targets=targets, context=context))
    return SinkTrials(items=[SinkTrialModel.of(one) for one in tried])
