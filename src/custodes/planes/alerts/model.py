"""What an alert is: rules, incidents and the messages about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from custodes.kernel.clock import HOUR, MINUTE

#: Sorted (label, value) pairs.
Labels = tuple[tuple[str, str], ...]


class Severity(StrEnum):
    """How much it matters, least first."""

    #: Worth knowing.
    INFO = "info"
    #: Look at it today.
    WARNING = "warning"
    #: Look at it now.
    CRITICAL = "critical"


class Comparator(StrEnum):
    """When a value breaks a threshold."""

    #: Greater than it.
    ABOVE = ">"
    #: Greater or equal.
    AT_LEAST = ">="
    #: Less than it.
    BELOW = "<"
    #: Less or equal.
    AT_MOST = "<="

    def holds(self, value: float, threshold: float) -> bool:
        """Tell whether a value breaks a threshold."""
        match self:
            case Comparator.ABOVE:
                return value > threshold
            case Comparator.AT_LEAST:
                return value >= threshold
            case Comparator.BELOW:
                return value < threshold
            case Comparator.AT_MOST:
                return value <= threshold

    @property
    def upward(self) -> bool:
        """Whether high values are the bad ones."""
        return self in (Comparator.ABOVE, Comparator.AT_LEAST)


class Origin(StrEnum):
    """Where a rule comes from."""

    #: Comes with Custodes.
    BUILT_IN = "built-in"
    #: Was added in code.
    CODE = "code"
    #: Was written by an administrator; stands above a rule of the same id from elsewhere.
    STORED = "stored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a figure becomes an incident, and when it is over."""

    #: Stable id: a UUIDv7, or a short name for rules that are not stored.
    id: str
    #: One line for a person.
    name: str
    #: Metric to look at.
    metric: str
    #: How its numbers become one: ``max``, ``rate``, ``p95``, …
    aggregation: str
    #: How the figure is compared.
    comparator: Comparator
    #: With what.
    threshold: float
    #: Tenant whose metric it is; None for all.
    tenant: str | None = None
    #: Only series with these labels.
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    #: One incident for each value of these labels; empty: one for the whole metric.
    by: tuple[str, ...] = ()
    #: Time that the figure is taken over, microseconds.
    window: int = MINUTE
    #: The figure must break the threshold for this long before it fires, microseconds.
    hold: int = MINUTE
    #: The figure must pass back over this before it counts as over (hysteresis); None: the threshold itself.
    clear: float | None = None
    #: It must stay there for this long, microseconds.
    clear_hold: int = MINUTE
    #: From this value on it is critical, whatever ``severity`` says; None: never.
    critical: float | None = None
    #: How much it matters.
    severity: Severity = Severity.WARNING
    #: Sentence for the message; ``{value}``, ``{percent}`` (of a share), ``{threshold}``, ``{name}``, ``{labels}`` and
    #: each label by its own name (``{host}``) are filled in, and ``{meaning}``: what the metric says of its figure.
    message: str = "{name}: {value} ({labels})"
    #: While it fires and nobody has acknowledged it, tell again after this long, microseconds; 0: never.
    remind: int = 4 * HOUR
    #: False: not evaluated.
    enabled: bool = True
    #: Where it comes from.
    origin: Origin = Origin.CODE
    #: When it was last written, microseconds since the epoch; 0 for rules that are not stored.
    updated_at: int = 0

    def breaks(self, value: float) -> bool:
        """Tell whether a value breaks the threshold."""
        return self.comparator.holds(value, self.threshold)

    def clears(self, value: float) -> bool:
        """Tell whether a value is back on the good side, past the hysteresis."""
        return not self.comparator.holds(value, self.threshold if self.clear is None else self.clear)

    def severity_of(self, value: float) -> Severity:
        """Tell how much a value matters."""
        critical = self.critical is not None and self.comparator.holds(value, self.critical)
        return Severity.CRITICAL if critical else self.severity


class State(StrEnum):
    """Where an incident is in its life."""

    #: The threshold is broken, not for long enough yet. Nobody is told.
    PENDING = "pending"
    #: It is on.
    FIRING = "firing"
    #: It is over.
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One problem from its first sign to its end."""

    #: UUIDv7.
    id: str
    #: Whose.
    tenant: str
    #: Hash of rule and labels: at most one open incident has it.
    fingerprint: str
    #: Rule that it broke; ``signal:<name>`` for an event.
    rule_id: str
    #: One line for a person.
    name: str
    #: Labels of the figure.
    labels: Labels
    #: How much it matters.
    severity: Severity
    #: Where it is in its life.
    state: State
    #: One sentence for a person.
    summary: str
    #: Last value of the figure; None for an event.
    value: float | None
    #: First sign, microseconds since the epoch.
    started_at: int
    #: Last sign.
    last_seen_at: int
    #: When it began to fire; None while pending.
    fired_at: int | None = None
    #: Since when the figure is fine again, while it still fires; None when it is not.
    clear_since: int | None = None
    #: When it was over; None while it is open.
    resolved_at: int | None = None
    #: When somebody was last told; None when nobody was.
    notified_at: int | None = None
    #: Who has seen it; empty when nobody has.
    acknowledged_by: str = ""
    #: When.
    acknowledged_at: int | None = None
    #: Nobody is told before this moment; None: not silenced.
    silenced_until: int | None = None
    #: How often the event happened; 1 for a figure.
    occurrences: int = 1
    #: Trace of the first sign, 32 hex digits; empty when there is none.
    trace_id: str = ""

    @property
    def open(self) -> bool:
        """Whether it is not over."""
        return self.state is not State.RESOLVED


class News(StrEnum):
    """Why somebody is told."""

    #: It began to fire.
    FIRING = "firing"
    #: It became critical.
    ESCALATED = "escalated"
    #: It still fires.
    REMINDER = "reminder"
    #: It is over.
    RESOLVED = "resolved"
    #: Nothing is wrong: somebody tries whether it arrives.
    TEST = "test"


class Delivery(StrEnum):
    """Where a message is."""

    #: To be sent, or to be tried again.
    WAITING = "waiting"
    #: The sink has taken it.
    SENT = "sent"
    #: Given up.
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message to one sink; the same id on every attempt."""

    #: UUIDv7; receivers drop what they have seen.
    id: str
    #: Whose.
    tenant: str
    #: Incident that it is about.
    incident_id: str
    #: Sink that it goes to.
    sink: str
    #: Why somebody is told.
    news: News
    #: What is said: the incident as it was, JSON-ready.
    payload: Mapping[str, object]
    #: When it was made, microseconds since the epoch.
    created_at: int
    #: When the next attempt is due.
    due_at: int
    #: Where it is.
    state: Delivery = Delivery.WAITING
    #: Attempts so far.
    attempts: int = 0
    #: What the last attempt failed of; empty when none did.
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStatus:
    """How a sink is doing."""

    #: Its name: kind, host and a short hash; never a secret.
    name: str
    #: Why it gets nothing any more; empty while it works.
    disabled_reason: str = ""
    #: Since when, microseconds since the epoch.
    disabled_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkTrial:
    """What came of one test message to one sink."""

    #: Name of the sink.
    name: str
    #: Whether it took the message.
    taken: bool
    #: What happened otherwise; empty when it was taken.
    error: str
    #: How long it took, microseconds.
    duration: int
