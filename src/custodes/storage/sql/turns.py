"""Turns: works that look first and then write go one after the other, whichever process runs them."""

from __future__ import annotations

from sqlalchemy import text

from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import connection_of

#: Held until the transaction ends (PostgreSQL manual, "Advisory Locks").
_TURN = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


def take_turn(tx: Transaction, *about: str) -> None:
    """Wait for one's turn; where one writer does all, it has come already.

    Locks are taken in the order of their names, so that two who want the same ones do not wait for each other.
    """
    connection = connection_of(tx)
    if connection.dialect.name == "postgresql":
        for name in sorted(set(about)):
            connection.execute(_TURN, {"name": f"custodes:{name}"})
