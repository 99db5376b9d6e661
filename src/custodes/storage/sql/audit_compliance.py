"""The lines of a compliance report, on SQL: each is one query over figures and entries (``audit_reading``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import nlargest
from statistics import median_low
from typing import Any

from sqlalchemy import Connection, Double, Integer, cast, func, literal_column, null, select, true

from custodes.planes.audit.behaviour import MAX_LINES, Compliance, Tally
from custodes.planes.audit.model import UNREVIEWED
from custodes.storage.sql.audit_analytics import of_reviews
from custodes.storage.sql.audit_figures import DUTIES, LINE, Level, is_its_line
from custodes.storage.sql.audit_filters import unordered
from custodes.storage.sql.audit_reading import Asked, Form, added_up, below, total
from custodes.storage.sql.pipelined import Inquiry, side_by_side
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.audit_figures import (
    audit_habit_folds,
    audit_line_addresses,
    audit_line_figures,
    audit_line_folds,
    audit_lines,
    audit_span_figures,
)
from custodes.storage.sql.types import Count

_c = audit_logs.c
_one = literal_column("1", Integer)

#: Verdicts that the time to a verdict is taken of, newest first.
MAX_VERDICTS = 10_000

#: Lines that are ranked: one more than are listed, which tells whether the list is cut.
_MOST = MAX_LINES + 1

#: Lines with most entries of all time that are added up first.
LIKELY = 2 * MAX_LINES

#: Entries below which lines are not left out by them: so few lines have fewer that looking for these takes longer.
WORTH_LEAVING_OUT = 5

#: Begin of the first and end of the last day that figures tell of; both 0 when there is none.
Kept = tuple[int, int]

_UNREVIEWED = [state.value for state in UNREVIEWED]


def compliance(connection: Connection, tenant: str | None, since: int, until: int) -> Compliance:
    """Sum up what a report says of the trail."""
    asked = Asked.of(connection, tenant, since, until, audit_habit_folds)
    of_lines = Asked.of(connection, tenant, since, until, audit_line_folds)
    kept = _kept(connection)
    # The longest first, and each other one meanwhile.
    (privileged, _), (sign_ins, sign_ins_cut), (admin, admin_cut), verdicts, waits, spans, reviews = side_by_side(
        connection,
        [
            *(_tallies(of_lines, duty, kept) for duty in ("privileged", "sign_in", "admin")),
            asked.inquire(_of_verdicts, MAX_VERDICTS),
            asked.inquire(_of_waiting),
            asked.inquire(_of_span),
            asked.inquire(of_reviews),
        ],
    )
    took = [each for (each,) in verdicts if each is not None]
    [(waiting,)] = waits or [(None,)]
    [(entries, first, last)] = spans or [(0, 0, 0)]
    return Compliance(
        admin_actions=admin, admin_actions_cut=admin_cut, sign_ins=sign_ins, sign_ins_cut=sign_ins_cut,
        privileged=privileged, reviews=dict(reviews),
        median_to_verdict=median_low(took) if took else None, oldest_waiting_at=waiting or 0,
        entries=entries or 0, first_sequence=first or 0, last_sequence=last or 0,
    )  # fmt: skip


def _tallies(asked: Asked, duty: str, kept: Kept) -> Inquiry[tuple[tuple[Tally, ...], bool]]:
    """Count who did what and how it ended, most frequent first; addresses of those lines alone."""
    ranked = yield from _ranked(asked, duty, kept)
    seen = yield from _seen(asked, duty, ranked)
    lines = tuple(
        Tally(actor, action, outcome, count, *seen[actor, action, outcome])
        for actor, action, outcome, count, _ in ranked
    )
    return lines[:MAX_LINES], len(lines) > MAX_LINES


def _ranked(asked: Asked, duty: str, kept: Kept) -> Inquiry[list[Any]]:
    """Rank the lines of a duty by their entries, names deciding between equals: one more than are listed.

    Lines are added up and sorted by their numbers; only those that may be listed get their names. Entries that are not
    folded yet may have lines without a number: these are in no figures, so that each line is ranked once.
    """
    numbered = (yield from _ranked_of_likely(asked, duty, kept)) if _is_most(asked, kept) else None
    if numbered is None:
        numbered = yield from _ranked_by_sums(asked, duty, kept)
    found: list[Any] = [*numbered, *(yield asked.written(_of_new_lines, duty, _MOST))]
    return sorted(found, key=lambda row: (-row[3], *row[:3]))[:_MOST]


def _ranked_by_sums(asked: Asked, duty: str, kept: Kept) -> Inquiry[Sequence[Any]]:
    """Rank the lines of a range by adding up their figures: ``(*LINE, events, line)``.

    Most lines have few entries of all time. As these cannot be among the first of a range that has its share of all,
    PostgreSQL leaves them out at first; once the last that is listed is known, so is which lines could have been before
    it. SQLite takes longer to look for them than Python to add them up.
    """
    if asked.connection.dialect.name == "sqlite":
        counts = added_up((yield asked.written(_of_lines, duty)))
        counts.pop(None, None)
        return (yield from _named(asked, counts))
    least = yield from _likely_least(asked, duty, kept)
    while True:
        ranked = yield asked.written(_of_ranked_lines, duty, _MOST, least > 0, least=least)
        last = ranked[-1][3] if len(ranked) == _MOST else 0
        if last >= least:
            return ranked
        least = last


def _likely_least(asked: Asked, duty: str, kept: Kept) -> Inquiry[int]:
    """Guess how many entries the last line that is listed has; 0 where no line is worth leaving out, or can be.

    What was recorded before figures count is read from the entries, and no line's sum of all time tells of it.
    """
    first, last = kept
    if asked.since < asked.reach.valid_from or first >= last:
        return 0
    share = (min(asked.until, last) - max(asked.since, first)) / (last - first)
    found = yield asked.written(_of_place, duty, _MOST)
    guess = int(found[0][0] * min(1.0, share)) if found else 0
    return guess if guess >= WORTH_LEAVING_OUT else 0


def _of_place(_: Form, duty: str, place: int) -> Any:
    """Write the question of the entries of all time of the line with so many before it."""
    events = audit_lines.c.events
    return select(events).where(audit_lines.c.duty == duty).order_by(events.desc()).offset(place - 1).limit(1)


def _of_frequent(form: Form, duty: str) -> Any:
    """Write the question of lines with many entries of all time, and of those that entries beside the figures have."""
    lines = audit_lines.c
    many = select(lines.line).where(lines.duty == duty, lines.events >= form.least())
    return many.union_all(select(_line_of(duty)).where(*form.yet_to_fold(), DUTIES[duty]))


def _of_lines(form: Form, duty: str) -> Any:
    return form.lists(audit_line_figures, ("line", "events"), (_line_of(duty), _one), DUTIES[duty], of=("duty", duty))


def _of_ranked_lines(form: Form, duty: str, most: int, some: bool) -> Any:
    """Write the question for PostgreSQL.

    It is told how to go about it, as it knows nothing of rows that come from several places. Sorted, they are not added
    up in a table that grows and grows; doubles hold counts up to 2^53 and are added up sooner than whole numbers, which
    it makes NUMERIC; the few lines are looked up one by one.
    """
    made = (_line_of(duty), _one)
    rows = form.rows(audit_line_figures, ("line", "events"), made, DUTIES[duty], of=("duty", duty))
    counted = select(rows.c.line, rows.c.events)
    if some:
        counted = counted.where(rows.c.line.in_(_of_frequent(form, duty)))
    by_line = counted.order_by(rows.c.line).subquery().c
    events = cast(func.sum(cast(by_line.events, Double)), Count).label("events")
    sums = select(by_line.line, events).group_by(by_line.line).order_by(events.desc()).fetch(most, with_ties=True)
    first = sums.subquery()
    named = (
        select(*(audit_lines.c[name] for name in LINE)).where(audit_lines.c.line == first.c.line).offset(0).lateral()
    )
    names = [named.c[name] for name in LINE]
    query = select(*names, first.c.events, first.c.line).join_from(first, named, true())
    return query.order_by(first.c.events.desc(), *names).limit(most)


def _of_new_lines(form: Form, duty: str, most: int) -> Any:
    """Write the question of lines that have no number yet."""
    entries = form.entries([_c[name] for name in LINE], DUTIES[duty], _line_of(duty).is_(None)).c
    names, events = [entries[name] for name in LINE], func.count()
    return select(*names, events, null()).group_by(*names).order_by(events.desc(), *names).limit(most)


def _ranked_of_likely(asked: Asked, duty: str, kept: Kept) -> Inquiry[Sequence[Any] | None]:
    """Rank the lines with most entries of all time, when no other one can be among the first; None when one could.

    Over most of the time that is kept they are the first, and few of all. A line that is not among them has no more
    entries in any range than the last of them has of all time; those that entries beside the figures are of are added.
    """
    frequent = yield asked.written(_of_frequent_lines, duty, LIKELY + 1)
    top, rest = dict(frequent[:LIKELY]), frequent[LIKELY:]
    if asked.tenant is None and asked.since >= asked.reach.valid_from:
        ranked = yield from _less_what_is_outside(asked, duty, top, kept)
    else:
        met = {line for (line,) in (yield asked.written(_of_met_lines, duty)) if line is not None}
        likely = yield asked.written(_of_likely_lines, duty, only=[*met.union(top)])
        ranked = yield from _named(asked, {line: events for line, events in likely if line is not None})
    if not rest or (len(ranked) == _MOST and ranked[-1][3] > rest[0][1]):
        return ranked
    return None


def _of_frequent_lines(_: Form, duty: str, most: int) -> Any:
    """Write the question of the lines with most entries of all time."""
    lines = audit_lines.c
    return select(lines.line, lines.events).where(lines.duty == duty).order_by(lines.events.desc()).limit(most)


def _less_what_is_outside(asked: Asked, duty: str, events: dict[int, int], kept: Kept) -> Inquiry[Sequence[Any]]:
    """Rank lines by their entries of all time, less those outside of a range, which are fewer than those in it.

    Args:
        asked: about everybody, and about no time that figures do not tell of.
        duty: whose lines.
        events: line → its entries of all time that are in figures; of the lines with most.
        kept: the time that figures tell of.
    """
    met_since = yield asked.written(_of_unfolded_lines, duty)
    unfolded = {line: count for line, count in met_since if line is not None}
    if met := [line for line in unfolded if line not in events]:
        events |= {row[0]: row[4] for row in (yield asked.written(_of_names, only=met))}
    counts = Counter(events) + Counter(unfolded)
    # After a clean-up lines count from the hour on at which it ended, and the day that this is in is not kept.
    for since, until in ((asked.reach.valid_from or kept[0], asked.since), (asked.until, kept[1])):
        outside = yield asked.over(since, until).written(_of_outside, duty, only=[*events])
        counts.subtract({line: count for line, count in outside if line in events})
    return (yield from _named(asked, counts))


def _of_unfolded_lines(form: Form, duty: str) -> Any:
    line = _line_of(duty).label("line")
    return select(line, func.count()).where(*form.yet_to_fold(), DUTIES[duty]).group_by(line)


def _of_outside(form: Form, duty: str) -> Any:
    """Write the question of the entries of some lines that are in figures."""
    figures = audit_line_addresses
    parts: list[Any] = []
    for place, (level, _) in enumerate(form.parts):
        if level is None:
            entries = select(_line_of(duty).label("line"), _one.label("events"))
            parts.append(entries.where(*form.within(place), form.is_folded(), DUTIES[duty]))
        else:
            of_duty = (figures.c.duty == duty, form.among(figures.c.line))
            of_level = form.buckets(figures, place, named=False)
            parts.append(select(figures.c.line, figures.c.events).where(*of_level, *of_duty))
    rows = below(parts).c
    return select(rows.line, total(rows.events)).group_by(rows.line)


def _of_names(form: Form) -> Any:
    """Write the question of what some lines are: ``(line, *LINE, events)``."""
    lines = audit_lines.c
    return select(lines.line, *(lines[name] for name in LINE), lines.events).where(form.each(lines.line))


def _of_met_lines(form: Form, duty: str) -> Any:
    """Write the question of the lines of entries that no figures are read of."""
    met = form.entries((_line_of(duty).label("line"),), DUTIES[duty]).c
    return select(met.line).distinct()


def _of_likely_lines(form: Form, duty: str) -> Any:
    made = (_line_of(duty), _one)
    rows = form.rows(audit_line_addresses, ("line", "events"), made, DUTIES[duty], of=("duty", duty), only="line")
    return select(rows.c.line, total(rows.c.events)).group_by(rows.c.line)


def _kept(connection: Connection) -> Kept:
    """Tell the time that figures tell of."""
    day = select(audit_line_figures.c.bucket).where(audit_line_figures.c.level == Level.DAY.value).limit(1)
    first = connection.execute(day.order_by(audit_line_figures.c.bucket)).scalar()
    last = connection.execute(day.order_by(audit_line_figures.c.bucket.desc())).scalar()
    return (0, 0) if first is None or last is None else (first, last + Level.DAY.micros)


def _is_most(asked: Asked, kept: Kept) -> bool:
    """Tell whether a range is more than half of the time that figures tell of."""
    first, last = kept
    return 2 * (min(asked.until, last) - max(asked.since, first)) > last - first


def _named(asked: Asked, counts: Mapping[int, int]) -> Inquiry[Sequence[Any]]:
    """Rank lines by their entries and name the first: ``(*LINE, events, line)``; names decide between equals."""
    listed = nlargest(_MOST, (count for count in counts.values() if count > 0))
    if not listed:
        return ()
    first = [line for line, count in counts.items() if count >= listed[-1]]
    found = yield asked.written(_of_names, only=first)
    named = [(*row[1:4], counts[row[0]], row[0]) for row in found]
    return sorted(named, key=lambda row: (-row[3], *row[:3]))[:_MOST]


def _seen(asked: Asked, duty: str, ranked: Sequence[Any]) -> Inquiry[dict[tuple[str, str, str], tuple[int, int]]]:
    """Count the addresses of some lines, and tell their last entries."""
    numbered = {row[4]: (row[0], row[1], row[2]) for row in ranked if row[4] is not None}
    found: dict[tuple[str, str, str], tuple[int, int]] = {}
    if numbered:
        told = yield asked.written(_of_addresses, duty, only=list(numbered))
        found |= {numbered[line]: (addresses, last) for line, addresses, last in told}
    if len(numbered) < len(ranked):
        told = yield asked.written(_of_new_addresses, duty)
        found |= {(row[0], row[1], row[2]): (row[3], row[4]) for row in told}
    return found


def _of_addresses(form: Form, duty: str) -> Any:
    names, made = ("line", "ip", "last_at"), (_line_of(duty), _c.ip, _c.recorded_at)
    rows = form.rows(audit_line_addresses, names, made, DUTIES[duty], of=("duty", duty), only="line").c
    return select(rows.line, *_addresses(rows)).group_by(rows.line)


def _of_new_addresses(form: Form, duty: str) -> Any:
    columns = (*(_c[name] for name in LINE), _c.ip, _c.recorded_at.label("last_at"))
    rows = form.entries(columns, DUTIES[duty], _line_of(duty).is_(None)).c
    names = [rows[name] for name in LINE]
    return select(*names, *_addresses(rows)).group_by(*names)


def _line_of(duty: str) -> Any:
    """Find the number of an entry's line, None where it has none yet: a search each, not a join of all lines."""
    return select(audit_lines.c.line).where(*is_its_line(duty)[1:]).correlate(audit_logs).scalar_subquery()


