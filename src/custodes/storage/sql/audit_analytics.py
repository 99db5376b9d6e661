"""The trail as a whole, on SQL: five queries over one range of ids, four of them grouped in the store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Integer, case, cast, func, select

from custodes.planes.audit.analytics import ActionCount, ActorBehaviour, AuditAnalytics, FailingAddress, RiskPoint
from custodes.planes.audit.model import Outcome
from custodes.storage.sql.audit_filters import floor_id
from custodes.storage.sql.tables.audit import audit_logs

#: Different (action, outcome, …) groups that are counted; names of an application are few.
MAX_GROUPS = 5_000

#: Flagged entries whose rules are counted.
MAX_FLAGGED = 5_000

_c = audit_logs.c
_failed = func.sum(case((_c.outcome != Outcome.SUCCESS.value, 1), else_=0))


def analyse(
    connection: Connection, tenant: str | None, since: int, until: int, *, width: int, top: int
) -> AuditAnalytics:
    """Answer for a range of time."""
    where = [_c.id >= floor_id(since), _c.id < floor_id(until)]
    if tenant is not None:
        where.append(_c.tenant_id == tenant)
    groups = _groups(connection, where)
    by_review_state = _by_review_state(connection, where)
    return AuditAnalytics(
        since=since,
        until=until,
        total=sum(group.events for group in groups),
        failures=sum(group.events for group in groups if group.outcome != Outcome.SUCCESS.value),
        flagged=sum(by_review_state.values()),
        by_outcome=_sum_by(groups, "outcome"),
        by_category=_sum_by(groups, "category"),
        by_kind=_sum_by(groups, "kind"),
        by_review_state=by_review_state,
        by_rule=_by_rule(connection, where),
        actions=_actions(groups)[:top],
        width=width,
        risk_trend=_trend(connection, where, width),
        actors=_actors(connection, where, top),
        failing_addresses=_failing_addresses(connection, where, top),
    )


def _groups(connection: Connection, where: list[Any]) -> list[Any]:
    keys = (_c.action, _c.category, _c.kind, _c.outcome)
    events = func.count().label("events")
    query = select(*keys, events).where(*where).group_by(*keys).order_by(events.desc()).limit(MAX_GROUPS)
    return list(connection.execute(query))


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


def _by_review_state(connection: Connection, where: list[Any]) -> dict[str, int]:
    query = select(_c.review_state, func.count()).where(*where, _c.review_state.is_not(None)).group_by(_c.review_state)
    return {row[0]: row[1] for row in connection.execute(query)}


def _by_rule(connection: Connection, where: list[Any]) -> dict[str, int]:
    newest = (
        select(_c.risk_reasons).where(*where, _c.review_state.is_not(None)).order_by(_c.id.desc()).limit(MAX_FLAGGED)
    )
    rules: Counter[str] = Counter()
    for (reasons,) in connection.execute(newest):
        rules.update(reason["rule"] for reason in json.loads(reasons))
    return dict(rules.most_common())


def _trend(connection: Connection, where: list[Any], width: int) -> tuple[RiskPoint, ...]:
    point = (_c.recorded_at // width).label("point")
    flagged = func.sum(cast(_c.flagged, Integer))
    query = (
        select(point, func.count(), func.avg(_c.risk_score), func.max(_c.risk_score), flagged)
        .where(*where)
        .group_by(point)
        .order_by(point)
    )
    return tuple(
        RiskPoint(at * width, events, round(float(mean), 2), highest, marked)
        for at, events, mean, highest, marked in connection.execute(query)
    )


def _actors(connection: Connection, where: list[Any], top: int) -> tuple[ActorBehaviour, ...]:
    events = func.count()
    new_address = func.sum(case((_c.risk_reasons.like('%"rule":"new_address"%'), 1), else_=0))
    query = (
        select(
            _c.actor, events, _failed, func.max(_c.risk_score),
            func.count(func.nullif(_c.ip, "").distinct()), func.count(func.nullif(_c.user_agent, "").distinct()),
            new_address, func.min(_c.recorded_at), func.max(_c.recorded_at),
        )
        .where(*where)
        .group_by(_c.actor)
        .order_by(events.desc(), _c.actor)
        .limit(top)
    )  # fmt: skip
    return tuple(ActorBehaviour(*row) for row in connection.execute(query))


def _failing_addresses(connection: Connection, where: list[Any], top: int) -> tuple[FailingAddress, ...]:
    failures = func.count()
    query = (
        select(_c.ip, failures, func.count(_c.actor.distinct()))
        .where(*where, _c.ip != "", _c.outcome != Outcome.SUCCESS.value)
        .group_by(_c.ip)
        .order_by(failures.desc(), _c.ip)
        .limit(top)
    )
    return tuple(FailingAddress(*row) for row in connection.execute(query))
