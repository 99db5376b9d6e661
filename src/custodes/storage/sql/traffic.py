"""Raw rows, error groups and the writing of batches, in a SQL store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, and_, delete, func, select, true, tuple_, update

from custodes.errors import Conflict
from custodes.kernel.clock import MILLISECOND
from custodes.kernel.ids import uuid7_time
from custodes.kernel.paging import Page, decode_cursor, encode_cursor, page_of
from custodes.planes.traffic.batch import Batch, GroupSighting
from custodes.planes.traffic.model import (
    TEXT_SCANNED,
    ApiCall,
    CallCount,
    CallFilter,
    ErrorGroup,
    FailingEndpoint,
    GroupState,
)
from custodes.planes.traffic.ports import FoldUnit, RollupQuery, Snapshot
from custodes.planes.traffic.rollup import UNMATCHED, Level, Rollups
from custodes.runtime.transactions import Transaction, Work, nothing
from custodes.storage.sql import traffic_rollups as rollups
from custodes.storage.sql import traffic_squares as squares
from custodes.storage.sql.bulk import Bulk, affected, counted
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.partitions import purge
from custodes.storage.sql.pipelined import pipelined
from custodes.storage.sql.tables.traffic import (
    ERRORS_ONLY,
    HAS_ADDRESS,
    HAS_API_KEY,
    HAS_USER,
    api_error_groups,
    api_monitoring,
)
from custodes.storage.sql.traffic_errors import failing_query, find_group, group_of_row, groups_query, note
from custodes.storage.sql.traffic_reading import SqlSnapshot, unfolded_in

T = TypeVar("T")

t = api_monitoring
g = api_error_groups

#: Columns of a raw row in the order of :data:`custodes.planes.traffic.batch.Batch.calls`.
CALL_COLUMNS = (
    "tenant_id",
    "started_at",
    "kind",
    "method",
    "route",
    "path",
    "status",
    "total_us",
    "ttfb_us",
    "background_us",
    "request_bytes",
    "response_bytes",
    "user_id",
    "api_key_id",
    "client_ip",
    "trace_id",
    "span_id",
    "parent_id",
    "user_agent",
    "limited_by",
    "disconnected",
    "error_group",
    "error",
    "id",
)

#: Batches that are written side by side on PostgreSQL: each keeps a processor of the server busy, and one of the four
#: connections that works have.
BATCHES_AT_ONCE = 2

#: What people look for a text in.
_SEARCHED = ("path", "user_agent", "error", "user_id", "api_key_id", "client_ip")

_calls = Bulk(t, CALL_COLUMNS)


class SqlTrafficStore:
    """:class:`custodes.planes.traffic.ports.TrafficStore` in three tables."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: SQLite has one writer, whose turns others wait for, too.
        self.at_once = BATCHES_AT_ONCE if database.dialect == "postgresql" else 1

    # ── Writing ──────────────────────────────────────────────────────────────

    async def keep(self, batch: Batch) -> Sequence[GroupSighting]:
        """Write a batch; figures may be lost with the power."""
        # Encoding histograms takes long: beside the writer thread, which others wait for.
        rows = await asyncio.to_thread(rollups.rows_of, batch.rollups, Level.TEN_SECONDS, batch.id)

        def keep(tx: Transaction) -> Sequence[GroupSighting]:
            connection = connection_of(tx)
            rollups.insert_rows(connection, rows)
            _calls.insert(connection, batch.calls)
            # In one order for every writer, so that two of them never wait for each other.
            sightings = sorted(batch.sightings, key=lambda one: (one.seen.tenant, one.seen.digest))
            return [sighting for sighting in sightings if note(connection, sighting)]

        return await self._database.write(keep, durable=False)

    # ── Rollups ──────────────────────────────────────────────────────────────

    async def look(self, about: Sequence[RollupQuery], work: Callable[[Snapshot], T]) -> T:
        """Run a work on one snapshot."""

        def look(tx: Transaction) -> T:
            connection = connection_of(tx)
            unfolded = unfolded_in(connection, about)
            with pipelined(connection) as send:
                return work(SqlSnapshot(send, connection.dialect.name, unfolded))

        return await self._database.read(look)

    async def rollups(self, query: RollupQuery) -> Rollups:
        """Add up rollups with their times."""
        return await self.look((query,), lambda snapshot: snapshot.rollups(query)())

    async def sums(self, query: RollupQuery) -> Rollups:
        """Add up plain figures in SQL."""
        return await self.look((query,), lambda snapshot: snapshot.sums(query)())

    async def foldable(self, level: Level, into: Level, before: int) -> Sequence[FoldUnit]:
        """List what waits to be folded."""
        return await self._database.read(lambda tx: rollups.foldable(connection_of(tx), level, into, before))

    async def fold(self, unit: FoldUnit, writer_id: str) -> int:
        """Fold, all or nothing."""
        return await self._database.write(lambda tx: rollups.fold(connection_of(tx), unit, writer_id), durable=False)

    async def first_buckets(self) -> Mapping[Level, int]:
        """Tell when the first bucket of each level begins."""
        return await self._database.read(lambda tx: rollups.first_buckets(connection_of(tx)))

    async def fill_squares(self) -> bool:
        """Fill in short transactions; to look takes no turn of SQLite's only writer."""
        for _ in range(squares.FILLS):
            found = await self._database.read(lambda tx: squares.next_bucket(connection_of(tx)))
            if found is None:
                return False
            await self._database.write(lambda tx, bucket=found: squares.fill(connection_of(tx), *bucket), durable=False)
        return True

    # ── Raw rows ─────────────────────────────────────────────────────────────

    async def calls(self, where: CallFilter, *, tenant: str | None, limit: int, cursor: str | None) -> Page[ApiCall]:
        """List raw rows, newest first."""
        if where.text is not None:
            return await self._database.read(lambda tx: _search(connection_of(tx), where, tenant, limit, cursor))
        query = calls_query(where, tenant, limit, cursor)
        rows = await self._database.read(lambda tx: [_call(row) for row in connection_of(tx).execute(query)])
        return page_of(rows, limit, lambda call: (call.started_at, call.id))

    async def count_calls(self, where: CallFilter, *, tenant: str | None, at_most: int) -> Sequence[CallCount]:
        """Count the newest by status, method and route."""
        query = counts_query(where, tenant, at_most)
        rows = await self._database.read(lambda tx: connection_of(tx).execute(query).all())
        return [CallCount(*row) for row in rows]

    async def call(self, identifier: str, *, tenant: str | None) -> ApiCall | None:
        """Find one raw row through the moment inside of its id."""
        try:
            at = uuid7_time(identifier)
        except ValueError:  # not one of our ids, so that no call has it
            return None
        query = select(t).where(
            t.c.started_at >= at,
            t.c.started_at < at + MILLISECOND,
            t.c.id == identifier,
            true() if tenant is None else t.c.tenant_id == tenant,
        )
        row = await self._database.read(lambda tx: connection_of(tx).execute(query).first())
        return None if row is None else _call(row)

    # ── Error groups ─────────────────────────────────────────────────────────

    async def error_groups(
        self, *, tenant: str | None, state: GroupState | None, since: int | None, limit: int, cursor: str | None
    ) -> Page[ErrorGroup]:
        """List error groups, the latest occurrence first."""
        query = groups_query(tenant, state, since, limit, cursor)
        rows = await self._database.read(lambda tx: [group_of_row(row) for row in connection_of(tx).execute(query)])
        return page_of(rows, limit, lambda group: (group.last_seen_at, group.id))

    async def error_group(self, identifier: str, *, tenant: str | None) -> ErrorGroup | None:
        """Find one error group."""
        return await self._database.read(lambda tx: find_group(connection_of(tx), identifier, tenant))

    async def error_group_of(self, digest: str, *, tenant: str) -> ErrorGroup | None:
        """Find the error group of a digest."""
        query = select(g).where(g.c.tenant_id == tenant, g.c.digest == digest)
        row = await self._database.read(lambda tx: connection_of(tx).execute(query).first())
        return None if row is None else group_of_row(row)

    async def failing_endpoints(self, digest: str, *, tenant: str, since: int, until: int) -> Sequence[FailingEndpoint]:
        """Tell at which endpoints a kind of error was raised."""
        query = failing_query(digest, tenant, since, until)
        rows = await self._database.read(lambda tx: connection_of(tx).execute(query).all())
        return [FailingEndpoint(*row) for row in rows]

    async def set_group_state(
        self, identifier: str, state: GroupState, *, tenant: str | None, at: int, by: str, also: Work = nothing
    ) -> ErrorGroup | None:
        """Set the state of a group together with ``also``."""

        def set_state(tx: Transaction) -> ErrorGroup | None:
            connection = connection_of(tx)
            group = find_group(connection, identifier, tenant)
            if group is None:
                return None
            if group.state is state:
                msg = f"The error group is {state} already"
                raise Conflict(msg)
            connection.execute(update(g).where(g.c.id == identifier).values(state=state, state_at=at, state_by=by))
            also(tx)
            return find_group(connection, identifier, tenant)

        return await self._database.write(set_state)

    # ── Retention ────────────────────────────────────────────────────────────

    async def purge_calls(self, before: int, limit: int) -> int:
        """Delete old raw rows, oldest first."""
        return await self._database.write(lambda tx: purge(connection_of(tx), t, before, limit), durable=False)

    async def count_purgeable_calls(self, before: int) -> int:
        """Count old raw rows."""
        return await self._database.read(lambda tx: counted(connection_of(tx), t, t.c.started_at < before))

    async def purge_rollups(self, level: Level, before: int, limit: int) -> int:
        """Delete old rows of a level."""
        return await self._database.write(
            lambda tx: purge(connection_of(tx), rollups.t, before, limit, level=level.value), durable=False
        )

    async def count_purgeable_rollups(self, level: Level, before: int) -> int:
        """Count old rows of a level."""
        return await self._database.read(lambda tx: rollups.count_purgeable(connection_of(tx), level, before))

    async def purge_error_groups(self, before: int, limit: int) -> int:
        """Delete groups that have not occurred for long."""
        old = select(g.c.id).where(g.c.last_seen_at < before).order_by(g.c.last_seen_at, g.c.id).limit(limit)
        statement = delete(g).where(g.c.id.in_(old))
        return await self._database.write(lambda tx: affected(connection_of(tx), statement), durable=False)

    async def count_purgeable_error_groups(self, before: int) -> int:
        """Count groups that have not occurred for long."""
        return await self._database.read(lambda tx: counted(connection_of(tx), g, g.c.last_seen_at < before))


