"""How commands speak: tables for people, JSON for programs, errors with the way out."""

from __future__ import annotations

import asyncio
import dataclasses
import getpass
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from custodes.errors import CustodesError
from custodes.kernel.clock import MILLISECOND, to_iso
from custodes.kernel.paging import MAX_LIMIT, Page
from custodes.kernel.redact import visible

# Importing the whole install takes long, and help needs none of it.
if TYPE_CHECKING:
    from custodes.app import Custodes

T = TypeVar("T")


class _SafeConsole(Console):
    """A console on which nothing that is said steers the terminal: strangers write some of it.

    What rich itself has to tell the terminal (a bar that moves) comes as control codes, never as text.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Show what cannot be printed, but for the ends of lines."""
        for segment in super().render(renderable, options):
            text = segment.text
            if segment.control or text.isprintable() or text == "\n":
                yield segment
            else:
                yield Segment("\n".join(map(visible, text.split("\n"))), segment.style)


#: What people read goes to standard output; progress and errors go to standard error. Nothing else writes there.
out: Console = _SafeConsole(highlight=False, emoji=False)
err: Console = _SafeConsole(stderr=True, highlight=False, emoji=False)

#: ``--json`` of every command.
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]

#: ``--database`` of every command.
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="Database URL. Default: CUSTODES_DATABASE_URL, then sqlite:///custodes.db."),
]

#: ``--tenant`` of commands that look at something.
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")]

#: ``--limit`` of lists, and what it is when nothing is said.
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=MAX_LIMIT, help="Rows at most.")]
ROWS = 100

#: ``--reason`` of changes.
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the audit trail.")]


def operator() -> str:
    """Name the person at the keyboard, for the audit trail."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # no such user in this container
        return "cli:unknown"


def run(database: str | None, action: Callable[[Custodes], Awaitable[T]], *, create: bool = False) -> T:
    """Open the install, do something, close it. Nothing runs in the background meanwhile.

    Args:
        database: its URL; None: that of the settings.
        action: what to do.
        create: whether the install may be made, or brought to this version; else it must be there.

    Raises:
        ConfigurationError: there is no install at that place, or it is of another version.
    """
    from custodes.app import Custodes

    async def opened() -> T:
        custodes = Custodes(database)
        try:
            await (custodes.open() if create else custodes.open_existing())
            return await action(custodes)
        finally:
            await custodes.close()

    return asyncio.run(opened())


#: Fields of what planes return that hold a moment, beside those whose names end in ``_at``.
_MOMENTS = frozenset({"at", "before", "clear_since", "last_seen", "silenced_until", "since", "time", "until"})


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
    sys.stdout.write(json_text(plain(value), indent=2) + "\n")


def write_bytes(data: bytes) -> None:
    """Write bytes to standard output: exactly, unless it is a terminal, where text is shown instead."""
    if sys.stdout.isatty():
        out.print(data.decode("utf-8", "replace"), markup=False, soft_wrap=True)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def rows_output() -> TextIO:
    """Return standard output, for rows that were made safe: by :func:`json_text`, or :func:`visible` on a terminal."""
    return sys.stdout


def json_text(value: Any, indent: int | None = None) -> str:
    """Write JSON that steers no terminal: what cannot be printed stands in texts only, and is escaped there."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


#: Whatever may not be printable: beyond ASCII, and the one control of it that JSON leaves as it is.
_UNPRINTABLE = re.compile("[^\\n -~]")


#: Width of tables where no person looks, columns: nothing is wrapped for who greps.
_WIDE = 10_000


def write_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table for people: nothing is cut, and the first column is in one piece, for the command after.

    Strangers write some of the heads and cells: none of them is markup, and what would steer the terminal is shown.
    """
    first, *others = map(_text, columns)
    cells = [[_text(cell) for cell in row] for row in rows]
    widest = max((row[0].cell_len for row in cells), default=0)
    table = Table(
        Column(first, no_wrap=True, min_width=widest),
        *(Column(other, overflow="fold") for other in others),
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for row in cells:
        table.add_row(*row)
    console = out if out.is_terminal else _SafeConsole(file=out.file, width=_WIDE, highlight=False, emoji=False)
    console.print(table)


def _text(value: object) -> Text:
    return Text(visible(str(value)))


def write_page(
    page: Page[T],
    columns: Iterable[str],
    row: Callable[[T], Iterable[object]],
    *,
    as_json: bool,
    shown: Callable[[T], Any] = plain,
) -> None:
    """Write a page of a list; that there is more is said on standard error.

    Args:
        page: the page.
        columns: heads of the table for people.
        row: makes its rows.
        as_json: whether it is for programs.
        shown: makes what these are told.
    """
    if as_json:
        write_json([shown(item) for item in page.items])
    else:
        write_table(columns, (row(item) for item in page.items))
    if page.next_cursor:
        err.print("There is more: narrow it down, or give a higher --limit.")


def write_fields(title: str, fields: Iterable[tuple[str, object]]) -> None:
    """Write what is known of one thing, for people; what is empty is left out."""
    write_table(("", title), ((name, value) for name, value in fields if value not in ("", None, (), [])))


def told_at(micros: int) -> str:
    """Write a moment to the second, as ``--since`` takes it."""
    return f"{to_iso(micros)[:19]}Z"


def told_ms(micros: int) -> str:
    """Write how long something took."""
    return f"{micros / MILLISECOND:,.1f} ms"


def as_utf8() -> None:
    """Have files and pipes get UTF-8 whatever the locale, as exports by HTTP are, and a terminal what it can show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def say_the_rest() -> None:
    """Write what waits for standard output."""
    sys.stdout.flush()


def say_no_more() -> None:
    """Let go of what standard output would not take, which Python would try, and complain of, once more at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def fail(error: CustodesError, *, as_json: bool = False, code: int = 1) -> NoReturn:
    """Say what went wrong and how to mend it, and end with an exit code: 2 when the command was not understood."""
    if as_json:
        write_json({"error": error.code, "detail": error.message, "remedy": error.remedy})
    else:
        err.print(f"[bold red]{error.title}:[/] {escape(error.message)}", soft_wrap=True)
        if error.remedy:
            err.print(f"[bold]→[/] {escape(error.remedy)}", soft_wrap=True)
    raise SystemExit(code)
