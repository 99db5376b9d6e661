"""The trail as a whole, on SQL: each part of the answer is one query over figures and entries (``audit_reading``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Integer, cast, func, literal_column, select

from custodes.planes.audit.analytics import ActionCount, ActorBehaviour, AuditAnalytics, FailingAddress, RiskPoint
from custodes.planes.audit.model import Outcome
from custodes.storage.sql.audit_figures import (
    LEVELS,
    RISK_LEVELS,
    failed,
    new_address,
    rules_of,
)
from custodes.storage.sql.audit_filters import floor_id, unordered
from custodes.storage.sql.audit_reading import Asked, buckets_of, total, within
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
    reviews = by_review_state(asked)
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


def _groups(asked: Asked) -> list[Any]:
    names = ("action", "category", "kind", "outcome")
    rows = asked.rows(audit_group_figures, (*names, "events"), (*(_c[name] for name in names), _one))
    keys = [rows.c[name] for name in names]
    events = total(rows.c.events).label("events")
    query: Any = select(*keys, events).group_by(*keys).order_by(events.desc(), *keys).limit(MAX_GROUPS)
    groups: Any = asked.connection.execute(query)
    return list(groups)


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


def by_review_state(asked: Asked) -> dict[str, int]:
    """Count reviews by their state, which changes: on their own index, never from figures."""
    moment = unordered(_c.id)  # by the short index of reviews, not by that of all entries
    asked_for = (moment >= floor_id(asked.since), moment < floor_id(asked.until), *asked.of_tenant(_c.tenant_id))
    query = select(_c.review_state, func.count()).where(*asked_for, _c.review_state.is_not(None))
    return {row[0]: row[1] for row in asked.connection.execute(query.group_by(_c.review_state))}


def _by_rule(asked: Asked) -> dict[str, int]:
    stretches = asked.reach.cover(asked.since, asked.until, LEVELS)
    whole = [each for each in stretches if each.level is not None]
    rules: Counter[str] = Counter()
    for each in whole:
        table = audit_rule_figures
        query = select(table.c.rule, total(table.c.entries)).where(*buckets_of(table, each, named=False))
        for rule, entries in asked.connection.execute(
            query.where(*asked.of_tenant(table.c.tenant_id)).group_by(table.c.rule)
        ):
            rules[rule] += entries
    ends = (within(each.since, each.until) for each in stretches if each.level is None)
    parts = [[*where, *asked.of_tenant(_c.tenant_id)] for where in ends]
    parts += [asked.unfolded(whole)] if whole else []
    for where in parts:
        newest = select(_c.risk_reasons).where(*where, _c.review_state.is_not(None)).order_by(_c.seq.desc())
        for (reasons,) in asked.connection.execute(newest.limit(MAX_FLAGGED)):
            rules.update(rules_of(reasons))
    return dict(sorted(rules.items(), key=lambda one: (-one[1], one[0])))


def _trend(asked: Asked, width: int) -> tuple[RiskPoint, ...]:
    names = ("bucket", "events", "risk", "max_risk", "flagged")
    made: tuple[Any, ...] = (_c.recorded_at, _one, _c.risk_score, _c.risk_score, cast(_c.flagged, Integer))
    levels = [level for level in RISK_LEVELS if width % level.micros == 0]
    rows = asked.rows(audit_risk_figures, names, made, levels=levels).c
    point = (rows.bucket // literal_column(str(width))).label("point")
    sums = (total(rows.events), total(rows.risk), func.max(rows.max_risk), total(rows.flagged))
    return tuple(
        RiskPoint(at * width, events, round(risk / events, 2), highest, flagged)
        for at, events, risk, highest, flagged in asked.connection.execute(
            select(point, *sums).group_by(point).order_by(point)
        )
    )


def _actors(asked: Asked, top: int) -> tuple[ActorBehaviour, ...]:
    names = ("actor", "events", "failures", "max_risk", "new_addresses", "first_at", "last_at")
    made: tuple[Any, ...] = (_c.actor, _one, failed, _c.risk_score, new_address, _c.recorded_at, _c.recorded_at)
    ranked = asked.rows(audit_actor_figures, names[:2], (unordered(_c.actor), _one)).c
    events = total(ranked.events)
    ranking = select(ranked.actor).group_by(ranked.actor).order_by(events.desc(), ranked.actor).limit(top)
    actors = list(asked.connection.execute(ranking).scalars())
    if not actors:
        return ()
    only = ("actor", actors)
    rows = asked.rows(audit_actor_figures, names, made, only=only).c
    sums = select(
        rows.actor, total(rows.events), total(rows.failures), func.max(rows.max_risk),
        total(rows.new_addresses), func.min(rows.first_at), func.max(rows.last_at),
    ).group_by(rows.actor)  # fmt: skip
    did = {row[0]: row[1:] for row in asked.connection.execute(sums)}
    origin_names = ("actor", "ip", "user_agent")
    rows = asked.rows(audit_origin_figures, origin_names, [_c[name] for name in origin_names], only=only).c
    counts = select(
        rows.actor,
        func.count(func.nullif(rows.ip, "").distinct()),
        func.count(func.nullif(rows.user_agent, "").distinct()),
    ).group_by(rows.actor)
    origins = {row[0]: row[1:] for row in asked.connection.execute(counts)}
    return tuple(
        ActorBehaviour(
            actor=actor, events=events, failures=failures, max_risk=highest, addresses=origins[actor][0],
            devices=origins[actor][1], new_addresses=new, first_at=first, last_at=last,
        )
        for actor in actors
        for events, failures, highest, new, first, last in [did[actor]]
    )  # fmt: skip


def _failing_addresses(asked: Asked, top: int) -> tuple[FailingAddress, ...]:
    where = (_c.ip != "", _c.outcome != Outcome.SUCCESS.value)
    rows = asked.rows(audit_failure_figures, ("ip", "failures"), (unordered(_c.ip), _one), *where).c
    failures = total(rows.failures)
    ranking = select(rows.ip, failures).group_by(rows.ip).order_by(failures.desc(), rows.ip).limit(top)
    ranked = list(asked.connection.execute(ranking))
    only = ("ip", [row[0] for row in ranked])
    rows = asked.rows(audit_failure_figures, ("ip", "actor"), (_c.ip, _c.actor), *where, only=only).c
    counts = select(rows.ip, func.count(rows.actor.distinct())).group_by(rows.ip)
    actors = {row[0]: row[1] for row in asked.connection.execute(counts)} if ranked else {}
    return tuple(FailingAddress(ip, count, actors[ip]) for ip, count in ranked)
