"""What the trail says, counted entry by entry in plain Python: what figures and queries of the store are held against.

Nothing here reads a database or shares a line with how the store counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from custodes.kernel.clock import DAY, HOUR
from custodes.planes.audit.analytics import ActionCount, ActorBehaviour, AuditAnalytics, FailingAddress, RiskPoint
from custodes.planes.audit.behaviour import Behaviour, Compliance, Habit, Tally
from custodes.planes.audit.model import AuditEntry, Kind, Outcome, ReviewState

K = TypeVar("K")


def grouped(entries: Iterable[AuditEntry], key: Callable[[AuditEntry], K]) -> list[tuple[K, list[AuditEntry]]]:
    """Group entries; the largest group first, then by key."""
    groups: dict[Any, list[AuditEntry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))


def sizes(entries: Iterable[AuditEntry], key: Callable[[AuditEntry], str]) -> dict[str, int]:
    return {name: len(its) for name, its in grouped(entries, key)}


def failures(entries: Iterable[AuditEntry]) -> int:
    return sum(entry.outcome is not Outcome.SUCCESS for entry in entries)


def risk(entries: Sequence[AuditEntry]) -> tuple[float, int]:
    """Mean and highest score."""
    scores = [entry.risk_score for entry in entries]
    return (round(sum(scores) / len(scores), 2), max(scores)) if scores else (0.0, 0)


def ends(entries: Iterable[AuditEntry]) -> tuple[int, int]:
    moments = [entry.recorded_at for entry in entries]
    return min(moments, default=0), max(moments, default=0)


def addresses(entries: Iterable[AuditEntry]) -> int:
    return len({entry.context.ip for entry in entries} - {""})


def actions(entries: Iterable[AuditEntry]) -> tuple[ActionCount, ...]:
    return tuple(
        ActionCount(*name, len(its), failures(its)) for name, its in grouped(entries, lambda e: (e.action, e.category))
    )


def reviews(entries: Iterable[AuditEntry]) -> dict[str, int]:
    return sizes((entry for entry in entries if entry.review), lambda e: e.review.state.value if e.review else "")


def analytics(asked: Sequence[AuditEntry], since: int, until: int, width: int, top: int) -> AuditAnalytics:
    """Count the entries of a range."""
    reviewed = [entry for entry in asked if entry.review]
    points = sorted(grouped(asked, lambda e: e.recorded_at - e.recorded_at % width))
    failed = [entry for entry in asked if entry.context.ip and entry.outcome is not Outcome.SUCCESS]
    return AuditAnalytics(
        since=since, until=until, width=width,
        total=len(asked), failures=failures(asked), flagged=len(reviewed),
        by_outcome=sizes(asked, lambda e: e.outcome.value),
        by_category=sizes(asked, lambda e: e.category),
        by_kind=sizes(asked, lambda e: e.kind.value),
        by_review_state=reviews(asked),
        by_rule=dict(Counter(reason.rule for entry in reviewed for reason in entry.risk_reasons)),
        actions=actions(asked)[:top],
        risk_trend=tuple(RiskPoint(at, len(its), *risk(its), sum(e.flagged for e in its)) for at, its in points),
        actors=tuple(_actor(name, its) for name, its in grouped(asked, lambda e: str(e.actor))[:top]),
        failing_addresses=tuple(
            FailingAddress(ip, len(its), len({str(e.actor) for e in its}))
            for ip, its in grouped(failed, lambda e: e.context.ip)[:top]
        ),
    )  # fmt: skip


def _actor(name: str, its: Sequence[AuditEntry]) -> ActorBehaviour:
    return ActorBehaviour(
        name, len(its), failures(its), risk(its)[1], addresses(its), len({e.context.user_agent for e in its} - {""}),
        sum(reason.rule == "new_address" for e in its for reason in e.risk_reasons), *ends(its),
    )  # fmt: skip


def behaviour(kept: Iterable[AuditEntry], asked: Iterable[AuditEntry], actor: Any, shift: int) -> Behaviour:
    """Count one actor's entries: of all that is kept, and of the range."""
    ever = [entry for entry in kept if str(entry.actor) == actor]
    its = [entry for entry in asked if str(entry.actor) == actor]
    hours = Counter((entry.recorded_at + shift) % DAY // HOUR for entry in its)
    mean, highest = risk(its)

    def habits(value: Callable[[AuditEntry], str]) -> tuple[Habit, ...]:
        return tuple(Habit(name, len(some), failures(some), *ends(some)) for name, some in grouped(its, value) if name)

    first, last = ends(ever)
    return Behaviour(
        actor=actor, name=max(ever, key=lambda e: e.id).actor.name if ever else "",
        first_seen_at=first, last_seen_at=last,
        events=len(its), failures=failures(its), flagged=sum(e.flagged for e in its),
        impersonated=sum(e.impersonator is not None for e in its),
        mean_risk=mean, max_risk=highest, hours=tuple(hours[hour] for hour in range(24)),
        addresses=habits(lambda e: e.context.ip), devices=habits(lambda e: e.context.user_agent), actions=actions(its),
    )  # fmt: skip


def compliance(kept: Iterable[AuditEntry], asked: Sequence[AuditEntry]) -> Compliance:
    """Count for a report: what waits, of all that is kept; all else of the range, in which there is no verdict."""

    def tallies(entries: Iterable[AuditEntry]) -> tuple[Tally, ...]:
        lines = grouped(entries, lambda e: (str(e.actor), e.action, e.outcome.value))
        return tuple(Tally(*line, len(its), addresses(its), ends(its)[1]) for line, its in lines)

    places = [entry.sequence for entry in asked]
    return Compliance(
        admin_actions=tallies(e for e in asked if e.kind is Kind.ADMIN), admin_actions_cut=False,
        sign_ins=tallies(e for e in asked if e.action == "auth.login"), sign_ins_cut=False,
        privileged=tallies(e for e in asked if e.action == "role.granted"),
        reviews=reviews(asked), median_to_verdict=None,
        oldest_waiting_at=ends(e for e in kept if e.review and e.review.state is ReviewState.OPEN)[0],
        entries=len(asked), first_sequence=min(places, default=0), last_sequence=max(places, default=0),
    )  # fmt: skip
