"""Deliveries of outgoing webhooks: which there are, one with its attempts, sent again, or to another URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from custodes.app import Custodes
from custodes.cli.console import (
    ROWS,
    DatabaseOption,
    JsonOption,
    ReasonOption,
    operator,
    out,
    plain,
    run,
    told_at,
    told_ms,
    write_fields,
    write_json,
    write_table,
)
from custodes.cli.moments import moment
from custodes.errors import InvalidInput
from custodes.kernel.clock import to_iso
from custodes.planes.outbound.model import Attempt, Delivery, DeliveryStatus
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.planes.outbound.trial import Trial
from custodes.runtime.transactions import Work

DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", help="Id of the delivery.")]
UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="Where to send it, once.")]


def list_deliveries(
    endpoint: Annotated[str | None, typer.Option(help="Only to this endpoint.")] = None,
    status: Annotated[DeliveryStatus | None, typer.Option(help="Only in this state.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List deliveries, newest first."""
    wanted = DeliveryFilter(tenant, endpoint, statuses=(status,) if status else ())

    async def action(custodes: Custodes) -> list[Delivery]:
        return list((await custodes.outbound.list_deliveries(wanted, limit=ROWS)).items)

    found = run(database, action)
    if as_json:
        write_json(found)
    else:
        rows = (
            (one.id, one.event_type, str(one.status), str(one.attempts), to_iso(one.created_at), one.error)
            for one in found
        )
        write_table(("id", "event", "status", "attempts", "emitted", "error"), rows)


def show_delivery(delivery: DeliveryId, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show a delivery, and of each attempt what was sent and answered, and where its time went."""

    async def action(custodes: Custodes) -> tuple[Delivery, list[Attempt]]:
        found, attempts = await custodes.outbound.get_delivery(delivery)
        return found, list(attempts)

    found, attempts = run(database, action)
    if as_json:
        write_json({**plain(found), "tries": attempts})
        return
    write_fields(
        found.id,
        (
            ("event", found.event_type),
            ("message", found.message_id),
            ("endpoint", found.endpoint_id),
            ("status", found.status),
            ("error", found.error),
            ("emitted", told_at(found.created_at)),
            ("ended", "" if found.finished_at is None else told_at(found.finished_at)),
            ("next attempt", "" if found.next_attempt_at is None else told_at(found.next_attempt_at)),
            ("tenant", found.tenant),
        ),
    )
    for attempt in attempts:
        out.print()
        _write_request(f"attempt {attempt.number}", attempt)


def try_delivery(
    delivery: DeliveryId,
    url: UrlArgument,
    reason: ReasonOption = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send what a delivery carries to another URL, once, from here; the delivery stays as it is.

    Signed with a secret made for it; without the endpoint's own headers and credentials.
    """

    def told(found: Delivery, custodes: Custodes) -> Work:
        return custodes.audit.admin_entry(
            "webhook_delivery.tried",
            actor=operator(),
            target=f"webhook_delivery:{found.id}",
            context={"url": url},
            reason=reason,
            tenant=found.tenant,
        )

    async def action(custodes: Custodes) -> Trial:
        try:
            return await custodes.outbound.try_delivery(delivery, url, told=lambda found: told(found, custodes))
        finally:
            await custodes.outgoing.close()

    write_trial(run(database, action), as_json=as_json)


def resend(
    endpoint: Annotated[str | None, typer.Option(help="Only to this endpoint.")] = None,
    event: Annotated[str | None, typer.Option(help="Only of this type, exactly.")] = None,
    status: Annotated[DeliveryStatus | None, typer.Option(help="Only in this state; default: failed, held.")] = None,
    since: Annotated[str | None, typer.Option(help="Emitted at or after: a moment, or 2h for two hours ago.")] = None,
    until: Annotated[str | None, typer.Option(help="Emitted before.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do nothing; tell how many it would be.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the running server send a selection of deliveries again."""
    if not any((endpoint, event, status, since, until)):
        msg = "Nothing says which deliveries are meant"
        raise InvalidInput(msg, remedy="Name an endpoint, or a filter such as --status failed --since 2h")

    async def action(custodes: Custodes) -> int:
        now = custodes.clock.now()
        wanted = DeliveryFilter(
            endpoint_id=endpoint,
            event_type=event,
            statuses=(status,) if status else (),
            since=moment(since, now),
            until=moment(until, now),
        )
        named = named_of(endpoint_id=endpoint, event_type=event, status=status, since=since, until=until)
        tenant = (await custodes.outbound.get_endpoint(endpoint)).tenant if endpoint else None

        def entry(what: str, context: dict[str, Any]) -> Work:
            action = f"webhook_deliveries.{what}"
            return custodes.audit.admin_entry(action, actor=operator(), context=context, tenant=tenant)

        return await custodes.outbound.resend_many(
            wanted,
            dry_run=dry_run,
            begun=lambda asked: entry("resend_begun", {**named, "deliveries": asked}),
            ended=lambda done: entry("resent", {"deliveries": done}),
        )

    write_count(run(database, action), dry_run=dry_run, as_json=as_json)


def named_of(**asked_for: str | None) -> dict[str, Any]:
    """Return what was named of what could be."""
    return {name: value for name, value in asked_for.items() if value}


def write_count(deliveries: int, *, dry_run: bool, as_json: bool) -> None:
    """Write how many are sent again."""
    if as_json:
        write_json({"deliveries": deliveries, "dry_run": dry_run})
    else:
        out.print(f"{deliveries} deliveries {'would be' if dry_run else 'are to be'} sent again.")


def write_trial(trial: Trial, *, as_json: bool) -> None:
    """Write what came of a trial."""
    if as_json:
        write_json(trial)
        return
    _write_request("trial", trial)
    if trial.secret:
        out.print(f"\nSigned with a secret made for it: {trial.secret}", soft_wrap=True)


def _write_request(title: str, one: Attempt | Trial) -> None:
    timing = one.timing
    parts: Mapping[str, int] = {
        "DNS": timing.dns,
        "connect": timing.connect,
        "TLS": timing.tls,
        "first byte": timing.first_byte,
    }
    write_fields(
        title,
        (
            ("at", to_iso(one.started_at)),
            ("to", one.url),
            ("answer", one.status or "none"),
            ("error", one.error),
            ("took", told_ms(timing.total)),
            *((name, told_ms(micros)) for name, micros in parts.items() if micros),
            *((f"> {name}", value) for name, value in one.headers),
            *((f"< {name}", value) for name, value in one.answer_headers),
            ("answer begins", one.excerpt),
        ),
    )
