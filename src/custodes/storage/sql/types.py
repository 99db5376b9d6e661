"""Column types that mean the same on every engine."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, String, Text
from sqlalchemy.types import TypeDecorator

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


class JsonText(TypeDecorator[Any]):
    r"""JSON kept as ASCII text.

    Not ``jsonb``: PostgreSQL refuses ``\u0000`` there, and what arrives from outside may hold it. Escaped, it is plain
    text to both engines.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write; keys sorted so that equal values are equal text."""
        return None if value is None else json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read."""
        return None if value is None else json.loads(value)
