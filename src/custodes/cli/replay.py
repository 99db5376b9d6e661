"""``custodes replay``: have stored webhooks handled again."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer
from rich.progress import Progress

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, JsonOption, err, operator, out, run, write_json
from custodes.cli.moments import moment
from custodes.errors import InvalidInput
from custodes.kernel.filters import given
from custodes.planes.inbound.model import EventFilter, Status
from custodes.planes.inbound.replay import Replayed
from custodes.runtime.transactions import Work

#: Events that are replayed in one transaction.
BATCH = 100


def replay(
    event_id: Annotated[str | None, typer.Argument(help="Id of one event; leave it out to choose by filters.")] = None,
    source: Annotated[str | None, typer.Option(help="Only from this source.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only of this type; invoice.* for a family.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only in this state.")] = None,
    since: Annotated[str | None, typer.Option(help="Received at or after: a moment, or 2h for two hours ago.")] = None,
    until: Annotated[str | None, typer.Option(help="Received before.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do nothing; tell how many it would be.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have one event, or a selection, handled again by all handlers of the running server."""
    if event_id is None and not any((source, event_type, status, since, until)):
        msg = "Nothing says which events are meant"
        raise InvalidInput(msg, remedy="Name an event id, or a filter such as --status dead")

    async def action(custodes: Custodes) -> dict[str, object]:
        now = custodes.clock.now()
        wanted = EventFilter(
            source=source, event_type=event_type, status=status, since=moment(since, now), until=moment(until, now)
        )
        if event_id is not None:
            return await _one(custodes, event_id, dry_run=dry_run)
        return await _selection(custodes, wanted, dry_run=dry_run)

    report = run(database, action)
    if as_json:
        write_json(report)
    else:
        out.print(f"{report['events']} events {'would be' if dry_run else 'are to be'} handled again.")
        if report["skipped"]:
            out.print(f"{report['skipped']} were left alone: a worker is at them.")


async def _one(custodes: Custodes, event_id: str, *, dry_run: bool) -> dict[str, object]:
    event = await custodes.inbound.get_event(event_id)
    if not dry_run:
        entry = custodes.audit.admin_entry(
            "webhook.replayed", actor=operator(), target=f"webhook_event:{event_id}", tenant=event.tenant
        )
        await custodes.inbound.replay_event(event_id, also=entry)
    return {"events": 1, "skipped": 0, "dry_run": dry_run}


async def _selection(custodes: Custodes, wanted: EventFilter, *, dry_run: bool) -> dict[str, object]:
    events = skipped = 0
    cursor: str | None = None
    with Progress(console=err, disable=not err.is_terminal, transient=True) as progress:
        task = progress.add_task("replaying …", total=None)
        while True:
            entry = partial(_entry, custodes, wanted, cursor)
            done = await custodes.inbound.replay_events(wanted, limit=BATCH, cursor=cursor, dry_run=dry_run, also=entry)
            events += len(done.event_ids)
            skipped += len(done.skipped)
            progress.update(task, advance=len(done.event_ids), description=f"{events} events …")
            cursor = done.next_cursor
            if cursor is None:
                return {"events": events, "skipped": skipped, "dry_run": dry_run}


def _entry(custodes: Custodes, wanted: EventFilter, cursor: str | None, done: Replayed) -> Work:
    counts = {"events": len(done.event_ids), "skipped": len(done.skipped), "from": cursor or ""}
    return custodes.audit.admin_entry(
        "webhook.replayed",
        actor=operator(),
        target="webhook_events:selection",
        context={**given(wanted), **counts},
    )
