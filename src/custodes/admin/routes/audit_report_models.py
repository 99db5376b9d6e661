"""How an actor and a compliance report are shown."""

from __future__ import annotations

from pydantic import BaseModel, Field

from custodes.admin.fields import Moment
from custodes.admin.routes.audit_models import ActionCountModel, EntryModel
from custodes.admin.routes.retention import PolicyModel
from custodes.kernel.health import Health
from custodes.planes.audit.behaviour import Behaviour, Tally
from custodes.planes.audit.model import Outcome
from custodes.planes.identity.model import ApiKey, Profile, Role


class HabitModel(BaseModel):
    """Something that an actor came from, or came with."""

    value: str = Field(description="Address or user agent")
    events: int = Field(description="Entries")
    failures: int = Field(description="Of those, not successful")
    first_at: Moment = Field(description="First entry with it in the range")
    last_at: Moment = Field(description="Last entry with it in the range")


class ActorModel(BaseModel):
    """How one actor behaves."""

    actor: str = Field(description="`type:id`")
    name: str = Field(description="Name for people, as last recorded; empty when none was")
    first_seen_at: Moment = Field(description="First entry of all that are kept")
    last_seen_at: Moment = Field(description="Last entry of all that are kept")
    events: int = Field(description="Entries in the range")
    failures: int = Field(description="Of those, not successful")
    flagged: int = Field(description="Of those, flagged")
    impersonated: int = Field(description="Of those, done by somebody in its name")
    mean_risk: float = Field(description="Mean score")
    max_risk: int = Field(description="Highest score")
    hours: list[int] = Field(description="Entries by hour of the day, 24, from midnight in the zone asked for")
    addresses: list[HabitModel] = Field(description="Where from, most frequent first")
    devices: list[HabitModel] = Field(description="User agents, most frequent first")
    actions: list[ActionCountModel] = Field(description="What it did, most frequent first")

    @classmethod
    def of(cls, behaviour: Behaviour) -> ActorModel:
        """Tell an actor."""
        return cls.model_validate(behaviour, from_attributes=True)


class AccessModel(BaseModel):
    """Somebody who may administer."""

    subject: str = Field(description="User name, or `sub` at the issuer")
    issuer: str = Field(description="Who vouches for the subject")
    display_name: str = Field(description="For people to read")
    role: Role = Field(description="What it may do")
    tenant: str | None = Field(description="The only tenant it may see; null for all")
    created_at: Moment = Field(description="Since when")
    last_seen_at: Moment | None = Field(description="When it last asked for something; null: never")

    @classmethod
    def of(cls, profile: Profile) -> AccessModel:
        """Tell a profile."""
        return cls.model_validate(profile, from_attributes=True)


class KeyAccessModel(BaseModel):
    """A program that may administer."""

    name: str = Field(description="What it is for")
    prefix: str = Field(description="Its beginning, to recognise it by")
    role: Role = Field(description="The most it may do")
    tenant: str | None = Field(description="The only tenant it may see; null for all that its maker sees")
    created_at: Moment = Field(description="Since when")
    expires_at: Moment | None = Field(description="When it stops to work; null: never")
    last_used_at: Moment | None = Field(description="When it was last used; null: never")

    @classmethod
    def of(cls, key: ApiKey) -> KeyAccessModel:
        """Tell a key."""
        return cls.model_validate(key, from_attributes=True)


class TallyModel(BaseModel):
    """How often somebody did something, with one outcome."""

    actor: str = Field(description="`type:id`")
    action: str = Field(description="`noun.verb`")
    outcome: Outcome = Field(description="How it ended")
    events: int = Field(description="Entries")
    addresses: int = Field(description="Different addresses")
    last_at: Moment = Field(description="Last entry")

    @classmethod
    def of(cls, tally: Tally) -> TallyModel:
        """Tell a tally."""
        return cls.model_validate(tally, from_attributes=True)


class ReportModel(BaseModel):
    """A compliance report; lists whose `…_cut` is true have more lines than are told."""

    since: Moment = Field(description="Begin of the period")
    until: Moment = Field(description="End of the period, not included")
    made_at: Moment = Field(description="When the report was made")
    tenant: str | None = Field(description="Whose; null: all tenants")
    trail_state: Health = Field(
        description="Whether all reached the trail when the report was made; reviews that wait are no part of it"
    )
    trail_reasons: list[str] = Field(description="What is not as it should be; for those who see all tenants")
    entries: int = Field(description="Entries of the period")
    first_sequence: int = Field(description="Place of the first of them in the trail; 0 when there is none")
    last_sequence: int = Field(description="Place of the last of them")
    access: list[AccessModel] = Field(description="Who may sign in, when the report was made")
    access_disabled: int = Field(description="Profiles that may not sign in any more")
    access_cut: bool = Field(description="Whether there are more")
    api_keys: list[KeyAccessModel] = Field(description="API keys that work, when the report was made")
    api_keys_cut: bool = Field(description="Whether there are more")
    admin_actions: list[TallyModel] = Field(description="What administrators did, or were refused")
    admin_actions_cut: bool = Field(description="Whether there are more")
    privileged: list[TallyModel] = Field(description="Actions that change who may do what, or a protection")
    sign_ins: list[TallyModel] = Field(description="Sign-ins, those that failed too")
    sign_ins_cut: bool = Field(description="Whether there are more")
    reviews: dict[str, int] = Field(description="Reviews of entries of the period by their state")
    median_to_verdict_us: int | None = Field(description="From flag to verdict, half at most, microseconds; null: none")
    oldest_waiting_at: Moment | None = Field(description="The oldest entry that waits for a verdict, of any period")
    flagged: list[EntryModel] = Field(description="Flagged entries of the period, newest first")
    flagged_cut: bool = Field(description="Whether there are more")
    retention: list[PolicyModel] = Field(description="What is deleted when, with the newest run of each policy")
