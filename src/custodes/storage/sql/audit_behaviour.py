"""What one actor usually does, on SQL: from the figures of its habits, and from entries where there are none yet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, Select, String, cast, func, literal, select

from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.planes.audit.analytics import ActionCount
from custodes.planes.audit.behaviour import MAX_LISTED, Behaviour, Habit
from custodes.storage.sql.audit_figures import HABIT_LEVELS, QUARTER, failed, impersonated
from custodes.storage.sql.audit_filters import unordered
from custodes.storage.sql.audit_reading import Reach, Stretch, buckets_of, open_end, within
from custodes.storage.sql.tables.audit import audit_logs
from custodes.storage.sql.tables.audit_figures import audit_habit_figures, audit_habit_folds
from custodes.storage.sql.tenants import walk

_c = audit_logs.c
_h = audit_habit_figures.c

#: What entries come to, in the order of :class:`_Figures`.
_COUNTED: tuple[Any, ...] = (
    func.count(), func.sum(failed), func.sum(cast(_c.flagged, Integer)), func.sum(impersonated),
    func.sum(_c.risk_score), func.max(_c.risk_score), func.min(_c.recorded_at), func.max(_c.recorded_at),
)  # fmt: skip

#: Entries that figures may be behind before an actor's are counted by its index instead: after an upgrade, an old trail
#: is folded in the course of minutes or hours.
_MAX_BEHIND = 20_000

#: How the figures of a habit are added up.
_SUMS = (
    *(func.sum(_h[name]) for name in ("events", "failures", "flagged", "impersonated", "risk")),
    func.max(_h.max_risk),
    func.min(_h.first_at),
    func.max(_h.last_at),
)


def behaviour(
    connection: Connection, tenant: str | None, actor: str, since: int, until: int, *, shift: int
) -> Behaviour:
    """Sum up what one actor did."""
    known = _known(connection, tenant, actor)
    # Hours of a zone that is off by other than quarters are told by entries alone.
    unit = MINUTE if shift % QUARTER else QUARTER
    reach = _reach(connection) if unit == QUARTER else Reach(0, 0)
    stretches = reach.cover(max(0, since), open_end(connection, max(0, until)), HABIT_LEVELS)
    habits = _Habits(unit)
    if known.tenants:
        for each in stretches:
            if each.level is None:
                habits.add(_counted(connection, _entries(known.tenants, actor, each), unit))
            else:
                habits.add(connection.execute(_figures(known.tenants, actor, each)))
        if whole := [each for each in stretches if each.level is not None]:
            behind = Stretch(None, whole[0].since, whole[-1].until)
            habits.add(_counted(connection, _unfolded(known.tenants, actor, behind, reach.seq), unit))
    everything = habits.of("all", "", "")
    return Behaviour(
        actor=actor, name=known.name, first_seen_at=known.first_at, last_seen_at=known.last_at,
        events=everything.events, failures=everything.failures, flagged=everything.flagged,
        impersonated=everything.impersonated,
        mean_risk=round(everything.risk / everything.events, 2) if everything.events else 0.0,
        max_risk=everything.max_risk, hours=habits.hours(shift),
        addresses=habits.most("address"), devices=habits.most("device"), actions=habits.actions(),
    )  # fmt: skip


# ── Who ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Known:
    """What all that is kept tells of an actor."""

    #: Whose trails know it.
    tenants: Sequence[str]
    first_at: int = 0
    last_at: int = 0
    name: str = ""


def _known(connection: Connection, tenant: str | None, actor: str) -> _Known:
    """Find the first and last entry of an actor: two probes of the index a tenant."""
    tenants = walk(audit_logs)
    theirs = select(_c.id).where(_c.tenant_id == tenants.c.tenant, _c.actor == actor)
    first = theirs.order_by(_c.id).limit(1).scalar_subquery()
    last = theirs.order_by(_c.id.desc()).limit(1).scalar_subquery()
    found = select(tenants.c.tenant, first.label("first"), last.label("last"))
    if tenant is not None:
        found = found.where(tenants.c.tenant == tenant)
    rows = [row for row in connection.execute(found) if row.first is not None]
    if not rows:
        return _Known(())
    ends = (min(row.first for row in rows), max(row.last for row in rows))
    entries = select(_c.id, _c.recorded_at, _c.people).where(_c.id.in_(ends))
    by_id = {row.id: row for row in connection.execute(entries)}
    newest = by_id[ends[1]]
    name = json.loads(newest.people)["actor"].get("name", "")
    return _Known([row.tenant for row in rows], by_id[ends[0]].recorded_at, newest.recorded_at, name)


# ── What, how, where from and when ───────────────────────────────────────────


@dataclass(slots=True)
class _Figures:
    """Figures of a habit."""

    events: int = 0
    failures: int = 0
    flagged: int = 0
    impersonated: int = 0
    risk: int = 0
    max_risk: int = 0
    first_at: int = 0
    last_at: int = 0

    def add(self, other: Sequence[int]) -> None:
        """Add others, in the order of the fields."""
        events, failures, flagged, by_others, risk, max_risk, first_at, last_at = other
        self.first_at = min(self.first_at, first_at) if self.events else first_at
        self.last_at = max(self.last_at, last_at)
        self.max_risk = max(self.max_risk, max_risk)
        self.events += events
        self.failures += failures
        self.flagged += flagged
        self.impersonated += by_others
        self.risk += risk


class _Habits:
    """Figures by habit, value and category; a time of day is told in units of so many microseconds."""

    def __init__(self, unit: int) -> None:
        self._found: dict[tuple[str, str, str], _Figures] = {}
        self._unit = unit

    def of(self, *key: str) -> _Figures:
        """Find the figures of a key."""
        return self._found.setdefault((key[0], key[1], key[2]), _Figures())

    def add(self, rows: Iterable[Any]) -> None:
        """Add rows of figures."""
        for habit, value, category, *figures in rows:
            self.of(habit, value, category).add([int(one) for one in figures])

    def hours(self, shift: int) -> tuple[int, ...]:
        """Count by hour of the day in a zone."""
        hours = [0] * 24
        for (habit, value, _), figures in self._found.items():
            if habit == "time":
                hours[(int(value) * self._unit + shift) % DAY // HOUR] += figures.events
        return tuple(hours)

    def most(self, habit: str) -> tuple[Habit, ...]:
        """List the values of a habit, most frequent first."""
        found = [(value, figures) for (name, value, _), figures in self._found.items() if name == habit]
        found.sort(key=lambda one: (-one[1].events, one[0]))
        return tuple(
            Habit(value, its.events, its.failures, its.first_at, its.last_at) for value, its in found[:MAX_LISTED]
        )

    def actions(self) -> tuple[ActionCount, ...]:
        """List actions, most frequent first."""
        found = [(key[1:], figures) for key, figures in self._found.items() if key[0] == "action"]
        found.sort(key=lambda one: (-one[1].events, one[0]))
        return tuple(ActionCount(*key, its.events, its.failures) for key, its in found[:MAX_LISTED])


def _reach(connection: Connection) -> Reach:
    """How far figures of habits reach; not at all while they are far behind."""
    reach = Reach.of(connection, audit_habit_folds)
    last = connection.execute(select(func.max(_c.seq))).scalar() or 0
    return reach if last - reach.seq <= _MAX_BEHIND else Reach(0, 0)


def _counted(connection: Connection, entries: Sequence[Any], unit: int) -> Iterator[Any]:
    """Count entries by each habit, in the shape of figures: what comes back grows with what differs, not with them."""
    time = cast(_c.recorded_at % DAY // unit, String)
    for habit, where, *key in (
        ("all", (), literal(""), literal("")),
        ("action", (), _c.action, _c.category),
        ("time", (), time, literal("")),
        ("address", (_c.ip != "",), _c.ip, literal("")),
        ("device", (_c.user_agent != "",), _c.user_agent, literal("")),
    ):
        value, category = key[0].label("value"), key[1].label("category")
        query = select(value, category, *_COUNTED).where(*entries, *where)
        query = query.group_by(value, category).having(func.count() > 0)
        yield from ((habit, *row) for row in connection.execute(query))


def _entries(tenants: Sequence[str], actor: str, stretch: Stretch) -> list[Any]:
    return [_c.tenant_id.in_(tenants), _c.actor == actor, *within(stretch.since, stretch.until)]


def _unfolded(tenants: Sequence[str], actor: str, stretch: Stretch, folded: int) -> list[Any]:
    """By place alone, a short range: what else is compared here is in no index, on purpose."""
    behind = (_c.seq > folded, _c.recorded_at >= stretch.since, _c.recorded_at < stretch.until)
    return [*behind, unordered(_c.actor) == actor, unordered(_c.tenant_id).in_(tenants)]


def _figures(tenants: Sequence[str], actor: str, stretch: Stretch) -> Select[*tuple[Any, ...]]:
    key = (_h.habit, _h.value, _h.category)
    mine = (_h.actor == actor, _h.tenant_id.in_(tenants))
    return select(*key, *_SUMS).where(*buckets_of(audit_habit_figures, stretch, named=True), *mine).group_by(*key)
