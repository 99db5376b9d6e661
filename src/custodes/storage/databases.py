"""Which engine keeps everything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from sqlalchemy.engine import make_url

from custodes.errors import ConfigurationError
from custodes.kernel.sealing import Sealer
from custodes.runtime.fanout import Fanout, LocalFanout
from custodes.runtime.notices import NoNotices, Notices
from custodes.settings import Settings
from custodes.storage.sql.database import Database


def database_of(settings: Settings) -> Database:
    """Choose by the scheme of the URL; only the driver of the one that is chosen is loaded.

    Raises:
        ConfigurationError: no engine has such URLs, or its driver is not installed.
    """
    url = settings.database_url
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        from custodes.storage.sql.sqlite import SqliteDatabase

        return SqliteDatabase(url)
    if scheme in ("postgresql", "postgres"):
        try:
            from custodes.storage.sql.postgresql import PostgresDatabase
        except ImportError as error:
            msg = f"PostgreSQL needs a driver that is not installed ({error})"
            raise ConfigurationError(msg, remedy="pip install 'custodes[postgres]'") from None
        return PostgresDatabase(
            url,
            schema=settings.database_schema,
            readers=settings.database_readers,
            writers=settings.database_writers,
        )
    msg = f"No engine for {scheme!r}"
    raise ConfigurationError(msg, remedy="Use sqlite:///path/to/custodes.db or postgresql+psycopg://user@host/database")


def place_of(database: Database) -> str:
    """Say where a database is, for people: the full path of a file, else the URL without password and options."""
    path: Path | None = getattr(database, "path", None)  # engines with a file have one
    if path is not None:
        return str(path.absolute())
    url: str = getattr(database, "url", "")  # engines with a server have one
    return make_url(url).set(query={}).render_as_string(hide_password=True) if url else "a database in memory"


def is_missing(database: Database) -> bool:
    """Tell whether the file of a database is not there; a server says so itself."""
    path: Path | None = getattr(database, "path", None)
    return path is not None and not path.is_file()


def hindrance_of(database: Database) -> str:
    """Say why this user cannot make the file of a database, as far as can be seen; empty: nothing is in the way."""
    path: Path | None = getattr(database, "path", None)
    if path is None:
        return ""
    if path.is_dir():
        return "it is a folder"
    above = next(one for one in path.absolute().parents if one.exists())
    if not above.is_dir():
        return f"{above} is no folder"
    return "" if os.access(above, os.W_OK | os.X_OK) else f"{above} cannot be written to"


def notices_of(settings: Settings, database: Database) -> Notices:
    """Choose how the processes of an install tell each other that something has changed."""
    if database.dialect != "postgresql":
        return NoNotices()
    from custodes.storage.sql.postgresql import PostgresDatabase
    from custodes.storage.sql.postgresql_notices import PostgresNotices

    return PostgresNotices(cast("PostgresDatabase", database), settings.database_listen_url)


def fanout_of(settings: Settings, notices: Notices, sealer: Callable[[], Sealer]) -> Fanout:
    """Choose how instances tell each other news: through Redis, else through PostgreSQL, else within this process."""
    url = settings.redis_url.get_secret_value()
    if url:
        from custodes.storage.redis.installed import check_installed

        check_installed()
        from custodes.storage.redis.fanout import RedisFanout

        return RedisFanout(url, sealer())
    if isinstance(notices, NoNotices):
        return LocalFanout()
    from custodes.storage.sql.postgresql_fanout import PostgresFanout
    from custodes.storage.sql.postgresql_notices import PostgresNotices

    return PostgresFanout(cast("PostgresNotices", notices))
