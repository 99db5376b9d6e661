"""Figures of the trail: folded from its entries in their order, and which of them a question about a time reads.

The leader adds every entry to a bucket of each level, in the order of ``seq``, which has no gap and which entries
become visible in; how far it came stands in ``audit_folds`` and moves in the same transaction. A question reads the
widest buckets that lie whole in its range, the entries at both ends of the range, and those that are not folded yet: it
gets what counting all entries would give (ADR 0009).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Table,
    case,
    cast,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from custodes.kernel.clock import HOUR, MINUTE
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.audit.model import Outcome
from custodes.storage.sql.bulk import insert_ignoring
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.audit_figures import (
    audit_actor_figures,
    audit_failure_figures,
    audit_folds,
    audit_group_figures,
    audit_origin_figures,
    audit_risk_figures,
    audit_rule_figures,
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

failed: ColumnElement[int] = case((_c.outcome != Outcome.SUCCESS.value, 1), else_=0)
new_address: ColumnElement[int] = case((_c.risk_reasons.like('%"rule":"new_address"%'), 1), else_=0)

_SUM, _LOWEST, _HIGHEST = "sum", "lowest", "highest"


@dataclass(frozen=True, slots=True)
class _Fold:
    """How entries become rows of one table."""

    table: Table
    #: Column → what it is made of, and how two of the same key become one.
    figures: Mapping[str, tuple[Any, str]]
    levels: tuple[Level, ...] = LEVELS
    where: tuple[Any, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns of the key that are columns of an entry, too."""
        return tuple(column.name for column in self.table.primary_key if column.name not in ("level", "bucket"))

    def add(self, connection: Connection, level: Level, entries: Sequence[Any]) -> None:
        """Add entries to the buckets of a level."""
        bucket: Any = _c.recorded_at - _c.recorded_at % literal_column(str(level.micros))
        keys = [_c[name] for name in self.keys]
        which = literal_column(str(level.value), Integer)
        rows = (
            select(which, bucket, *keys, *(made for made, _ in self.figures.values()))
            .where(*entries, *self.where)
            .group_by(bucket, *keys)
        )
        insert = _insert(connection, self.table)
        adding = insert.from_select(["level", "bucket", *self.keys, *self.figures], rows)
        merged = {
            name: _merged(self.table.c[name], adding.excluded[name], how) for name, (_, how) in self.figures.items()
        }
        connection.execute(
            adding.on_conflict_do_update(index_elements=list(self.table.primary_key.columns), set_=merged)
        )


def _insert(connection: Connection, table: Table) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def _merged(kept: Any, added: Any, how: str) -> Any:
    if how == _SUM:
        return kept + added
    return case((added < kept if how == _LOWEST else added > kept, added), else_=kept)


_events = (func.count(), _SUM)

_FOLDS = (
    _Fold(audit_group_figures, {"events": _events}),
    _Fold(
        audit_risk_figures,
        {
            "events": _events,
            "risk": (func.sum(_c.risk_score), _SUM),
            "max_risk": (func.max(_c.risk_score), _HIGHEST),
            "flagged": (func.sum(cast(_c.flagged, Integer)), _SUM),
        },
        RISK_LEVELS,
    ),
    _Fold(
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
    _Fold(audit_origin_figures, {"events": _events}),
    _Fold(audit_failure_figures, {"failures": _events}, where=(_c.ip != "", _c.outcome != Outcome.SUCCESS.value)),
)

#: Every table of figures, with its levels.
_TABLES = (*((each.table, each.levels) for each in _FOLDS), (audit_rule_figures, LEVELS))


# ── Writing ──────────────────────────────────────────────────────────────────


def fold(connection: Connection, limit: int) -> int:
    """Add the next entries of the trail to the figures, at most ``limit``; returns how many."""
    done, valid_from = _locked(connection)
    last = connection.execute(select(func.max(_c.seq)).where(_c.seq > done, _c.seq <= done + limit)).scalar()
    if last is None:  # none, or a gap that retention left
        last = connection.execute(select(func.min(_c.seq)).where(_c.seq > done)).scalar()
        if last is None:
            return 0
        last = min(last + limit - 1, connection.execute(select(func.max(_c.seq))).scalar_one())
    entries = [_c.seq > done, _c.seq <= last, _c.recorded_at >= valid_from]
    for each in _FOLDS:
        for level in each.levels:
            each.add(connection, level, entries)
    _add_rules(connection, entries)
    connection.execute(update(audit_folds).values(seq=last))
    return last - done


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


def hold(connection: Connection) -> None:
    """Keep the figures as they are until the commit: taken by who deletes entries, before it does."""
    _locked(connection)


def forget(connection: Connection, moment: int) -> None:
    """Drop the figures of the hour of a moment and of all that was before: entries up to it are deleted.

    What is left of that time is few entries that wait for a review; they are counted where they are.
    """
    valid_from = moment - moment % HOUR + HOUR
    later = update(audit_folds).where(audit_folds.c.valid_from < valid_from).values(valid_from=valid_from)
    if connection.execute(later).rowcount:
        for table, levels in _TABLES:
            for level in levels:
                connection.execute(delete(table).where(table.c.level == level.value, table.c.bucket < valid_from))


def _locked(connection: Connection) -> tuple[int, int]:
    """How far the trail is folded and from when on figures count; nobody else changes it until the commit."""
    connection.execute(insert_ignoring(connection, audit_folds).values(tenant_id=DEFAULT_TENANT, seq=0, valid_from=0))
    done, valid_from = connection.execute(select(audit_folds.c.seq, audit_folds.c.valid_from).with_for_update()).one()
    return done, valid_from


# ── Reading ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time, and where it is read: in the buckets of a level, or (None) in the entries themselves."""

    level: Level | None
    since: int
    until: int

    @property
    def buckets(self) -> range:
        """Begins of its buckets; none in the entries."""
        return range(self.since, self.until, self.level.micros) if self.level else range(0)


def cover(since: int, until: int, levels: Sequence[Level]) -> list[Stretch]:
    """Cut a range into the widest whole buckets and what is left at its ends, in order of time."""
    if since >= until:
        return []
    if not levels:
        return [Stretch(None, since, until)]
    *finer, level = levels
    begin, end = -(-since // level.micros) * level.micros, until - until % level.micros
    if begin >= end:
        return cover(since, until, finer)
    return [*cover(since, begin, finer), Stretch(level, begin, end), *cover(end, until, finer)]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far figures reach."""

    #: The last place in the trail that is in them.
    seq: int
    #: Figures of earlier moments do not count.
    valid_from: int

    @classmethod
    def of(cls, connection: Connection) -> Reach:
        """Read it."""
        row = connection.execute(select(audit_folds.c.seq, audit_folds.c.valid_from)).first()
        return cls(row.seq, row.valid_from) if row else cls(0, 0)

    def cover(self, since: int, until: int, levels: Sequence[Level]) -> list[Stretch]:
        """Cut a range as :func:`cover`; all of it is read in the entries where nothing is folded."""
        if self.seq == 0:
            return cover(since, until, ())
        border = min(max(since, self.valid_from), until)
        return cover(since, border, ()) + cover(border, until, levels)
