"""Rules, incidents and messages in a SQL store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, true, update

from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.alerts.model import (
    Delivery,
    Incident,
    News,
    Notification,
    Rule,
    Severity,
    SinkStatus,
    State,
)
from custodes.planes.alerts.rules import from_dict, to_dict
from custodes.runtime.transactions import Store, Transaction
from custodes.storage.sql.bulk import counted
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.alerts import alert_incidents as i
from custodes.storage.sql.tables.alerts import alert_notifications as n
from custodes.storage.sql.tables.alerts import alert_rules as r
from custodes.storage.sql.tables.alerts import alert_sinks as k

T = TypeVar("T")

#: Columns of an incident in the order of :func:`_incident`.
_INCIDENT = [column for column in i.c if column.name != "open_key"]


class SqlAlertStore:
    """An :class:`~custodes.planes.alerts.ports.AlertStore` in a SQL database."""

    def __init__(self, database: Store) -> None:
        self._database = database

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that only reads."""
        return await self._database.read(work)

    async def write(self, work: Callable[[Transaction], T], *, once: str = "") -> T:
        """Run a work and commit it durably."""
        return await self._database.write(work, once=once)

    # ── Incidents ────────────────────────────────────────────────────────────

    def open_incidents(self, tx: Transaction, limit: int) -> list[Incident]:
        """Return all incidents that are pending or firing."""
        # "Greater than empty" is "not null" in a form for which SQLite uses the index.
        return _incidents(tx, i.c.open_key > "", limit)

    def find_open(self, tx: Transaction, tenant: str, fingerprint: str) -> Incident | None:
        """Return the open incident of a fingerprint."""
        return next(iter(_incidents(tx, i.c.open_key == _open_key(tenant, fingerprint), 1)), None)

    def last_silence(self, tx: Transaction, tenant: str, fingerprint: str) -> int | None:
        """Return the silence of a fingerprint's newest incident."""
        return connection_of(tx).execute(_newest(i.c.silenced_until, tenant, fingerprint)).scalar()

    def put_incident(self, tx: Transaction, incident: Incident) -> None:
        """Insert an incident, or replace it."""
        connection = connection_of(tx)
        values = _columns(incident)
        if not connection.execute(update(i).where(i.c.id == incident.id).values(values)).rowcount:
            connection.execute(insert(i).values(values))

    def drop_incident(self, tx: Transaction, incident: Incident) -> None:
        """Delete an incident; the one before takes its silence back, as it was changed meanwhile."""
        connection = connection_of(tx)
        connection.execute(delete(i).where(i.c.id == incident.id))
        if incident.silenced_until is not None:
            before = _newest(i.c.id, incident.tenant, incident.fingerprint).scalar_subquery()
            connection.execute(update(i).where(i.c.id == before).values(silenced_until=incident.silenced_until))

    def get_incident(self, tx: Transaction, tenant: str | None, identifier: str) -> Incident | None:
        """Return one incident."""
        return next(iter(_incidents(tx, and_(i.c.id == identifier, _incidents_of(tenant)), 1)), None)

    def list_incidents(
        self,
        tx: Transaction,
        *,
        tenant: str | None,
        state: State | None,
        since: int | None,
        until: int | None,
        after: tuple[int, str] | None,
        limit: int,
    ) -> list[Incident]:
        """Return incidents, newest start first."""
        query = select(*_INCIDENT).where(_incidents_of(tenant))
        if state is not None:
            query = query.where(i.c.state == str(state))
        if since is not None:
            query = query.where(i.c.started_at >= since)
        if until is not None:
            query = query.where(i.c.started_at < until)
        if after is not None:
            at, identifier = after
            query = query.where(
                i.c.started_at <= at, or_(i.c.started_at < at, and_(i.c.started_at == at, i.c.id < identifier))
            )
        query = query.order_by(i.c.started_at.desc(), i.c.id.desc()).limit(limit)
        return [_incident(row) for row in connection_of(tx).execute(query)]

    # ── Rules ────────────────────────────────────────────────────────────────

    def list_rules(self, tx: Transaction) -> list[Rule]:
        """Return all stored rules, by id."""
        rows = connection_of(tx).execute(select(r.c.id, r.c.tenant_id, r.c.definition, r.c.updated_at).order_by(r.c.id))
        return [from_dict(row[0], row[1] or None, row[2], row[3]) for row in rows]

    def put_rule(self, tx: Transaction, rule: Rule) -> None:
        """Insert a rule, or replace it."""
        connection = connection_of(tx)
        values = {"tenant_id": rule.tenant or "", "definition": to_dict(rule), "updated_at": rule.updated_at}
        if not connection.execute(update(r).where(r.c.id == rule.id).values(values)).rowcount:
            connection.execute(insert(r).values(id=rule.id, **values))

    def delete_rule(self, tx: Transaction, identifier: str) -> bool:
        """Delete a stored rule."""
        return connection_of(tx).execute(delete(r).where(r.c.id == identifier)).rowcount > 0

    # ── Messages ─────────────────────────────────────────────────────────────

    def add_notification(self, tx: Transaction, notification: Notification) -> None:
        """Add a message that waits to be sent."""
        values = {
            "tenant_id": notification.tenant,
            "id": notification.id,
            "incident_id": notification.incident_id,
            "sink": notification.sink,
            "news": str(notification.news),
            "payload": notification.payload,
            "created_at": notification.created_at,
            "due_at": notification.due_at,
            "state": str(notification.state),
            "attempts": notification.attempts,
            "error": notification.error,
        }
        connection_of(tx).execute(insert(n).values(values))

    def due_notifications(
        self, tx: Transaction, now: int, limit: int, *, without: Sequence[str] = ()
    ) -> list[Notification]:
        """Return messages whose next attempt is due."""
        query = select(n).where(n.c.state == str(Delivery.WAITING), n.c.due_at <= now).order_by(n.c.due_at).limit(limit)
        if without:
            query = query.where(n.c.sink.not_in(without))
        return [_notification(row) for row in connection_of(tx).execute(query)]

    def put_attempt(
        self, tx: Transaction, identifier: str, state: Delivery, attempts: int, due_at: int, error: str, at: int
    ) -> None:
        """Note how an attempt went."""
        finished_at = None if state is Delivery.WAITING else at
        values = {
            "state": str(state),
            "attempts": attempts,
            "due_at": due_at,
            "error": error,
            "finished_at": finished_at,
        }
        connection_of(tx).execute(update(n).where(n.c.id == identifier).values(values))

    def postpone(self, tx: Transaction, sink: str, until: int) -> None:
        """Have no message that waits for a sink be due before a moment: right before it at the earliest."""
        early = and_(n.c.state == str(Delivery.WAITING), n.c.due_at < until, n.c.sink == sink)
        connection_of(tx).execute(update(n).where(early).values(due_at=until - 1))

    def fail_waiting(self, tx: Transaction, sink: str, error: str, at: int) -> int:
        """Give up all messages that wait for a sink."""
        waiting = and_(n.c.state == str(Delivery.WAITING), n.c.sink == sink)
        values = {"state": str(Delivery.FAILED), "error": error, "finished_at": at}
        return connection_of(tx).execute(update(n).where(waiting).values(values)).rowcount

    def list_notifications(self, tx: Transaction, incident_id: str, limit: int) -> list[Notification]:
        """Return the messages about an incident, oldest first."""
        query = select(n).where(n.c.incident_id == incident_id).order_by(n.c.id).limit(limit)
        return [_notification(row) for row in connection_of(tx).execute(query)]

    def count_waiting(self, tx: Transaction) -> tuple[int, int | None]:
        """Return how many messages wait, and when the oldest of them was made."""
        query = select(func.count(), func.min(n.c.created_at)).where(n.c.state == str(Delivery.WAITING))
        count, oldest = connection_of(tx).execute(query).one()
        return count, oldest

    # ── Sinks ────────────────────────────────────────────────────────────────

    def disabled_sinks(self, tx: Transaction) -> list[SinkStatus]:
        """Return the sinks that get nothing any more."""
        query = select(k.c.name, k.c.reason, k.c.changed_at).where(
            k.c.tenant_id == DEFAULT_TENANT, k.c.disabled.is_(True)
        )
        return [
            SinkStatus(name=row[0], disabled_reason=row[1], disabled_at=row[2])
            for row in connection_of(tx).execute(query)
        ]

    def put_sink(self, tx: Transaction, status: SinkStatus) -> None:
        """Note that a sink is off, or on again."""
        connection = connection_of(tx)
        off = bool(status.disabled_reason)
        values = {"disabled": off, "reason": status.disabled_reason, "changed_at": status.disabled_at}
        mine = and_(k.c.tenant_id == DEFAULT_TENANT, k.c.name == status.name)
        if not connection.execute(update(k).where(mine).values(values)).rowcount:
            connection.execute(insert(k).values(tenant_id=DEFAULT_TENANT, name=status.name, **values))

    # ── Retention ────────────────────────────────────────────────────────────

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Delete incidents that were over before a moment, with their messages."""
        connection = connection_of(tx)
        query = select(i.c.id).where(i.c.resolved_at < before).order_by(i.c.resolved_at).limit(limit)
        ids = list(connection.execute(query).scalars())
        for identifier in ids:
            connection.execute(delete(n).where(n.c.incident_id == identifier))
            connection.execute(delete(i).where(i.c.id == identifier))
        return len(ids)

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count incidents that were over before a moment."""
        return counted(connection_of(tx), i, i.c.resolved_at < before)


