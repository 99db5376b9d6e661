"""``custodes migrate``: bring the schema to this version; move from SQLite to PostgreSQL."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, JsonOption, err, out, write_json, write_table
from custodes.errors import ConfigurationError

#: What a shell says of a program that Ctrl-C ended.
_INTERRUPTED = 130

app = typer.Typer(invoke_without_command=True, no_args_is_help=False)


@app.callback()
def migrate(
    context: typer.Context,
    database: DatabaseOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 when there is something to do.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the tables of Custodes to this version; the host's own tables are not touched."""
    if context.invoked_subcommand is not None:
        return

    async def revisions() -> list[str]:
        custodes = Custodes(database)
        try:
            if check:
                return await custodes.pending_migrations()
            await custodes.database.open()  # makes the folder, and the file so that only its owner reads it
            return await custodes.migrate()
        finally:
            await custodes.close()

    found = asyncio.run(revisions())
    if as_json:
        write_json({"pending" if check else "applied": found})
    elif not found:
        out.print("The schema is up to date.")
    else:
        out.print(f"{'To apply' if check else 'Applied'}: {', '.join(found)}")
    if check and found:
        raise typer.Exit(1)


@app.command("sqlite-to-postgres")
def sqlite_to_postgres(
    source: Annotated[str, typer.Option("--from", help="The SQLite database, as sqlite:///path.")],
    target: Annotated[str, typer.Option("--to", help="The PostgreSQL database, as postgresql://….")],
    as_json: JsonOption = False,
) -> None:
    """Move everything to PostgreSQL, counting both sides. Stop Custodes first; when it is broken off, run it again."""
    path = _path(source)

    async def prepared() -> Custodes:
        custodes = Custodes(target)
        if custodes.database.dialect != "postgresql":
            msg = "The target is not a PostgreSQL database"
            raise ConfigurationError(msg, remedy="Write --to postgresql://user:password@host/database")
        await custodes.open()
        return custodes

    async def move() -> list[tuple[str, int]]:
        custodes = await prepared()  # which says so where there is no driver
        from custodes.storage.sql.move import Move
        from custodes.storage.sql.postgresql import PostgresDatabase

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        try:
            with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
                tasks: dict[str, TaskID] = {}

                def report(table: str, done: int, total: int) -> None:
                    if table not in tasks:
                        tasks[table] = progress.add_task(table, total=total)
                    progress.update(tasks[table], completed=done)

                mover = Move(path, cast("PostgresDatabase", custodes.database), report)
                try:
                    moved = await asyncio.to_thread(mover.run)
                finally:
                    mover.stop()  # Ctrl-C ends the waiting, and not the thread
        finally:
            await custodes.close()
        return [(one.table, one.rows) for one in moved]

    try:
        moved = asyncio.run(move())
    except KeyboardInterrupt:
        err.print("Stopped. Nothing is lost: run the same command again, and it goes on where it was.", soft_wrap=True)
        raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        write_json({"moved": [{"table": table, "rows": rows} for table, rows in moved]})
    else:
        write_table(("table", "rows"), [(table, f"{rows:,}") for table, rows in moved if rows])
    key = path.with_name(f"{path.name}.key")
    if key.exists():
        err.print(f"Secrets are sealed with the key in {key}: set CUSTODES_SECRET_KEY to it.", soft_wrap=True)


def _path(url: str) -> Path:
    from custodes.storage.sql.sqlite import path_of

    path = path_of(url) if url.startswith("sqlite") else None
    if path is None:
        msg = "The source is not a SQLite file"
        raise ConfigurationError(msg, remedy="Write --from sqlite:///path/to/custodes.db")
    return path
