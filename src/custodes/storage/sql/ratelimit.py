"""Rules, blocks and counted windows of the rate limiter in a SQL database."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    RowMapping,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from custodes.errors import Conflict
from custodes.kernel.clock import HOUR
from custodes.kernel.paging import Page, decode_cursor, page_of
from custodes.kernel.tenant import DEFAULT_TENANT, EVERY_TENANT
from custodes.planes.ratelimit.model import Access, Effect, Kind, Rule, Source, Window
from custodes.planes.ratelimit.ports import Shared, Total, Usages
from custodes.planes.ratelimit.rules import make_rule, spell_subjects
from custodes.runtime.notices import LIMITS
from custodes.runtime.transactions import Store, Transaction
from custodes.storage.sql.bulk import counted
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.partitions import purge
from custodes.storage.sql.ratelimit_record import record
from custodes.storage.sql.ratelimit_usage import Asked, points_query, usages
from custodes.storage.sql.tables.ratelimit import rate_limit_blocks as b
from custodes.storage.sql.tables.ratelimit import rate_limit_figures as f
from custodes.storage.sql.tables.ratelimit import rate_limit_rules as r
from custodes.storage.sql.tables.ratelimit import rate_limit_state as s
from custodes.storage.sql.tables.ratelimit import rate_limit_tracking as w


class SqlRateLimitStore:
    """A :class:`~custodes.planes.ratelimit.ports.RateLimitStore` in a SQL database."""

    def __init__(self, database: Store) -> None:
        self._database = database

    @property
    def units(self) -> Store:
        """Where works run."""
        return self._database

    # ── What is shared ───────────────────────────────────────────────────────

    def bump(self, tx: Transaction) -> int:
        """Raise the version."""
        connection = connection_of(tx)
        changed = connection.execute(update(s).where(_the_state()).values(version=s.c.version + 1)).rowcount
        if not changed:
            connection.execute(insert(s).values(tenant_id=DEFAULT_TENANT, version=1))
        if connection.dialect.name == "postgresql":  # heard with the commit; administrators are not in a hurry
            connection.execute(select(func.pg_notify(literal("custodes_").concat(func.current_schema()), LIMITS)))
        return _version(tx)

    async def version(self) -> int:
        """Read the version."""
        return await self._database.read(_version)

    async def shared(self, now: int) -> Shared:
        """Read all that is shared."""
        return await self._database.read(lambda tx: _shared(tx, now))

    # ── Access ───────────────────────────────────────────────────────────────

    def put_access(self, tx: Transaction, entry: Access) -> None:
        """Insert an entry and end those that it replaces."""
        same = and_(
            b.c.identifier == entry.identifier,
            b.c.ends_at > entry.created_at,
            b.c.tenant_id == entry.tenant,
            b.c.effect == entry.effect.value,
            b.c.kind == entry.kind.value,
            *([b.c.level > 0] if entry.level else []),
        )
        connection = connection_of(tx)
        # A worker may write a ban after one that another made later: none ends before it began.
        ends_at = case((b.c.created_at > entry.created_at, b.c.created_at), else_=entry.created_at)
        connection.execute(update(b).where(same).values(ends_at=ends_at))
        connection.execute(insert(b).values(_access_columns(entry)))

    def end_access(self, tx: Transaction, ids: Sequence[str], at: int, by: str) -> None:
        """Set the end of entries."""
        connection_of(tx).execute(update(b).where(b.c.id.in_(ids)).values(ends_at=at, lifted_by=by))

    def standing(
        self, tx: Transaction, *, tenant: str | None, kind: str, identifier: str, effects: Sequence[Effect], now: int
    ) -> list[Access]:
        """Look entries up by identifier."""
        query = select(b).where(
            b.c.identifier == identifier,
            b.c.ends_at > now,
            b.c.kind == kind,
            b.c.effect.in_([effect.value for effect in effects]),
            *_of_tenant(b.c.tenant_id, tenant),
        )
        return [_access(row) for row in connection_of(tx).execute(query).mappings()]

    def access(self, tx: Transaction, entry_id: str) -> Access | None:
        """Look one entry up."""
        row = connection_of(tx).execute(select(b).where(b.c.id == entry_id)).mappings().first()
        return None if row is None else _access(row)

    async def access_page(
        self,
        *,
        tenant: str | None,
        effects: Sequence[Effect],
        active_at: int | None,
        kind: str | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Access]:
        """List entries, newest first."""
        where = [b.c.effect.in_([effect.value for effect in effects]), *_of_tenant(b.c.tenant_id, tenant)]
        if active_at is not None:
            # An expression, so that the order comes from the index of the list and not from that of the ends.
            where.append(b.c.ends_at + 0 > active_at)
        if kind is not None:
            where.append(b.c.kind == kind)
        query = _newest_first(select(b).where(*where), b.c.created_at, b.c.id, limit, cursor)
        return await self._page(query, _access, limit, lambda entry: (entry.created_at, entry.id))

    async def blocks_at(self, moment: int, *, tenant: str | None) -> int:
        """Count blocks by their begin and their end."""
        where = [b.c.ends_at > moment, b.c.created_at <= moment, b.c.effect == Effect.BLOCK.value]
        where += _of_tenant(b.c.tenant_id, tenant)
        return await self._database.read(lambda tx: counted(connection_of(tx), b, *where))

    # ── Rules ────────────────────────────────────────────────────────────────

    def add_rule(self, tx: Transaction, rule: Rule) -> None:
        """Insert a rule."""
        with _named_once(tx, rule):
            connection_of(tx).execute(insert(r).values(_rule_columns(rule)))

    def rule(self, tx: Transaction, rule_id: str) -> Rule | None:
        """Look one rule up."""
        row = connection_of(tx).execute(select(r).where(r.c.id == rule_id)).first()
        return None if row is None else _rule(row)

    def change_rule(self, tx: Transaction, rule: Rule, version: int) -> bool:
        """Update a rule where it has that version."""
        where = and_(r.c.id == rule.id, r.c.version == version)
        with _named_once(tx, rule):
            return connection_of(tx).execute(update(r).where(where).values(_rule_columns(rule))).rowcount == 1

    def delete_rule(self, tx: Transaction, rule_id: str) -> bool:
        """Delete a rule."""
        return connection_of(tx).execute(delete(r).where(r.c.id == rule_id)).rowcount == 1

    # ── Windows ──────────────────────────────────────────────────────────────

    async def record(self, windows: Sequence[Window], batch: str = "") -> None:
        """Upsert windows, adding counts."""
        await self._database.write(lambda tx: record(connection_of(tx), windows), durable=False, once=batch)

    async def window_page(
        self,
        *,
        tenant: str | None,
        since: int,
        until: int,
        rule: str | None,
        identifier: str | None,
        refused_only: bool,
        limit: int,
        cursor: str | None,
    ) -> Page[Window]:
        """List windows of identifiers, newest first."""
        where = [w.c.window_start >= since, w.c.window_start < until, w.c.identifier != ""]
        where += _of_tenant(w.c.tenant_id, tenant)
        if rule is not None:
            where.append(w.c.rule == rule)
        if identifier is not None:
            where.append(w.c.identifier == identifier)
        if refused_only:
            where.append(w.c.refused > 0)
        query = _newest_first(select(w).where(*where), w.c.window_start, w.c.id, limit, cursor)
        return await self._page(query, _window, limit, lambda window: (window.window_start, window.id))

    async def usages(self, *, tenant: str | None, since: int, until: int, bucket: int, top: int) -> Usages:
        """Sum windows up."""
        asked = Asked(tenant, since, until)
        return await self._database.read(lambda tx: usages(connection_of(tx), asked, bucket, top))

    async def points(
        self, *, tenant: str | None, rule: str, whom: tuple[str, str] | None, since: int, until: int, bucket: int
    ) -> Sequence[Total]:
        """Sum the windows of one rule up by time."""
        query = points_query(Asked(tenant, since, until), rule, whom, bucket)
        rows = await self._database.read(lambda tx: connection_of(tx).execute(query).all())
        return [Total(str(at), int(allowed), int(refused), int(would)) for at, allowed, refused, would in rows]

    async def purge(self, before: int, limit: int) -> int:
        """Delete what has ended, oldest first."""

        def work(tx: Transaction) -> int:
            connection = connection_of(tx)
            deleted = purge(connection, w, before - _WINDOW_LENGTH, limit)
            # Never more than there were windows, and part of what these said: not counted.
            purge(connection, f, before - HOUR, limit)
            ended = select(b.c.id).where(_ended(before)).order_by(b.c.ends_at).limit(max(0, limit - deleted))
            return deleted + connection.execute(delete(b).where(b.c.id.in_(ended.scalar_subquery()))).rowcount

        return await self._database.write(work, durable=False)

    async def count_purgeable(self, before: int) -> int:
        """Count what has ended."""

        def work(tx: Transaction) -> int:
            connection = connection_of(tx)
            return counted(connection, w, _closed(before)) + counted(connection, b, _ended(before))

        return await self._database.read(work)

    async def _page(
        self,
        query: Select[Any],
        convert: Callable[[RowMapping], Any],
        limit: int,
        key: Callable[[Any], tuple[int, str]],
    ) -> Page[Any]:
        def work(tx: Transaction) -> list[Any]:
            return [convert(row) for row in connection_of(tx).execute(query).mappings()]

        return page_of(await self._database.read(work), limit, key)


#: Length of a counted window, microseconds: a window that began that long before a moment has ended by then.
_WINDOW_LENGTH = 60_000_000


def _closed(before: int) -> ColumnElement[bool]:
    return w.c.window_start < before - _WINDOW_LENGTH


def _ended(before: int) -> ColumnElement[bool]:
    return b.c.ends_at < before


def _the_state() -> ColumnElement[bool]:
    return s.c.tenant_id == DEFAULT_TENANT


def _version(tx: Transaction) -> int:
    return connection_of(tx).execute(select(s.c.version).where(_the_state())).scalar() or 0


def _shared(tx: Transaction, now: int) -> Shared:
    connection = connection_of(tx)
    access = [_access(row) for row in connection.execute(select(b).where(b.c.ends_at > now)).mappings()]
    rules = [_rule(row) for row in connection.execute(select(r).order_by(r.c.name))]
    return Shared(_version(tx), access, rules)


def _of_tenant(column: ColumnElement[str], tenant: str | None) -> list[ColumnElement[bool]]:
    return [] if tenant is None else [column == tenant]


def _newest_first(
    query: Select[Any], moment: ColumnElement[int], identifier: ColumnElement[str], limit: int, cursor: str | None
) -> Select[Any]:
    if cursor is not None:
        query = query.where(tuple_(moment, identifier) < tuple_(*decode_cursor(cursor)))
    return query.order_by(moment.desc(), identifier.desc()).limit(limit + 1)


def _window(row: RowMapping) -> Window:
    columns = dict(row)
    return Window(tenant=columns.pop("tenant_id"), **columns)


def _access_columns(entry: Access) -> dict[str, Any]:
    return {
        "tenant_id": entry.tenant,
        "id": entry.id,
        "effect": entry.effect.value,
        "kind": entry.kind.value,
        "identifier": entry.identifier,
        "reason": entry.reason,
        "actor": entry.actor,
        "created_at": entry.created_at,
        "ends_at": entry.ends_at,
        "level": entry.level,
        "lifted_by": entry.lifted_by,
    }


def _access(row: RowMapping) -> Access:
    columns = dict(row)
    return Access(
        tenant=columns.pop("tenant_id"),
        effect=Effect(columns.pop("effect")),
        kind=Kind(columns.pop("kind")),
        **columns,
    )


@contextmanager
def _named_once(tx: Transaction, rule: Rule) -> Generator[None]:
    """Keep a name from being taken twice: in a tenant, and by one rule for all and another for some."""
    others = [r.c.name == rule.name, r.c.id != rule.id]
    if rule.tenant != EVERY_TENANT:
        others.append(r.c.tenant_id == EVERY_TENANT)
    owner = connection_of(tx).execute(select(r.c.tenant_id).where(*others).order_by(r.c.tenant_id).limit(1)).scalar()
    if owner is not None:
        raise _taken(rule, owner)
    try:
        yield
    except IntegrityError:
        raise _taken(rule, rule.tenant) from None


def _taken(rule: Rule, owner: str) -> Conflict:
    # Who makes a rule for all may know whose the other is; who makes one of a tenant is told of nobody else's.
    if owner not in (EVERY_TENANT, rule.tenant):
        msg = f"Tenant {owner!r} has a rule named {rule.name!r}"
        return Conflict(msg, remedy="Choose another name: that of a rule for all tenants is no other rule's")
    msg = f"There is a rule named {rule.name!r} already"
    return Conflict(msg, remedy="Change that one, or choose another name")


def _rule_columns(rule: Rule) -> dict[str, Any]:
    return {
        "tenant_id": rule.tenant,
        "id": rule.id,
        "name": rule.name,
        "definition": {
            "limits": "; ".join(limit.text for limit in rule.limits),
            "by": spell_subjects(rule),
            "route": rule.route,
            "methods": sorted(rule.methods),
            "exempt": list(rule.exempt),
            "cost": rule.cost,
            "shadow": rule.shadow,
            # Left out when it says nothing: versions before it would not know what to make of it.
            **({"on_failure": rule.on_failure} if rule.on_failure else {}),
            **({"lease": rule.lease} if rule.lease > 1 else {}),
        },
        "enabled": rule.enabled,
        "version": rule.version,
        "updated_at": rule.updated_at,
        "actor": rule.actor,
    }


def _rule(row: Row[Any]) -> Rule:
    return make_rule(
        **row.definition,
        name=row.name,
        enabled=row.enabled,
        tenant=row.tenant_id,
        source=Source.API,
        id=row.id,
        version=row.version,
        updated_at=row.updated_at,
        actor=row.actor,
    )
