"""What the clock of the database server says."""

from __future__ import annotations

from sqlalchemy import text

from custodes.kernel.clock import Clock
from custodes.runtime.store_time import Seen
from custodes.runtime.transactions import Store, Transaction
from custodes.storage.sql.database import connection_of

#: On PostgreSQL; of the statement, not of its transaction.
_NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")


async def look(store: Store, clock: Clock) -> Seen:
    """Look at the clock of a PostgreSQL server.

    Raises:
        StorageUnavailable: it does not answer.
    """

    def work(tx: Transaction) -> Seen:
        connection = connection_of(tx)
        connection.execute(_NOW)  # what it takes to begin is over then
        before = clock.monotonic()
        time: int = connection.execute(_NOW).scalar_one()
        return Seen(time, before, clock.monotonic())

    return await store.read(work)
