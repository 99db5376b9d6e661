"""Figures of the trail: folded from its entries in their order, and forgotten with them.

The leader adds every entry to a bucket of each level, in the order of ``seq``, which has no gap and which entries
become visible in; how far it came stands in a row beside (``audit_folds`` and its like, one for each set of figures)
and moves in the same transaction. How they are read is in :mod:`custodes.storage.sql.audit_reading` (ADR 0009).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    String,
    Table,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.audit.catalogue import ACTIONS
from custodes.planes.audit.model import Kind, Outcome
from custodes.storage.sql.audit_filters import unordered
from custodes.storage.sql.bulk import insert_ignoring
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.audit_figures import (
    audit_actor_figures,
    audit_duty_figures,
    audit_failure_figures,
    audit_folds,
    audit_group_figures,
    audit_habit_figures,
    audit_habit_folds,
    audit_line_addresses,
    audit_line_figures,
    audit_line_folds,
    audit_lines,
    audit_origin_figures,
    audit_risk_figures,
    audit_rule_figures,
    audit_span_figures,
)

_c = audit_logs.c


class Level(IntEnum):
    """Length of a stretch of time, minutes. Each is at most 24 times the one before, as the ends of a range cost."""

    QUARTER = 15
    HOUR = 60
    DAY = 24 * 60
    TEN_DAYS = 10 * 24 * 60

    @property
    def micros(self) -> int:
        """Length, microseconds."""
        return self.value * MINUTE


#: Levels of most figures; the narrowest first.
LEVELS = (Level.HOUR, Level.DAY, Level.TEN_DAYS)

#: Levels of the risk over time: those that a point of the trend is a multiple of.
RISK_LEVELS = (Level.QUARTER, Level.HOUR, Level.DAY)

#: Levels of habits: the entries of one actor at the ends of a range are found by an index.
HABIT_LEVELS = (Level.DAY, Level.TEN_DAYS)

failed: ColumnElement[int] = case((_c.outcome != Outcome.SUCCESS.value, 1), else_=0)
new_address: ColumnElement[int] = case((_c.risk_reasons.like('%"rule":"new_address"%'), 1), else_=0)
impersonated: ColumnElement[int] = case((_c.people.like('%"impersonator":%'), 1), else_=0)

_SUM, _LOWEST, _HIGHEST = "sum", "lowest", "highest"


@dataclass(frozen=True, slots=True)
class Fold:
    """How entries become rows of one table."""

    table: Table
    #: Column → what it is made of, and how two of the same key become one.
    figures: Mapping[str, tuple[Any, str]]
    levels: tuple[Level, ...] = LEVELS
    where: tuple[Any, ...] = ()
    #: Columns of the key that are no columns of an entry → what they are made of, or what they always are. Columns of
    #: another table are joined by :attr:`where`.
    made: Mapping[str, Any] = field(default_factory=dict[str, Any])
    always: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def keys(self) -> dict[str, Any]:
        """Columns of the key besides the bucket → what they are made of."""
        names = [column.name for column in self.table.primary_key if column.name not in ("level", "bucket")]
        return {name: self.made.get(name, _c.get(name)) for name in names if name not in self.always}

    def add(self, connection: Connection, level: Level, entries: Sequence[Any]) -> None:
        """Add entries to the buckets of a level."""
        bucket: Any = _c.recorded_at - _c.recorded_at % literal_column(str(level.micros))
        keys = self.keys
        which = literal_column(str(level.value), Integer)
        fixed = [literal_column(f"'{value}'", String) for value in self.always.values()]
        rows = (
            select(which, bucket, *keys.values(), *fixed, *(made for made, _ in self.figures.values()))
            .where(*entries, *self.where)
            .group_by(bucket, *keys.values())
        )
        insert = _insert(connection, self.table)
        adding = insert.from_select(["level", "bucket", *keys, *self.always, *self.figures], rows)
        merged = {
            name: _merged(self.table.c[name], adding.excluded[name], how) for name, (_, how) in self.figures.items()
        }
        connection.execute(
            adding.on_conflict_do_update(index_elements=list(self.table.primary_key.columns), set_=merged)
        )


@dataclass(frozen=True, slots=True)
class FigureSet:
    """Figures that are folded together."""

    #: The table of one row that says how far.
    marks: Table
    #: What is folded.
    folds: tuple[Fold, ...]
    #: What else is done, first, with the entries of a slice, by their conditions.
    also: Callable[[Connection, Sequence[Any]], None] = lambda _connection, _entries: None
    #: Tables that :attr:`also` fills, or versions before did, all of :data:`LEVELS`.
    others: tuple[Table, ...] = ()
    #: What else is done, first, when the figures from before a moment are dropped.
    also_forget: Callable[[Connection, int], None] = lambda _connection, _before: None

    def fold(self, connection: Connection, limit: int) -> int:
        """Add the next entries of the trail, at most ``limit``; returns how many."""
        done, valid_from = self.locked(connection)
        last = connection.execute(select(func.max(_c.seq)).where(_c.seq > done, _c.seq <= done + limit)).scalar()
        if last is None:  # none, or a gap that retention left
            last = connection.execute(select(func.min(_c.seq)).where(_c.seq > done)).scalar()
            if last is None:
                return 0
            last = min(last + limit - 1, connection.execute(select(func.max(_c.seq))).scalar_one())
        entries = [_c.seq > done, _c.seq <= last, _c.recorded_at >= valid_from]
        self.also(connection, entries)
        for each in self.folds:
            for level in each.levels:
                each.add(connection, level, entries)
        connection.execute(update(self.marks).values(seq=last))
        return last - done

    def forget(self, connection: Connection, moment: int) -> None:
        """Drop the figures of the hour of a moment and of all that was before: entries up to it are deleted.

        What is left of that time is few entries that wait for a review; they are counted where they are.
        """
        marks, valid_from = self.marks, moment - moment % HOUR + HOUR
        later = update(marks).where(marks.c.valid_from < valid_from).values(valid_from=valid_from)
        if connection.execute(later).rowcount:
            self.also_forget(connection, valid_from)
            tables = [*((each.table, each.levels) for each in self.folds), *((one, LEVELS) for one in self.others)]
            for table, levels in tables:
                for level in levels:
                    connection.execute(delete(table).where(table.c.level == level.value, table.c.bucket < valid_from))

    def locked(self, connection: Connection) -> tuple[int, int]:
        """How far the trail is folded and from when on figures count; nobody else changes it until the commit."""
        marks = self.marks
        connection.execute(insert_ignoring(connection, marks).values(tenant_id=DEFAULT_TENANT, seq=0, valid_from=0))
        done, valid_from = connection.execute(select(marks.c.seq, marks.c.valid_from).with_for_update()).one()
        return done, valid_from


def _insert(connection: Connection, table: Table) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def _merged(kept: Any, added: Any, how: str) -> Any:
    if how == _SUM:
        return kept + added
    return case((added < kept if how == _LOWEST else added > kept, added), else_=kept)


_events = (func.count(), _SUM)


def _add_rules(connection: Connection, entries: Sequence[Any]) -> None:
    """Add entries with a review; an entry gets one when it is added, or never."""
    counts: Counter[tuple[int, int, str, str]] = Counter()
    query = select(_c.recorded_at, _c.tenant_id, _c.risk_reasons).where(*entries, _c.review_state.is_not(None))
    for at, tenant, reasons in connection.execute(query):
        for rule in rules_of(reasons):
            counts.update((level.value, at - at % level.micros, tenant, rule) for level in LEVELS)
    if not counts:
        return
    adding = _insert(connection, audit_rule_figures)
    entries_of = audit_rule_figures.c.entries + adding.excluded.entries
    names = [column.name for column in audit_rule_figures.columns]
    connection.execute(
        adding.on_conflict_do_update(
            index_elements=list(audit_rule_figures.primary_key.columns), set_={"entries": entries_of}
        ),
        [dict(zip(names, (*key, count), strict=True)) for key, count in counts.items()],
    )


def rules_of(reasons: str) -> list[str]:
    """Name the rules of an entry's reasons."""
    return [reason["rule"] for reason in json.loads(reasons)]