def calls_query(where: CallFilter, tenant: str | None, limit: int, cursor: str | None) -> Select[Any]:
    """Write the query of a page of raw rows, one row longer than asked for."""
    query = select(t).order_by(t.c.started_at.desc(), t.c.id.desc()).limit(limit + 1)
    for condition in _conditions(where):
        query = query.where(condition)
    if tenant is not None:
        # Where something rarer than a tenant is asked for, the tenant must not draw the planner to the main list.
        query = query.where((t.c.tenant_id.concat("") if _is_rare(where) else t.c.tenant_id) == tenant)
    if cursor is not None:
        query = query.where(tuple_(t.c.started_at, t.c.id) < tuple_(*decode_cursor(cursor)))
    return query


def counts_query(where: CallFilter, tenant: str | None, at_most: int) -> Select[*tuple[Any, ...]]:
    """Write the query that counts the newest raw rows that what has an index means."""
    indexed = replace(where, method=None, status=None, min_total_us=None, text=None)
    columns = [t.c.status, t.c.method, t.c.route, t.c.total_us]
    if where.text is not None:
        columns += [t.c[name] for name in _SEARCHED]
    looked = calls_query(indexed, tenant, at_most - 1, None).with_only_columns(*columns).subquery()
    fits = [true()]
    if where.method is not None:
        fits.append(looked.c.method == where.method)
    if where.status is not None:
        fits.append(_status(looked.c.status, where.status))
    if where.min_total_us is not None:
        fits.append(looked.c.total_us >= where.min_total_us)
    if where.text is not None:
        fits.append(_holds(looked.c, where.text))
    by = [looked.c.status, looked.c.method, looked.c.route]
    return select(*by, func.count(), func.count().filter(and_(*fits))).group_by(*by)


