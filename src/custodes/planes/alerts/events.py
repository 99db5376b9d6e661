"""Failures that planes signal, collected until they are written as incidents."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import NamedTuple

from custodes.kernel.clock import MINUTE
from custodes.kernel.signals import FailureSignal
from custodes.planes.alerts.model import Incident, Labels, Severity, State
from custodes.planes.alerts.rules import fingerprint

#: Different failures kept until the next write, at most; more are shed and counted.
MAX_EVENTS = 500

#: An event is over when it has not happened again for this long, microseconds.
QUIET = 15 * MINUTE

#: Open incidents of one kind of failure that tell what it is about, at most; what else it is about is one together.
#: Those of all kinds leave room for rules: in an evaluation, and in the list that the dashboard asks for.
MAX_APART = 20

#: Characters of a label's value that are kept.
MAX_LABEL = 200

#: First part of the ``rule_id`` of an event's incident.
SIGNAL_RULE = "signal:"


@dataclass(frozen=True, slots=True)
class Event:
    """A failure and how often it happened since the last write."""

    #: The latest signal.
    signal: FailureSignal
    #: The first one's moment, microseconds since the epoch.
    first_at: int
    #: How often.
    count: int

    @property
    def fingerprint(self) -> str:
        """Name of the problem: tenant, system, name of the failure and what it is about."""
        return fingerprint(SIGNAL_RULE + self.signal.name, self.signal.tenant, self.labels)

    @property
    def labels(self) -> Labels:
        """The system, and what it is about."""
        about = tuple((name, clean(value)[:MAX_LABEL]) for name, value in self.signal.about)
        return (("system", self.signal.system), *about)

    @property
    def rule_id(self) -> str:
        """Kind of the failure."""
        return (SIGNAL_RULE + self.signal.name)[:100]

    def together(self) -> Event:
        """Leave out what it is about."""
        return replace(self, signal=replace(self.signal, about=()))

    def opened(self, identifier: str, now: int) -> Incident:
        """Make the incident of its first time."""
        signal = self.signal
        return Incident(
            id=identifier,
            tenant=signal.tenant,
            fingerprint=self.fingerprint,
            rule_id=self.rule_id,
            name=clean(signal.title or signal.name)[:300],
            labels=self.labels,
            severity=Severity.WARNING,
            state=State.FIRING,
            summary=clean(signal.summary),
            value=None,
            started_at=self.first_at,
            last_seen_at=signal.at,
            fired_at=now,
            occurrences=self.count,
            trace_id=signal.trace_id[:32],
        )

    def counted_on(self, incident: Incident) -> Incident:
        """Count it on an open incident."""
        return replace(
            incident,
            occurrences=incident.occurrences + self.count,
            last_seen_at=max(incident.last_seen_at, self.signal.at),
            summary=clean(self.signal.summary),
        )


class Batch(NamedTuple):
    """Failures that are written at once."""

    #: Their name, unique.
    id: str
    #: The failures, one entry a problem.
    events: list[Event]


class EventBuffer:
    """Takes signals from any thread; bounded, one entry a problem."""

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self._max_events = max_events
        self._lock = threading.Lock()
        self._events: OrderedDict[str, Event] = OrderedDict()
        #: Signals that were shed because too many different ones waited.
        self.shed = 0

    def add(self, signal: FailureSignal) -> None:
        """Take a signal."""
        self._put(Event(signal, signal.at, 1))

    def take(self) -> list[Event]:
        """Take everything out."""
        with self._lock:
            taken, self._events = self._events, OrderedDict()
        return list(taken.values())

    def _put(self, event: Event) -> None:
        key = event.fingerprint
        with self._lock:
            known = self._events.get(key)
            if known is None and len(self._events) >= self._max_events:
                self.shed += event.count
                return
            self._events[key] = event if known is None else _merged(known, event)


def _merged(one: Event, other: Event) -> Event:
    latest = max(one.signal, other.signal, key=lambda signal: signal.at)
    opening = next((each.signal for each in (other, one) if each.signal.opens), None)
    if not latest.opens and opening is not None:
        latest = replace(opening, at=latest.at)  # what is new says more than that it goes on
    return Event(latest, min(one.first_at, other.first_at), one.count + other.count)


def clean(text: str) -> str:
    """Cut a text and take out what engines refuse and logs break on."""
    return "".join(character if character.isprintable() else " " for character in text[:1_000])
