"""How commands speak: tables for people, JSON for programs, errors with the way out."""

from __future__ import annotations

import asyncio
import dataclasses
import getpass
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from custodes.app import Custodes
from custodes.errors import CustodesError
from custodes.kernel.clock import to_iso

T = TypeVar("T")

#: What people read goes to standard output; progress and errors go to standard error.
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

#: ``--json`` of every command.
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]

#: ``--database`` of every command.
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="Database URL. Default: CUSTODES_DATABASE_URL, then sqlite:///custodes.db."),
]


def operator() -> str:
    """Name the person at the keyboard, for the audit trail."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # no such user in this container
        return "cli:unknown"


def run(database: str | None, action: Callable[[Custodes], Awaitable[T]]) -> T:
    """Open the install, do something, close it. Nothing runs in the background meanwhile."""

    async def opened() -> T:
        custodes = Custodes(database)
        try:
            await custodes.open()
            return await action(custodes)
        finally:
            await custodes.close()

    return asyncio.run(opened())


#: Fields of what planes return that hold a moment, beside those whose names end in ``_at``.
_MOMENTS = frozenset({"at", "before", "since", "until"})


def plain(value: Any) -> Any:
    """Turn what a plane returns into what JSON can say; moments as the admin API writes them."""
    match value:
        case Enum():
            return value.value
        case bytes():
            return value.decode("utf-8", "replace")
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case str() | int() | float() | None:
            return value
        case Iterable():
            return [plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: _field(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _:
            return str(value)


def _field(name: str, value: Any) -> Any:
    is_moment = type(value) is int and (name.endswith("_at") or name in _MOMENTS)
    return to_iso(value) if is_moment else plain(value)


def write_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n")


def write_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table for people; what is in its first column is whole, so that the next command can be given it."""
    cells = [[escape(str(cell)) for cell in row] for row in rows]
    first, *others = columns
    widest = max((len(row[0]) for row in cells), default=0)
    table = Table(Column(first, no_wrap=True, min_width=widest), *others, box=None, pad_edge=False, header_style="bold")
    for row in cells:
        table.add_row(*row)
    out.print(table)


def fail(error: CustodesError, *, as_json: bool = False) -> NoReturn:
    """Say what went wrong and how to mend it, and end with exit code 1."""
    if as_json:
        write_json({"error": error.code, "detail": error.message, "remedy": error.remedy})
    else:
        err.print(f"[bold red]{error.title}:[/] {escape(error.message)}", soft_wrap=True)
        if error.remedy:
            err.print(f"[bold]→[/] {escape(error.remedy)}", soft_wrap=True)
    raise SystemExit(1)
