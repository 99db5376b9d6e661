"""Which figures and which entries of the trail a question about a stretch of time reads.

The widest buckets that lie whole in its range, the entries at both ends of it, and those that are not folded yet: it
gets what counting all entries would give (ADR 0009). The text of a question is made once for each form of a range, as
making it takes as long as the answer; its values are bound when it is asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import nsmallest
from typing import Any

from sqlalchemy import Connection, Subquery, Table, any_, bindparam, cast, exists, func, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from custodes.storage.sql.audit_figures import LEVELS, Level
from custodes.storage.sql.audit_filters import floor_id, unordered
from custodes.storage.sql.pipelined import Inquiry, Statement, written
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.audit_figures import audit_folds
from custodes.storage.sql.types import Count, Micros

#: Buckets that are named one by one, so that a key's next columns are searched in each.
MAX_NAMED = 400

#: Texts that are remembered: a dozen questions, in as many forms as the ends of ranges commonly have.
MAX_TEXTS = 1_024

_c = audit_logs.c


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
    def of(cls, connection: Connection, marks: Table = audit_folds) -> Reach:
        """Read it, of one set of figures."""
        row = connection.execute(select(marks.c.seq, marks.c.valid_from)).first()
        return cls(row.seq, row.valid_from) if row else cls(0, 0)

    def cover(self, since: int, until: int, levels: Sequence[Level]) -> list[Stretch]:
        """Cut a range as :func:`cover`; all of it is read in the entries where nothing is folded."""
        if self.seq == 0:
            return cover(since, until, ())
        border = min(max(since, self.valid_from), until)
        return cover(since, border, ()) + cover(border, until, levels)


def open_end(connection: Connection, until: int) -> int:
    """Put off the end of a range to where the widest bucket ends, when nothing was recorded from there on.

    Most ranges end now: what is under way is then read from the widest buckets as well, which hold no more than it.
    """
    later = select(exists().where(_c.id >= bindparam("moment", floor_id(until), _c.id.type)))
    return until if connection.execute(later).scalar() else until + -until % LEVELS[-1].micros


@dataclass(frozen=True, slots=True)
class Form:
    """What the text of a question depends on besides the question: all but its values."""

    dialect: str
    #: Whether it is about one tenant.
    of_tenant: bool
    #: How its range is covered: of each stretch the level, and whether its buckets are few enough to be named.
    parts: tuple[tuple[Level | None, bool], ...]

    def rows(
        self,
        table: Table,
        names: Sequence[str],
        made: Sequence[Any],
        *where: Any,
        only: str = "",
        of: tuple[str, str] | None = None,
    ) -> Subquery:
        """Put figures and entries below each other.

        Args: as for :meth:`selects`.
        """
        return below(self.selects(table, names, made, *where, only=only, of=of))

    def most(self, table: Table, names: Sequence[str], made: Sequence[Any], *where: Any, top: int) -> Any:
        """Write the question of the names with the highest sums, names deciding between equals (:meth:`Asked.most`).

        Args: as for :meth:`selects`; ``names`` are two columns, a name and a number.
        """
        if self.dialect == "sqlite":
            return self.lists(table, names, made, *where)
        name, number = self.rows(table, names, made, *where).c
        events = total(number)
        return select(name, events).group_by(name).order_by(events.desc(), name).limit(top)

    def lists(
        self, table: Table, names: Sequence[str], made: Sequence[Any], *where: Any, of: tuple[str, str] | None = None
    ) -> Any:
        """Write the question of names and numbers as lists, for SQLite, which sorts all rows to group them.

        Args: as for :meth:`selects`.
        """
        parts = [part.subquery().c for part in self.selects(table, names, made, *where, of=of)]
        return union_all(*(select(*(func.json_group_array(part[name]) for name in names)) for part in parts))

    def selects(
        self,
        table: Table,
        names: Sequence[str],
        made: Sequence[Any],
        *where: Any,
        only: str = "",
        of: tuple[str, str] | None = None,
    ) -> list[Any]:
        """Write what is read: figures of each stretch, and the entries beside them.

        Args:
            table: the figures.
            names: their columns.
            made: what stands in these columns for one entry.
            where: which entries have figures there.
            only: one of these columns, of which the values asked with are meant alone.
            of: column of the figures alone, and the value that is meant.
        """
        searched = bool(only or of) and _begins_with_time(table)
        entry = select(*(column.label(name) for name, column in zip(names, made, strict=True))).where(*where)
        if only:
            entry = entry.where(self.among(made[names.index(only)]))
        parts = self._entries(entry)
        for place, (level, named) in enumerate(self.parts):
            if level is None:
                continue
            figures = select(*(table.c[name] for name in names))
            figures = figures.where(*self.buckets(table, place, named=searched and named))
            if only:
                figures = figures.where(self.among(table.c[only]))
            if of:
                figures = figures.where(table.c[of[0]] == of[1])
            parts.append(figures.where(*self.tenant(table.c.tenant_id)))
        return parts

    def entries(self, columns: Sequence[Any], *where: Any) -> Subquery:
        """Put the entries below each other that no figures are read of, at the ends and not folded yet."""
        return below(self._entries(select(*columns).where(*where)))

    def _entries(self, entry: Any) -> list[Any]:
        parts = [
            entry.where(*self.within(place), *self.tenant(_c.tenant_id))
            for place, (level, _) in enumerate(self.parts)
            if level is None
        ]
        return [*parts, entry.where(*self.unfolded())] if self.has_figures else parts

    @property
    def has_figures(self) -> bool:
        """Whether any figures are read."""
        return any(level for level, _ in self.parts)

    def unfolded(self) -> list[Any]:
        """Conditions of the entries that the buckets do not tell of yet.

        By place alone, a short range: what is compared with a moment or a tenant here is in no index, on purpose.
        """
        moments = _c.recorded_at >= _micros("whole_since"), _c.recorded_at < _micros("whole_until")
        return [_c.seq > _bound("seq", Count), *moments, *self.tenant(unordered(_c.tenant_id))]

    def yet_to_fold(self) -> list[Any]:
        """Conditions of the entries of the range that are in no figures yet: as :meth:`unfolded`, to its very ends."""
        moments = _c.recorded_at >= _micros("since"), _c.recorded_at < _micros("until")
        return [_c.seq > _bound("seq", Count), *moments, *self.tenant(unordered(_c.tenant_id))]

    def is_folded(self) -> Any:
        """Condition of being in the figures."""
        return _c.seq <= _bound("seq", Count)

    def within(self, place: int) -> list[Any]:
        """Conditions of the entries of a stretch."""
        return [_c.id >= _bound(f"from{place}", _c.id.type), _c.id < _bound(f"to{place}", _c.id.type)]

    def reviewed(self) -> list[Any]:
        """Conditions of the entries of the range: by the short index of reviews, not by that of all entries.

        PostgreSQL knows how short it is, and looks up no entry of another time when these are conditions on the index.
        """
        moment, id_type = _c.id if self.dialect == "postgresql" else unordered(_c.id), _c.id.type
        first, end = _bound("first_id", id_type), _bound("end_id", id_type)
        return [moment >= first, moment < end, *self.tenant(_c.tenant_id)]

    def buckets(self, table: Table, place: int, *, named: bool) -> list[Any]:
        """Conditions of the buckets of a stretch; ``named``: each, so that a key's next columns are searched in it."""
        level, bucket = self.parts[place][0], table.c.bucket
        assert level is not None
        of_level = table.c.level == level.value
        if named:
            return [of_level, self._is_one_of(bucket, f"buckets{place}")]
        return [of_level, bucket >= _micros(f"since{place}"), bucket < _micros(f"until{place}")]

    def least(self) -> Any:
        """The number asked with."""
        return _bound("least", Count)

    def among(self, column: Any) -> Any:
        """Condition of being one of the values asked with."""
        return self._is_one_of(column, "only")

    def each(self, column: Any) -> Any:
        """Condition of being one of the values asked with, each looked up in an index of the column.

        PostgreSQL would rather read a whole table than look up hundreds that it is told of: it sees them when it looks.
        """
        if self.dialect != "postgresql":
            return self.among(column)
        kind = ARRAY(column.type)
        return column == any_(func.array(select(func.unnest(_bound("only", kind))).scalar_subquery(), type_=kind))

    def _is_one_of(self, column: Any, name: str) -> Any:
        """Compare with a list: as one parameter, which is written and planned far quicker than hundreds."""
        if self.dialect == "postgresql":
            return column == any_(_bound(name, ARRAY(column.type)))
        return column.in_(select(func.json_each(bindparam(name, None)).table_valued("value").c.value))

    def tenant(self, column: Any) -> list[Any]:
        """Conditions on the tenant."""
        return [column == _bound("tenant", _c.tenant_id.type)] if self.of_tenant else []


