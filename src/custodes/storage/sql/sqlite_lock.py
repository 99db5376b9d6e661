"""Waiting for the write lock of a SQLite file that another process has.

SQLite looks for it again after 1, 2, 5, 10, 15, 20 and 25 ms, then every 50 and 100: whoever has waited long looks
least often, and a process that writes without a pause takes the lock from under it. So the wait is begun anew, and
again anew: each lasts for two looks, a millisecond apart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from custodes.kernel.clock import MILLISECOND
from custodes.runtime.system_clock import SystemClock

T = TypeVar("T")

#: How long SQLite itself waits before it says that the file is locked, milliseconds. It sleeps in C meanwhile, without
#: the interpreter lock.
LOOKS_MS = 2

#: How long a connection waits for another process's write lock in all, milliseconds.
BUSY_TIMEOUT_MS = 5_000

# Always the real one: another process does not wait for ours.
_clock = SystemClock()


def patiently(action: Callable[[], T]) -> T:
    """Do something that begins a transaction, as often as it takes until the file is not locked.

    Args:
        action: has no effect when it finds the file locked; its connection waits for :data:`LOOKS_MS` only.

    Raises:
        sqlite3.OperationalError: the file is still locked after :data:`BUSY_TIMEOUT_MS`, or it is another error.
    """
    ends_at = _clock.monotonic() + BUSY_TIMEOUT_MS * MILLISECOND
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if not locked(error) or _clock.monotonic() >= ends_at:
                raise


def locked(error: BaseException | None) -> bool:
    """Tell whether an error, of the driver or of SQLAlchemy about it, says that another process has the lock."""
    # Extended codes (SQLite documentation, "Result and Error Codes") have the plain one in their low byte.
    return getattr(getattr(error, "orig", error), "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
