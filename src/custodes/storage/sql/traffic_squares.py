"""Squares of times in rollups that versions before wrote without: filled a bucket at a time, a few rows a transaction.

Not by a migration, which would hold the table until all of them are filled. Rows of old processes that go on during an
upgrade are filled, too; until then endpoints are ranked by what their other sums tell.
"""

from __future__ import annotations

from sqlalchemy import Connection, Select, bindparam, select, text, update

from custodes.kernel.histogram import Histogram
from custodes.planes.traffic.rollup import Keyspace, Level
from custodes.storage.sql.tables.traffic import api_rollups

t = api_rollups

#: Rows of one transaction, each with a histogram to add up: some ten milliseconds of the only writer.
FILL_ROWS = 500

#: Such transactions one after the other: figures wait to be flushed meanwhile.
FILLS = 4

#: What tells the rows of a bucket apart.
_NAMES = ("tenant_id", "name", "method", "writer_id")
_GIVEN = (*(f"of_{name}" for name in _NAMES), "squares")

# Level and bucket are given by themselves, so that PostgreSQL looks at the one partition that they are in.
_FILL_POSTGRESQL = text(f"""
    UPDATE {t.name} SET total_squares = filled.squares FROM unnest(
        {", ".join(f"CAST(:of_{name} AS text[])" for name in _NAMES)}, CAST(:squares AS float8[])
    ) AS filled ({", ".join((*_NAMES, "squares"))})
    WHERE {t.name}.level = :of_level AND {t.name}.bucket = :of_bucket
        AND {t.name}.keyspace = '{Keyspace.ENDPOINT.value}'
        AND {" AND ".join(f"{t.name}.{name} = filled.{name}" for name in _NAMES)}
""")  # noqa: S608 - names of columns

_FILL_ROW = (
    update(t)
    .where(
        t.c.keyspace == Keyspace.ENDPOINT.value,
        *(t.c[name] == bindparam(f"of_{name}") for name in ("level", "bucket", *_NAMES)),
    )
    .values(total_squares=bindparam("squares"))
)


def newest_bucket(connection: Connection, level: Level, before: int) -> int | None:
    """Find the newest bucket of a level that began before a moment; None when there is none."""
    query = select(t.c.bucket).where(t.c.level == level.value, t.c.bucket < before).order_by(t.c.bucket.desc()).limit(1)
    return connection.execute(query).scalar()


def is_lacking(connection: Connection, level: Level, bucket: int) -> bool:
    """Tell whether a bucket has a row of an endpoint without squares."""
    return connection.execute(_lacking(level, bucket).limit(1)).first() is not None


def fill(connection: Connection, level: Level, bucket: int) -> int:
    """Fill up to :data:`FILL_ROWS` rows of endpoints in a bucket; returns how many it were, 0 when none was left."""
    found = connection.execute(_lacking(level, bucket)).all()
    if not found:
        return 0
    rows = [(*row[:-1], Histogram.decode(bytes(row.total)).squares()) for row in found]
    where = {"of_level": level.value, "of_bucket": bucket}
    if connection.dialect.name == "postgresql":
        connection.execute(_FILL_POSTGRESQL, where | dict(zip(_GIVEN, map(list, zip(*rows, strict=True)), strict=True)))
    else:
        connection.execute(_FILL_ROW, [where | dict(zip(_GIVEN, row, strict=True)) for row in rows])
    return len(rows)


def _lacking(level: Level, bucket: int) -> Select[tuple[object, ...]]:
    return (
        select(*(t.c[name] for name in _NAMES), t.c.total)
        .where(
            t.c.level == level.value,
            t.c.bucket == bucket,
            t.c.keyspace == Keyspace.ENDPOINT.value,
            t.c.total_squares.is_(None),
        )
        .limit(FILL_ROWS)
    )
