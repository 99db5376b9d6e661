"""Which engine keeps the states of limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from custodes.errors import ConfigurationError
from custodes.kernel.clock import MILLISECOND
from custodes.planes.ratelimit.ports import Windows
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.redis.installed import check_installed
from custodes.storage.sql.database import Database
from custodes.storage.sql.ratelimit_windows import DEFAULT_DEADLINE, SqliteWindows

if TYPE_CHECKING:
    from custodes.storage.sql.postgresql import PostgresDatabase


def engine_of(store: str, database: Database, *, redis_url: str) -> str:
    """Name the engine that a choice means: ``"memory"``, ``"sqlite"``, ``"postgresql"`` or ``"redis"``.

    Raises:
        ConfigurationError: several processes are to share limits in a file, and there is none: never does each count in
            a memory of its own without being told to.
    """
    on_postgresql = getattr(database, "dialect", "") == "postgresql"
    if store == "auto":
        return "redis" if redis_url else "postgresql" if on_postgresql else "memory"
    if store == "sqlite" and getattr(database, "path", None) is None:  # engines with a file have one
        if on_postgresql:
            return "postgresql"
        msg = "Limits are to count in a file beside the database, and that has no file"
        raise ConfigurationError(msg, remedy="Name a database file, or set CUSTODES_RATE_LIMIT_STORE=memory")
    return store


def windows_of(
    store: str,
    database: Database,
    *,
    deadline_ms: int,
    redis_url: str,
    secret: Callable[[], bytes],
    monotonic: Callable[[], int],
) -> Windows:
    """Choose an engine.

    Args:
        store: ``"memory"``, ``"sqlite"`` (a file beside the database; PostgreSQL where that is the database),
            ``"postgresql"``, ``"redis"``, or ``"auto"``: Redis where there is one, else PostgreSQL, else memory.
        database: where everything else is kept.
        deadline_ms: how long a request waits for its decision, milliseconds; 0 for what suits the engine.
        redis_url: Redis; empty for none.
        secret: makes what names of subjects are hashed with, the same in all instances.
        monotonic: monotonic clock, microseconds.

    Raises:
        ConfigurationError: Redis is chosen and there is no URL, or one that cannot be read; or what else is chosen is
            not there.
    """
    deadline = deadline_ms * MILLISECOND
    engine = engine_of(store, database, redis_url=redis_url)
    if engine == "redis":
        if not redis_url:
            msg = "Limits are to count in Redis, and no Redis is named"
            raise ConfigurationError(msg, remedy="Set CUSTODES_REDIS_URL=redis://host:6379/0")
        check_installed()
        from custodes.storage.redis.windows import DEFAULT_DEADLINE as REDIS_DEADLINE
        from custodes.storage.redis.windows import RedisWindows

        return RedisWindows(redis_url, secret(), monotonic=monotonic, deadline=deadline or REDIS_DEADLINE)
    if engine == "postgresql":
        if getattr(database, "dialect", "") != "postgresql":
            msg = "Limits are to count in PostgreSQL, and the database is none"
            raise ConfigurationError(msg, remedy="Set CUSTODES_DATABASE_URL=postgresql+psycopg://… or another store")
        from custodes.storage.sql.ratelimit_postgresql import DEFAULT_DEADLINE as POSTGRES_DEADLINE
        from custodes.storage.sql.ratelimit_postgresql import PostgresWindows

        kept = cast("PostgresDatabase", database)
        url = kept.url.set(drivername="postgresql").render_as_string(hide_password=False)
        return PostgresWindows(url, schema=kept.schema, deadline=deadline or POSTGRES_DEADLINE)
    path: Path | None = getattr(database, "path", None)
    if engine == "memory" or path is None:
        return MemoryWindows()
    return SqliteWindows(path.with_name(f"{path.name}-limits"), deadline=deadline or DEFAULT_DEADLINE)
