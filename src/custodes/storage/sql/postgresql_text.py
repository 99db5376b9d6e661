"""Texts with NUL, which PostgreSQL does not take and SQLite does: written with U+FFFD in its place.

The hot path pays nothing for it: only what was refused is written again, by dumpers that look at every text.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import CharacterNotInRepertoire
from psycopg.types.string import StrBinaryDumper, StrDumperUnknown
from sqlalchemy.exc import DBAPIError

_REPLACEMENT = "\ufffd"


class _TextDumper(StrDumperUnknown):
    """Parameters and rows of COPY."""

    def dump(self, obj: str) -> Any:
        """Write a text."""
        return super().dump(obj.replace("\0", _REPLACEMENT))


class _BinaryDumper(StrBinaryDumper):
    """Texts in arrays."""

    def dump(self, obj: str) -> Any:
        """Write a text."""
        return super().dump(obj.replace("\0", _REPLACEMENT))


def has_nul(error: BaseException) -> bool:
    """Tell whether a text was refused because of a NUL: by the driver, or by the server when it was sent in binary."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, CharacterNotInRepertoire):
        return "0x00" in str(cause)
    return isinstance(cause, psycopg.DataError) and "NUL" in str(cause)


@contextmanager
def without_nul(driver: Any) -> Generator[None]:
    """Have a connection take texts with NUL in them."""
    # What is registered last is what is used; for text, psycopg itself ends with StrDumperUnknown.
    _register(driver, _BinaryDumper, _TextDumper)
    try:
        yield
    finally:
        _register(driver, StrBinaryDumper, StrDumperUnknown)


def _register(driver: Any, *dumpers: type) -> None:
    for dumper in dumpers:
        driver.adapters.register_dumper(str, dumper)
