"""``custodes webhooks``: the endpoints of outgoing webhooks, and what was sent to them."""

from __future__ import annotations

import json
from typing import Annotated, Any, cast

import typer

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, JsonOption, operator, out, run, write_json, write_table
from custodes.cli.moments import moment
from custodes.errors import InvalidInput
from custodes.kernel.clock import HOUR, to_iso
from custodes.planes.inbound.completeness_model import Proof
from custodes.planes.inbound.diagnosis import Finding
from custodes.planes.outbound.endpoints import Created
from custodes.planes.outbound.model import Delivery, DeliveryStatus, Endpoint, EndpointState, Options, Signature
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.runtime.transactions import Work

app = typer.Typer(
    help="Webhooks: endpoints and deliveries of those that go out, completeness of those that come in.",
    no_args_is_help=True,
)

_Id = Annotated[str, typer.Argument(help="Id of the endpoint.")]
_Since = Annotated[str | None, typer.Option(help="Emitted at or after: a moment, or 2h for two hours ago.")]
_Until = Annotated[str | None, typer.Option(help="Emitted before.")]

#: Most rows that a list shows.
_ROWS = 100


@app.command("list")
def list_endpoints(
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    state: Annotated[EndpointState | None, typer.Option(help="Only in this state.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List endpoints, newest first."""

    async def action(custodes: Custodes) -> list[Endpoint]:
        return list((await custodes.outbound.list_endpoints(tenant=tenant, state=state, limit=_ROWS)).items)

    found = run(database, action)
    if as_json:
        write_json(found)
    else:
        rows = (
            (one.id, one.tenant, one.url, " ".join(one.event_types), str(one.state), one.state_reason) for one in found
        )
        write_table(("id", "tenant", "url", "events", "state", "why"), rows)


@app.command()
def create(
    url: Annotated[str, typer.Argument(help="Absolute https URL.")],
    event: Annotated[list[str] | None, typer.Option(help="Event type; give it again for more. Default: all.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose it is.")] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    match: Annotated[str, typer.Option(help="Only payloads that match, as JSON.")] = "{}",
    channel: Annotated[list[str] | None, typer.Option(help="Only this channel; give it again for more.")] = None,
    signature: Annotated[Signature, typer.Option(help="How deliveries are signed.")] = Signature.V1,
    rate: Annotated[float, typer.Option(help="Deliveries a second, at most; 0: as many as come.")] = 0,
    ordered: Annotated[bool, typer.Option("--ordered", help="Keep the order of deliveries of one order key.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an endpoint; its secret is shown once."""
    options = Options(
        match=_pattern(match), channels=tuple(channel or ()), signature=signature, rate=rate, ordered=ordered
    )

    async def action(custodes: Custodes) -> Created:
        endpoint_id = custodes.new_id()
        return await custodes.outbound.create_endpoint(
            url,
            event_types=event or ("*",),
            description=description,
            options=options,
            tenant=tenant,
            endpoint_id=endpoint_id,
            also=_entry(custodes, "created", endpoint_id),
        )

    _show(run(database, action), as_json=as_json)


@app.command("rotate-secret")
def rotate_secret(
    endpoint: _Id,
    overlap_hours: Annotated[float, typer.Option(help="Hours that the secret before stays valid.")] = 24,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new secret, shown once."""

    async def action(custodes: Custodes) -> Created:
        entry = _entry(custodes, "secret_rotated", endpoint)
        return await custodes.outbound.rotate_secret(endpoint, overlap=int(overlap_hours * HOUR), also=entry)

    _show(run(database, action), as_json=as_json)


@app.command()
def pause(
    endpoint: _Id,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    database: DatabaseOption = None,
) -> None:
    """Send nothing to an endpoint for now; what is emitted meanwhile is held."""

    async def action(custodes: Custodes) -> None:
        await custodes.outbound.pause_endpoint(endpoint, reason=reason, also=_entry(custodes, "paused", endpoint))

    run(database, action)
    out.print("Paused.")


@app.command()
def resume(
    endpoint: _Id,
    recover: Annotated[
        bool | None, typer.Option("--recover/--no-recover", help="Send what was held; default: after a pause yes.")
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Send to an endpoint again."""

    async def action(custodes: Custodes) -> None:
        entry = _entry(custodes, "resumed", endpoint)
        await custodes.outbound.resume_endpoint(
            endpoint,
            recover=recover,
            also=entry,
            ended=lambda deliveries: _recovered(custodes, endpoint, deliveries),
        )

    run(database, action)
    out.print("Resumed.")


@app.command()
def delete(endpoint: _Id, database: DatabaseOption = None) -> None:
    """Remove an endpoint, and its secrets for good."""

    async def action(custodes: Custodes) -> None:
        await custodes.outbound.delete_endpoint(endpoint, also=_entry(custodes, "deleted", endpoint))

    run(database, action)
    out.print("Deleted.")


@app.command("test")
def send_test(endpoint: _Id, database: DatabaseOption = None) -> None:
    """Have the running server send an event of type custodes.test to an endpoint, once."""

    async def action(custodes: Custodes) -> str:
        return (await custodes.outbound.send_test(endpoint, also=_entry(custodes, "tested", endpoint))).id

    out.print(f"Message {run(database, action)} is to be sent.")


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
        return list((await custodes.outbound.list_deliveries(wanted, limit=_ROWS)).items)

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
        total, after = 0, ""
        while True:
            entry = custodes.audit.admin_entry(
                "webhook_deliveries.resent", actor=operator(), context={"dry_run": dry_run, "from": after}
            )
            done, after = await custodes.outbound.resend_many(wanted, dry_run=dry_run, after=after, also=entry)
            total += done
            if not after:
                return total

    _count(run(database, action), dry_run=dry_run, as_json=as_json)


@app.command()
def recover(
    endpoint: _Id,
    since: _Since = None,
    until: _Until = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the running server send an endpoint everything that it has missed."""

    async def action(custodes: Custodes) -> int:
        now = custodes.clock.now()
        return await custodes.outbound.recover(
            endpoint,
            since=moment(since, now),
            until=moment(until, now),
            also=_entry(custodes, "recovery_begun", endpoint),
            ended=lambda deliveries: _recovered(custodes, endpoint, deliveries),
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


def _pattern(text: str) -> dict[str, Any]:
    try:
        pattern: object = json.loads(text)
    except ValueError:
        pattern = None
    if not isinstance(pattern, dict):
        msg = "The payload filter is no JSON object"
        raise InvalidInput(msg, remedy='Write --match \'{"data.country": "DE"}\'')
    return cast("dict[str, Any]", pattern)


def _entry(custodes: Custodes, what: str, endpoint_id: str) -> Work:
    action, target = f"webhook_configuration.{what}", f"webhook_configuration:{endpoint_id}"
    return custodes.audit.admin_entry(action, actor=operator(), target=target)


def _recovered(custodes: Custodes, endpoint_id: str, deliveries: int) -> Work:
    return custodes.audit.admin_entry(
        "webhook_configuration.recovered",
        actor=operator(),
        target=f"webhook_configuration:{endpoint_id}",
        context={"deliveries": deliveries},
    )


def _show(made: Created, *, as_json: bool) -> None:
    if as_json:
        write_json({"id": made.endpoint.id, "secret": made.secret, "public_key": made.public_key})
        return
    out.print(f"Endpoint {made.endpoint.id}")
    if made.secret:
        out.print(f"Secret (shown this once): {made.secret}", soft_wrap=True)
    if made.public_key:
        out.print(f"Public key: {made.public_key}", soft_wrap=True)


def _count(deliveries: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        write_json({"deliveries": deliveries, "dry_run": dry_run})
    else:
        out.print(f"{deliveries} deliveries {'would be' if dry_run else 'are to be'} sent again.")
