"""Exports: all that a list finds, streamed as NDJSON or CSV, and in the audit trail before the first line.

How a list gets its export, above the route of one row, whose path would take the word for an id::

    WINDOWS = Export("rate-limit-windows", WindowModel, WindowModel.of)

    @router.get("/rate-limits/windows/export", **STREAMED)
    async def export_rate_limit_windows(custodes: CustodesDep, ..., trail: Trail, wanted: ExportQuery) -> Response:
        '''Stream every window found.'''
        rows = walk(lambda cursor: custodes.ratelimit.list_windows(..., limit=MAX_LIMIT, cursor=cursor))
        return await WINDOWS.stream(trail, wanted, rows, asked={"rule": rule}, tenant=tenant)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from custodes.admin.dependencies import AuditTrail
from custodes.kernel.csv_rows import csv_row
from custodes.kernel.paging import MAX_LIMIT
from custodes.kernel.tenant import EVERY_TENANT

Row = TypeVar("Row")

#: Rows of one export at most: a table of this size takes minutes, and no sheet holds it.
MAX_EXPORTED = 10_000_000

#: Rows that are sent in one piece; what is held of an export at a time.
_PIECE = MAX_LIMIT

Format = Literal["ndjson", "csv"]

_MEDIA_TYPES: Mapping[Format, str] = {"ndjson": "application/x-ndjson", "csv": "text/csv"}

#: What the route of an export says of itself: ``@router.get(path, **STREAMED)``.
STREAMED: Mapping[str, Any] = {
    "response_class": StreamingResponse,
    "responses": {
        200: {
            "description": "Every row found",
            "content": {"application/x-ndjson": {}, "text/csv": {"schema": {"type": "string"}}},
        }
    },
}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """How an export is asked for."""

    #: How rows are written.
    form: Format
    #: Rows at most.
    limit: int


def export_request(
    format: Annotated[  # noqa: A002 - the name in the query
        Format, Query(description="One JSON object a line, or CSV with a head; what has parts is JSON in its cell")
    ] = "ndjson",
    limit: Annotated[int, Query(ge=1, le=MAX_EXPORTED, description="Rows at most")] = MAX_EXPORTED,
) -> ExportRequest:
    """Read ``format`` and ``limit`` of a query."""
    return ExportRequest(format, limit)


#: The export asked for: query ``format`` and ``limit``.
ExportQuery = Annotated[ExportRequest, Depends(export_request)]


class Export(Generic[Row]):
    """How the rows of one list are written.

    Args:
        name: of the file.
        model: what a row is in the answers of the list.
        of: makes it.
        columns: names of the cells of CSV; default: the fields of the model.
        cells: makes them; default: the values of the model.
        action: what the trail calls it.
    """

    def __init__(
        self,
        name: str,
        model: type[BaseModel],
        of: Callable[[Row], BaseModel],
        *,
        columns: Sequence[str] = (),
        cells: Callable[[Row], Mapping[str, object]] | None = None,
        action: str = "data.exported",
    ) -> None:
        self._name = name
        self._of = of
        self._columns = tuple(columns) or tuple(model.model_fields)
        self._cells = cells or self._fields
        self._action = action

    async def stream(
        self,
        trail: AuditTrail,
        wanted: ExportRequest,
        rows: AsyncIterator[Row],
        *,
        asked: Mapping[str, object],
        tenant: str | None,
    ) -> StreamingResponse:
        """Record an export, then send it.

        Args:
            trail: of the request.
            wanted: how it is asked for.
            rows: what the list finds, read while it is sent: who reads slowly holds no transaction.
            asked: filters of the question; those that are None say nothing.
            tenant: whose rows; None for all tenants'.

        Raises:
            StorageUnavailable: it was not recorded; nothing may be sent.
        """
        filters = {name: str(value) for name, value in asked.items() if value is not None}
        context = {
            "format": wanted.form,
            "limit": wanted.limit,
            "filters": {**filters, "tenant": tenant or EVERY_TENANT},
        }
        target = f"{self._name.replace('-', '_')}:selection"
        await trail.custodes.audit.commit(trail.entry(self._action, target=target, context=context, tenant=tenant))
        return StreamingResponse(
            self._pieces(wanted, rows),
            media_type=_MEDIA_TYPES[wanted.form],
            headers={"content-disposition": f'attachment; filename="{self._name}.{wanted.form}"'},
        )

    async def _pieces(self, wanted: ExportRequest, rows: AsyncIterator[Row]) -> AsyncIterator[str]:
        is_csv = wanted.form == "csv"
        write, lines, count = (self._csv_line if is_csv else self._ndjson_line), list[str](), 0
        if is_csv:
            yield csv_row(*self._columns)
        async for row in rows:
            lines.append(write(row))
            count += 1
            if count == wanted.limit:
                break
            if len(lines) == _PIECE:
                yield "".join(lines)
                lines.clear()
        if lines:
            yield "".join(lines)

    def _fields(self, row: Row) -> Mapping[str, object]:
        return self._of(row).model_dump(mode="json")

    def _ndjson_line(self, row: Row) -> str:
        return self._of(row).model_dump_json() + "\n"

    def _csv_line(self, row: Row) -> str:
        cells = self._cells(row)
        return csv_row(*(cells[name] for name in self._columns))
