"""The lines of a compliance report, on SQL: each is one query over figures and entries (``audit_reading``)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low
from typing import Any

from sqlalchemy import Connection, Integer, Subquery, func, literal_column, null, select, union

from custodes.planes.audit.behaviour import MAX_LINES, Compliance, Tally
from custodes.planes.audit.model import UNREVIEWED
from custodes.storage.sql.audit_analytics import by_review_state
from custodes.storage.sql.audit_figures import DUTIES, LINE, Level, is_its_line
from custodes.storage.sql.audit_filters import floor_id, unordered
from custodes.storage.sql.audit_reading import Asked, total
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.audit_figures import (
    audit_habit_folds,
    audit_line_addresses,
    audit_line_figures,
    audit_line_folds,
    audit_lines,
    audit_span_figures,
)

_c = audit_logs.c
_one = literal_column("1", Integer)

#: Verdicts that the time to a verdict is taken of, newest first.
MAX_VERDICTS = 10_000

#: Lines that are ranked: one more than are listed, which tells whether the list is cut.
_MOST = MAX_LINES + 1

#: Lines with most entries of all time that are added up first.
LIKELY = 2 * MAX_LINES

_UNREVIEWED = [state.value for state in UNREVIEWED]


def compliance(connection: Connection, tenant: str | None, since: int, until: int) -> Compliance:
    """Sum up what a report says of the trail."""
    asked = Asked.of(connection, tenant, since, until, audit_habit_folds)
    of_lines = Asked.of(connection, tenant, since, until, audit_line_folds)
    admin, admin_cut = _tallies(of_lines, "admin")
    sign_ins, sign_ins_cut = _tallies(of_lines, "sign_in")
    privileged, _ = _tallies(of_lines, "privileged")
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
    ranked = _ranked(asked, duty)
    seen = _seen(asked, duty, ranked)
    lines = tuple(
        Tally(actor, action, outcome, count, *seen[actor, action, outcome])
        for actor, action, outcome, count, _ in ranked
    )
    return lines[:MAX_LINES], len(lines) > MAX_LINES


def _ranked(asked: Asked, duty: str) -> list[Any]:
    """Rank the lines of a duty by their entries, names deciding between equals: one more than are listed.

    Lines are added up and sorted by their numbers; only those that may be listed get their names. Entries that are not
    folded yet may have lines without a number: these are in no figures, so that each line is ranked once.
    """
    numbered = _ranked_of_likely(asked, duty)
    if numbered is None:
        made = (_line_of(duty), _one)
        rows = asked.rows(audit_line_figures, ("line", "events"), made, DUTIES[duty], of=("duty", duty))
        numbered = _named(asked, rows)
    entries = asked.entries([_c[name] for name in LINE], DUTIES[duty], _line_of(duty).is_(None)).c
    names, events = [entries[name] for name in LINE], func.count()
    others = select(*names, events, null()).group_by(*names).order_by(events.desc(), *names).limit(_MOST)
    found: list[Any] = [*numbered, *asked.connection.execute(others)]
    return sorted(found, key=lambda row: (-row[3], *row[:3]))[:_MOST]


def _ranked_of_likely(asked: Asked, duty: str) -> Sequence[Any] | None:
    """Rank the lines with most entries of all time, when no other one can be among the first; None when one could.

    Over most of the time that is kept they are the first, and few of all. A line that is not among them has no more
    entries in any range than the last of them has of all time; those that entries beside the figures are of are added.
    """
    lines, connection = audit_lines.c, asked.connection
    if not _is_most(asked):
        return None
    by_events = select(lines.line, lines.events).where(lines.duty == duty).order_by(lines.events.desc())
    least = connection.execute(by_events.offset(LIKELY).limit(1)).first()
    top, met = by_events.limit(LIKELY).subquery(), asked.entries((_line_of(duty).label("line"),), DUTIES[duty])
    likely: Any = select(union(select(top.c.line), select(met.c.line)).cte("likely").c.line)
    if connection.dialect.name == "postgresql":  # which would rather look through all lines than search for a query's
        likely = connection.execute(likely).scalars().all()
    rows = asked.rows(
        audit_line_addresses, ("line", "events"), (_line_of(duty), _one), DUTIES[duty],
        of=("duty", duty), only=("line", likely),
    )  # fmt: skip
    ranked = _named(asked, rows)
    if least is None or (len(ranked) == _MOST and ranked[-1][3] > least.events):
        return ranked
    return None


def _is_most(asked: Asked) -> bool:
    """Tell whether a range is more than half of the time that figures tell of."""
    day = select(audit_line_figures.c.bucket).where(audit_line_figures.c.level == Level.DAY.value).limit(1)
    first = asked.connection.execute(day.order_by(audit_line_figures.c.bucket)).scalar()
    last = asked.connection.execute(day.order_by(audit_line_figures.c.bucket.desc())).scalar()
    if first is None or last is None:
        return False
    last += Level.DAY.micros
    return 2 * (min(asked.until, last) - max(asked.since, first)) > last - first


def _named(asked: Asked, rows: Subquery) -> Sequence[Any]:
    """Add up entries by the number of their line, and name the first lines: ``(*LINE, events, line)``."""
    sums = select(rows.c.line, total(rows.c.events).label("events")).group_by(rows.c.line).cte("sums")
    highest = select(sums.c.events).order_by(sums.c.events.desc()).limit(_MOST).subquery()
    names = [audit_lines.c[name] for name in LINE]
    named = (
        select(*names, sums.c.events, audit_lines.c.line)
        .join_from(sums, audit_lines, sums.c.line == audit_lines.c.line)
        .where(sums.c.events >= select(func.min(highest.c.events)).scalar_subquery())
        .order_by(sums.c.events.desc(), *names)
        .limit(_MOST)
    )
    return asked.connection.execute(named).all()


def _seen(asked: Asked, duty: str, ranked: Sequence[Any]) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Count the addresses of some lines, and tell their last entries."""
    numbered = {row[4]: (row[0], row[1], row[2]) for row in ranked if row[4] is not None}
    found: dict[tuple[str, str, str], tuple[int, int]] = {}
    if numbered:
        names, made = ("line", "ip", "last_at"), (_line_of(duty), _c.ip, _c.recorded_at)
        only = ("line", list(numbered))
        rows = asked.rows(audit_line_addresses, names, made, DUTIES[duty], of=("duty", duty), only=only).c
        query = select(rows.line, *_addresses(rows)).group_by(rows.line)
        found |= {numbered[line]: (addresses, last) for line, addresses, last in asked.connection.execute(query)}
    if len(numbered) < len(ranked):
        columns = (*(_c[name] for name in LINE), _c.ip, _c.recorded_at.label("last_at"))
        rows = asked.entries(columns, DUTIES[duty], _line_of(duty).is_(None)).c
        names = [rows[name] for name in LINE]
        query = select(*names, *_addresses(rows)).group_by(*names)
        found |= {(row[0], row[1], row[2]): (row[3], row[4]) for row in asked.connection.execute(query)}
    return found


def _line_of(duty: str) -> Any:
    """Find the number of an entry's line, None where it has none yet: a search each, not a join of all lines."""
    return select(audit_lines.c.line).where(*is_its_line(duty)[1:]).correlate(audit_logs).scalar_subquery()


def _addresses(rows: Any) -> tuple[Any, Any]:
    return func.count(func.nullif(rows.ip, "").distinct()), func.max(rows.last_at)


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
    span = select(total(rows.events), func.min(rows.first_seq), func.max(rows.last_seq))
    entries, first, last = asked.connection.execute(span).one()
    return entries or 0, first or 0, last or 0
