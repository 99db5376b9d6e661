"""Which engine keeps the states of limits."""

from __future__ import annotations

from pathlib import Path

from custodes.kernel.clock import MILLISECOND
from custodes.planes.ratelimit.ports import Windows
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.sql.database import Database
from custodes.storage.sql.ratelimit_windows import SqliteWindows


def windows_of(store: str, database: Database, deadline_ms: int) -> Windows:
    """Choose: ``"memory"``, or ``"sqlite"`` in a file beside the database (when that is a file)."""
    path: Path | None = getattr(database, "path", None)  # engines with a file have one
    if store == "memory" or path is None:
        return MemoryWindows()
    return SqliteWindows(path.with_name(f"{path.name}-limits"), deadline=deadline_ms * MILLISECOND)
