"""One actor, and the lines of a compliance report, on SQL: grouped in the store over one range of ids."""

from __future__ import annotations

import json
from statistics import median_low
from typing import Any

from sqlalchemy import Connection, Integer, case, cast, func, select

from custodes.kernel.clock import DAY, HOUR
from custodes.planes.audit.analytics import ActionCount
from custodes.planes.audit.behaviour import MAX_LINES, MAX_LISTED, Behaviour, Compliance, Habit, Tally
from custodes.planes.audit.catalogue import ACTIONS
from custodes.planes.audit.model import UNREVIEWED, Kind, Outcome
from custodes.storage.sql.audit_filters import floor_id
from custodes.storage.sql.tables.audit import audit_logs

_c = audit_logs.c
_events = func.count()
_failed = func.sum(case((_c.outcome != Outcome.SUCCESS.value, 1), else_=0))

#: Verdicts that the time to a verdict is taken of, newest first.
MAX_VERDICTS = 10_000


def behaviour(
    connection: Connection, tenant: str | None, actor: str, since: int, until: int, *, shift: int
) -> Behaviour:
    """Sum up what one actor did."""
    always = [_c.actor == actor, *_of(tenant)]
    where = [*always, *_within(since, until)]
    first, last = connection.execute(select(func.min(_c.recorded_at), func.max(_c.recorded_at)).where(*always)).one()
    events, failures, flagged, impersonated, mean, highest = connection.execute(
        select(
            _events, _failed, func.sum(cast(_c.flagged, Integer)),
            func.sum(case((_c.people.like('%"impersonator":%'), 1), else_=0)),
            func.avg(_c.risk_score), func.max(_c.risk_score),
        ).where(*where)
    ).one()  # fmt: skip
    hour = (((_c.recorded_at + shift) % DAY) // HOUR).label("hour")
    hours = {
        row.hour: row.events
        for row in connection.execute(select(hour, _events.label("events")).where(*where).group_by(hour))
    }
    actions = connection.execute(
        select(_c.action, _c.category, _events, _failed)
        .where(*where)
        .group_by(_c.action, _c.category)
        .order_by(_events.desc(), _c.action)
        .limit(MAX_LISTED)
    )
    return Behaviour(
        actor=actor, name=_name(connection, always), first_seen_at=first or 0, last_seen_at=last or 0, events=events,
        failures=failures or 0, flagged=flagged or 0, impersonated=impersonated or 0,
        mean_risk=round(float(mean or 0), 2), max_risk=highest or 0,
        hours=tuple(hours.get(each, 0) for each in range(24)),
        addresses=_habits(connection, where, _c.ip), devices=_habits(connection, where, _c.user_agent),
        actions=tuple(ActionCount(*row) for row in actions),
    )  # fmt: skip


def compliance(connection: Connection, tenant: str | None, since: int, until: int) -> Compliance:
    """Sum up what a report says of the trail."""
    where = [*_of(tenant), *_within(since, until)]
    admin, admin_cut = _tallies(connection, [*where, _c.kind == Kind.ADMIN.value])
    sign_ins, sign_ins_cut = _tallies(connection, [*where, _c.action.in_(_SIGN_INS)])
    privileged, _ = _tallies(connection, [*where, _c.action.in_(_PRIVILEGED)])
    flagged = [*where, _c.review_state.is_not(None)]
    reviews = connection.execute(select(_c.review_state, _events).where(*flagged).group_by(_c.review_state))
    decided = (
        select(_c.reviewed_at - _c.recorded_at)
        .where(*flagged, _c.review_state.not_in(_UNREVIEWED), _c.reviewed_at.is_not(None))
        .order_by(_c.id.desc())
        .limit(MAX_VERDICTS)
    )
    took = list(connection.execute(decided).scalars())
    waiting = select(func.min(_c.recorded_at)).where(
        *_of(tenant), _c.review_state.is_not(None), _c.review_state.in_(_UNREVIEWED)
    )
    entries, first, last = connection.execute(select(_events, func.min(_c.seq), func.max(_c.seq)).where(*where)).one()
    return Compliance(
        admin_actions=admin, admin_actions_cut=admin_cut, sign_ins=sign_ins, sign_ins_cut=sign_ins_cut,
        privileged=privileged, reviews={row[0]: row[1] for row in reviews},
        median_to_verdict=median_low(took) if took else None,
        oldest_waiting_at=connection.execute(waiting).scalar() or 0,
        entries=entries, first_sequence=first or 0, last_sequence=last or 0,
    )  # fmt: skip


_UNREVIEWED = [state.value for state in UNREVIEWED]
_SIGN_INS = sorted(name for name, action in ACTIONS.items() if action.sign_in)
_PRIVILEGED = sorted(name for name, action in ACTIONS.items() if action.privileged)


def _of(tenant: str | None) -> list[Any]:
    return [] if tenant is None else [_c.tenant_id == tenant]


def _within(since: int, until: int) -> list[Any]:
    return [_c.id >= floor_id(since), _c.id < floor_id(until)]


def _name(connection: Connection, where: list[Any]) -> str:
    newest = select(_c.people).where(*where).order_by(_c.id.desc()).limit(1)
    people = connection.execute(newest).scalar()
    return json.loads(people)["actor"].get("name", "") if people else ""


def _habits(connection: Connection, where: list[Any], column: Any) -> tuple[Habit, ...]:
    query = (
        select(column, _events, _failed, func.min(_c.recorded_at), func.max(_c.recorded_at))
        .where(*where, column != "")
        .group_by(column)
        .order_by(_events.desc(), column)
        .limit(MAX_LISTED)
    )
    return tuple(Habit(*row) for row in connection.execute(query))


def _tallies(connection: Connection, where: list[Any]) -> tuple[tuple[Tally, ...], bool]:
    query = (
        select(
            _c.actor, _c.action, _c.outcome, _events, func.count(func.nullif(_c.ip, "").distinct()),
            func.max(_c.recorded_at),
        )
        .where(*where)
        .group_by(_c.actor, _c.action, _c.outcome)
        .order_by(_events.desc(), _c.actor, _c.action, _c.outcome)
        .limit(MAX_LINES + 1)
    )  # fmt: skip
    rows = tuple(Tally(*row) for row in connection.execute(query))
    return rows[:MAX_LINES], len(rows) > MAX_LINES
