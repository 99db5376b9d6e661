"""One thing that happened, and requests made into such things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from custodes.kernel.signals import ActivitySignal, FailureSignal
from custodes.planes.traffic.model import CALL_FIELDS

#: Requests told one by one in a step; when there are more, those that are alike are told as one.
MAX_SINGLE = 25

#: Longest title, characters.
MAX_TITLE = 300

_FIELD = {name: place for place, name in enumerate(CALL_FIELDS)}


@dataclass(frozen=True, slots=True)
class Happening:
    """One event, or several that are alike."""

    #: Grows with time, also over restarts: what comes later is greater.
    id: int
    #: When it happened, microseconds since the epoch; the last one of several.
    at: int
    tenant: str
    #: ``traffic``, ``inbound``, ``audit``, ``ratelimit``, ``alerts``, …
    plane: str
    #: What happened: ``api.call``, ``webhook.received``, the action of an audit entry, the name of a failure.
    kind: str
    #: One line for a person.
    title: str
    #: ``success``, ``failure``, ``denied`` or ``attention``.
    outcome: str
    #: How many it stands for.
    count: int = 1
    #: W3C trace id; of the last one of several; may be empty.
    trace_id: str = ""
    #: ``kind:id`` of what can be opened; may be empty.
    reference: str = ""
    #: HTTP status of a call; 0 otherwise.
    status: int = 0
    #: How long a call took, milliseconds; the slowest of several.
    duration_ms: float = 0.0


def of_activity(signal: ActivitySignal) -> Happening:
    """Make one of what a plane told."""
    plane = "ratelimit" if signal.kind.startswith("rate_limit.") else signal.plane
    return Happening(
        0, signal.at, signal.tenant, plane, signal.kind, signal.title[:MAX_TITLE], signal.outcome,
        trace_id=signal.trace_id, reference=signal.reference,
    )  # fmt: skip


def of_failure(signal: FailureSignal) -> Happening:
    """Make one of a failure."""
    plane = "health" if signal.name.startswith("health.") else "alerts"
    return Happening(
        0, signal.at, signal.tenant, plane, signal.name, signal.summary[:MAX_TITLE], "failure",
        trace_id=signal.trace_id, reference=f"system:{signal.system}" if plane == "health" else "",
    )  # fmt: skip


def numbered(event: Happening, number: int) -> Happening:
    """Give one its number."""
    return Happening(
        number, event.at, event.tenant, event.plane, event.kind, event.title, event.outcome, event.count,
        event.trace_id, event.reference, event.status, event.duration_ms,
    )  # fmt: skip


def of_calls(rows: list[tuple[Any, ...]]) -> list[Happening]:
    """Tell requests one by one while they are few; those that are alike together when they are many."""
    if len(rows) <= MAX_SINGLE:
        return [_call([row]) for row in rows]
    alike: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        key = (row[_FIELD["tenant"]], row[_FIELD["method"]], row[_FIELD["route"]], row[_FIELD["status"]])
        alike.setdefault(key, []).append(row)
    return [_call(group) for group in alike.values()]


def _call(rows: list[tuple[Any, ...]]) -> Happening:
    last = rows[-1]
    status: int = last[_FIELD["status"]]
    limited = bool(last[_FIELD["limited_by"]])
    path = last[_FIELD["route"]] if len(rows) > 1 else last[_FIELD["path"]]
    slowest = max(row[_FIELD["total_us"]] for row in rows)
    return Happening(
        id=0,
        at=last[_FIELD["started_at"]] + last[_FIELD["total_us"]],
        tenant=last[_FIELD["tenant"]],
        plane="ratelimit" if limited else "traffic",
        kind="api.limited" if limited else "api.call",
        title=f"{last[_FIELD['method']]} {path or '(unmatched)'}"[:MAX_TITLE],
        outcome="denied" if limited else "failure" if status >= 500 or status == 0 else "success",
        count=len(rows),
        trace_id=last[_FIELD["trace_id"]],
        status=status,
        duration_ms=slowest / 1_000,
    )