def _addresses(rows: Any) -> tuple[Any, Any]:
    return func.count(func.nullif(rows.ip, "").distinct()), func.max(rows.last_at)


def _of_verdicts(form: Form, most: int) -> Any:
    """From the flag to the verdict: of the newest entries with one, by the index of verdicts alone.

    PostgreSQL tells the one in the middle itself, which is sooner done than sending all.
    """
    decided = (_c.review_state.not_in(_UNREVIEWED), _c.reviewed_at.is_not(None))
    took = select((_c.reviewed_at - _c.recorded_at).label("took")).where(*form.reviewed(), *decided)
    took = took.order_by(unordered(_c.id).desc()).limit(most)
    if form.dialect == "sqlite":
        return took
    return select(func.percentile_disc(0.5).within_group(took.subquery().c.took))


def _of_waiting(form: Form) -> Any:
    """When the oldest entry was recorded that waits for a verdict."""
    waiting = (_c.review_state.is_not(None), _c.review_state.in_(_UNREVIEWED))
    return select(func.min(_c.recorded_at)).where(*form.tenant(_c.tenant_id), *waiting)


def _of_span(form: Form) -> Any:
    """Count entries, and tell the first and the last place."""
    rows = form.rows(audit_span_figures, ("events", "first_seq", "last_seq"), (_one, _c.seq, _c.seq)).c
    return select(total(rows.events), func.min(rows.first_seq), func.max(rows.last_seq))
