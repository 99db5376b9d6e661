"""``custodes migrate``: bring the schema to this version."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, JsonOption, out, write_json


def migrate(
    database: DatabaseOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 when there is something to do.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the tables of Custodes to this version; the host's own tables are not touched."""

    async def revisions() -> list[str]:
        custodes = Custodes(database)
        try:
            return await (custodes.pending_migrations() if check else custodes.migrate())
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
