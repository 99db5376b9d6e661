"""The life of an incident as a pure function: what one look at a figure makes of it.

::

                breaks                 broken for ``hold``
    (none) ─────────────▶ pending ─────────────────────────▶ firing ──▶ resolved
       ▲                     │ does not break                  │    clear for ``clear_hold``
       └─────────────────────┘                                 └─ any value that is not clear starts that wait again

Between ``threshold`` and ``clear`` nothing changes: that band is what keeps an alert from flapping.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from custodes.kernel.figures import exactly, figure, percent
from custodes.planes.alerts.model import Incident, News, Rule, Severity, State

#: Longest summary of an incident, characters.
MAX_SUMMARY = 1_000

#: A place in a message that is filled in.
_PLACE = re.compile(r"\{([^{}]{1,100})\}")

_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class Step:
    """What one look made of an incident."""

    #: The incident now; None when a pending one turned out to be nothing.
    incident: Incident | None
    #: What to tell; None when there is nothing new.
    news: News | None = None


def look(rule: Rule, incident: Incident, value: float | None, now: int, meaning: str = "") -> Step:
    """Bring an open incident up to date with the figure of now.

    Args:
        rule: the rule it broke.
        incident: as it was; a new one begins as pending.
        value: the figure; None when there is none, which counts as clear.
        now: microseconds since the epoch.
        meaning: what the metric says of the figure; empty: nothing.
    """
    if incident.state is State.PENDING:
        return _look_at_pending(rule, incident, value, now, meaning)
    return _look_at_firing(rule, incident, value, now, meaning)


def put_back(incident: Incident, now: int) -> Incident:
    """Bound what a clock that ran ahead has written, once it is put right: nothing was later than now.

    A wait for :attr:`Rule.hold`, :attr:`Rule.clear_hold` or a reminder would else last until that day comes.
    """
    return replace(
        incident,
        started_at=min(incident.started_at, now),
        last_seen_at=min(incident.last_seen_at, now),
        fired_at=_at_most(incident.fired_at, now),
        notified_at=_at_most(incident.notified_at, now),
        clear_since=_at_most(incident.clear_since, now),
    )


def _at_most(moment: int | None, now: int) -> int | None:
    return None if moment is None else min(moment, now)


def _look_at_pending(rule: Rule, incident: Incident, value: float | None, now: int, meaning: str) -> Step:
    if value is None or not rule.breaks(value):
        return Step(None)
    seen = _seen(rule, incident, value, now, meaning)
    if now - incident.started_at < rule.hold:
        return Step(seen)
    return Step(replace(seen, state=State.FIRING, fired_at=now), News.FIRING)


def _look_at_firing(rule: Rule, incident: Incident, value: float | None, now: int, meaning: str) -> Step:
    if value is None or rule.clears(value):
        since = now if incident.clear_since is None else incident.clear_since
        if now - since < rule.clear_hold:
            return Step(replace(incident, value=value, clear_since=since))
        return Step(resolved(replace(incident, value=value), now), News.RESOLVED)
    seen = replace(_seen(rule, incident, value, now, meaning), clear_since=None)
    if _RANK[seen.severity] > _RANK[incident.severity]:
        return Step(seen, News.ESCALATED)
    if untold(seen, now):
        return Step(seen, News.FIRING)
    return Step(seen, News.REMINDER if _to_remind(rule, seen, now) else None)


def resolved(incident: Incident, now: int) -> Incident:
    """End an incident."""
    return replace(incident, state=State.RESOLVED, resolved_at=now, clear_since=None)


def silenced(incident: Incident, now: int) -> bool:
    """Tell whether nobody is to be told at present."""
    return incident.silenced_until is not None and now < incident.silenced_until


def untold(incident: Incident, now: int) -> bool:
    """Tell whether it began to fire within a silence that has ended since: nobody knows of it yet."""
    told = incident.notified_at is not None or bool(incident.acknowledged_by)
    return incident.state is State.FIRING and not told and not silenced(incident, now)


def _seen(rule: Rule, incident: Incident, value: float, now: int, meaning: str) -> Incident:
    severity = rule.severity_of(value)
    if _RANK[severity] < _RANK[incident.severity]:
        severity = incident.severity  # an incident is remembered by its worst
    summary = describe(rule, incident, value, meaning)
    return replace(incident, value=value, last_seen_at=now, severity=severity, summary=summary)


def _to_remind(rule: Rule, incident: Incident, now: int) -> bool:
    told, silence = incident.notified_at, incident.silenced_until
    if incident.acknowledged_by or told is None or silenced(incident, now):
        return False
    # Within a silence nobody is told that it became critical.
    critical = _RANK[incident.severity] > _RANK[rule.severity] and silence is not None and told < silence
    return critical or (bool(rule.remind) and now - told >= rule.remind)


def describe(rule: Rule, incident: Incident, value: float, meaning: str = "") -> str:
    """Fill in the message of a rule, in one go: nothing that is filled in is filled in again, and nothing can run."""
    labels = ", ".join(f"{name} {text}" for name, text in incident.labels)
    known = {
        **dict(incident.labels),
        "name": rule.name,
        "value": figure(value),
        "percent": percent(value),
        "threshold": exactly(rule.threshold),
        "labels": labels or "all",
        "meaning": meaning or f"{rule.name}: {labels + ', ' if labels else ''}{figure(value)}",
    }
    return _PLACE.sub(lambda found: known.get(found[1], found[0]), rule.message)[:MAX_SUMMARY]