#: Writes a question in a form, None where nothing can be found; what else it is made of is hashable.
Question = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: whose entries of which time, and how far figures tell of them."""

    connection: Connection
    tenant: str | None
    since: int
    #: Where nothing was recorded later, the end of the widest bucket.
    until: int
    reach: Reach

    @classmethod
    def of(
        cls, connection: Connection, tenant: str | None, since: int, until: int, marks: Table = audit_folds
    ) -> Asked:
        """Ask a set of figures."""
        since, until = max(0, since), max(0, until)
        return cls(connection, tenant, since, open_end(connection, until), Reach.of(connection, marks))

    def over(self, since: int, until: int) -> Asked:
        """Ask the same of another time."""
        return replace(self, since=since, until=until)

    def ask(
        self, question: Question, *made_of: Any, levels: Sequence[Level] = LEVELS, only: Sequence[Any] = ()
    ) -> Sequence[Any]:
        """Ask a question.

        Args: as for :meth:`written`.
        """
        text, values = self.written(question, *made_of, levels=levels, only=only)
        return self.connection.exec_driver_sql(text, values).all() if text else ()

    def inquire(self, question: Question, *made_of: Any) -> Inquiry[Sequence[Any]]:
        """Ask a question among others (:func:`custodes.storage.sql.pipelined.side_by_side`)."""
        return (yield self.written(question, *made_of))

    def written(
        self,
        question: Question,
        *made_of: Any,
        levels: Sequence[Level] = LEVELS,
        only: Sequence[Any] = (),
        least: int = 0,
    ) -> Statement:
        """Write a question; its text is empty where nothing can be found.

        Args:
            question: writes it, given the form and ``made_of``.
            made_of: what else its text depends on.
            levels: levels of the figures.
            only: the values that :meth:`Form.among` means.
            least: the number that :meth:`Form.least` means.
        """
        dialect = self.connection.dialect.name
        listed = _as_array if dialect == "postgresql" else _as_json
        stretches = self.reach.cover(self.since, self.until, levels)
        whole = [each for each in stretches if each.level is not None]
        values: dict[str, Any] = {
            "tenant": self.tenant,
            "seq": self.reach.seq,
            "only": listed(only),
            "least": least,
            "since": self.since,
            "until": self.until,
            "first_id": floor_id(self.since),
            "end_id": floor_id(self.until),
        }
        if whole:
            values |= {"whole_since": whole[0].since, "whole_until": whole[-1].until}
        for place, each in enumerate(stretches):
            if each.level is None:
                values |= {f"from{place}": floor_id(each.since), f"to{place}": floor_id(each.until)}
            else:
                values |= {f"since{place}": each.since, f"until{place}": each.until}
                values[f"buckets{place}"] = listed(each.buckets[:MAX_NAMED])
        parts = tuple((each.level, len(each.buckets) <= MAX_NAMED) for each in stretches)
        text, constants = _text(question, made_of, Form(dialect, self.tenant is not None, parts)) if parts else ("", {})
        return text, constants | values

    def most(self, question: Question, top: int) -> Sequence[Any]:
        """Tell the names with the highest sums, and these (:meth:`Form.most`)."""
        if self.connection.dialect.name != "sqlite":
            return self.ask(question, top)
        ranked = nsmallest(top, ((-number, name) for name, number in added_up(self.ask(question, top)).items()))
        return [(name, -less) for less, name in ranked]


def added_up(rows: Sequence[Any]) -> dict[Any, int]:
    """Add up names and numbers that come as lists (:meth:`Form.lists`)."""
    found: dict[Any, int] = {}
    for names, numbers in rows:
        for name, number in zip(json.loads(names), json.loads(numbers), strict=True):
            found[name] = found.get(name, 0) + number
    return found


@lru_cache(MAX_TEXTS)
def _text(question: Question, made_of: tuple[Any, ...], form: Form) -> tuple[str, dict[str, Any]]:
    """Write a question as its driver wants it, and the values that are its own; empty where nothing can be found."""
    query = question(form, *made_of)
    if query is None:
        return "", {}
    return written(query, form.dialect)


def _bound(name: str, kind: Any) -> Any:
    """Name a value that is bound when a question is asked."""
    return bindparam(name, None, kind)


def _micros(name: str) -> Any:
    return _bound(name, Micros)


def _as_array(values: Sequence[Any]) -> Any:
    """Write numbers as PostgreSQL writes an array: the driver takes ten times as long, as it quotes each."""
    if values and isinstance(values[0], int):
        return f"{{{','.join(map(str, values))}}}"
    return list(values)


def _as_json(values: Sequence[Any]) -> str:
    return json.dumps([*values])


def total(column: Any) -> Any:
    """Add up whole numbers: PostgreSQL would add up 64 bits to NUMERIC, which it sorts more slowly."""
    return cast(func.sum(column), Count)


def below(parts: Sequence[Any]) -> Subquery:
    """Put the rows of several queries below each other."""
    return (union_all(*parts) if len(parts) > 1 else parts[0]).subquery()


def _begins_with_time(table: Table) -> bool:
    """Tell whether what a few values are asked of stands behind the time in the key of some figures."""
    return [column.name for column in table.primary_key][1] == "bucket"


def within(since: int, until: int) -> list[Any]:
    """Conditions of the entries of a stretch of time."""
    return [_c.id >= floor_id(since), _c.id < floor_id(until)]


def buckets_of(table: Table, stretch: Stretch, *, named: bool) -> list[Any]:
    """Conditions of the buckets of a stretch; ``named``: by name, so that a key's next columns are searched in each."""
    level = table.c.level == stretch.level
    if named and len(stretch.buckets) <= MAX_NAMED:
        return [level, table.c.bucket.in_(stretch.buckets)]
    return [level, table.c.bucket >= stretch.since, table.c.bucket < stretch.until]