_TRAIL = (
    Fold(audit_group_figures, {"events": _events}),
    Fold(
        audit_risk_figures,
        {
            "events": _events,
            "risk": (func.sum(_c.risk_score), _SUM),
            "max_risk": (func.max(_c.risk_score), _HIGHEST),
            "flagged": (func.sum(cast(_c.flagged, Integer)), _SUM),
        },
        RISK_LEVELS,
    ),
    Fold(
        audit_actor_figures,
        {
            "events": _events,
            "failures": (func.sum(failed), _SUM),
            "max_risk": (func.max(_c.risk_score), _HIGHEST),
            "new_addresses": (func.sum(new_address), _SUM),
            "first_at": (func.min(_c.recorded_at), _LOWEST),
            "last_at": (func.max(_c.recorded_at), _HIGHEST),
        },
    ),
    Fold(audit_origin_figures, {"events": _events}),
    Fold(audit_failure_figures, {"failures": _events}, where=(_c.ip != "", _c.outcome != Outcome.SUCCESS.value)),
)


#: Length of a stretch of the day that entries are counted in, microseconds: no zone is off by less.
QUARTER = 15 * MINUTE


def _habit(name: str, *, value: Any = None, category: Any = None, where: tuple[Any, ...] = ()) -> Fold:
    """Count what an actor did in some way; without a value, all of it."""
    made = {"value": value, "category": category}
    return Fold(
        audit_habit_figures,
        {
            "events": _events,
            "failures": (func.sum(failed), _SUM),
            "flagged": (func.sum(cast(_c.flagged, Integer)), _SUM),
            "impersonated": (func.sum(impersonated), _SUM),
            "risk": (func.sum(_c.risk_score), _SUM),
            "max_risk": (func.max(_c.risk_score), _HIGHEST),
            "first_at": (func.min(_c.recorded_at), _LOWEST),
            "last_at": (func.max(_c.recorded_at), _HIGHEST),
        },
        HABIT_LEVELS,
        where,
        made={column: of_entry for column, of_entry in made.items() if of_entry is not None},
        always={"habit": name, **{column: "" for column, of_entry in made.items() if of_entry is None}},
    )


