"""Which figures and which entries of the trail a question about a stretch of time reads.

The widest buckets that lie whole in its range, the entries at both ends of it, and those that are not folded yet: it
gets what counting all entries would give (ADR 0009).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, Subquery, Table, any_, bindparam, cast, func, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import ClauseElement

from custodes.storage.sql.audit_figures import LEVELS, Level
from custodes.storage.sql.audit_filters import floor_id, unordered
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.audit_figures import audit_folds
from custodes.storage.sql.types import Count

#: Buckets that are named one by one, so that a key's next columns are searched in each.
MAX_NAMED = 400

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


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: whose entries of which time, and how far figures tell of them."""

    connection: Connection
    tenant: str | None
    since: int
    until: int
    reach: Reach

    @classmethod
    def of(
        cls, connection: Connection, tenant: str | None, since: int, until: int, marks: Table = audit_folds
    ) -> Asked:
        """Ask a set of figures."""
        return cls(connection, tenant, max(0, since), max(0, until), Reach.of(connection, marks))

    def unfolded(self, whole: Sequence[Stretch]) -> list[Any]:
        """Conditions of the entries that the buckets of these stretches do not tell of yet.

        By place alone, a short range: what is compared with a moment or a tenant here is in no index, on purpose.
        """
        place = (_c.seq > self.reach.seq, _c.recorded_at >= whole[0].since, _c.recorded_at < whole[-1].until)
        return [*place, *self.of_tenant(unordered(_c.tenant_id))]

    def rows(
        self,
        table: Table,
        names: Sequence[str],
        made: Sequence[Any],
        *where: Any,
        levels: Sequence[Level] = LEVELS,
        only: tuple[str, Any] | None = None,
        of: tuple[str, str] | None = None,
    ) -> Subquery:
        """Put figures and entries below each other.

        Args:
            table: the figures.
            names: their columns.
            made: what stands in these columns for one entry.
            where: which entries have figures there.
            levels: levels of the figures.
            only: one of these columns, whose values are a few, and these, or a query of them.
            of: column of the figures alone, and the value that is meant.
        """
        stretches = self.reach.cover(self.since, self.until, levels)
        searched = (only is not None or of is not None) and _begins_with_time(table)
        entry = select(*(column.label(name) for name, column in zip(names, made, strict=True))).where(*where)
        if only:
            entry = entry.where(self.among(made[names.index(only[0])], only[1]))
        parts = self._entries(entry, stretches)
        for each in stretches:
            if each.level is None:
                continue
            figures = select(*(table.c[name] for name in names)).where(*buckets_of(table, each, named=searched))
            if only:
                figures = figures.where(self.among(table.c[only[0]], only[1]))
            if of:
                figures = figures.where(table.c[of[0]] == of[1])
            parts.append(figures.where(*self.of_tenant(table.c.tenant_id)))
        return _below(parts)

    def entries(self, columns: Sequence[Any], *where: Any) -> Subquery:
        """Put the entries below each other that no figures are read of, at the ends and not folded yet."""
        return _below(self._entries(select(*columns).where(*where), self.reach.cover(self.since, self.until, LEVELS)))

    def _entries(self, entry: Any, stretches: Sequence[Stretch]) -> list[Any]:
        parts = [
            entry.where(*within(each.since, each.until), *self.of_tenant(_c.tenant_id))
            for each in stretches
            if each.level is None
        ]
        if whole := [each for each in stretches if each.level is not None]:
            parts.append(entry.where(*self.unfolded(whole)))
        return parts

    def among(self, column: Any, values: Any) -> Any:
        """Condition of being one of these: hundreds are one parameter, which is written and planned far quicker."""
        if isinstance(values, ClauseElement):
            return column.in_(values)
        if self.connection.dialect.name == "postgresql":
            return column == any_(bindparam(None, list(values), ARRAY(column.type)))
        if isinstance(column.type, Integer):
            return column.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))
        return column.in_(values)

    def of_tenant(self, column: Any) -> list[Any]:
        """Conditions on the tenant."""
        return [] if self.tenant is None else [column == self.tenant]


def total(column: Any) -> Any:
    """Add up whole numbers: PostgreSQL would add up 64 bits to NUMERIC, which it sorts more slowly."""
    return cast(func.sum(column), Count)


def _below(parts: Sequence[Any]) -> Subquery:
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
