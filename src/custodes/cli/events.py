"""``custodes events``: incoming webhooks one by one, and what was refused."""

from __future__ import annotations

from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli.console import (
    ROWS,
    DatabaseOption,
    JsonOption,
    LimitOption,
    ReasonOption,
    TenantOption,
    operator,
    out,
    plain,
    run,
    told_at,
    told_ms,
    write_bytes,
    write_fields,
    write_json,
    write_page,
    write_table,
)
from custodes.cli.deliveries import UrlArgument, write_trial
from custodes.cli.moments import moment
from custodes.kernel.paging import Page
from custodes.planes.inbound.model import Attempt, EventFilter, EventRecord, Payload, Refusal, Status
from custodes.planes.outbound.model import Message
from custodes.planes.outbound.trial import Trial

app = typer.Typer(
    help="Incoming webhooks: events, their exact bytes, what was refused. To have them handled again: custodes replay.",
    no_args_is_help=True,
)

_Event = Annotated[str, typer.Argument(help="Id of the event.")]
_Source = Annotated[str | None, typer.Option(help="Only from this source.")]
_Since = Annotated[str | None, typer.Option(help="Received from this moment on, or 2h for two hours ago.")]
_Until = Annotated[str | None, typer.Option(help="Received before this moment.")]


@app.command("list")
def list_events(
    source: _Source = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only of this type; invoice.* for a family.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only in this state.")] = None,
    any_id: Annotated[
        str | None, typer.Option("--id", help="Only with this id: ours, the sender's, the trace's.")
    ] = None,
    since: _Since = None,
    until: _Until = None,
    tenant: TenantOption = None,
    limit: LimitOption = ROWS,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List incoming webhooks, newest first."""

    async def action(custodes: Custodes) -> Page[EventRecord]:
        now = custodes.clock.now()
        wanted = EventFilter(
            tenant=tenant,
            source=source,
            event_type=event_type,
            status=status,
            any_id=any_id,
            since=moment(since, now),
            until=moment(until, now),
        )
        return await custodes.inbound.list_events(wanted, limit=limit)

    def row(one: EventRecord) -> tuple[object, ...]:
        at = told_at(one.received_at)
        return one.id, at, one.source, one.event_type, one.event_id, one.status, one.attempts, one.error or ""

    columns = ("id", "received", "source", "type", "sender's id", "status", "attempts", "error")
    write_page(run(database, action), columns, row, as_json=as_json)


@app.command()
def show(event: _Event, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show an incoming webhook: what is known of it, its headers, and each attempt at it."""

    async def action(custodes: Custodes) -> tuple[EventRecord, Payload, list[Attempt]]:
        found, payload = await _looked_at(custodes, event)
        return found, payload, list(await custodes.inbound.list_attempts(event))

    found, payload, attempts = run(database, action)
    if as_json:
        write_json({**plain(found), "headers": payload.headers, "tries": attempts})
        return
    write_fields(
        found.id,
        (
            ("received", told_at(found.received_at)),
            ("source", found.source),
            ("type", found.event_type),
            ("sender's id", found.event_id),
            ("sender", found.verdict),
            ("status", f"{found.status} (no handler)" if found.unhandled else found.status),
            ("error", found.error),
            ("next attempt", "" if found.next_retry_at is None else told_at(found.next_retry_at)),
            ("tenant", found.tenant),
            ("address", found.client_ip),
            ("bytes", f"{found.body_bytes:,}"),
            ("trace", found.trace_id),
        ),
    )
    out.print()
    write_table(("header", ""), payload.headers)
    if attempts:
        out.print()
        write_table(("attempt", "at", "took", "handler", "outcome", "error"), map(_attempt, attempts))


@app.command()
def body(event: _Event, database: DatabaseOption = None) -> None:
    """Write the exact bytes of an incoming webhook to standard output; on a terminal, what would steer it is shown."""
    _, payload = run(database, lambda custodes: _looked_at(custodes, event))
    write_bytes(payload.body)


@app.command("try")
def try_event(
    event: _Event,
    url: UrlArgument,
    reason: ReasonOption = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send an incoming webhook as it came to another URL, once, from here; headers that were masked stay behind."""

    async def action(custodes: Custodes) -> Trial:
        found, payload = await custodes.inbound.get_event(event), await custodes.inbound.get_payload(event)
        also = custodes.audit.admin_entry(
            "webhook.tried",
            actor=operator(),
            target=f"webhook_event:{event}",
            context={"url": url},
            reason=reason,
            tenant=found.tenant,
        )
        try:
            return await custodes.outbound.try_received(url, payload.headers, payload.body, also=also)
        finally:
            await custodes.outgoing.close()

    write_trial(run(database, action), as_json=as_json)


@app.command()
def refused(
    source: _Source = None,
    since: _Since = None,
    until: _Until = None,
    tenant: TenantOption = None,
    limit: LimitOption = ROWS,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List samples of deliveries that were refused, newest first; why: custodes webhooks diagnose ID."""

    async def action(custodes: Custodes) -> Page[Refusal]:
        now = custodes.clock.now()
        return await custodes.inbound.list_refusals(
            tenant=tenant, source=source, since=moment(since, now) or 0, until=moment(until, now), limit=limit
        )

    def row(one: Refusal) -> tuple[object, ...]:
        return one.id, told_at(one.received_at), one.source, one.reason, one.client_ip

    columns = ("id", "received", "source", "reason", "address")
    write_page(run(database, action), columns, row, as_json=as_json, shown=without_what_it_carries)


#: Fields of a refused delivery and of an emitted event that hold what it carries.
CARRIED = frozenset({"headers", "body_head"})


def without_what_it_carries(one: Refusal | Message) -> dict[str, object]:
    """Tell a refused delivery or an emitted event; what it carries is looked at one by one, each look in the trail."""
    told: dict[str, object] = plain(one)
    return {name: value for name, value in told.items() if name not in CARRIED}


async def _looked_at(custodes: Custodes, event: str) -> tuple[EventRecord, Payload]:
    """Return an event with what it carries, which is recorded."""
    found, payload = await custodes.inbound.get_event(event), await custodes.inbound.get_payload(event)
    entry = custodes.audit.admin_entry(
        "webhook.payload_read", actor=operator(), target=f"webhook_event:{event}", tenant=found.tenant
    )
    await custodes.audit.commit(entry)
    return found, payload


def _attempt(one: Attempt) -> tuple[object, ...]:
    error = ": ".join(part for part in (one.error_type, one.error) if part)
    return one.number, told_at(one.started_at), told_ms(one.duration_us), one.handler, one.outcome, error
