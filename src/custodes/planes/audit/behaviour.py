"""What one actor usually does, and what a compliance report says of the trail."""

from __future__ import annotations

from dataclasses import dataclass

from custodes.planes.audit.analytics import ActionCount

#: Addresses, devices, actions and targets of an actor that are listed, and lines of each table of a report.
MAX_LISTED = 50
MAX_LINES = 500


@dataclass(frozen=True, slots=True)
class Habit:
    """Something that an actor came from, came with, or acted on."""

    #: Address, user agent or target (``type:id``).
    value: str
    #: Entries.
    events: int
    #: Of those, not successful.
    failures: int
    #: First and last entry with it in the range, microseconds.
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What one actor did between two moments."""

    #: Who, as ``type:id``.
    actor: str
    #: Name for people, as last recorded; empty when none was.
    name: str
    #: First and last entry of all time that is kept, microseconds; 0 when there is none.
    first_seen_at: int
    last_seen_at: int
    #: Entries in the range; of those, not successful, flagged, and those with an impersonator.
    events: int
    failures: int
    flagged: int
    impersonated: int
    #: Mean and highest score.
    mean_risk: float
    max_risk: int
    #: Entries by hour of the day, 24, in the reader's zone.
    hours: tuple[int, ...]
    #: Where from, with what, what it did, most frequent first.
    addresses: tuple[Habit, ...]
    devices: tuple[Habit, ...]
    actions: tuple[ActionCount, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How often somebody did something, with one outcome."""

    #: Who, as ``type:id``.
    actor: str
    #: What.
    action: str
    #: How it ended.
    outcome: str
    #: Entries.
    events: int
    #: Different addresses.
    addresses: int
    #: Last entry, microseconds.
    last_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compliance:
    """What the trail says between two moments, for a report."""

    #: Actions of administrators, most frequent first; and whether there are more than those listed.
    admin_actions: tuple[Tally, ...]
    admin_actions_cut: bool
    #: Sign-ins, those that failed too.
    sign_ins: tuple[Tally, ...]
    sign_ins_cut: bool
    #: Actions that change who may do what, by action, actor and outcome.
    privileged: tuple[Tally, ...]
    #: Reviews of entries of the range by their state now.
    reviews: dict[str, int]
    #: From the flag to the verdict, microseconds: half were at most this long; None when none was given.
    median_to_verdict: int | None
    #: The oldest entry that waits, whenever it was recorded, microseconds; 0 when none waits.
    oldest_waiting_at: int
    #: Entries of the range, and the first and last place in the trail; 0 when there are none.
    entries: int
    first_sequence: int
    last_sequence: int