def _search(
    connection: Connection, where: CallFilter, tenant: str | None, limit: int, cursor: str | None
) -> Page[ApiCall]:
    """Look for a text in the next calls that all else fits; their number is bounded, since no index helps."""
    looked = calls_query(where, tenant, TEXT_SCANNED - 1, cursor).subquery()
    newest_first = (looked.c.started_at.desc(), looked.c.id.desc())
    found = select(looked).where(_holds(looked.c, where.text or "")).order_by(*newest_first).limit(limit + 1)
    page = page_of([_call(row) for row in connection.execute(found)], limit, lambda call: (call.started_at, call.id))
    if page.next_cursor is not None:
        return page
    place = select(looked.c.started_at, looked.c.id).order_by(*newest_first).offset(TEXT_SCANNED - 1).limit(1)
    last = connection.execute(place).first()
    return page if last is None else Page(page.items, encode_cursor(*last))


def _holds(columns: Any, wanted: str) -> Any:
    """Match a text anywhere in what people look for; the engine lowers both sides, and may know ASCII only."""
    escaped = "".join(f"\\{letter}" if letter in "%_\\" else letter for letter in wanted)
    # A separator that nobody types keeps a match within one of them.
    searched = columns.path
    for name in _SEARCHED[1:]:
        searched = searched.concat("\n").concat(columns[name])
    return func.lower(searched).like(func.lower(f"%{escaped}%"), escape="\\")


