"""One evaluation: what figures and failures make of the incidents, inside one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from custodes.kernel.clock import to_iso
from custodes.planes.alerts.events import MAX_APART, QUIET, SIGNAL_RULE, Event, clean
from custodes.planes.alerts.machine import look, put_back, resolved, silenced, untold
from custodes.planes.alerts.model import Incident, Labels, News, Notification, Rule, Severity, State
from custodes.planes.alerts.ports import AlertStore
from custodes.planes.alerts.rules import MAX_LINES_PER_RULE
from custodes.runtime.transactions import Transaction

#: Open incidents that one evaluation looks at, at most.
MAX_OPEN = 2_000


class Line(NamedTuple):
    """One figure of a rule."""

    #: Labels of the figure.
    labels: Labels
    #: The figure.
    value: float
    #: What the metric says of it; empty: nothing.
    meaning: str = ""


#: Figures of one rule by fingerprint, the worst first. Only so many open problems, all keep them open.
Lines = dict[str, Line]


class Evaluation:
    """One evaluation inside one transaction: reads the open incidents there, so no verb of an admin is overwritten."""

    def __init__(
        self,
        store: AlertStore,
        tx: Transaction,
        now: int,
        new_id: Callable[[], str],
        tenant: str,
        sinks: Sequence[str],
    ) -> None:
        self._store = store
        self._tx = tx
        self._now = now
        self._new_id = new_id
        self._tenant = tenant
        self._sinks = sinks
        #: What is to be shown once this has committed: incidents that began to fire or are over.
        self.news: list[tuple[Incident, News]] = []

    def run(self, rules: dict[str, Rule], lines: dict[str, Lines | None]) -> None:
        """Bring open incidents up to date and open new ones."""
        known = self._store.open_incidents(self._tx, MAX_OPEN)
        for incident in known:
            self._update(incident, rules.get(incident.rule_id), lines.get(incident.rule_id))
        if len(known) < MAX_OPEN:
            seen = {(incident.tenant, incident.fingerprint) for incident in known}
            for identifier, found in lines.items():
                self._open_new(rules[identifier], found or {}, seen)

    def count(self, events: Sequence[Event]) -> None:
        """Count failures on their incidents, opening those that are not open, unless they only go on."""
        apart: Counter[str] | None = None
        for one in events:
            if not one.signal.opens:
                self._go_on(one)
                continue
            event, known = one, self._find(one)
            if known is None and one.signal.about:
                if apart is None:
                    apart = Counter(found.rule_id for found in self._store.open_incidents(self._tx, MAX_OPEN))
                if apart[one.rule_id] >= MAX_APART:
                    event = one.together()
                    known = self._find(event)
                else:
                    apart[one.rule_id] += 1
            if known is not None:
                self._store.put_incident(self._tx, event.counted_on(known))
            else:
                self._tell(self._carry_silence(event.opened(self._new_id(), self._now)), News.FIRING)

    def _go_on(self, event: Event) -> None:
        for each in (event, event.together()):
            known = self._find(each)
            if known is not None:
                self._store.put_incident(self._tx, each.counted_on(known))
                return

    def _find(self, event: Event) -> Incident | None:
        return self._store.find_open(self._tx, event.signal.tenant, event.fingerprint)

    def _update(self, stored: Incident, rule: Rule | None, lines: Lines | None) -> None:
        incident = put_back(stored, self._now)
        if incident.rule_id.startswith(SIGNAL_RULE):
            if self._now - incident.last_seen_at >= QUIET:
                self._tell(resolved(incident, self._now), News.RESOLVED)
            elif untold(incident, self._now):
                self._tell(incident, News.FIRING)
            elif incident != stored:
                self._store.put_incident(self._tx, incident)
        elif rule is None:
            self._close_orphan(incident)
        elif lines is not None:
            self._apply(stored, *self._looked(rule, incident, lines.get(incident.fingerprint)))

    def _looked(self, rule: Rule, incident: Incident, line: Line | None) -> tuple[Incident | None, News | None]:
        value, meaning = (None, "") if line is None else (line.value, line.meaning)
        step = look(rule, incident, value, self._now, meaning)
        return step.incident, step.news

    def _apply(self, before: Incident, after: Incident | None, news: News | None) -> None:
        if after is None:
            self._store.drop_incident(self._tx, before)
        elif news is not None:
            self._tell(after, news)
        elif after != before:
            self._store.put_incident(self._tx, after)

    def _close_orphan(self, incident: Incident) -> None:
        """End the incident of a rule that was deleted or disabled."""
        if incident.state is State.PENDING:
            self._store.drop_incident(self._tx, incident)
        else:
            self._tell(resolved(incident, self._now), News.RESOLVED)

    def _open_new(self, rule: Rule, lines: Lines, seen: set[tuple[str, str]]) -> None:
        tenant = rule.tenant or self._tenant
        for key, line in islice(lines.items(), MAX_LINES_PER_RULE):
            if rule.breaks(line.value) and (tenant, key) not in seen:
                pending = self._pending(rule, tenant, key, line.labels, line.value)
                after, news = self._looked(rule, pending, line)
                self._apply(pending, after, news)

    def _pending(self, rule: Rule, tenant: str, key: str, labels: Labels, value: float) -> Incident:
        incident = Incident(
            id=self._new_id(),
            tenant=tenant,
            fingerprint=key,
            rule_id=rule.id,
            name=rule.name,
            labels=labels,
            severity=rule.severity,
            state=State.PENDING,
            summary=rule.name,
            value=value,
            started_at=self._now,
            last_seen_at=self._now,
        )
        return self._carry_silence(incident)

    def _carry_silence(self, incident: Incident) -> Incident:
        until = self._store.last_silence(self._tx, incident.tenant, incident.fingerprint)
        return incident if until is None or until <= self._now else replace(incident, silenced_until=until)

    def _tell(self, incident: Incident, news: News) -> None:
        """Write an incident and one message for each sink: unless it is silenced, or ends what nobody was told of."""
        self.news.append((incident, news))
        unheard = news is News.RESOLVED and incident.notified_at is None
        if silenced(incident, self._now) or unheard:
            self._store.put_incident(self._tx, incident)
            return
        self._store.put_incident(self._tx, replace(incident, notified_at=self._now))
        for sink in self._sinks:
            self._store.add_notification(self._tx, message(self._new_id(), sink, incident, news, self._now))


def message(identifier: str, sink: str, incident: Incident, news: News, now: int) -> Notification:
    """Make one message about an incident as it is now."""
    return Notification(
        id=identifier,
        tenant=incident.tenant,
        incident_id=incident.id,
        sink=sink,
        news=news,
        payload=_payload(incident, news),
        created_at=now,
        due_at=now,
    )


def trial_message(identifier: str, tenant: str, by: str, now: int) -> Notification:
    """Make a message about nothing, which says so: of a problem that is over, so that nobody is woken."""
    incident = Incident(
        id="",
        tenant=tenant,
        fingerprint="",
        rule_id="",
        name="Test notice",
        labels=(),
        severity=Severity.INFO,
        state=State.RESOLVED,
        summary=clean(f"This is a test by {by}: nothing is wrong, and alerts arrive here."),
        value=None,
        started_at=now,
        last_seen_at=now,
        resolved_at=now,
    )
    return message(identifier, "", incident, News.TEST, now)


def _payload(incident: Incident, news: News) -> dict[str, object]:
    return {
        "type": f"alert.{news}",
        "news": str(news),
        "incident_id": incident.id,
        "tenant": incident.tenant,
        "rule_id": incident.rule_id,
        "name": incident.name,
        "severity": str(incident.severity),
        "state": str(incident.state),
        "summary": incident.summary,
        "value": incident.value,
        "labels": dict(incident.labels),
        "occurrences": incident.occurrences,
        "started_at": to_iso(incident.started_at),
        "resolved_at": None if incident.resolved_at is None else to_iso(incident.resolved_at),
        "trace_id": incident.trace_id,
    }
