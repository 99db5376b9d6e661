"""``custodes webhooks``: the endpoints of outgoing webhooks, and what was sent to them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from custodes.app import Custodes
from custodes.cli import endpoints
from custodes.cli.console import DatabaseOption, JsonOption, operator, out, run, write_json, write_table
from custodes.cli.endpoints import ROWS, EndpointId
from custodes.cli.moments import moment
from custodes.errors import InvalidInput
from custodes.kernel.clock import to_iso
from custodes.planes.inbound.completeness_model import Proof
from custodes.planes.inbound.diagnosis import Finding
from custodes.planes.outbound.model import Delivery, DeliveryStatus, Endpoint
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.runtime.transactions import Work

app = typer.Typer(
    help="Webhooks: endpoints and deliveries of those that go out, completeness of those that come in.",
    no_args_is_help=True,
)

_Since = Annotated[str | None, typer.Option(help="Emitted at or after: a moment, or 2h for two hours ago.")]
_Until = Annotated[str | None, typer.Option(help="Emitted before.")]

app.command("list")(endpoints.list_endpoints)
app.command()(endpoints.show)
app.command()(endpoints.create)
app.command()(endpoints.update)
app.command("rotate-secret")(endpoints.rotate_secret)


@app.command()
def pause(
    endpoint: EndpointId,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send nothing to an endpoint for now; what is emitted meanwhile is held."""

    async def action(custodes: Custodes) -> Endpoint:
        also = await endpoints.entry(custodes, "paused", endpoint)
        return await custodes.outbound.pause_endpoint(endpoint, reason=reason, also=also)

    _moved(run(database, action), "Paused.", as_json=as_json)


@app.command()
def resume(
    endpoint: EndpointId,
    recover: Annotated[
        bool | None, typer.Option("--recover/--no-recover", help="Send what was held; default: after a pause yes.")
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send to an endpoint again."""

    async def action(custodes: Custodes) -> Endpoint:
        one = await custodes.outbound.get_endpoint(endpoint)
        return await custodes.outbound.resume_endpoint(
            endpoint,
            recover=recover,
            also=endpoints.entry_of(custodes, "resumed", one),
            ended=lambda done: endpoints.entry_of(custodes, "recovered", one, context={"deliveries": done}),
        )

    _moved(run(database, action), "Resumed.", as_json=as_json)


@app.command()
def delete(endpoint: EndpointId, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Remove an endpoint, and its secrets for good."""

    async def action(custodes: Custodes) -> None:
        await custodes.outbound.delete_endpoint(endpoint, also=await endpoints.entry(custodes, "deleted", endpoint))

    run(database, action)
    if as_json:
        write_json({"id": endpoint, "deleted": True})
    else:
        out.print("Deleted.")


@app.command("test")
def send_test(endpoint: EndpointId, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Have the running server send an event of type custodes.test to an endpoint, once."""

    async def action(custodes: Custodes) -> str:
        return (
            await custodes.outbound.send_test(endpoint, also=await endpoints.entry(custodes, "tested", endpoint))
        ).id

    message = run(database, action)
    if as_json:
        write_json({"id": message, "endpoint": endpoint})
    else:
        out.print(f"Message {message} is to be sent.")


@app.command()
def deliveries(
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


@app.command()
def resend(
    endpoint: Annotated[str | None, typer.Option(help="Only to this endpoint.")] = None,
    event: Annotated[str | None, typer.Option(help="Only of this type, exactly.")] = None,
    status: Annotated[DeliveryStatus | None, typer.Option(help="Only in this state; default: failed, held.")] = None,
    since: _Since = None,
    until: _Until = None,
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
        named = _named(endpoint_id=endpoint, event_type=event, status=status, since=since, until=until)
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

    _count(run(database, action), dry_run=dry_run, as_json=as_json)


@app.command()
def recover(
    endpoint: EndpointId,
    since: _Since = None,
    until: _Until = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the running server send an endpoint everything that it has missed."""

    async def action(custodes: Custodes) -> int:
        now, one = custodes.clock.now(), await custodes.outbound.get_endpoint(endpoint)
        return await custodes.outbound.recover(
            endpoint,
            since=moment(since, now),
            until=moment(until, now),
            begun=lambda asked: endpoints.entry_of(
                custodes, "recovery_begun", one, context=_named(since=since, until=until) | {"deliveries": asked}
            ),
            ended=lambda done: endpoints.entry_of(custodes, "recovered", one, context={"deliveries": done}),
        )

    _count(run(database, action), dry_run=False, as_json=as_json)


@app.command()
def completeness(
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell up to when the incoming webhooks of each source are complete, and which sources are silent."""

    async def action(custodes: Custodes) -> tuple[list[Proof], int]:
        return list(await custodes.completeness.list_proofs(tenant=tenant)), custodes.clock.now()

    proofs, now = run(database, action)
    if as_json:
        write_json(proofs)
    else:
        # What is compared is known to the server's process; that something was proven tells it as well.
        rows = (
            (one.source, one.tenant, str(one.fetched), str(one.lost), one.summary(now, compared=one.since is not None))
            for one in proofs
        )
        write_table(("source", "tenant", "fetched", "lost", "state"), rows)


@app.command()
def diagnose(
    refusal: Annotated[str, typer.Argument(help="Id of the refused delivery.")],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find out why an incoming webhook was refused. Knows the sources of the environment; no secret is told."""

    async def action(custodes: Custodes) -> list[Finding]:
        return list(await custodes.inbound.diagnose_refusal(refusal))

    found = run(database, action)
    if as_json:
        write_json(found)
    else:
        rows = (("proven" if one.proven else "likely", one.code, one.text, one.remedy) for one in found)
        write_table(("", "finding", "what", "what to do"), rows)


def _moved(endpoint: Endpoint, done: str, *, as_json: bool) -> None:
    if as_json:
        write_json({"id": endpoint.id, "state": endpoint.state, "state_reason": endpoint.state_reason})
    else:
        out.print(done)


def _named(**asked_for: str | None) -> dict[str, Any]:
    """Return what was named of what could be."""
    return {name: value for name, value in asked_for.items() if value}


def _count(deliveries: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        write_json({"deliveries": deliveries, "dry_run": dry_run})
    else:
        out.print(f"{deliveries} deliveries {'would be' if dry_run else 'are to be'} sent again.")
