"""Messages, deliveries and attempts on SQL: :class:`~custodes.planes.outbound.ports.DeliveryStore`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    delete,
    exists,
    func,
    select,
    tuple_,
    update,
)

from custodes.kernel.paging import Page, decode_cursor, page_of
from custodes.planes.outbound.emitter import TEST
from custodes.planes.outbound.health import FAILING_FOR, Standing
from custodes.planes.outbound.model import JOB_KIND, Attempt, Delivery, DeliveryStatus, Endpoint, EndpointState, Message
from custodes.planes.outbound.ports import DeliveryFilter, Line, LineKey, Load, Old, Place, Result, Stuck
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import delivery_lines, delivery_retention
from custodes.storage.sql.bulk import counted, insert_ignoring, insert_rows, insert_tables, update_rows
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.delivery_lines import unended
from custodes.storage.sql.delivery_rows import (
    attempt_of,
    attempt_row,
    delivery_of,
    delivery_row,
    job_row,
    key_of,
    load_of,
    message_of,
    message_row,
)
from custodes.storage.sql.lists import among
from custodes.storage.sql.tables.jobs import jobs
from custodes.storage.sql.tables.outbound import webhook_configurations as endpoints
from custodes.storage.sql.tables.outbound import webhook_deliveries as d
from custodes.storage.sql.tables.outbound import webhook_delivery_attempts as a
from custodes.storage.sql.tables.outbound import webhook_endpoint_health as healths
from custodes.storage.sql.tables.outbound import webhook_message_bodies as b
from custodes.storage.sql.tables.outbound import webhook_messages as m

#: Where a delivery is that can be sent again.
_ENDED = (DeliveryStatus.SUCCEEDED.value, DeliveryStatus.FAILED.value, DeliveryStatus.HELD.value)


class SqlDeliveryStore:
    """Keeps messages, bodies, deliveries and attempts each in a table of its own."""

    # ── Emitting ─────────────────────────────────────────────────────────────

    def add_keyed(self, tx: Transaction, messages: Sequence[Message]) -> dict[str, Message]:
        """Add messages; a key that is there already, or is being added, gives way to the one that has it."""
        connection = connection_of(tx)
        # In the order of the keys: two transactions that add the same ones do not wait for each other.
        left: list[Message] = sorted(messages, key=key_of)
        before: dict[str, Message] = {}
        while left:
            claim = insert_ignoring(connection, m).returning(m.c.id)
            added = set(connection.execute(claim, [message_row(message) for message in left]).scalars())
            left = [message for message in left if message.id not in added]
            known = self._known(connection, left)
            before |= {message.id: known[key_of(message)] for message in left if key_of(message) in known}
            left = [message for message in left if key_of(message) not in known]  # purged in between: its key is free
        return before

    def _known(self, connection: Connection, messages: Sequence[Message]) -> dict[tuple[str, str], Message]:
        if not messages:
            return {}
        wanted = tuple_(m.c.tenant_id, m.c.idempotency_key).in_([key_of(message) for message in messages])
        found = (message_of(row) for row in connection.execute(select(m).where(wanted)).mappings())
        return {key_of(message): message for message in found}

    def add(
        self,
        tx: Transaction,
        messages: Sequence[Message],
        bodies: Sequence[tuple[Message, str, bytes]],
        deliveries: Sequence[Delivery],
    ) -> None:
        """Add everything at once."""
        parts = (
            (m, [message_row(message) for message in messages]),
            (b, [_body_row(*one) for one in bodies]),
            (d, [delivery_row(delivery) for delivery in deliveries]),
            (jobs, [job_row(delivery) for delivery in deliveries if delivery.status is DeliveryStatus.PENDING]),
        )
        insert_tables(connection_of(tx), parts)

    # ── Lines ────────────────────────────────────────────────────────────────

    def take_turns(self, tx: Transaction, endpoint_ids: Iterable[str]) -> None:
        """Wait for one's turn; on SQLite there is one writer anyway."""
        delivery_lines.take_turns(tx, endpoint_ids)

    def in_line(self, tx: Transaction, endpoint: Endpoint, order_keys: Iterable[str]) -> dict[str, Line]:
        """Tell how lines stand."""
        return delivery_lines.in_line(connection_of(tx), endpoint, order_keys)

    def begin(self, tx: Transaction, lines: Iterable[LineKey], due_at: int) -> list[str]:
        """Begin the oldest that waits."""
        return delivery_lines.begin(tx, lines, due_at)

    def put_jobs(self, tx: Transaction, ids: Sequence[str], due_at: int) -> int:
        """Put jobs in."""
        return delivery_lines.put_jobs(connection_of(tx), ids, due_at)

    def stuck(self, tx: Transaction, after: Place | None, limit: int) -> tuple[list[Stuck], Place | None]:
        """Go through the index of what is open or held."""
        return delivery_lines.stuck(connection_of(tx), after, limit)

    # ── Delivering ───────────────────────────────────────────────────────────

    def load(self, tx: Transaction, ids: Sequence[str]) -> dict[str, Load]:
        """Read deliveries with their messages and bodies."""
        rows = connection_of(tx).execute(_LOAD, {"ids": list(ids)}).mappings()
        return {row["id"]: load_of(row) for row in rows}

    def record(self, tx: Transaction, records: Sequence[tuple[Delivery, Attempt, Result]]) -> None:
        """Add attempts and move deliveries on, one statement a table."""
        if not records:
            return
        connection = connection_of(tx)
        insert_rows(connection, a, [attempt_row(attempt) for _, attempt, _ in records])
        moved = [
            {
                "id": delivery.id,
                "status": result.status.value,
                "attempts": attempt.number,
                "finished_at": result.finished_at,
                "next_attempt_at": result.next_attempt_at,
                "last_status": attempt.status,
                "error": attempt.error,
            }
            for delivery, attempt, result in records
        ]
        update_rows(connection, d, "id", moved)

    def move(self, tx: Transaction, delivery: Delivery, status: DeliveryStatus) -> None:
        """Move a delivery."""
        moved = update(d).where(d.c.id == delivery.id).values(status=status.value, next_attempt_at=None)
        connection_of(tx).execute(moved)

    def hold(self, tx: Transaction, endpoint: Endpoint) -> int:
        """Delete the jobs that nobody is at, and hold what they were of, and what waits for its turn."""
        connection = connection_of(tx)
        free = (jobs.c.kind == JOB_KIND, jobs.c.lane == endpoint.lane, jobs.c.lease_owner.is_(None))
        refs = connection.execute(delete(jobs).where(*free).returning(jobs.c.ref)).scalars().all()
        held = {"status": DeliveryStatus.HELD.value, "next_attempt_at": None}
        pending = update(d).where(among(d.c.id, "refs"), d.c.status == DeliveryStatus.PENDING.value)
        waiting = (
            update(d)
            .where(unended(d), d.c.status == DeliveryStatus.WAITING.value)
            .where(d.c.tenant_id == endpoint.tenant, d.c.configuration_id == endpoint.id)
        )
        count = connection.execute(pending.values(held), {"refs": refs}).rowcount if refs else 0
        return count + connection.execute(waiting.values(held)).rowcount

    # ── Reading ──────────────────────────────────────────────────────────────

    def find(self, tx: Transaction, wanted: DeliveryFilter, limit: int, cursor: str) -> Page[Delivery]:
        """Read a page, newest first: the ids are in the order of creation."""
        query = select(d).where(*_wanted(wanted)).order_by(d.c.id.desc()).limit(limit + 1)
        if cursor:
            query = query.where(d.c.id < decode_cursor(cursor)[1])
        rows = [delivery_of(row) for row in connection_of(tx).execute(query).mappings()]
        return page_of(rows, limit, lambda delivery: (delivery.created_at, delivery.id))

    def get(self, tx: Transaction, tenant: str | None, delivery_id: str) -> Delivery | None:
        """Read one."""
        query = select(d).where(d.c.id == delivery_id)
        row = connection_of(tx).execute(_of_tenant(query, d, tenant)).mappings().first()
        return None if row is None else delivery_of(row)

    def count(self, tx: Transaction, wanted: DeliveryFilter) -> int:
        """Count."""
        query = select(func.count()).select_from(d).where(*_wanted(wanted))
        return connection_of(tx).execute(query).scalar_one()

    def again(self, tx: Transaction, wanted: DeliveryFilter, due_at: int, limit: int, after: str) -> list[str]:
        """Put jobs for deliveries that have ended; those of a line wait in it for their turn."""
        connection = connection_of(tx)
        query = select(d).where(*_wanted(wanted), d.c.status.in_(_ENDED), d.c.id > after).order_by(d.c.id).limit(limit)
        chosen = {row["id"]: delivery_of(row) for row in connection.execute(query).mappings()}
        free = [delivery.id for delivery in chosen.values() if not delivery.order_key]
        lined = [delivery.id for delivery in chosen.values() if delivery.order_key]
        reopened = _reopened(connection, free, DeliveryStatus.PENDING, due_at)
        insert_rows(connection, jobs, [job_row(chosen[delivery_id], due_at) for delivery_id in reopened])
        waiting = _reopened(connection, lined, DeliveryStatus.WAITING, None)
        self.begin(tx, [chosen[delivery_id].line for delivery_id in waiting], due_at)
        return list(chosen)

    def standing(self, tx: Transaction, tenant: str | None, now: int, since: int) -> Standing:
        """Count."""
        connection = connection_of(tx)

        def of(table: Table) -> tuple[ColumnElement[bool], ...]:
            return () if tenant is None else (table.c.tenant_id == tenant,)

        backlog = counted(connection, jobs, jobs.c.kind == JOB_KIND, *of(jobs))
        failing = select(healths.c.tenant_id + "/" + healths.c.configuration_id)
        oldest = select(func.min(jobs.c.due_at)).where(
            jobs.c.kind == JOB_KIND, jobs.c.due_at <= now, jobs.c.lane.not_in(failing), *of(jobs)
        )
        exhausted = counted(
            connection,
            d,
            d.c.status == DeliveryStatus.FAILED.value,
            d.c.finished_at >= since,
            d.c.event_type != TEST,  # tried once: nothing is given up
            *of(d),
        )
        disabled = counted(
            connection,
            endpoints,
            endpoints.c.state == EndpointState.DISABLED.value,
            endpoints.c.deleted_at == 0,
            *of(endpoints),
        )
        enabled = and_(endpoints.c.state == EndpointState.ENABLED.value, endpoints.c.deleted_at == 0, *of(endpoints))
        failing_for_long = and_(
            healths.c.tenant_id == endpoints.c.tenant_id,
            healths.c.configuration_id == endpoints.c.id,
            healths.c.failures > 0,
            healths.c.failing_since <= now - FAILING_FOR,
        )
        return Standing(
            backlog,
            connection.execute(oldest).scalar(),
            exhausted,
            disabled,
            enabled=counted(connection, endpoints, enabled),
            failing=counted(connection, endpoints, enabled, exists().where(failing_for_long)),
        )

    def messages(
        self, tx: Transaction, tenant: str | None, event_type: str | None, limit: int, cursor: str
    ) -> Page[Message]:
        """Read a page, newest first."""
        query = _of_tenant(select(m), m, tenant).order_by(m.c.id.desc()).limit(limit + 1)
        if event_type:
            query = query.where(m.c.event_type == event_type)
        if cursor:
            query = query.where(m.c.id < decode_cursor(cursor)[1])
        rows = [message_of(row) for row in connection_of(tx).execute(query).mappings()]
        return page_of(rows, limit, lambda message: (message.created_at, message.id))

    def message(self, tx: Transaction, tenant: str | None, message_id: str) -> Message | None:
        """Read one."""
        row = connection_of(tx).execute(_of_tenant(select(m), m, tenant).where(m.c.id == message_id)).mappings().first()
        return None if row is None else message_of(row)

    def body(self, tx: Transaction, message: Message, version: str = "") -> bytes | None:
        """Read a body."""
        query = select(b.c.body).where(b.c.message_id == message.id, b.c.version == version)
        return connection_of(tx).execute(query).scalar()

    def attempts(self, tx: Transaction, delivery: Delivery, limit: int) -> list[Attempt]:
        """Read attempts, newest first."""
        query = select(a).where(a.c.delivery_id == delivery.id).order_by(a.c.number.desc()).limit(limit)
        return [attempt_of(row) for row in connection_of(tx).execute(query).mappings()]

    # ── Removing ─────────────────────────────────────────────────────────────

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count what purging would remove."""
        return delivery_retention.count_purgeable(connection_of(tx), before)

    def old(self, tx: Transaction, before: int, limit: int, after: str) -> Old:
        """Choose what goes next."""
        return delivery_retention.old(connection_of(tx), before, limit, after)

    def purge(self, tx: Transaction, old: Old) -> int:
        """Remove it."""
        return delivery_retention.purge(connection_of(tx), old)


def _body_row(message: Message, version: str, body: bytes) -> dict[str, Any]:
    return {"tenant_id": message.tenant, "message_id": message.id, "version": version, "body": body}


def _reopened(connection: Connection, ids: Sequence[str], status: DeliveryStatus, due_at: int | None) -> list[str]:
    """Have deliveries that have ended begin anew; returns those that nobody else has meanwhile."""
    if not ids:
        return []
    begun = {"status": status.value, "finished_at": None, "next_attempt_at": due_at}
    ended = update(d).where(among(d.c.id, "ids"), d.c.status.in_(_ENDED)).values(begun).returning(d.c.id)
    return list(connection.execute(ended, {"ids": list(ids)}).scalars())


_LOAD = (
    select(
        *d.c,
        m.c.created_at.label("emitted_at"),
        m.c.channels,
        m.c.trace_id,
        m.c.trace_context,
        m.c.content_type,
        m.c.headers,
        m.c.idempotency_key,
        b.c.body,
    )
    .select_from(
        d.join(m, m.c.id == d.c.message_id).join(b, and_(b.c.message_id == d.c.message_id, b.c.version == d.c.version))
    )
    .where(among(d.c.id, "ids"))
)


def _wanted(wanted: DeliveryFilter) -> list[Any]:
    where: list[Any] = []
    pairs = (
        (d.c.tenant_id, wanted.tenant),
        (d.c.configuration_id, wanted.endpoint_id),
        (d.c.message_id, wanted.message_id),
        (d.c.event_type, wanted.event_type),
        (d.c.id, wanted.delivery_id),
    )
    where += [column == value for column, value in pairs if value is not None]
    if wanted.without_type is not None:
        where.append(d.c.event_type != wanted.without_type)
    if wanted.to_enabled:
        enabled = _of_tenant(select(endpoints.c.id), endpoints, wanted.tenant)
        enabled = enabled.where(endpoints.c.state == EndpointState.ENABLED.value, endpoints.c.deleted_at == 0)
        where.append(d.c.configuration_id.in_(enabled))
    if wanted.trace_id is not None:
        of_trace = _of_tenant(select(m.c.id), m, wanted.tenant).where(m.c.trace_id == wanted.trace_id)
        where.append(d.c.message_id.in_(of_trace))
    if wanted.statuses:
        where.append(d.c.status.in_([status.value for status in wanted.statuses]))
    if wanted.since is not None:
        where.append(d.c.created_at >= wanted.since)
    if wanted.until is not None:
        where.append(d.c.created_at < wanted.until)
    return where


def _of_tenant(query: Select[Any], table: Any, tenant: str | None) -> Select[Any]:
    return query if tenant is None else query.where(table.c.tenant_id == tenant)
