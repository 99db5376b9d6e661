"""What the trail says as a whole: volume, failures, risk over time, what was flagged and why, who behaves how."""

from __future__ import annotations

from dataclasses import dataclass

from custodes.kernel.clock import DAY, HOUR, MINUTE

#: Widths of a point of the risk trend, microseconds; the narrowest that gives at most :data:`MAX_POINTS` is taken.
WIDTHS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY)

#: Most points of the risk trend.
MAX_POINTS = 200

#: Actors, addresses and actions of a ranking when the caller names no number, and at most.
DEFAULT_TOP = 10
MAX_TOP = 100


@dataclass(frozen=True, slots=True)
class ActionCount:
    """How often an action was recorded."""

    #: Its name.
    action: str
    #: Its category.
    category: str
    #: Entries.
    events: int
    #: Of those, not successful.
    failures: int


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """One stretch of the risk trend."""

    #: Its beginning, microseconds.
    at: int
    #: Entries.
    events: int
    #: Mean score.
    mean_risk: float
    #: Highest score.
    max_risk: int
    #: Entries flagged.
    flagged: int


@dataclass(frozen=True, slots=True)
class ActorBehaviour:
    """What one actor did."""

    #: Who, as ``type:id``.
    actor: str
    #: Entries.
    events: int
    #: Of those, not successful.
    failures: int
    #: Highest score.
    max_risk: int
    #: Different addresses.
    addresses: int
    #: Different user agents.
    devices: int
    #: Times that an address was new in the actor's past.
    new_addresses: int
    #: First and last entry in the range, microseconds.
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True)
class FailingAddress:
    """An address that failures come from."""

    #: The address.
    ip: str
    #: Failures.
    failures: int
    #: Actors that failed from it.
    actors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditAnalytics:
    """The trail between two moments."""

    #: Begin and end, microseconds; the end is not included.
    since: int
    until: int
    #: Entries.
    total: int
    #: Of those, not successful.
    failures: int
    #: Of those, with a review, whatever its state.
    flagged: int
    #: Entries by outcome, by category, and by the way in they took.
    by_outcome: dict[str, int]
    by_category: dict[str, int]
    by_kind: dict[str, int]
    #: Entries with a review by its state.
    by_review_state: dict[str, int]
    #: Flagged entries by the rules that scored; of those not folded yet, the newest 5,000.
    by_rule: dict[str, int]
    #: Actions, most frequent first.
    actions: tuple[ActionCount, ...]
    #: Width of a point of the trend, microseconds.
    width: int
    #: Risk over time; stretches without entries are left out.
    risk_trend: tuple[RiskPoint, ...]
    #: Actors, most active first.
    actors: tuple[ActorBehaviour, ...]
    #: Addresses, most failures first.
    failing_addresses: tuple[FailingAddress, ...]


def width_of(since: int, until: int) -> int:
    """Choose the width of a point of the trend, microseconds."""
    return next((width for width in WIDTHS if (until - since) // width < MAX_POINTS), WIDTHS[-1])
