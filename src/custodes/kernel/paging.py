"""Cursor paging: newest first, stable while rows keep arriving.

A cursor names the last row that was shown by its moment and id. It is opaque to callers and carries no authority: the
tenant and the filters are applied again on every page.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from custodes.errors import InvalidInput

T = TypeVar("T")
U = TypeVar("U")

#: Rows of a page when the caller names no number, and the most it may ask for.
DEFAULT_LIMIT = 50
MAX_LIMIT = 500

#: Longest cursor that is looked at, characters: that of a metric with the longest name, of the longest tenant, has 223.
MAX_CURSOR = 256


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows and where to go on."""

    #: The rows, newest first.
    items: Sequence[T]
    #: Cursor of the next page; None at the end.
    next_cursor: str | None

    def map(self, transform: Callable[[T], U]) -> Page[U]:
        """Turn each row into something else."""
        return Page([transform(item) for item in self.items], self.next_cursor)


def encode_cursor(at: int, identifier: str) -> str:
    """Name a row by its moment (microseconds) and id."""
    return base64.urlsafe_b64encode(f"{at}.{identifier}".encode()).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str) -> tuple[int, str]:
    """Read a cursor back: (moment, id).

    Raises:
        InvalidInput: not a cursor of ours.
    """
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        at, dot, identifier = raw.partition(".")
        if not dot or not at.isdecimal() or len(at) > 18:
            raise ValueError
        return int(at), identifier
    except (ValueError, binascii.Error, UnicodeDecodeError):
        msg = "The cursor is not one of ours"
        raise InvalidInput(msg, remedy="Use next_cursor of the page before, unchanged, or leave it out") from None


def page_of(rows: Sequence[T], limit: int, key: Callable[[T], tuple[int, str]]) -> Page[T]:
    """Make a page of ``limit`` rows out of a query that asked for ``limit + 1``.

    Raises:
        InvalidInput: a page of no rows, of which the next one could not be named.
    """
    if limit < 1:
        msg = f"A page cannot have {limit} rows"
        raise InvalidInput(msg, remedy=f"Ask for 1 to {MAX_LIMIT}")
    if len(rows) <= limit:
        return Page(rows, None)
    shown = rows[:limit]
    return Page(shown, encode_cursor(*key(shown[-1])))


async def walk(ask: Callable[[str | None], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    """Yield the rows of all pages; each is a short read of its own, so that a slow reader holds nothing.

    Args:
        ask: reads the page at a cursor; None for the first.
    """
    cursor: str | None = None
    while True:
        page = await ask(cursor)
        for item in page.items:
            yield item
        cursor = page.next_cursor
        if cursor is None:
            return
