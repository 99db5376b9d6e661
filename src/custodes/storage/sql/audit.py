"""The audit trail on SQL: :class:`~custodes.planes.audit.ports.AuditStore`."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeAlias

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql

from custodes.kernel.paging import Page, page_of
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.audit.activity import MAX_TRACES, Past, Trace
from custodes.planes.audit.analytics import AuditAnalytics
from custodes.planes.audit.behaviour import Behaviour, Compliance
from custodes.planes.audit.model import (
    UNREVIEWED,
    AuditEntry,
    Change,
    Context,
    Kind,
    Outcome,
    Reference,
    Review,
    ReviewState,
    RiskReason,
)
from custodes.planes.audit.ports import AuditQuery, ReviewChange, ReviewCounts
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import (
    audit_analytics,
    audit_behaviour,
    audit_compliance,
    audit_figures,
    audit_flags,
    audit_retention,
)
from custodes.storage.sql.audit_filters import floor_id, selection
from custodes.storage.sql.audit_rows import COLUMNS, KEY, Row, row_of
from custodes.storage.sql.bulk import insert_at_once
from custodes.storage.sql.database import Database, Ingest, connection_of
from custodes.storage.sql.tables.audit import audit_logs, audit_sequence, audit_targets

_INSERT = f"INSERT INTO audit_logs ({', '.join(COLUMNS)})"
_INSERT_TARGET = "INSERT INTO audit_targets (tenant_id, target, entry_id)"
_FIND_KEY = "SELECT id FROM audit_logs WHERE tenant_id = ? AND idempotency_key = ? AND idempotency_key IS NOT NULL"

#: A query of what traces consist of.
_Traces: TypeAlias = Select[Any, Any, Any, Any, Any, Any]


class SqlAuditStore:
    """Keeps the trail in ``audit_logs`` and ``audit_targets``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entry: AuditEntry) -> str:
        """Add an entry with its group's commit."""
        return await self._database.ingest(_APPEND, row_of(entry))

    def add(self, tx: Transaction, entries: Sequence[AuditEntry]) -> list[str]:
        """Add entries within a transaction; those that are there already, by their ids, are passed over."""
        connection = connection_of(tx)
        rows = [row_of(entry) for entry in entries]
        places = _Places(connection)
        ids, fresh = _sort_out(rows, partial(_id_of_key, connection))
        fresh = _not_kept(connection, fresh)
        if fresh:
            connection.execute(insert(audit_logs), places.give(_grouped(fresh, audit_flags.find_flag(connection))))
        targets = [
            {"tenant_id": tenant, "target": target, "entry_id": entry} for tenant, target, entry in _target_rows(fresh)
        ]
        if targets:
            connection.execute(insert(audit_targets), targets)
        return ids

    def past(self, tx: Transaction, tenant: str, actor: str, ip: str, since: int = 0) -> Past:
        """Build a past from the newest entries of both."""
        connection = connection_of(tx)
        mine = _traces(connection, _OF_ACTOR, tenant, actor, since) if actor else []
        here = _traces(connection, _FROM_ADDRESS, tenant, ip, since) if ip else []
        return Past.of(mine, here)

    def find(self, tx: Transaction, tenant: str | None, entry_id: str) -> AuditEntry | None:
        """Read one entry."""
        query = select(audit_logs).where(audit_logs.c.id == entry_id)
        if tenant is not None:
            query = query.where(audit_logs.c.tenant_id == tenant)
        connection = connection_of(tx)
        row = connection.execute(query).mappings().first()
        return None if row is None else audit_flags.with_occurrences(connection, [_entry(row)])[0]

    def page(self, tx: Transaction, query: AuditQuery) -> Page[AuditEntry]:
        """Read a page, newest first."""
        connection = connection_of(tx)
        statement = selection(connection, query).order_by(audit_logs.c.id.desc()).limit(query.limit + 1)
        entries = [_entry(row) for row in connection.execute(statement).mappings()]
        rows = audit_flags.with_occurrences(connection, entries)
        return page_of(rows, query.limit, lambda entry: (entry.recorded_at, entry.id))

    def analyse(
        self, tx: Transaction, tenant: str | None, since: int, until: int, *, width: int, top: int
    ) -> AuditAnalytics:
        """Sum up a range of time."""
        return audit_analytics.analyse(connection_of(tx), tenant, since, until, width=width, top=top)

    def set_review(self, tx: Transaction, entry_id: str, review: Review, *, before: ReviewState | None) -> bool:
        """Put a review beside an entry, as long as it is where it was."""
        state = None if before is None else before.value
        changed = connection_of(tx).execute(
            update(audit_logs)
            .where(audit_logs.c.id == entry_id, audit_logs.c.review_state.is_not_distinct_from(state))
            .values(
                review_state=review.state.value,
                review_assignee=review.assignee,
                review_note=review.note,
                reviewed_by=review.by,
                reviewed_at=review.at,
            )
        )
        return changed.rowcount == 1

    def count_reviews(self, tx: Transaction, query: AuditQuery, states: Collection[ReviewState]) -> ReviewCounts:
        """Count reviews by their state."""
        return audit_flags.count_reviews(connection_of(tx), query, states)

    def review_many(
        self, tx: Transaction, query: AuditQuery, states: Collection[ReviewState], change: ReviewChange, limit: int
    ) -> list[str]:
        """Change many reviews."""
        return audit_flags.review_many(connection_of(tx), query, states, change, limit)

    def behaviour(
        self, tx: Transaction, tenant: str | None, actor: str, since: int, until: int, shift: int
    ) -> Behaviour:
        """Sum up what one actor did."""
        return audit_behaviour.behaviour(connection_of(tx), tenant, actor, since, until, shift=shift)

    def compliance(self, tx: Transaction, tenant: str | None, since: int, until: int) -> Compliance:
        """Sum up what a report says of the trail."""
        return audit_compliance.compliance(connection_of(tx), tenant, since, until)

    def unreviewed(self, tx: Transaction) -> tuple[int, int]:
        """Count what waits for a review."""
        query = select(func.count(), func.min(audit_logs.c.recorded_at)).where(_waiting)
        count, oldest = connection_of(tx).execute(query).one()
        return count, oldest or 0

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count entries past their time."""
        return audit_retention.count_purgeable(connection_of(tx), before)

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Remove the oldest entries past their time, and the figures that tell of them."""
        return audit_retention.purge(connection_of(tx), before, limit)

    def fold(self, tx: Transaction, limit: int) -> int:
        """Add entries to the figures."""
        return audit_figures.fold(connection_of(tx), limit)


