"""Turns: works that look first and then write go one after the other, whichever process runs them."""

from __future__ import annotations

from sqlalchemy import text

from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import connection_of

#: Held until the transaction ends (PostgreSQL manual, "Advisory Locks").
_TURN = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

_TURN_IF_FREE = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")

#: Longest that a turn which others share may idle between two statements, milliseconds: then its process is frozen, or
#: the host gone, and the server ends the transaction. Shorter than a lease lives, so that no election waits for it.
IDLE_MS = 5_000

_SHARED_TURN = text(
    f"SELECT set_config('idle_in_transaction_session_timeout', '{IDLE_MS}', true),"
    " pg_try_advisory_xact_lock_shared(hashtextextended(:name, 0))"
)


def take_turn(tx: Transaction, *about: str) -> None:
    """Wait for one's turn; where one writer does all, it has come already.

    Locks are taken in the order of their names, so that two who want the same ones do not wait for each other.
    """
    connection = connection_of(tx)
    if connection.dialect.name == "postgresql":
        for name in sorted(set(about)):
            connection.execute(_TURN, {"name": f"custodes:{name}"})


def try_turn(tx: Transaction, about: str) -> bool:
    """Take one's turn if nobody else has it just now, waiting for nobody; where one writer does all, it is free."""
    connection = connection_of(tx)
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.execute(_TURN_IF_FREE, {"name": f"custodes:{about}"}).scalar_one())


def share_turn(tx: Transaction, about: str) -> bool:
    """Keep everybody from taking this turn until the transaction ends; False when somebody has it just now."""
    connection = connection_of(tx)
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.execute(_SHARED_TURN, {"name": f"custodes:{about}"}).one()[1])
