"""What planes tell each other, without knowing each other.

A signal is a fact that has happened. A plane emits it on the bus; ``app.py`` wires the listeners. Signals may be shed
under load, so what must not be lost never rides one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Base of all signals."""

    #: When it happened, microseconds since the epoch.
    at: int
    #: Whose it is.
    tenant: str
    #: Trace that it belongs to, 32 hex digits; empty when there is none.
    trace_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuritySignal(Signal):
    """Something that security people want to see: becomes an audit entry (``log_security_event``)."""

    #: Action name, ``noun.verb`` in lower case: ``"webhook.signature_refused"``, ``"fraud.early_warning"``.
    action: str
    #: ``"success"`` or ``"failure"``.
    outcome: str = "failure"
    #: Who, as far as known: ``"ip:203.0.113.9"``, ``"stripe"``.
    actor: str = ""
    #: What it was about: ``"webhook_event:0190…"``.
    target: str = ""
    #: One sentence for a person.
    reason: str = ""
    #: Client address as text; empty when unknown.
    ip: str = ""
    #: Facts beside it; small, no secrets, no payloads.
    context: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivitySignal(Signal):
    """Something that somebody who looks at the dashboard sees at once; emitted only while somebody looks."""

    #: Plane that it happened in: ``"inbound"``, ``"audit"``, …
    plane: str
    #: What happened, ``noun.verb`` in lower case: ``"webhook.received"``.
    kind: str
    #: One line for a person.
    title: str
    #: ``"success"``, ``"failure"`` or ``"attention"``.
    outcome: str = "success"
    #: What it is about, ``kind:id``: ``"webhook_event:0190…"``; empty when there is nothing to open.
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureSignal(Signal):
    """Something failed that an operator may want to be alerted of."""

    #: Which system: ``"webhooks"``, ``"api"``, …
    system: str
    #: Short stable name of the failure: ``"webhook.dead_lettered"``.
    name: str
    #: One sentence for a person.
    summary: str
    #: What failed, by name: two of one name about different things are two problems. Few: each is told by itself.
    about: tuple[tuple[str, str], ...] = ()
    #: What kind of failure it is, in a few words, the same each time: ``"A webhook was given up"``; empty: the name.
    title: str = ""
    #: False: it goes on. It keeps the alert open that is, opens none, and is no news to anybody.
    opens: bool = True
    #: Facts beside it.
    context: Mapping[str, object] = field(default_factory=dict[str, object])