# ── Writing ──────────────────────────────────────────────────────────────────


def _sort_out(rows: Sequence[Row], id_of_key: Callable[[str, str], str | None]) -> tuple[list[str], list[Row]]:
    """Tell new events from repetitions: (the id of each row's event, the rows to insert).

    No insert is tried that may conflict: it would leave a gap in ``seq``.
    """
    ids: list[str] = []
    fresh: list[Row] = []
    in_group: dict[tuple[str, str], str] = {}
    for row in rows:
        entry_id, tenant, key = row[0][0], row[0][1], row[0][KEY]
        known = None if key is None else in_group.get((tenant, key)) or id_of_key(tenant, key)
        if known is None:
            fresh.append(row)
            known = entry_id
        if key is not None:
            in_group[tenant, key] = known
        ids.append(known)
    return ids, fresh


def _not_kept(connection: Connection, rows: list[Row]) -> list[Row]:
    """Leave out what is there: of a transaction that is made again because nobody saw how it ended."""
    ids = select(audit_logs.c.id).where(audit_logs.c.id.in_([values[0] for values, _ in rows]))
    kept = set(connection.execute(ids).scalars())
    return [row for row in rows if row[0][0] not in kept]


def _grouped(rows: Sequence[Row], find: audit_flags.FindFlag) -> list[dict[str, Any]]:
    """Name the values of rows by their columns, each with the entry whose review it belongs to."""
    entries: list[dict[str, Any]] = [dict(zip(COLUMNS, values, strict=True)) for values, _ in rows]
    audit_flags.grouped(entries, find)
    return entries


def _finder(driver: Any, statement: str) -> audit_flags.FindFlag:
    def find(tenant: str, key: str, oldest: str) -> str | None:
        found = driver.execute(statement, (tenant, key, oldest)).fetchone()
        return found[0] if found else None

    return find


def _append_sqlite(driver: Any, rows: Sequence[Row]) -> list[str]:
    def id_of_key(tenant: str, key: str) -> str | None:
        found = driver.execute(_FIND_KEY, (tenant, key)).fetchone()
        return found[0] if found else None

    ids, fresh = _sort_out(rows, id_of_key)
    entries = _grouped(fresh, _finder(driver, audit_flags.FIND_FLAG))
    insert_at_once(driver, _INSERT, [tuple(entry.values()) for entry in entries])
    insert_at_once(driver, _INSERT_TARGET, _target_rows(fresh))
    return ids


def _append_postgresql(driver: Any, rows: Sequence[Row]) -> list[str]:
    cursor = driver.cursor()

    def take(places: int) -> int:
        return cursor.execute(_TAKE_PLACES, (places,)).fetchone()[0]

    def id_of_key(tenant: str, key: str) -> str | None:
        found = cursor.execute(_FIND_KEY.replace("?", "%s"), (tenant, key)).fetchone()
        return found[0] if found else None

    take(0)  # from here to the commit nobody else adds entries: what is known stays known
    # Known are, too, those of a group that is run again because nobody saw how it ended.
    kept = {row[0] for row in cursor.execute(_FIND_IDS, ([values[0] for values, _ in rows],))}
    ids, fresh = _sort_out(rows, id_of_key)
    fresh = [row for row in fresh if row[0][0] not in kept]
    if fresh:
        last = take(len(fresh))
        first = last - len(fresh) + 1
        entries = _grouped(fresh, _finder(cursor, audit_flags.FIND_FLAG.replace("?", "%s")))
        cursor.executemany(_INSERT_PLACED, [(place, *entry.values()) for place, entry in enumerate(entries, first)])
        targets = _target_rows(fresh)
        if targets:
            cursor.executemany(f"{_INSERT_TARGET} VALUES (%s, %s, %s)", targets)
    return ids


