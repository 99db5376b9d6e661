"""Squares of times in rollups that versions before wrote without: filled a few rows of one bucket a transaction.

Not by a migration, which would hold the table until all of them are filled. An index holds exactly the rows that lack
them: whoever goes on finds the next one in it, and that it is empty is the mark that nothing is left to do. Rows of old
processes that go on during an upgrade are in it, too; until then endpoints are ranked by what their other sums tell.
"""

from __future__ import annotations

from sqlalchemy import Connection, Select, bindparam, select, text, update

from custodes.kernel.histogram import Histogram
from custodes.planes.traffic.rollup import Keyspace
from custodes.storage.sql.tables.traffic import LACKS_SQUARES, api_rollups

t = api_rollups

#: Rows of one transaction, each with a histogram to add up: some ten milliseconds of the only writer.
FILL_ROWS = 500

#: Such transactions each time that folding comes by: figures wait to be flushed meanwhile.
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


#: The next bucket with a row to fill: the coarsest level first, from now back.
NEXT = select(t.c.level, t.c.bucket).where(LACKS_SQUARES).order_by(t.c.level.desc(), t.c.bucket.desc()).limit(1)


def next_bucket(connection: Connection) -> tuple[int, int] | None:
    """Find the level and the begin of a bucket with rows that lack squares; None when there is none."""
    found = connection.execute(NEXT).first()
    return None if found is None else (found.level, found.bucket)


def fill(connection: Connection, level: int, bucket: int) -> None:
    """Fill up to :data:`FILL_ROWS` rows of endpoints in a bucket."""
    found = connection.execute(lacking(level, bucket)).all()
    if not found:
        return  # another process was faster
    rows = [(*row[:-1], Histogram.decode(bytes(row.total)).squares()) for row in found]
    where = {"of_level": level, "of_bucket": bucket}
    if connection.dialect.name == "postgresql":
        connection.execute(_FILL_POSTGRESQL, where | dict(zip(_GIVEN, map(list, zip(*rows, strict=True)), strict=True)))
    else:
        connection.execute(_FILL_ROW, [where | dict(zip(_GIVEN, row, strict=True)) for row in rows])


def lacking(level: int, bucket: int) -> Select[tuple[object, ...]]:
    """Write the query of rows of a bucket that lack squares."""
    return (
        select(*(t.c[name] for name in _NAMES), t.c.total)
        .where(LACKS_SQUARES, t.c.level == level, t.c.bucket == bucket)
        .limit(FILL_ROWS)
    )
