"""What the rate-limit routes take and give."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from custodes.admin.fields import Body, Moment
from custodes.kernel.clock import SECOND
from custodes.kernel.tenant import EVERY_TENANT
from custodes.planes.ratelimit.analytics import Course, RateLimitAnalytics
from custodes.planes.ratelimit.language import MAX_AMOUNT, MAX_TEXT, meter_of
from custodes.planes.ratelimit.model import (
    EVERY_ENDPOINT,
    FOREVER,
    Access,
    Effect,
    FailureMode,
    Kind,
    Limit,
    Rule,
    Usage,
    Window,
)
from custodes.planes.ratelimit.ports import Total
from custodes.planes.ratelimit.rules import MAX_LIST, MAX_NAME, NAMED_KINDS, spell_subjects

#: A path template as a rule takes it.
Template = Annotated[str, Field(min_length=1, max_length=256)]

_ON_FAILURE = "What becomes of its requests when the store of limits does not answer; null: what the install has chosen"

_LEASE = "Units of each limit that an instance may take from Redis at once and hand out itself; 1 for none"

#: What leases cost.
OVER_ADMISSION = "Most units that leases let pass beyond each limit in any window, with the instances that live now"

_IDENTIFIER = "Address or CIDR block, user, key id or tenant"

#: What an entry can be for: a custom identifier is known to the callable of its rule alone.
NamedKind = Annotated[
    Kind,
    Field(
        description="What the identifier is; not `custom`, which only the callable of a rule can name",
        json_schema_extra={"enum": [*NAMED_KINDS]},
    ),
]


class NewBlock(Body):
    """Whom to block."""

    identifier: str = Field(min_length=1, max_length=256, description=_IDENTIFIER, examples=["203.0.113.0/24"])
    kind: NamedKind = Kind.IP
    reason: str = Field(min_length=1, max_length=500, description="Why, for people")
    duration_seconds: int | None = Field(default=None, ge=1, le=3660 * 86_400, description="How long; null for no end")


class NewEntry(Body):
    """Whom to put on a list."""

    effect: Annotated[Effect, Field(description="`allow` or `deny`", json_schema_extra={"enum": ["allow", "deny"]})]
    identifier: str = Field(min_length=1, max_length=256, description=_IDENTIFIER, examples=["203.0.113.0/24"])
    kind: NamedKind = Kind.IP
    reason: str = Field(min_length=1, max_length=500, description="Why, for people")


class AccessModel(BaseModel):
    """An identifier that is blocked, denied or allowed."""

    id: str = Field(description="UUIDv7")
    tenant: str | None = Field(description="Tenant whose requests it concerns; null for all")
    effect: Effect = Field(description="What it does")
    kind: Kind = Field(description="What the identifier is")
    identifier: str = Field(description=_IDENTIFIER)
    reason: str = Field(description="Why")
    actor: str = Field(description="Who put it there; `custodes` for a ban")
    created_at: Moment = Field(description="When")
    ends_at: Moment | None = Field(description="When it ends or was lifted; null for no end")
    level: int = Field(description="Step of the escalation when it is a ban; 0 when a person did it")
    lifted_by: str = Field(description="Who lifted it early; empty otherwise, and where another took its place")

    @classmethod
    def of(cls, entry: Access) -> AccessModel:
        """Tell an entry."""
        return cls(
            id=entry.id,
            tenant=None if entry.tenant == EVERY_TENANT else entry.tenant,
            effect=entry.effect,
            kind=entry.kind,
            identifier=entry.identifier,
            reason=entry.reason,
            actor=entry.actor,
            created_at=entry.created_at,
            ends_at=None if entry.ends_at >= FOREVER else entry.ends_at,
            level=entry.level,
            lifted_by=entry.lifted_by,
        )


class WindowModel(BaseModel):
    """What one identifier did under one rule at one endpoint in one minute."""

    id: str = Field(description="UUIDv7")
    tenant: str = Field(description="Whose it is")
    rule: str = Field(description="Rule; `(block)`, `(ban)` or `(deny-list)` for an access entry")
    kind: str = Field(description="What the identifier is")
    identifier: str = Field(description="Who")
    endpoint: str = Field(description="Path template, or the path with variable parts as `{}`; `*` for all")
    window_start: Moment = Field(description="Begin, included")
    window_end: Moment = Field(description="End, not included")
    allowed: int = Field(description="Units admitted")
    refused: int = Field(description="Requests refused")
    would_refuse: int = Field(description="Requests that a rule in shadow would have refused")
    trace_id: str = Field(description="Trace of the latest refused request; empty when none was")

    @classmethod
    def of(cls, window: Window) -> WindowModel:
        """Tell a window."""
        return cls.model_validate(window, from_attributes=True)


class LimitModel(BaseModel):
    """One limit of a rule, with what it promises."""

    text: str = Field(description="In the rule language")
    algorithm: str = Field(description="How it counts")
    worst_case_factor: float = Field(description="Most units in any window of its length, divided by the limit")
    lateness_seconds: float = Field(description="How much later than an exact count quota may come back")

    @classmethod
    def of(cls, limit: Limit) -> LimitModel:
        """Tell a limit."""
        meter = meter_of(limit)
        return cls(
            text=limit.text,
            algorithm=limit.algorithm,
            worst_case_factor=meter.worst_case_factor,
            lateness_seconds=meter.lateness / SECOND,
        )


class WrittenRule(Body):
    """What every rule says, whether it is to be made or only to be tried out."""

    name: str = Field(min_length=1, max_length=MAX_NAME, description="Unique name", examples=["login"])
    limits: str = Field(
        min_length=1, max_length=MAX_TEXT, description="In the rule language", examples=["5/minute; 100/day"]
    )
    by: str = Field(default="ip", min_length=1, max_length=64, description="Whom to count", examples=["ip", "ip+user"])
    route: Template = Field(default=EVERY_ENDPOINT, description="Path template; `*` for every path")
    methods: list[Annotated[str, Field(max_length=16)]] = Field(
        default_factory=list, max_length=MAX_LIST, description="Methods it holds for; empty for all"
    )
    exempt: list[Template] = Field(
        default_factory=list, max_length=MAX_LIST, description="Path templates it does not hold for"
    )
    cost: int = Field(default=1, ge=1, le=MAX_AMOUNT, description="Units of a request")


class NewRule(WrittenRule):
    """A rule to make."""

    shadow: bool = Field(default=False, description="Refuse nobody, only tell whom it would")
    enabled: bool = Field(default=True, description="False to switch it off")
    on_failure: FailureMode | None = Field(default=None, description=_ON_FAILURE)
    lease: int = Field(default=1, ge=1, le=MAX_AMOUNT, description=_LEASE)


class RuleChange(Body):
    """What to change of a rule; what is left out stays."""

    limits: str | None = Field(default=None, min_length=1, max_length=MAX_TEXT, description="In the rule language")
    by: str | None = Field(default=None, min_length=1, max_length=64, description="Whom to count")
    route: Template | None = Field(default=None, description="Path template")
    methods: list[Annotated[str, Field(max_length=16)]] | None = Field(
        default=None, max_length=MAX_LIST, description="Methods it holds for"
    )
    exempt: list[Template] | None = Field(
        default=None, max_length=MAX_LIST, description="Path templates it does not hold for"
    )
    cost: int | None = Field(default=None, ge=1, le=MAX_AMOUNT, description="Units of a request")
    shadow: bool | None = Field(default=None, description="Refuse nobody, only tell whom it would")
    enabled: bool | None = Field(default=None, description="False to switch it off")
    on_failure: FailureMode | None = Field(default=None, description=_ON_FAILURE)
    lease: int | None = Field(default=None, ge=1, le=MAX_AMOUNT, description=_LEASE)
    version: int | None = Field(default=None, ge=1, description="Only if it still has this version; else 409")


class RuleModel(BaseModel):
    """A rule."""

    id: str | None = Field(description="UUIDv7; null for a rule in code, which is read-only")
    name: str = Field(description="Unique name")
    source: str = Field(description="`code` or `api`")
    tenant: str | None = Field(description="Whose requests it holds for; null for all")
    limits: list[LimitModel] = Field(description="What it allows; all of them must admit")
    by: str = Field(description="Whom it counts")
    route: str = Field(description="Path template")
    methods: list[str] = Field(description="Methods it holds for; empty for all")
    exempt: list[str] = Field(description="Path templates it does not hold for")
    cost: int | None = Field(description="Units of a request; null when a callable tells them")
    shadow: bool = Field(description="It refuses nobody, and only tells whom it would")
    enabled: bool = Field(description="False when it is switched off")
    overruled: bool = Field(description="It holds for nothing: a rule in code has its name")
    on_failure: FailureMode | None = Field(description=_ON_FAILURE)
    lease: int = Field(description=_LEASE)
    over_admission: int = Field(description=OVER_ADMISSION)
    version: int = Field(description="Counts its changes, from 1")
    updated_at: Moment | None = Field(description="When it was last changed; null for a rule in code")
    actor: str = Field(description="Who changed it last; empty for a rule in code")

    @classmethod
    def of(cls, rule: Rule, over_admission: int) -> RuleModel:
        """Tell a rule, and what :meth:`RateLimiter.over_admission` says of it."""
        return cls(
            id=rule.id or None,
            name=rule.name,
            source=rule.source,
            tenant=None if rule.tenant == EVERY_TENANT else rule.tenant,
            limits=[LimitModel.of(limit) for limit in rule.limits],
            by=spell_subjects(rule),
            route=rule.route,
            methods=sorted(rule.methods),
            exempt=list(rule.exempt),
            cost=None if callable(rule.cost) else rule.cost,
            shadow=rule.shadow,
            enabled=rule.enabled,
            overruled=rule.overruled,
            on_failure=rule.on_failure,
            lease=rule.lease,
            over_admission=over_admission,
            version=rule.version,
            updated_at=rule.updated_at or None,
            actor=rule.actor,
        )


class TotalModel(BaseModel):
    """A sum."""

    label: str = Field(description="What it is about: rule, endpoint or identifier")
    allowed: int | None = Field(
        description="Units admitted; null: of one tenant that is not known, where a rule for all counts by address"
    )
    refused: int = Field(description="Requests refused")
    would_refuse: int = Field(description="Requests that a rule in shadow would have refused")

    @classmethod
    def of(cls, total: Total, *, untold: bool = False) -> TotalModel:
        """Tell a sum; without what was admitted where that is not known."""
        return cls(
            label=total.label,
            allowed=None if untold else total.allowed,
            refused=total.refused,
            would_refuse=total.would_refuse,
        )


class PointModel(BaseModel):
    """A point of the trend."""

    at: Moment = Field(description="Begin of the point")
    allowed: int | None = Field(
        description="Units admitted; null: of one tenant that is not known, where a rule for all counts by address"
    )
    refused: int = Field(description="Requests refused")
    would_refuse: int = Field(description="Requests that a rule in shadow would have refused")

    @classmethod
    def of(cls, total: Total, *, untold: bool = False) -> PointModel:
        """Tell a point; without what was admitted where that is not known."""
        allowed = None if untold else total.allowed
        return cls(at=int(total.label), allowed=allowed, refused=total.refused, would_refuse=total.would_refuse)


class AnalyticsModel(BaseModel):
    """What the limits did in a stretch of time."""

    since: Moment = Field(description="Begin, included")
    until: Moment = Field(description="End, not included")
    bucket_seconds: int = Field(description="Length of a point of the trend")
    allowed: int | None = Field(
        description="Units admitted; null: of one tenant that is not known, where a rule for all counts by address"
    )
    refused: int = Field(description="Requests refused")
    would_refuse: int = Field(description="Requests that a rule in shadow would have refused")
    refusal_rate: float | None = Field(description="Refused part of everything, 0 to 1; null where `allowed` is")
    trend: list[PointModel] = Field(description="In order of time; points without any request are left out")
    rules: list[TotalModel] = Field(description="Most refused first")
    endpoints: list[TotalModel] = Field(description="Most refused first")
    identifiers: list[TotalModel] = Field(description="Most refused first")
    addresses: list[TotalModel] = Field(description="Of the identifiers, addresses; most refused first")
    users: list[TotalModel] = Field(description="Of the identifiers, users; most refused first")
    api_keys: list[TotalModel] = Field(description="Of the identifiers, API keys; most refused first")
    blocks_in_force: int | None = Field(
        description="Blocks and bans that stood at the end; null when some of them may not be kept any more"
    )

    @classmethod
    def of(cls, found: RateLimitAnalytics, known_since: int, untold: frozenset[str]) -> AnalyticsModel:
        """Tell an analysis.

        Args:
            found: what was found.
            known_since: blocks that ended before this moment may have been deleted.
            untold: rules of which it is not known what they admitted.
        """
        return cls(
            since=found.since,
            until=found.until,
            bucket_seconds=found.bucket // SECOND,
            allowed=None if untold else found.allowed,
            refused=found.refused,
            would_refuse=found.would_refuse,
            refusal_rate=None if untold else found.refusal_rate,
            trend=[PointModel.of(point, untold=bool(untold)) for point in found.trend],
            rules=[TotalModel.of(total, untold=total.label in untold) for total in found.rules],
            endpoints=[TotalModel.of(total, untold=bool(untold)) for total in found.endpoints],
            identifiers=[TotalModel.of(total, untold=bool(untold)) for total in found.identifiers],
            addresses=[TotalModel.of(total, untold=bool(untold)) for total in found.addresses],
            users=[TotalModel.of(total) for total in found.users],
            api_keys=[TotalModel.of(total) for total in found.api_keys],
            blocks_in_force=found.blocks_in_force if known_since <= found.until else None,
        )


class RefusalsModel(BaseModel):
    """What a block, a ban or an entry of the deny list has refused since it holds."""

    since: Moment = Field(description="Since when that is known, included: its begin, or what is kept of its windows")
    until: Moment = Field(description="End, not included")
    bucket_seconds: int = Field(description="Length of a point of the trend")
    refused: int = Field(description="Requests refused")
    trend: list[PointModel] = Field(description="In order of time; points without any request are left out")

    @classmethod
    def of(cls, course: Course) -> RefusalsModel:
        """Tell refusals."""
        return cls(
            since=course.since,
            until=course.until,
            bucket_seconds=course.bucket // SECOND,
            refused=course.sums.refused,
            trend=[PointModel.of(point) for point in course.trend],
        )


class UsageModel(BaseModel):
    """Somebody near a limit."""

    rule: str = Field(description="Limit")
    identifier: str = Field(description="Who")
    limit: int = Field(description="Units that it may have at once: of a rule with a burst, the burst")
    remaining: int = Field(description="Units left")

    @classmethod
    def of(cls, usage: Usage) -> UsageModel:
        """Tell who is near a limit."""
        return cls.model_validate(usage, from_attributes=True)


class RuleUsageModel(BaseModel):
    """What one rule did in a stretch of time, and who is near its limits now."""

    since: Moment = Field(description="Begin, included")
    until: Moment = Field(description="End, not included")
    bucket_seconds: int = Field(description="Length of a point of the trend")
    allowed: int | None = Field(
        description="Units admitted; null: of one tenant that is not known, where a rule for all counts by address"
    )
    refused: int = Field(description="Requests refused")
    would_refuse: int = Field(description="Requests that it would have refused while in shadow")
    trend: list[PointModel] = Field(description="In order of time; points without any request are left out")
    near_limits: list[UsageModel] = Field(description="Who has used 80 % of one of its limits or more; the first ten")

    @classmethod
    def of(cls, course: Course, near: list[Usage], *, untold: bool) -> RuleUsageModel:
        """Tell what a rule did; without what it admitted where that is not known."""
        sums = course.sums
        return cls(
            since=course.since,
            until=course.until,
            bucket_seconds=course.bucket // SECOND,
            allowed=None if untold else sums.allowed,
            refused=sums.refused,
            would_refuse=sums.would_refuse,
            trend=[PointModel.of(point, untold=untold) for point in course.trend],
            near_limits=[UsageModel.of(usage) for usage in near],
        )


class SummaryModel(BaseModel):
    """Rate limits at a glance."""

    state: str = Field(description="`healthy`, `degraded` or `unhealthy`")
    reasons: list[str] = Field(description="What is not as it should be; for those who see all tenants")
    figures: dict[str, float] = Field(description="Figures of this worker since its start; for the same")
    since: Moment = Field(description="Begin of the sums")
    until: Moment = Field(description="End of the sums")
    allowed: int | None = Field(
        description="Units admitted; null: of one tenant that is not known, where a rule for all counts by address"
    )
    refused: int = Field(description="Requests refused")
    would_refuse: int = Field(description="Requests that a rule in shadow would have refused")
    refusal_rate: float | None = Field(description="Refused part of everything, 0 to 1; null where `allowed` is")
    rules: int = Field(description="Rules in force")
    blocks_in_force: int = Field(description="Blocks and bans that stand at this moment")
    active_blocks: list[AccessModel] = Field(description="The newest ten of them, newest first")
    top_endpoints: list[TotalModel] = Field(description="Most refused first; the first ten")
    top_identifiers: list[TotalModel] = Field(description="Most refused first; the first ten")
    near_limits: list[UsageModel] = Field(description="Who has used 80 % of a limit or more; the first ten")
