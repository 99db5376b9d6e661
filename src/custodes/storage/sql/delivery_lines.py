"""Lines of deliveries and their jobs on SQL: whose turn it is, and what fell between two transactions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from custodes.planes.outbound.model import JOB_KIND, DeliveryStatus, Endpoint, EndpointState
from custodes.planes.outbound.ports import Line, LineKey, Place, Stuck
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.bulk import insert_ignoring
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.delivery_rows import delivery_of, job_row
from custodes.storage.sql.lists import among
from custodes.storage.sql.tables.jobs import jobs
from custodes.storage.sql.tables.outbound import UNENDED
from custodes.storage.sql.tables.outbound import webhook_configurations as endpoints
from custodes.storage.sql.tables.outbound import webhook_deliveries as d
from custodes.storage.sql.turns import take_turn

_PENDING, _WAITING, _HELD = (
    status.value for status in (DeliveryStatus.PENDING, DeliveryStatus.WAITING, DeliveryStatus.HELD)
)

#: Where a delivery is that has not ended, whose turn is to come or has.
OPEN = (_PENDING, _WAITING)


def unended(table: FromClause) -> ColumnElement[bool]:
    """Say what the index of open and held deliveries is of: word by word, or SQLite does not use it."""
    return table.c.status.in_([literal_column(f"'{status}'") for status in UNENDED])


def take_turns(tx: Transaction, endpoint_ids: Iterable[str]) -> None:
    """Keep others who put deliveries into lines of endpoints, or begin them, out until the transaction ends."""
    take_turn(tx, *(f"lines:{endpoint_id}" for endpoint_id in endpoint_ids))


def in_line(connection: Connection, endpoint: Endpoint, order_keys: Iterable[str]) -> dict[str, Line]:
    """Tell how lines stand."""
    moving = func.max(case((d.c.status.in_(OPEN), 1), else_=0))
    query = (
        select(d.c.order_key, func.max(d.c.position), moving)
        .where(unended(d), d.c.status.in_(UNENDED))
        .where(d.c.tenant_id == endpoint.tenant, d.c.configuration_id == endpoint.id)
        .where(d.c.order_key.in_(list(order_keys)))
        .group_by(d.c.order_key)
    )
    return {key: Line(last, bool(moves)) for key, last, moves in connection.execute(query)}


def begin(tx: Transaction, lines: Iterable[LineKey], due_at: int) -> list[str]:
    """Have the oldest that waits begin, in each line in which nothing is on its way; returns their ids."""
    wanted = sorted(set(lines))
    if not wanted:
        return []
    # After the turn has come, as a statement sees what was committed before it begins.
    take_turns(tx, (endpoint_id for _, endpoint_id, _ in wanted))
    connection = connection_of(tx)
    found = (
        connection.execute(_OLDEST, {"tenant": tenant, "endpoint": endpoint_id, "key": key}).scalar()
        for tenant, endpoint_id, key in wanted
    )
    first = [delivery_id for delivery_id in found if delivery_id is not None]
    if not first:
        return []
    # What was held meanwhile stays so.
    began = connection.execute(_BEGIN, {"ids": first, "due_at": due_at}).mappings().all()
    if began:
        connection.execute(insert(jobs), [job_row(delivery_of(row), due_at) for row in began])
    return [row["id"] for row in began]


def put_jobs(connection: Connection, ids: Sequence[str], due_at: int) -> int:
    """Put in jobs for pending deliveries that have none; returns how many."""
    found = [delivery_of(row) for row in connection.execute(_WITHOUT_JOB, {"ids": list(ids)}).mappings()]
    if not found:
        return 0
    put = insert_ignoring(connection, jobs).returning(jobs.c.ref)
    return len(connection.execute(put, [job_row(delivery, due_at) for delivery in found]).all())


_PLACE = (d.c.status, d.c.tenant_id, d.c.configuration_id, d.c.order_key, d.c.position, d.c.id)

#: Before all of them.
_START: Place = ("", "", "", "", 0, "")


def stuck(connection: Connection, after: Place | None, limit: int) -> tuple[list[Stuck], Place | None]:
    """Find what is stuck among the next deliveries that are open or held, and where to go on; None: that was all."""
    beyond = and_(unended(d), tuple_(*_PLACE) > tuple_(*(after or _START)))
    last = connection.execute(select(*_PLACE).where(beyond).order_by(*_PLACE).offset(limit - 1).limit(1)).first()
    these = beyond if last is None else and_(beyond, tuple_(*_PLACE) <= tuple_(*last))
    query = (
        select(*d.c, and_(endpoints.c.state == EndpointState.ENABLED.value, endpoints.c.deleted_at == 0).label("sent"))
        .select_from(d.outerjoin(endpoints, endpoints.c.id == d.c.configuration_id))
        .where(these, or_(_lost_its_job(), _nobody_is_before_it(), _kept_back_for_nothing()))
    )
    found = [Stuck(delivery_of(row), bool(row["sent"])) for row in connection.execute(query).mappings()]
    return found, None if last is None else tuple(last)


def _lost_its_job() -> ColumnElement[bool]:
    return and_(d.c.status == _PENDING, ~exists().where(jobs.c.kind == JOB_KIND, jobs.c.ref == d.c.id))


def _nobody_is_before_it() -> ColumnElement[bool]:
    return and_(d.c.status == _WAITING, ~_on_its_way(d.c.tenant_id, d.c.configuration_id, d.c.order_key))


def _kept_back_for_nothing() -> ColumnElement[bool]:
    sent = and_(endpoints.c.state == EndpointState.ENABLED.value, endpoints.c.deleted_at == 0)
    return and_(d.c.status == _HELD, sent, d.c.created_at >= endpoints.c.held_before)


def _on_its_way(tenant: Any, endpoint_id: Any, key: Any) -> ColumnElement[bool]:
    """Say that a delivery of a line is pending."""
    p = d.alias("p")
    return exists().where(
        unended(p),
        p.c.status == _PENDING,
        p.c.tenant_id == tenant,
        p.c.configuration_id == endpoint_id,
        p.c.order_key == key,
    )


_OF_LINE: list[Any] = [bindparam(name) for name in ("tenant", "endpoint", "key")]

_OLDEST = (
    select(d.c.id)
    .where(unended(d), d.c.status == _WAITING)
    .where(d.c.tenant_id == _OF_LINE[0], d.c.configuration_id == _OF_LINE[1], d.c.order_key == _OF_LINE[2])
    .where(~_on_its_way(*_OF_LINE))
    .order_by(d.c.position, d.c.id)
    .limit(1)
)

_BEGIN = (
    update(d)
    .where(among(d.c.id, "ids"), d.c.status == _WAITING)
    .values(status=_PENDING, next_attempt_at=bindparam("due_at"))
    .returning(*d.c)
)

_WITHOUT_JOB = select(d).where(among(d.c.id, "ids"), _lost_its_job())
