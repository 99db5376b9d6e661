"""Units of work, without knowing the engine.

A plane hands the store a *work*: a plain synchronous function of an open transaction. The engine runs it: on SQLite in
the one writer thread, several works sharing a commit; on PostgreSQL on a pooled connection. Works compose, so that what
belongs together (an admin action and its audit entry) commits together::

    def block(tx: Transaction) -> None:
        blocks.put(tx, the_block)
        also(tx)  # the audit entry

    await store.write(block)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Transaction(Protocol):
    """**Protocol:** an open transaction of some engine. Opaque to planes: only ``storage`` looks inside."""


#: Something to do inside a transaction beside the main thing; what an admin action passes to log itself.
Work = Callable[[Transaction], None]


def nothing(_tx: Transaction) -> None:
    """Do nothing: the default of every ``also``."""


class Store(Protocol):
    """**Protocol:** an engine that runs works.

    A work may be run again from the start when the engine had to roll back for reasons of its own (a serialisation
    failure), so it must have no effect but on the transaction.
    """

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that only reads, on a snapshot.

        Raises:
            StorageUnavailable: the store cannot be reached or did not answer in time.
        """
        ...

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True, once: str = "") -> T:
        """Run a work and commit it; an exception of the work rolls back its own effects only and is raised here.

        Args:
            work: what to do.
            durable: when True the commit has reached the disk when this returns; False is for figures that may be
                lost with the power (metrics, raw request rows).
            once: unique name of what is written, for figures that are added up: written again under it by this process,
                after it could not be known whether it was kept, it is kept once.

        Raises:
            StorageUnavailable: nothing of this work was kept; or the store went away while it committed, and nobody
                knows.
        """
        ...

    async def join(
        self, connection: object, work: Callable[[Transaction], T], *, committed: Callable[[], None] | None = None
    ) -> T:
        """Run a work inside the caller's own transaction, which commits or rolls back with the caller.

        Args:
            connection: a SQLAlchemy ``Connection``, ``AsyncConnection``, ``Session`` or ``AsyncSession`` on the same
                database.
            work: what to do.
            committed: called in this event loop soon after the caller has committed; not after a roll-back. To say that
                there is something to look at, not to rely on: a two-phase commit does not tell.
        """
        ...