def _is_rare(where: CallFilter) -> bool:
    """Tell whether a filter has an index of its own."""
    return where.errors_only or any(
        (where.route, where.user, where.api_key, where.client_ip, where.trace_id, where.error_group)
    )


def _conditions(where: CallFilter) -> list[Any]:
    conditions: list[Any] = []
    if where.since is not None:
        conditions.append(t.c.started_at >= where.since)
    if where.until is not None:
        conditions.append(t.c.started_at < where.until)
    if where.route is not None:
        conditions.append(t.c.route.is_(None) if where.route == UNMATCHED else t.c.route == where.route)
    if where.status is not None:
        conditions.append(_status(t.c.status, where.status))
    if where.min_total_us is not None:
        conditions.append(t.c.total_us >= where.min_total_us)
    # Calls of a group of errors are among those that failed, of which there are few.
    if where.errors_only or where.error_group:
        conditions.append(ERRORS_ONLY)
    for column, value in (
        (t.c.method, where.method),
        (t.c.trace_id, where.trace_id),
        (t.c.error_group, where.error_group),
    ):
        if value is not None:
            conditions.append(column == value)
    # What a partial index leaves out, the query must leave out in the same words, or the index is not used.
    for column, present, value in (
        (t.c.user_id, HAS_USER, where.user),
        (t.c.api_key_id, HAS_API_KEY, where.api_key),
        (t.c.client_ip, HAS_ADDRESS, where.client_ip),
    ):
        if value is not None:
            conditions += (column == value, present)
    return conditions


def _status(column: Any, status: int) -> Any:
    """Match a status, or a class of them: 4 means 400–499."""
    if 1 <= status <= 9:
        return and_(column >= status * 100, column < (status + 1) * 100)
    return column == status


def _call(row: Any) -> ApiCall:
    return ApiCall(
        row.id,
        row.tenant_id,
        row.started_at,
        row.kind,
        row.method,
        row.route,
        row.path,
        row.status,
        row.total_us,
        row.ttfb_us,
        row.background_us,
        row.request_bytes,
        row.response_bytes,
        row.user_id,
        row.api_key_id,
        row.client_ip,
        row.trace_id,
        row.span_id,
        row.parent_id,
        row.user_agent,
        row.limited_by,
        bool(row.disconnected),
        row.error_group,
        row.error,
    )
