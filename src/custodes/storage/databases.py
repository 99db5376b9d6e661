"""Which engine keeps everything."""

from __future__ import annotations

from custodes.errors import ConfigurationError
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
