"""What the routes take and give that try a rule out, or tell how the limiter itself does."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field

from custodes.admin.fields import Moment
from custodes.admin.routes.ratelimit_models import OVER_ADMISSION, LimitModel, RuleModel, WrittenRule
from custodes.kernel.clock import SECOND
from custodes.planes.ratelimit.model import Engine, FailureMode, Rule
from custodes.planes.ratelimit.rules import MAX_NAME
from custodes.planes.ratelimit.what_if import Hit, Point, WhatIf


class EngineModel(BaseModel):
    """Where limits count."""

    name: str = Field(description="`memory`, `sqlite`, `postgresql` or `redis`")
    enabled: bool = Field(description="False when everything is admitted")
    available: bool = Field(description="False while the engine is known not to answer")
    instances: int = Field(description="Instances that share the states")
    failures: int = Field(description="Decisions that could not be made, since the start of this worker")
    failure_mode: FailureMode = Field(description="What becomes of requests then, unless their rule says otherwise")
    block_status: int = Field(description="Status for those who are blocked")
    bans: bool = Field(description="Whether those who keep on running into limits are shut out by themselves")
    figures: dict[str, float] = Field(description="Figures of this worker; for those who see all tenants")

    @classmethod
    def of(cls, engine: Engine, figures: Mapping[str, float]) -> EngineModel:
        """Tell an engine."""
        names = [name for name in cls.model_fields if name != "figures"]
        return cls(figures=dict(figures), **{name: getattr(engine, name) for name in names})


class RuleCheck(BaseModel):
    """What a rule means as written, or why it means nothing."""

    valid: bool = Field(description="Whether it could be made")
    detail: str = Field(description="What is wrong; empty when nothing is")
    remedy: str = Field(description="How to write it; empty when nothing is wrong")
    limits: list[LimitModel] = Field(description="Its limits with what they promise; empty when something is wrong")
    over_admission: int = Field(default=0, description=OVER_ADMISSION)

    @classmethod
    def of(cls, rule: Rule, over_admission: int) -> RuleCheck:
        """Tell a rule that holds."""
        limits = [LimitModel.of(limit) for limit in rule.limits]
        return cls(valid=True, detail="", remedy="", limits=limits, over_admission=over_admission)


class TrialRule(WrittenRule):
    """A rule to try out."""

    name: str = Field(
        default="",
        max_length=MAX_NAME,
        description="Name; calls that the rule of this name refused are asked again, instead of being left out",
    )


class HitModel(BaseModel):
    """What would have become of the calls of one subject, or of one endpoint."""

    label: str = Field(description="Subject (`ip:203.0.113.9`) or endpoint")
    calls: int = Field(description="Calls that the rule holds for")
    refused: int = Field(description="Of these, those that would have been refused")
    successes_refused: int = Field(description="Of these, those that were answered with success")

    @classmethod
    def of(cls, hit: Hit) -> HitModel:
        """Tell a hit."""
        return cls.model_validate(hit, from_attributes=True)


class TrialPoint(BaseModel):
    """A point of the course of a replay."""

    at: Moment = Field(description="Begin of the point")
    calls: int = Field(description="Calls that the rule holds for")
    refused: int = Field(description="Of these, those that would have been refused")

    @classmethod
    def of(cls, point: Point) -> TrialPoint:
        """Tell a point."""
        return cls.model_validate(point, from_attributes=True)


class WhatIfModel(BaseModel):
    """What a rule would have done."""

    rule: RuleModel = Field(description="The rule as it was understood")
    since: Moment = Field(description="Begin of what was replayed, included")
    until: Moment = Field(description="End of what was replayed, not included")
    cut: bool = Field(description="Whether that is less than what was asked for: too many calls, or too slow")
    bucket_seconds: int = Field(description="Length of a point of the trend")
    recorded: int = Field(description="Calls that were recorded then")
    refused_already: int = Field(description="Of these, those that another rule or a block had refused; not charged")
    let_through: int = Field(description="Of these, those that the allow list lets through")
    calls: int = Field(description="Calls that the rule holds for")
    refused: int = Field(description="Of these, those that would have been refused")
    refusal_rate: float = Field(description="Refused part of the calls that the rule holds for, 0 to 1")
    successes_refused: int = Field(description="Refused ones that were answered with success (status below 400)")
    subjects: int = Field(description="Subjects that the rule counted")
    subjects_refused: int = Field(description="Of these, those that would have been refused at least once")
    trend: list[TrialPoint] = Field(description="In order of time; points without any call are left out")
    identifiers: list[HitModel] = Field(description="Who would have been refused, most often first")
    endpoints: list[HitModel] = Field(description="Where, most often first")

    @classmethod
    def of(cls, found: WhatIf) -> WhatIfModel:
        """Tell a replay."""
        return cls(
            rule=RuleModel.of(found.rule, 0),  # a rule that is tried decides on each request by itself
            since=found.since,
            until=found.until,
            cut=found.cut,
            bucket_seconds=found.bucket // SECOND,
            recorded=found.recorded,
            refused_already=found.refused_already,
            let_through=found.let_through,
            calls=found.calls,
            refused=found.refused,
            refusal_rate=found.refusal_rate,
            successes_refused=found.successes_refused,
            subjects=found.subjects,
            subjects_refused=found.subjects_refused,
            trend=[TrialPoint.of(point) for point in found.trend],
            identifiers=[HitModel.of(hit) for hit in found.identifiers],
            endpoints=[HitModel.of(hit) for hit in found.endpoints],
        )