def _incidents_of(tenant: str | None) -> ColumnElement[bool]:
    return true() if tenant is None else i.c.tenant_id == tenant


def _incidents(tx: Transaction, where: ColumnElement[bool], limit: int) -> list[Incident]:
    return [_incident(row) for row in connection_of(tx).execute(select(*_INCIDENT).where(where).limit(limit))]


def _newest(column: ColumnElement[T], tenant: str, fingerprint: str) -> Select[T]:
    where = (i.c.tenant_id == tenant, i.c.fingerprint == fingerprint)
    return select(column).where(*where).order_by(i.c.started_at.desc(), i.c.id.desc()).limit(1)


def _open_key(tenant: str, fingerprint: str) -> str:
    return f"{tenant}:{fingerprint}"


def _columns(incident: Incident) -> dict[str, Any]:
    values: dict[str, Any] = {
        column.name: getattr(incident, column.name) for column in _INCIDENT if column.name != "tenant_id"
    }
    values.update(
        tenant_id=incident.tenant,
        labels=dict(incident.labels),
        severity=str(incident.severity),
        state=str(incident.state),
        open_key=_open_key(incident.tenant, incident.fingerprint) if incident.open else None,
    )
    return values


def _incident(row: Any) -> Incident:
    found = dict(row._mapping)  # noqa: SLF001 - the public name of a row's mapping
    found["tenant"] = found.pop("tenant_id")
    found["labels"] = tuple(sorted(found["labels"].items()))
    found["severity"] = Severity(found["severity"])
    found["state"] = State(found["state"])
    return Incident(**found)


def _notification(row: Any) -> Notification:
    return Notification(
        id=row.id,
        tenant=row.tenant_id,
        incident_id=row.incident_id,
        sink=row.sink,
        news=News(row.news),
        payload=row.payload,
        created_at=row.created_at,
        due_at=row.due_at,
        state=Delivery(row.state),
        attempts=row.attempts,
        error=row.error,
    )
