"""Leader leases in a SQL store: compare-and-swap on one row."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.runtime.leases import Lease
from custodes.runtime.transactions import Store, Transaction
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.leases import leader_leases as t
from custodes.storage.sql.turns import share_turn, try_turn


class SqlLeaseStore:
    """A :class:`~custodes.runtime.leases.LeaseStore` in a SQL database.

    Beats are written without waiting for the disk: after a power cut nobody who could hold a lease is alive.
    """

    def __init__(self, database: Store) -> None:
        self._database = database

    async def read(self, name: str) -> Lease | None:
        """Return the lease as it stands."""
        return await self._database.read(lambda tx: _read(tx, name))

    async def acquire(self, name: str, owner: str, seen: Lease | None, at: int) -> Lease | None:
        """Take the lease if its row is still what was seen; one candidate at a time, and none waits for another."""
        wanted = Lease(name, owner, 1 if seen is None else seen.token + 1, 0, at)
        try:
            taken = await self._database.write(lambda tx: _elect(tx, seen, wanted), durable=False)
        except IntegrityError:  # two candidates that saw no row, one after the other
            return None
        return wanted if taken else None

    async def renew(self, lease: Lease, at: int) -> Lease | None:
        """Beat, if the lease is still ours."""
        wanted = Lease(lease.name, lease.owner, lease.token, lease.beats + 1, at)
        renewed = await self._database.write(lambda tx: _put(tx, _is_ours(lease), wanted), durable=False)
        return wanted if renewed else None

    async def release(self, lease: Lease, at: int) -> None:
        """Give it back, if it is still ours."""
        vacant = Lease(lease.name, "", lease.token, lease.beats + 1, at)
        await self._database.write(lambda tx: _put(tx, _is_ours(lease), vacant), durable=False)

    def holds(self, tx: Transaction, lease: Lease) -> bool:
        """Look at the row inside the caller's transaction; nobody else is elected until that ends."""
        if not share_turn(tx, _election(lease.name)):
            return False
        query = select(t.c.token).where(_is_ours(lease))
        return connection_of(tx).execute(query).first() is not None


def _read(tx: Transaction, name: str) -> Lease | None:
    query = select(t.c.name, t.c.owner, t.c.token, t.c.beats, t.c.renewed_at).where(_named(name))
    row = connection_of(tx).execute(query).first()
    return None if row is None else Lease(*row)


def _elect(tx: Transaction, seen: Lease | None, wanted: Lease) -> bool:
    return try_turn(tx, _election(wanted.name)) and _swap(tx, seen, wanted)


def _election(name: str) -> str:
    return f"lease:{name}"


def _swap(tx: Transaction, seen: Lease | None, wanted: Lease) -> bool:
    if seen is not None:
        return _put(tx, and_(_is_ours(seen), t.c.beats == seen.beats), wanted)
    values = {"tenant_id": DEFAULT_TENANT, "name": wanted.name, **_columns(wanted)}
    connection_of(tx).execute(insert(t).values(values))
    return True


def _put(tx: Transaction, where: ColumnElement[bool], lease: Lease) -> bool:
    return connection_of(tx).execute(update(t).where(where).values(_columns(lease))).rowcount == 1


def _columns(lease: Lease) -> dict[str, str | int]:
    return {"owner": lease.owner, "token": lease.token, "beats": lease.beats, "renewed_at": lease.renewed_at}


def _named(name: str) -> ColumnElement[bool]:
    return and_(t.c.tenant_id == DEFAULT_TENANT, t.c.name == name)


def _is_ours(lease: Lease) -> ColumnElement[bool]:
    return and_(_named(lease.name), t.c.owner == lease.owner, t.c.token == lease.token)


class SqlHeartbeat:
    """The row that the health of the store is measured by: a lease that nobody holds.

    A :class:`~custodes.planes.metrics.storage_health.Heartbeat`.
    """

    #: Name of the row in the table of leases.
    NAME = "storage-heartbeat"

    def __init__(self, database: Store) -> None:
        self._database = database

    async def write(self, at: int) -> None:
        """Write the moment, durably."""

        def work(tx: Transaction) -> None:
            known = _read(tx, self.NAME)
            beats = 0 if known is None else known.beats + 1
            beat = Lease(self.NAME, "", 0, beats, at)
            if known is None or not _put(tx, _named(self.NAME), beat):
                _swap(tx, None, beat)

        await self._database.write(work)

    async def read(self) -> int:
        """Read the moment back."""
        found = await self._database.read(lambda tx: _read(tx, self.NAME))
        return 0 if found is None else found.renewed_at
