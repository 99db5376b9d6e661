"""Column types that mean the same on every engine."""

from __future__ import annotations

import json
import re
from typing import Any

import sqlalchemy
from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary
from sqlalchemy.types import TypeDecorator, TypeEngine


def String(length: int) -> sqlalchemy.String:  # noqa: N802 - a type
    """Short text, whose length the planes see to, as SQLite does not; ordered by code point on every engine."""
    return sqlalchemy.String(length).with_variant(_by_code_point, "postgresql")


def Text() -> sqlalchemy.Text:  # noqa: N802 - a type
    """Text of any length, ordered as :func:`String`."""
    return sqlalchemy.Text().with_variant(_by_code_point, "postgresql")


#: On PostgreSQL a database has the order of some language, in which the range of a prefix is no range, and an index may
#: be out of order after an upgrade of the system's libraries (PostgreSQL documentation, "Collation Support").
_by_code_point = sqlalchemy.Text(collation="C")

#: A moment or a duration in microseconds.
Micros = BigInteger

#: A counter that may grow large. On SQLite every INTEGER has 64 bits.
Count = BigInteger().with_variant(Integer(), "sqlite")

#: A UUIDv7 in its 36 characters: the same text in Python, in URLs and in the database.
Id = String(36)

#: The tenant column, first in every index.
Tenant = String(64)

#: The exact bytes of a payload.
Bytes = LargeBinary


#: Half of a surrogate pair, escaped: no text, which no answer can be made of. What comes in is checked; this is for
#: rows that are there already.
_HALF = re.compile(r"\\ud[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f]")


class JsonText(TypeDecorator[Any]):
    r"""JSON kept as ASCII text.

    Not ``jsonb``: PostgreSQL refuses ``\u0000`` there, and what arrives from outside may hold it. Escaped, it is plain
    text to both engines.
    """

    impl = sqlalchemy.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the column."""
        return _by_code_point if dialect.name == "postgresql" else sqlalchemy.Text()

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write; keys sorted so that equal values are equal text."""
        return None if value is None else json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read; halves of surrogate pairs are replaced."""
        if value is None:
            return None
        read = json.loads(value)
        if _HALF.search(value) is None:
            return read
        return json.loads(json.dumps(read, ensure_ascii=False).encode("utf-8", "replace"))