_INSERT_PLACED = f"INSERT INTO audit_logs (seq, {', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * (1 + len(COLUMNS)))})"  # noqa: S608 - column names of ours
_FIND_IDS = "SELECT id FROM audit_logs WHERE id = ANY(%s)"

#: Takes the next places in the trail, and the trail itself until the commit: entries become visible in their order.
_TAKE_PLACES = (
    f"INSERT INTO {audit_sequence.name} AS s (tenant_id, last) VALUES ('{DEFAULT_TENANT}', %s)"  # noqa: S608 - names of ours
    " ON CONFLICT (tenant_id) DO UPDATE SET last = s.last + excluded.last RETURNING last"
)

_APPEND: Ingest[Row, str] = Ingest("audit_logs", _append_sqlite, _append_postgresql)


def _target_rows(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    return [(values[1], target, values[0]) for values, targets in rows for target in targets]


class _Places:
    """Gives entries their place in the trail: SQLite does by itself, its one writer being alone with it anyway."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_itself = connection.dialect.name == "sqlite"
        if not self._by_itself:
            self._take(0)  # from here to the commit nobody else adds entries

    def give(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return rows with their places."""
        if self._by_itself:
            return rows
        first = self._take(len(rows)) - len(rows) + 1
        return [{**row, "seq": place} for place, row in enumerate(rows, first)]

    def _take(self, places: int) -> int:
        taking = postgresql.insert(audit_sequence).values(tenant_id=DEFAULT_TENANT, last=places)
        taking = taking.on_conflict_do_update(
            index_elements=[audit_sequence.c.tenant_id], set_={"last": audit_sequence.c.last + taking.excluded.last}
        )
        return self._connection.execute(taking.returning(audit_sequence.c.last)).scalar_one()


def _id_of_key(connection: Connection, tenant: str, key: str) -> str | None:
    query = select(audit_logs.c.id).where(
        audit_logs.c.tenant_id == tenant,
        audit_logs.c.idempotency_key == key,
        audit_logs.c.idempotency_key.is_not(None),
    )
    return connection.execute(query).scalar()


# ── Reading ──────────────────────────────────────────────────────────────────


def _entry(row: RowMapping) -> AuditEntry:
    people = json.loads(row["people"])
    state = row["review_state"]
    context = json.loads(row["context"])
    return AuditEntry(
        id=row["id"], tenant=row["tenant_id"], recorded_at=row["recorded_at"], time=row["occurred_at"],
        kind=Kind(row["kind"]), action=row["action"], category=row["category"], outcome=Outcome(row["outcome"]),
        actor=Reference(**people["actor"]),
        impersonator=Reference(**people["impersonator"]) if "impersonator" in people else None,
        effective=Reference(**people["effective"]) if "effective" in people else None,
        targets=tuple(Reference(**target) for target in json.loads(row["targets"])),
        changes=tuple(Change(**change) for change in json.loads(row["changes"])),
        context=Context(ip=row["ip"], user_agent=row["user_agent"], trace_id=row["trace_id"], **context),
        reason=row["reason"], observer=row["observer"], labels=json.loads(row["labels"]),
        idempotency_key=row["idempotency_key"] or "", schema_version=row["schema_version"],
        risk_score=row["risk_score"],
        risk_reasons=tuple(RiskReason(**reason) for reason in json.loads(row["risk_reasons"])),
        flagged=row["flagged"], flag_key=row["flag_key"] or "", flag_id=row["flag_id"] or "",
        review=_review(row) if state else None, sequence=row["seq"],
    )  # fmt: skip


def _review(row: RowMapping) -> Review:
    return Review(
        ReviewState(row["review_state"]),
        row["review_assignee"] or "",
        row["review_note"] or "",
        row["reviewed_by"] or "",
        row["reviewed_at"] or 0,
    )


def _newest(*conditions: Any) -> _Traces:
    columns = (audit_logs.c.recorded_at, audit_logs.c.actor, audit_logs.c.action, audit_logs.c.outcome,
               audit_logs.c.ip, audit_logs.c.user_agent)  # fmt: skip
    return (
        select(*columns)
        .where(audit_logs.c.tenant_id == bindparam("tenant"), audit_logs.c.id >= bindparam("first"), *conditions)
        .order_by(audit_logs.c.id.desc())
        .limit(MAX_TRACES)
    )


#: Entries that a review waits for; on the index of flagged entries.
_waiting = audit_logs.c.review_state.is_not(None) & audit_logs.c.review_state.in_([state.value for state in UNREVIEWED])


# Written once: an actor who is new to an instance is asked about while somebody waits.
_OF_ACTOR = _newest(audit_logs.c.actor == bindparam("whose"))
_FROM_ADDRESS = _newest(audit_logs.c.ip == bindparam("whose"), audit_logs.c.ip != "")


def _traces(connection: Connection, newest: _Traces, tenant: str, whose: str, since: int) -> list[Trace]:
    found = connection.execute(newest, {"tenant": tenant, "whose": whose, "first": floor_id(since)}).all()
    return [Trace(*row) for row in reversed(found)]
