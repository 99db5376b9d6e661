"""Retention of outgoing webhooks on SQL: what may go, and how much of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select

from custodes.planes.outbound.model import DeliveryStatus, EndpointState
from custodes.planes.outbound.ports import Old
from custodes.storage.sql.bulk import MAX_REMOVED_BYTES, counted
from custodes.storage.sql.delivery_lines import OPEN
from custodes.storage.sql.lists import among
from custodes.storage.sql.tables.outbound import webhook_configurations as endpoints
from custodes.storage.sql.tables.outbound import webhook_deliveries as d
from custodes.storage.sql.tables.outbound import webhook_delivery_attempts as a
from custodes.storage.sql.tables.outbound import webhook_message_bodies as b
from custodes.storage.sql.tables.outbound import webhook_messages as m

#: Messages that are looked at in one read, most of them of endpoints that are paused: some 40 ms.
_LOOK = 10_000

#: Messages that are weighed with one statement: of 200 endpoints each it reads 10,000 deliveries.
_SLICE = 50


def count_purgeable(connection: Connection, before: int) -> int:
    """Count the messages that would go in the end."""
    return counted(connection, m, m.c.created_at < before, ~_is_open())


def old(connection: Connection, before: int, limit: int, after: str) -> Old:
    """Choose the oldest messages, no more than there is room for; of one that is larger some of its deliveries."""
    beyond = select(m.c.id, m.c.created_at).where(m.c.id > after).order_by(m.c.id)
    last = connection.execute(beyond.offset(_LOOK - 1).limit(1)).first()
    query = beyond.where(m.c.created_at < before, ~_is_open())
    if last is not None:
        query = query.where(m.c.id <= last.id)
    closed = [row.id for row in connection.execute(query.limit(limit))]
    chosen: list[str] = []
    room, bytes_left, at = limit, MAX_REMOVED_BYTES, after
    for weighed in _weighed(connection, closed):
        if not chosen and weighed.rows > limit:
            return Old(deliveries=_some_deliveries(connection, weighed.id, limit), upto=at)
        room, bytes_left = room - weighed.rows, bytes_left - weighed.size
        if chosen and (room < 0 or bytes_left < 0):
            break
        chosen.append(weighed.id)
        at = weighed.id
    else:
        if len(closed) < limit:
            # The ids are in the order of creation: what comes after one that is young is young.
            at = last.id if last is not None and last.created_at < before else None
    return Old(tuple(chosen), _deliveries(connection, chosen), at)


def purge(connection: Connection, these: Old) -> int:
    """Remove what was chosen, but for what is to be sent again since; returns how many messages."""
    of = select(d.c.message_id).where(among(d.c.id, "ids"), _still_open())
    reopened = set(connection.execute(of, {"ids": these.deliveries}).scalars())
    ids, messages = list(these.deliveries), [one for one in these.messages if one not in reopened]
    if reopened:
        kept = select(d.c.id).where(among(d.c.message_id, "messages"), among(d.c.id, "ids"))
        keep = set(connection.execute(kept, {"messages": sorted(reopened), "ids": ids}).scalars())
        ids = [one for one in ids if one not in keep]
    for statement, of_these in (
        (delete(a).where(among(a.c.delivery_id, "ids")), ids),
        (delete(d).where(among(d.c.id, "ids")), ids),
        (delete(b).where(among(b.c.message_id, "ids")), messages),
        (delete(m).where(among(m.c.id, "ids")), messages),
    ):
        if of_these:
            connection.execute(statement, {"ids": of_these})
    return len(messages)


class _Weighed(NamedTuple):
    """A message and what goes with it."""

    id: str
    #: Rows of all tables.
    rows: int
    #: Bytes of its bodies.
    size: int


def _weighed(connection: Connection, ids: Sequence[str]) -> Iterator[_Weighed]:
    """Weigh messages, some at a time: who has enough asks for no more."""
    for start in range(0, len(ids), _SLICE):
        some = ids[start : start + _SLICE]
        sums = {row.id: row for row in connection.execute(_SUMS, {"ids": some})}
        sizes = {row.id: row for row in connection.execute(_SIZES, {"ids": some})}
        for one in some:
            of, bodies = sums[one], sizes.get(one)
            versions, size = (bodies.versions, int(bodies.size)) if bodies else (0, 0)
            yield _Weighed(one, 1 + of.deliveries + int(of.attempts or 0) + versions, size)


def _deliveries(connection: Connection, messages: Sequence[str]) -> tuple[str, ...]:
    return tuple(row.id for row in connection.execute(_OF_MESSAGES, {"ids": messages})) if messages else ()


def _some_deliveries(connection: Connection, message: str, limit: int) -> tuple[str, ...]:
    """Choose some deliveries of a message with their attempts, one at least; all of them when they are few."""
    chosen: list[str] = []
    for row in connection.execute(_OF_MESSAGES, {"ids": [message]}):
        limit -= 1 + row.attempts
        if chosen and limit < 0:
            break
        chosen.append(row.id)
    return tuple(chosen)


def _is_open() -> ColumnElement[bool]:
    """Say that something is to be sent of a message."""
    return exists().where(_OF, _still_open())


def _still_open() -> ColumnElement[bool]:
    """Say that a delivery is to be sent; what is held while its endpoint is paused is."""
    paused = exists().where(
        endpoints.c.id == d.c.configuration_id,
        endpoints.c.state == EndpointState.PAUSED.value,
        endpoints.c.deleted_at == 0,
    )
    return or_(d.c.status.in_(OPEN), and_(d.c.status == DeliveryStatus.HELD.value, paused))


_OF: Any = and_(d.c.tenant_id == m.c.tenant_id, d.c.message_id == m.c.id)

_SUMS = (
    select(
        m.c.id,
        func.count(d.c.id).label("deliveries"),
        func.sum(d.c.attempts).label("attempts"),
    )
    .select_from(m.outerjoin(d, _OF))
    .where(among(m.c.id, "ids"))
    .group_by(m.c.id)
)

_SIZES = (
    select(b.c.message_id.label("id"), func.count().label("versions"), func.sum(func.length(b.c.body)).label("size"))
    .where(among(b.c.message_id, "ids"))
    .group_by(b.c.message_id)
)

_OF_MESSAGES = select(d.c.id, d.c.attempts).select_from(m.join(d, _OF)).where(among(m.c.id, "ids")).order_by(d.c.id)
