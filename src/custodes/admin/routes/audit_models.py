"""How the audit trail is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from custodes.admin.fields import Moment
from custodes.kernel.clock import SECOND, to_iso
from custodes.kernel.health import Health, SystemHealth
from custodes.planes.audit.analytics import AuditAnalytics
from custodes.planes.audit.catalogue import Action
from custodes.planes.audit.model import ACTOR_ISSUER, AuditEntry, Kind, Outcome, Review, ReviewState


class ReferenceModel(BaseModel):
    """Somebody or something."""

    type: str = Field(description="Kind: `user`, `service`, `api_key`, …")
    id: str = Field(description="Identifier within its kind")
    name: str = Field(description="For people to read; empty when unknown")


class ChangeModel(BaseModel):
    """One field that was changed."""

    path: str = Field(description="Dotted path of the field")
    old: Any = Field(description="Value before, redacted; null when there was none")
    new: Any = Field(description="Value after, redacted; null when it was removed")


class ContextModel(BaseModel):
    """Where it came from; what is unknown is empty."""

    ip: str = Field(description="Client address")
    user_agent: str = Field(description="User agent, cut to 256 characters")
    session: str = Field(description="Id of the session")
    request_id: str = Field(description="Id of the request as the host knows it")
    trace_id: str = Field(description="W3C trace id")
    auth_method: str = Field(description="How the actor proved who it is")
    extra: dict[str, Any] = Field(description="Anything else, redacted")


class RiskReasonModel(BaseModel):
    """Why a score is what it is."""

    rule: str = Field(description="Name of the rule; `action` is the base risk of the action")
    points: int = Field(description="Points it added")
    sentence: str = Field(description="The case, for a person")


class ReviewModel(BaseModel):
    """What people made of an entry."""

    state: ReviewState = Field(description="Where the review stands")
    assignee: str = Field(description="Who is to look at it; empty when nobody is named")
    note: str = Field(description="What was found")
    by: str = Field(description="Who moved it last; empty when nobody has")
    at: Moment | None = Field(description="When it was moved last; null when it was not")

    @classmethod
    def of(cls, review: Review) -> ReviewModel:
        """Tell a review."""
        return cls(state=review.state, assignee=review.assignee, note=review.note, by=review.by, at=review.at or None)


class EntryModel(BaseModel):
    """One entry of the trail."""

    id: str = Field(description="UUIDv7")
    sequence: int = Field(description="Place in the order in which the store took the entries")
    tenant: str = Field(description="Whose trail it is in")
    recorded_at: Moment = Field(description="When it was recorded: what the trail is ordered by")
    time: Moment = Field(description="When it happened, as the recorder says")
    kind: Kind = Field(description="An event, an admin action or a security event")
    action: str = Field(description="`noun.verb`")
    category: str = Field(description="Category of the action; `other` when it is not in the catalogue")
    outcome: Outcome = Field(description="How it ended")
    actor: ReferenceModel = Field(description="Who did it")
    impersonator: ReferenceModel | None = Field(description="Who acted in the actor's name")
    effective: ReferenceModel | None = Field(description="Whose rights were used when not the actor's own")
    targets: list[ReferenceModel] = Field(description="What it was done to")
    changes: list[ChangeModel] = Field(description="Fields changed")
    context: ContextModel = Field(description="Where it came from")
    reason: str = Field(description="Why")
    observer: str = Field(description="Service that recorded it; empty: the host app")
    labels: dict[str, str] = Field(description="Names and values to find it by")
    schema_version: int = Field(description="Version of the recorded fields")
    risk_score: int = Field(ge=0, le=100, description="0 (routine) to 100")
    risk_reasons: list[RiskReasonModel] = Field(description="What the score is made of")
    flagged: bool = Field(description="Whether it was flagged when it was recorded")
    flag_id: str = Field(description="Entry whose review this one belongs to; empty when it was not flagged")
    occurrences: int = Field(description="Entries that its review is about, itself included; 0 without a review")
    last_at: Moment | None = Field(description="When the newest of them was recorded; null without a review")
    review: ReviewModel | None = Field(description="The review; null when it has none of its own")

    @classmethod
    def of(cls, entry: AuditEntry) -> EntryModel:
        """Tell an entry."""
        return cls.model_validate(
            {
                **{name: getattr(entry, name) for name in cls.model_fields if name != "review"},
                "last_at": entry.last_at or None,
                "review": ReviewModel.of(entry.review) if entry.review else None,
            },
            from_attributes=True,
        )


class ActionModel(BaseModel):
    """A kind of event of the catalogue."""

    name: str = Field(description="`noun.verb`")
    category: str = Field(description="What it belongs to")
    risk: int = Field(description="Points of a single successful event")
    description: str = Field(description="What happened")
    privileged: bool = Field(description="Changes who may do what, or a protection")
    bulk: bool = Field(description="Takes data away or out: many in a row are suspicious")

    @classmethod
    def of(cls, action: Action) -> ActionModel:
        """Tell an action."""
        return cls.model_validate(action, from_attributes=True)


class RuleModel(BaseModel):
    """A reason to look at an event."""

    name: str = Field(description="Stable name, as in `risk_reasons`")
    points: int = Field(description="Points when it applies")
    description: str = Field(description="When it applies")


class Catalogue(BaseModel):
    """What can be recorded, and how it is scored."""

    actions: list[ActionModel] = Field(description="Actions by name; an application may use others")
    rules: list[RuleModel] = Field(description="Rules beside the base risk of the action")


class ActionCountModel(BaseModel):
    """How often an action was recorded."""

    action: str = Field(description="`noun.verb`")
    category: str = Field(description="What it belongs to")
    events: int = Field(description="Entries")
    failures: int = Field(description="Of those, not successful")


class RiskPointModel(BaseModel):
    """One stretch of the risk trend."""

    at: Moment = Field(description="Its beginning")
    events: int = Field(description="Entries")
    mean_risk: float = Field(description="Mean score")
    max_risk: int = Field(description="Highest score")
    flagged: int = Field(description="Entries flagged")


class BehaviourModel(BaseModel):
    """What one actor did."""

    actor: str = Field(description="`type:id`")
    events: int = Field(description="Entries")
    failures: int = Field(description="Of those, not successful")
    max_risk: int = Field(description="Highest score")
    addresses: int = Field(description="Different addresses")
    devices: int = Field(description="Different user agents")
    new_addresses: int = Field(description="Times that an address was new in the actor's past")
    first_at: Moment = Field(description="First entry in the range")
    last_at: Moment = Field(description="Last entry in the range")


class FailingAddressModel(BaseModel):
    """An address that failures come from."""

    ip: str = Field(description="The address")
    failures: int = Field(description="Failures")
    actors: int = Field(description="Actors that failed from it")


class SummaryModel(BaseModel):
    """The trail between two moments."""

    since: Moment = Field(description="Begin")
    until: Moment = Field(description="End, not included")
    state: Health = Field(description="Health of the trail itself")
    reasons: list[str] = Field(description="What is not as it should be; for those who see all tenants")
    total: int = Field(description="Entries")
    failures: int = Field(description="Of those, not successful")
    flagged: int = Field(description="Of those, with a review")
    by_outcome: dict[str, int] = Field(description="Entries by outcome")
    by_category: dict[str, int] = Field(description="Entries by category")
    by_kind: dict[str, int] = Field(description="Entries by the way in they took: `admin` counts admin actions")
    by_review_state: dict[str, int] = Field(description="Entries with a review by its state")
    by_rule: dict[str, int] = Field(description="Newest flagged entries by the rules that scored")
    actions: list[ActionCountModel] = Field(description="Actions, most frequent first")
    width_seconds: int = Field(description="Width of a point of the trend")
    risk_trend: list[RiskPointModel] = Field(description="Risk over time")
    actors: list[BehaviourModel] = Field(description="Actors, most active first")
    failing_addresses: list[FailingAddressModel] = Field(description="Addresses, most failures first")

    @classmethod
    def of(cls, analytics: AuditAnalytics, health: SystemHealth, *, whole: bool) -> SummaryModel:
        """Tell a summary; the reasons of the health count all tenants."""
        given = {name: getattr(analytics, name) for name in cls.model_fields if hasattr(analytics, name)}
        given |= {"state": health.state, "reasons": list(health.reasons) if whole else []}
        return cls.model_validate({**given, "width_seconds": analytics.width // SECOND}, from_attributes=True)


#: Columns of an export as CSV.
CSV_COLUMNS = (
    "id", "recorded_at", "time", "tenant", "kind", "action", "outcome", "actor", "actor_name", "actor_issuer",
    "impersonator", "targets", "ip", "trace_id", "reason", "risk_score", "risk_rules", "flagged", "review_state",
    "review_note",
)  # fmt: skip


def cells_of(entry: AuditEntry) -> Mapping[str, object]:
    """Tell an entry in the cells of a table."""
    return {
        "id": entry.id, "recorded_at": to_iso(entry.recorded_at), "time": to_iso(entry.time), "tenant": entry.tenant,
        "kind": entry.kind, "action": entry.action, "outcome": entry.outcome, "actor": entry.actor,
        "actor_name": entry.actor.name, "actor_issuer": entry.context.extra.get(ACTOR_ISSUER, ""),
        "impersonator": entry.impersonator or "",
        "targets": " ".join(str(target) for target in entry.targets), "ip": entry.context.ip,
        "trace_id": entry.context.trace_id, "reason": entry.reason, "risk_score": entry.risk_score,
        "risk_rules": " ".join(reason.rule for reason in entry.risk_reasons), "flagged": entry.flagged,
        "review_state": entry.review.state if entry.review else "",
        "review_note": entry.review.note if entry.review else "",
    }  # fmt: skip
