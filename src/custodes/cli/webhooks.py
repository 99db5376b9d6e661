"""``custodes webhooks``: the endpoints of outgoing webhooks, and what was sent to them."""

from __future__ import annotations

from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli import deliveries, endpoints
from custodes.cli.console import DatabaseOption, JsonOption, out, run, write_json, write_table
from custodes.cli.endpoints import EndpointId
from custodes.cli.moments import moment
from custodes.planes.inbound.completeness_model import Proof
from custodes.planes.inbound.diagnosis import Finding
from custodes.planes.outbound.model import Endpoint

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
app.command("deliveries")(deliveries.list_deliveries)
app.command("delivery")(deliveries.show_delivery)
app.command("resend")(deliveries.resend)
app.command("try")(deliveries.try_delivery)


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
                custodes,
                "recovery_begun",
                one,
                context=deliveries.named_of(since=since, until=until) | {"deliveries": asked},
            ),
            ended=lambda done: endpoints.entry_of(custodes, "recovered", one, context={"deliveries": done}),
        )

    deliveries.write_count(run(database, action), dry_run=False, as_json=as_json)


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
