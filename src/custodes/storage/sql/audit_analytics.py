"""The trail as a whole, on SQL: each part of the answer is one query over figures and entries (``audit_reading``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Integer, cast, func, literal_column, select, union_all

from custodes.planes.audit.analytics import ActionCount, ActorBehaviour, AuditAnalytics, FailingAddress, RiskPoint
from custodes.planes.audit.model import Outcome
from custodes.storage.sql.audit_figures import RISK_LEVELS, failed, new_address, rules_of
from custodes.storage.sql.audit_filters import unordered
from custodes.storage.sql.audit_reading import Asked, Form, total
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.audit_figures import (
    audit_actor_figures,
    audit_failure_figures,
    audit_group_figures,
    audit_origin_figures,
    audit_risk_figures,
    audit_rule_figures,
)

#: Different (action, outcome, …) groups that are counted; names of an application are few.
MAX_GROUPS = 5_000

#: Flagged entries whose rules are counted where they are not folded yet.
MAX_FLAGGED = 5_000

_c = audit_logs.c
_one = literal_column("1", Integer)


def analyse(
    connection: Connection, tenant: str | None, since: int, until: int, *, width: int, top: int
) -> AuditAnalytics:
    """Answer for a range of time."""
    asked = Asked.of(connection, tenant, since, until)
    groups = _groups(asked)
    reviews = dict(asked.ask(of_reviews))
    return AuditAnalytics(
        since=since,
        until=until,
        total=sum(group.events for group in groups),
        failures=sum(group.events for group in groups if group.outcome != Outcome.SUCCESS.value),
        flagged=sum(reviews.values()),
        by_outcome=_sum_by(groups, "outcome"),
        by_category=_sum_by(groups, "category"),
        by_kind=_sum_by(groups, "kind"),
        by_review_state=reviews,
        by_rule=_by_rule(asked),
        actions=_actions(groups)[:top],
        width=width,
        risk_trend=_trend(asked, width),
        actors=_actors(asked, top),
        failing_addresses=_failing_addresses(asked, top),
    )


def _groups(asked: Asked) -> Sequence[Any]:
    return asked.ask(_of_groups)


def _of_groups(form: Form) -> Any:
    names = ("action", "category", "kind", "outcome")
    rows = form.rows(audit_group_figures, (*names, "events"), (*(_c[name] for name in names), _one))
    keys = [rows.c[name] for name in names]
    events = total(rows.c.events).label("events")
    return select(*keys, events).group_by(*keys).order_by(events.desc(), *keys).limit(MAX_GROUPS)


def _sum_by(groups: Iterable[Any], key: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for group in groups:
        counts[getattr(group, key)] += group.events
    return dict(counts.most_common())


def _actions(groups: Iterable[Any]) -> tuple[ActionCount, ...]:
    events: Counter[tuple[str, str]] = Counter()
    failures: Counter[tuple[str, str]] = Counter()
    for group in groups:
        key = (group.action, group.category)
        events[key] += group.events
        failures[key] += group.events if group.outcome != Outcome.SUCCESS.value else 0
    return tuple(ActionCount(*key, count, failures[key]) for key, count in events.most_common())


def of_reviews(form: Form) -> Any:
    """Write the question of reviews by their state, which changes: on their own index, never from figures."""
    query = select(_c.review_state, func.count()).where(*form.reviewed(), _c.review_state.is_not(None))
    return query.group_by(_c.review_state)


def _by_rule(asked: Asked) -> dict[str, int]:
    rules: Counter[str] = Counter()
    for rule, entries in asked.ask(_of_rules):
        rules[rule] += entries
    for (reasons,) in asked.ask(_of_flags):
        rules.update(rules_of(reasons))
    return dict(sorted(rules.items(), key=lambda one: (-one[1], one[0])))


def _of_rules(form: Form) -> Any:
    table = audit_rule_figures
    parts = [
        select(table.c.rule, total(table.c.entries))
        .where(*form.buckets(table, place, named=False), *form.tenant(table.c.tenant_id))
        .group_by(table.c.rule)
        for place, (level, _) in enumerate(form.parts)
        if level is not None
    ]
    return union_all(*parts) if parts else None


def _of_flags(form: Form) -> Any:
    """Reasons of flagged entries that no figures tell of, the newest of each part."""
    ends = [
        [*form.within(place), *form.tenant(_c.tenant_id)]
        for place, (level, _) in enumerate(form.parts)
        if level is None
    ]
    newest = [
        select(_c.risk_reasons)
        .where(*where, _c.review_state.is_not(None))
        .order_by(_c.seq.desc())
        .limit(MAX_FLAGGED)
        .subquery()
        for where in (*ends, *([form.unfolded()] if form.has_figures else []))
    ]
    return union_all(*(select(each.c.risk_reasons) for each in newest))


def _trend(asked: Asked, width: int) -> tuple[RiskPoint, ...]:
    levels = [level for level in RISK_LEVELS if width % level.micros == 0]
    return tuple(
        RiskPoint(at * width, events, round(risk / events, 2), highest, flagged)
        for at, events, risk, highest, flagged in asked.ask(_of_points, width, levels=levels)
    )


def _of_points(form: Form, width: int) -> Any:
    names = ("bucket", "events", "risk", "max_risk", "flagged")
    made: tuple[Any, ...] = (_c.recorded_at, _one, _c.risk_score, _c.risk_score, cast(_c.flagged, Integer))
    rows = form.rows(audit_risk_figures, names, made).c
    point = (rows.bucket // literal_column(str(width))).label("point")
    sums = (total(rows.events), total(rows.risk), func.max(rows.max_risk), total(rows.flagged))
    return select(point, *sums).group_by(point).order_by(point)


def _actors(asked: Asked, top: int) -> tuple[ActorBehaviour, ...]:
    actors = [actor for actor, _ in asked.most(_of_ranked_actors, top)]
    if not actors:
        return ()
    did = {row[0]: row[1:] for row in asked.ask(_of_actors, only=actors)}
    origins = {row[0]: row[1:] for row in asked.ask(_of_origins, only=actors)}
    return tuple(
        ActorBehaviour(
            actor=actor, events=events, failures=failures, max_risk=highest, addresses=origins[actor][0],
            devices=origins[actor][1], new_addresses=new, first_at=first, last_at=last,
        )
        for actor in actors
        for events, failures, highest, new, first, last in [did[actor]]
    )  # fmt: skip


def _of_ranked_actors(form: Form, top: int) -> Any:
    return form.most(audit_actor_figures, ("actor", "events"), (unordered(_c.actor), _one), top=top)


def _of_actors(form: Form) -> Any:
    names = ("actor", "events", "failures", "max_risk", "new_addresses", "first_at", "last_at")
    made: tuple[Any, ...] = (_c.actor, _one, failed, _c.risk_score, new_address, _c.recorded_at, _c.recorded_at)
    rows = form.rows(audit_actor_figures, names, made, only="actor").c
    return select(
        rows.actor, total(rows.events), total(rows.failures), func.max(rows.max_risk),
        total(rows.new_addresses), func.min(rows.first_at), func.max(rows.last_at),
    ).group_by(rows.actor)  # fmt: skip


def _of_origins(form: Form) -> Any:
    names = ("actor", "ip", "user_agent")
    rows = form.rows(audit_origin_figures, names, [_c[name] for name in names], only="actor").c
    addresses, devices = (func.count(func.nullif(column, "").distinct()) for column in (rows.ip, rows.user_agent))
    return select(rows.actor, addresses, devices).group_by(rows.actor)


def _failing_addresses(asked: Asked, top: int) -> tuple[FailingAddress, ...]:
    ranked = asked.most(_of_ranked_addresses, top)
    actors = {row[0]: row[1] for row in asked.ask(_of_addresses, only=[row[0] for row in ranked])} if ranked else {}
    return tuple(FailingAddress(ip, count, actors[ip]) for ip, count in ranked)


_failing: tuple[Any, ...] = (_c.ip != "", _c.outcome != Outcome.SUCCESS.value)


def _of_ranked_addresses(form: Form, top: int) -> Any:
    return form.most(audit_failure_figures, ("ip", "failures"), (unordered(_c.ip), _one), *_failing, top=top)


def _of_addresses(form: Form) -> Any:
    rows = form.rows(audit_failure_figures, ("ip", "actor"), (_c.ip, _c.actor), *_failing, only="ip").c
    return select(rows.ip, func.count(rows.actor.distinct())).group_by(rows.ip)