_quarter: Any = _c.recorded_at % literal_column(str(DAY), Integer) // literal_column(str(QUARTER), Integer)

_HABITS = (
    _habit("all"),
    _habit("address", value=_c.ip, where=(_c.ip != "",)),
    _habit("device", value=_c.user_agent, where=(_c.user_agent != "",)),
    _habit("action", value=_c.action, category=_c.category),
    _habit("time", value=cast(_quarter, String)),
)

#: What a compliance report lists → which entries.
DUTIES: Mapping[str, Any] = {
    "admin": _c.kind == Kind.ADMIN.value,
    "sign_in": _c.action.in_(sorted(name for name, action in ACTIONS.items() if action.sign_in)),
    "privileged": _c.action.in_(sorted(name for name, action in ACTIONS.items() if action.privileged)),
}

_span = Fold(
    audit_span_figures,
    {"events": _events, "first_seq": (func.min(_c.seq), _LOWEST), "last_seq": (func.max(_c.seq), _HIGHEST)},
)

_lines = audit_lines.c

#: What tells the line of an entry, within a duty.
LINE = ("actor", "action", "outcome")


def is_its_line(duty: str) -> tuple[Any, ...]:
    """Join entries of a duty to their lines, from the entries: lines are many, entries beside figures few."""
    return (DUTIES[duty], *(unordered(_c[name]) == _lines[name] for name in LINE), unordered(_lines.duty) == duty)


def _number_lines(connection: Connection, entries: Sequence[Any]) -> None:
    """Count entries in their lines, and number new ones; nobody else does meanwhile, by the lock on the mark.

    New lines take the first numbers: those of known ones, which come to nothing, leave no gap.
    """
    names = [_c[name] for name in LINE]
    for duty, where in DUTIES.items():
        counted = select(*names, func.count().label("events"), func.max(_c.recorded_at).label("last_at"))
        met = counted.where(*entries, where).group_by(*names).subquery()
        known = exists().where(*(_lines[name] == met.c[name] for name in LINE), _lines.duty == duty)
        highest = select(func.coalesce(func.max(_lines.line), 0)).scalar_subquery()
        place = func.row_number().over(order_by=[case((known, 1), else_=0), *(met.c[name] for name in LINE)])
        rows = select(literal(DEFAULT_TENANT), literal(duty), highest + place, *met.c).where(true())
        adding = _insert(connection, audit_lines).from_select(
            ["tenant_id", "duty", "line", *LINE, "events", "last_at"], rows
        )
        merged = {
            name: _merged(_lines[name], adding.excluded[name], how)
            for name, how in (("events", _SUM), ("last_at", _HIGHEST))
        }
        key = [*(_lines[name] for name in LINE), _lines.duty]
        connection.execute(adding.on_conflict_do_update(index_elements=key, set_=merged))


def _forget_lines(connection: Connection, before: int) -> None:
    """Count out of their lines what figures of hours tell of the time before, and drop lines of that time alone."""
    hours = audit_line_figures.c
    gone = (
        select(hours.line, func.sum(hours.events).label("events"))
        .where(hours.level == Level.HOUR.value, hours.bucket < before)
        .group_by(hours.line)
        .subquery()
    )
    connection.execute(
        update(audit_lines).where(_lines.line == gone.c.line).values(events=_lines.events - gone.c.events)
    )
    connection.execute(delete(audit_lines).where(_lines.last_at < before))


def _of_lines(table: Table, figures: Mapping[str, tuple[Any, str]]) -> tuple[Fold, ...]:
    """Count the entries of each duty by their lines."""
    return tuple(
        Fold(table, figures, where=is_its_line(duty), made={"line": _lines.line}, always={"duty": duty})
        for duty in DUTIES
    )


_LINES = (
    *_of_lines(audit_line_figures, {"events": _events}),
    *_of_lines(audit_line_addresses, {"events": _events, "last_at": (func.max(_c.recorded_at), _HIGHEST)}),
)

_SETS = (
    FigureSet(audit_folds, _TRAIL, _add_rules, (audit_rule_figures,)),
    FigureSet(audit_habit_folds, (*_HABITS, _span), others=(audit_duty_figures,)),
    FigureSet(audit_line_folds, _LINES, _number_lines, also_forget=_forget_lines),
)


def fold(connection: Connection, limit: int) -> int:
    """Add the next entries of the trail to the figures, at most ``limit``; returns how many of them at most."""
    return max(each.fold(connection, limit) for each in _SETS)


def hold(connection: Connection) -> None:
    """Keep the figures as they are until the commit: taken by who deletes entries, before it does."""
    for each in _SETS:
        each.locked(connection)


def forget(connection: Connection, moment: int) -> None:
    """Drop the figures of the hour of a moment and of all that was before: entries up to it are deleted."""
    for each in _SETS:
        each.forget(connection, moment)
