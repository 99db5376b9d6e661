"""Telling when a transaction that is not ours has been committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy import Connection, event

#: How often a commit that has begun is looked at, and after what time at first, seconds; twice as long each time.
_LOOKS = 12
_FIRST_LOOK = 0.001


def call_after_commit(connection: Connection, loop: asyncio.AbstractEventLoop, tell: Callable[[], None]) -> None:
    """Call something in a loop once the transaction that a connection is in has been committed.

    SQLAlchemy says when a commit begins, in the thread of whoever commits; whether it has ended is seen on the
    transaction. One that takes longer than four seconds is not waited for.
    """
    transaction = connection.get_transaction()

    def look(looks: int, wait: float) -> None:
        if transaction is None or not transaction.is_active:
            tell()
        elif looks:
            loop.call_later(wait, look, looks - 1, 2 * wait)

    def begins(committing: Connection) -> None:
        if committing.get_transaction() is transaction:  # else ours was rolled back, and this is a later one
            loop.call_soon_threadsafe(look, _LOOKS, _FIRST_LOOK)

    event.listen(connection, "commit", begins, once=True)
