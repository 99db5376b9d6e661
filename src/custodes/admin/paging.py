"""Cursor paging in queries and answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from custodes.kernel.paging import DEFAULT_LIMIT, MAX_CURSOR, MAX_LIMIT, Page

T = TypeVar("T")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for."""

    #: Rows at most.
    limit: int
    #: ``next_cursor`` of the page before; None for the first page.
    cursor: str | None


def page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows at most")] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None,
        Query(max_length=MAX_CURSOR, description="`next_cursor` of the page before; leave out for the first page"),
    ] = None,
) -> PageRequest:
    """Read ``limit`` and ``cursor`` of a query."""
    return PageRequest(limit, cursor)


#: Page asked for: query ``limit`` and ``cursor``.
PageQuery = Annotated[PageRequest, Depends(page_request)]


class PageModel(BaseModel, Generic[T]):
    """Some rows, newest first."""

    items: list[T] = Field(description="The rows, newest first")
    next_cursor: str | None = Field(default=None, description="Pass as `cursor` for the next page; null at the end")

    @classmethod
    def of(cls, page: Page[Row], convert: Callable[[Row], T]) -> PageModel[T]:
        """Turn a page of a plane into an answer."""
        return cls(items=[convert(row) for row in page.items], next_cursor=page.next_cursor)
