"""What the server's errors are by their code; for modules that run on SQLite, too, where no driver is installed."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

#: lock_not_available: another transaction had a table for longer than ``lock_timeout``.
LOCKED = "55P03"

#: insufficient_privilege: the role of the URL lacks a right.
DENIED = "42501"

#: undefined_table: a table, or an index, that was there a moment ago may have been dropped.
UNDEFINED_TABLE = "42P01"

#: What is over when others let go of a table: they had it for too long, or each waited for what the other had.
HELD_BY_OTHERS = frozenset({LOCKED, "40P01"})


def code_of(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of an error of the server."""
    return getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
