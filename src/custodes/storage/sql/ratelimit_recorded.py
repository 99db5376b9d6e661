"""Recorded calls as the rate limiter replays them: a few columns of the raw rows, oldest first."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select, tuple_

from custodes.planes.ratelimit.ports import RecordedCall
from custodes.runtime.transactions import Store
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.traffic import api_monitoring as t

#: Kinds of calls that pass the limiter; a wrapped callable does not.
_LIMITED = ("http", "websocket")

_COLUMNS = (
    t.c.id,
    t.c.started_at,
    t.c.total_us + t.c.background_us,
    t.c.method,
    t.c.path,
    t.c.route,
    t.c.status,
    t.c.client_ip,
    t.c.user_id,
    t.c.api_key_id,
    t.c.tenant_id,
    t.c.limited_by,
)


class SqlRecordings:
    """A :class:`~custodes.planes.ratelimit.ports.Recordings` over the raw rows of API calls."""

    def __init__(self, database: Store) -> None:
        self._database = database

    async def begin(self, *, tenant: str | None, since: int, until: int, limit: int) -> int:
        """Find where the newest so many begin: the time index is walked back, no row is read."""
        query = select(t.c.started_at).where(*_within(tenant, since, until))
        query = query.order_by(t.c.started_at.desc()).offset(limit).limit(1)
        first = await self._database.read(lambda tx: connection_of(tx).execute(query).scalar())
        return since if first is None else int(first) + 1

    async def calls(
        self, *, tenant: str | None, since: int, until: int, after: RecordedCall | None, limit: int
    ) -> Sequence[RecordedCall]:
        """List calls, oldest first."""
        query = select(*_COLUMNS).where(*_within(tenant, since, until), t.c.kind.in_(_LIMITED))
        if after is not None:
            query = query.where(tuple_(t.c.started_at, t.c.id) > tuple_(after.started_at, after.id))
            query = query.where(t.c.started_at >= after.started_at)
        query = query.order_by(t.c.started_at, t.c.id).limit(limit)
        return await self._database.read(
            lambda tx: [_call(*row) for row in connection_of(tx).execute(query)]  # pyright: ignore[reportArgumentType]
        )


def _within(tenant: str | None, since: int, until: int) -> list[ColumnElement[bool]]:
    found = [t.c.started_at >= since, t.c.started_at < until]
    return found if tenant is None else [*found, t.c.tenant_id == tenant]


def _call(identifier: str, started_at: int, took: int, *rest: str) -> RecordedCall:
    return RecordedCall(identifier, started_at, started_at + took, *rest)  # pyright: ignore[reportArgumentType]
