"""The lines of a compliance report, on SQL: each is one query over figures and entries (``audit_reading``)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low
from typing import Any

from sqlalchemy import Connection, Integer, func, literal_column, select

from custodes.planes.audit.behaviour import MAX_LINES, Compliance, Tally
from custodes.planes.audit.model import UNREVIEWED
from custodes.storage.sql.audit_analytics import by_review_state
from custodes.storage.sql.audit_figures import DUTIES
from custodes.storage.sql.audit_filters import floor_id
from custodes.storage.sql.audit_reading import Asked, unordered
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.audit_figures import audit_duty_figures, audit_habit_folds, audit_span_figures

_c = audit_logs.c
_one = literal_column("1", Integer)

#: Verdicts that the time to a verdict is taken of, newest first.
MAX_VERDICTS = 10_000

_UNREVIEWED = [state.value for state in UNREVIEWED]

#: What makes a line.
_LINE = ("actor", "action", "outcome")


def compliance(connection: Connection, tenant: str | None, since: int, until: int) -> Compliance:
    """Sum up what a report says of the trail."""
    asked = Asked.of(connection, tenant, since, until, audit_habit_folds)
    admin, admin_cut = _tallies(asked, "admin")
    sign_ins, sign_ins_cut = _tallies(asked, "sign_in")
    privileged, _ = _tallies(asked, "privileged")
    took = _to_verdict(asked)
    waiting = select(func.min(_c.recorded_at)).where(
        *asked.of_tenant(_c.tenant_id), _c.review_state.is_not(None), _c.review_state.in_(_UNREVIEWED)
    )
    entries, first, last = _span(asked)
    return Compliance(
        admin_actions=admin, admin_actions_cut=admin_cut, sign_ins=sign_ins, sign_ins_cut=sign_ins_cut,
        privileged=privileged, reviews=by_review_state(asked), median_to_verdict=median_low(took) if took else None,
        oldest_waiting_at=connection.execute(waiting).scalar() or 0,
        entries=entries, first_sequence=first, last_sequence=last,
    )  # fmt: skip


def _tallies(asked: Asked, duty: str) -> tuple[tuple[Tally, ...], bool]:
    """Count who did what and how it ended, most frequent first; addresses of those lines alone."""
    made, where, of = [_c[name] for name in _LINE], DUTIES[duty], ("duty", duty)
    rows = asked.rows(audit_duty_figures, (*_LINE, "events"), (*made, _one), where, of=of).c
    line, events = [rows[name] for name in _LINE], func.sum(rows.events)
    ranking = select(*line, events).group_by(*line).order_by(events.desc(), *line).limit(MAX_LINES + 1)
    ranked: Sequence[Any] = asked.connection.execute(ranking).all()
    actors: list[str] = list(dict.fromkeys(row[0] for row in ranked))
    names = (*_LINE, "ip", "last_at")
    only = ("actor", actors)
    rows = asked.rows(audit_duty_figures, names, (*made, _c.ip, _c.recorded_at), where, of=of, only=only).c
    line = [rows[name] for name in _LINE]
    seen = select(*line, func.count(func.nullif(rows.ip, "").distinct()), func.max(rows.last_at)).group_by(*line)
    rows_seen: Sequence[Any] = asked.connection.execute(seen).all() if ranked else ()
    found = {(row[0], row[1], row[2]): (int(row[3]), int(row[4])) for row in rows_seen}
    lines = tuple(
        Tally(actor, action, outcome, int(count), *found[actor, action, outcome])
        for actor, action, outcome, count in ranked
    )
    return lines[:MAX_LINES], len(lines) > MAX_LINES


def _to_verdict(asked: Asked) -> list[int]:
    """From the flag to the verdict: of the newest entries with one, by the short index of reviews."""
    moment = unordered(_c.id)
    decided: Any = (
        select(_c.reviewed_at - _c.recorded_at)
        .where(moment >= floor_id(asked.since), moment < floor_id(asked.until), *asked.of_tenant(_c.tenant_id))
        .where(_c.review_state.is_not(None), _c.review_state.not_in(_UNREVIEWED), _c.reviewed_at.is_not(None))
        .order_by(moment.desc())
        .limit(MAX_VERDICTS)
    )
    return list(asked.connection.execute(decided).scalars())


def _span(asked: Asked) -> tuple[int, int, int]:
    """Count entries, and tell the first and the last place."""
    rows = asked.rows(audit_span_figures, ("events", "first_seq", "last_seq"), (_one, _c.seq, _c.seq)).c
    span = select(func.sum(rows.events), func.min(rows.first_seq), func.max(rows.last_seq))
    entries, first, last = asked.connection.execute(span).one()
    return int(entries or 0), first or 0, last or 0
