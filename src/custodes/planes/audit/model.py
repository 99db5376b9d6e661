"""What an audit entry is: who did what to whom, from where, with what outcome, and what we make of it.

The wording is that of ECS (user, effective, changes) and CADF (observer, outcome, reason). What was recorded never
changes; only the review beside it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from custodes.kernel.redact import Json

#: Version of the recorded fields; stored with every entry.
SCHEMA_VERSION = 1


#: Name in :attr:`Context.extra` of who vouches for the actor of an admin action, as in ``user_profiles``: ``local``,
#: ``host`` or the issuer's URL. Two issuers may know different people by the same subject.
ACTOR_ISSUER = "actor_issuer"


class Outcome(StrEnum):
    """How it ended."""

    #: It was done.
    SUCCESS = "success"
    #: It was tried and did not work.
    FAILURE = "failure"
    #: It was tried and refused: not allowed, not authenticated, over a limit.
    DENIED = "denied"


class Kind(StrEnum):
    """Which way in it took."""

    #: An event of the application (``log_audit_event``).
    EVENT = "event"
    #: An action of an administrator, or the refusal of one (``log_admin_action``): written whatever the settings say.
    ADMIN = "admin"
    #: Something for security people (``log_security_event`` and security signals).
    SECURITY = "security"


class ReviewState(StrEnum):
    """Where the review of a flagged entry stands."""

    #: Flagged; nobody has looked at it.
    OPEN = "open"
    #: Somebody is looking.
    ACKNOWLEDGED = "acknowledged"
    #: It was what it looked like.
    TRUE_POSITIVE = "true_positive"
    #: It happened as described and was legitimate.
    BENIGN = "benign"
    #: It was flagged by mistake.
    FALSE_POSITIVE = "false_positive"


#: States in which a review waits for somebody; such entries outlive the retention time.
UNREVIEWED = (ReviewState.OPEN, ReviewState.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Reference:
    """Somebody or something: an actor, a target, an impersonator."""

    #: Kind, lower case: ``user``, ``service``, ``api_key``, ``ip``, ``invoice``, …
    type: str
    #: Identifier within its kind.
    id: str
    #: Name for people; empty when unknown.
    name: str = ""

    def __str__(self) -> str:
        """Write as ``type:id``: how it is indexed and filtered."""
        return f"{self.type}:{self.id}"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that was changed."""

    #: Dotted path of the field: ``profile.email``.
    path: str
    #: Value before; None when there was none.
    old: Json = None
    #: Value after; None when it was removed.
    new: Json = None


@dataclass(frozen=True, slots=True)
class Context:
    """Where it came from."""

    #: Client address as text; empty when unknown.
    ip: str = ""
    #: User agent, cut to 256 characters; empty when unknown.
    user_agent: str = ""
    #: Id of the session: not the cookie, and nothing that opens it.
    session: str = ""
    #: Id of the request as the host knows it.
    request_id: str = ""
    #: W3C trace id, 32 hex digits; empty when there is none.
    trace_id: str = ""
    #: How the actor proved who it is: ``password``, ``oidc``, ``api_key``, ``mfa``, …
    auth_method: str = ""
    #: Anything else, redacted and bounded.
    extra: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True)
class RiskReason:
    """Why a score is what it is: no points without one of these."""

    #: Name of the rule, as in :data:`custodes.planes.audit.risk.RULES`.
    rule: str
    #: Points it added.
    points: int
    #: The case, for a person.
    sentence: str


@dataclass(frozen=True, slots=True)
class Review:
    """What people made of a flagged entry: kept beside what was recorded, and the only part that changes."""

    #: Where it stands.
    state: ReviewState
    #: Who is to look at it; empty when nobody is named.
    assignee: str = ""
    #: What was found.
    note: str = ""
    #: Who moved it last; empty when nobody has.
    by: str = ""
    #: When it was moved last, microseconds; 0 when never.
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry of the trail."""

    #: UUIDv7 of the moment of recording.
    id: str
    #: Whose trail it is in.
    tenant: str
    #: When it was recorded, microseconds: what the trail is ordered by.
    recorded_at: int
    #: When it happened, microseconds, as the recorder says.
    time: int
    #: Which way in it took.
    kind: Kind
    #: Name of what was done, ``noun.verb``: ``member.removed``.
    action: str
    #: Category of the action in the catalogue; ``other`` when it is not in it.
    category: str
    #: How it ended.
    outcome: Outcome
    #: Who did it.
    actor: Reference
    #: Who acted in the actor's name; None when nobody did.
    impersonator: Reference | None = None
    #: Whose rights were used when not the actor's own.
    effective: Reference | None = None
    #: What it was done to.
    targets: tuple[Reference, ...] = ()
    #: Fields changed, redacted.
    changes: tuple[Change, ...] = ()
    #: Where it came from.
    context: Context = Context()
    #: Why, in the actor's or the system's words.
    reason: str = ""
    #: Service or component that recorded it; empty: the host app itself.
    observer: str = ""
    #: Short names and values to find it by.
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    #: Key under which a repetition of the same event is recognised; empty when none was given.
    idempotency_key: str = ""
    #: Version of these fields.
    schema_version: int = SCHEMA_VERSION
    #: 0 (routine) to 100.
    risk_score: int = 0
    #: What the score is made of.
    risk_reasons: tuple[RiskReason, ...] = ()
    #: Whether it was flagged for review when it was recorded.
    flagged: bool = False
    #: What repeats, for flagged entries that are part of a pattern: :func:`custodes.planes.audit.risk.flag_key`.
    flag_key: str = ""
    #: Entry whose review this one belongs to: its own id when it has the review, empty when it was not flagged.
    flag_id: str = ""
    #: State of the review; None when there is nothing to review, or when another entry has the review.
    review: Review | None = None
    #: Entries that its review is about, itself included; 0 when it has none.
    occurrences: int = 0
    #: When the newest of them was recorded, microseconds; 0 when it has none.
    last_at: int = 0
    #: Place in the order in which the store took it; 0 until it is read back. Gap-free.
    sequence: int = 0
