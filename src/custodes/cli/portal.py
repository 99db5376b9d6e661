"""``custodes portal``: links that show a customer the endpoints of one tenant."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, JsonOption, operator, out, run, write_json, write_table
from custodes.kernel.clock import HOUR, to_iso
from custodes.planes.outbound.portal import ENDPOINTS, LIFETIME, PortalLink, Scope

app = typer.Typer(help="Links to the customer portal.", no_args_is_help=True)

#: Most rows that a list shows.
_ROWS = 100


@app.command()
def create(
    tenant: Annotated[str, typer.Argument(help="Whose endpoints it shows.")],
    scope: Annotated[Scope, typer.Option(help="view: look only; manage: change endpoints, too.")] = Scope.VIEW,
    channel: Annotated[str, typer.Option(help="Only endpoints of this channel.")] = "",
    hours: Annotated[float, typer.Option(help="How long it works.")] = LIFETIME / HOUR,
    max_endpoints: Annotated[int, typer.Option(help="Endpoints before no more can be added.")] = ENDPOINTS,
    note: Annotated[str, typer.Option(help="Who gets it.")] = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a link; its address is shown once."""

    async def action(custodes: Custodes) -> tuple[PortalLink, str]:
        link_id = custodes.new_id()
        entry = custodes.audit.admin_entry(
            "portal_link.created",
            actor=operator(),
            target=f"portal_link:{link_id}",
            tenant=tenant,
            context={"scope": scope.value, "channel": channel, "hours": hours},
        )
        made = await custodes.portal.create_link(
            tenant,
            scope=scope,
            channel=channel,
            lifetime=int(hours * HOUR) if math.isfinite(hours) else 0,
            max_endpoints=max_endpoints,
            note=note,
            made_by=operator(),
            link_id=link_id,
            also=entry,
        )
        settings = custodes.settings
        return made.link, made.url(custodes.portal.base_at("") or f"http://{settings.host}:{settings.port}")

    link, url = run(database, action)
    if as_json:
        write_json({"id": link.id, "url": url, "expires_at": to_iso(link.expires_at)})
    else:
        out.print(f"Link {link.id}, until {to_iso(link.expires_at)} (shown this once):")
        out.print(url, soft_wrap=True, markup=False, highlight=False)


@app.command("list")
def list_links(
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List links, ended ones too, newest first."""

    async def action(custodes: Custodes) -> tuple[list[PortalLink], int]:
        return list((await custodes.portal.list_links(tenant=tenant, limit=_ROWS)).items), custodes.clock.now()

    found, now = run(database, action)
    if as_json:
        write_json([_shown(link) for link in found])
        return
    rows = (
        (one.id, one.tenant, one.scope.value, _state(one, now), to_iso(one.expires_at), str(one.opened), one.note)
        for one in found
    )
    write_table(("id", "tenant", "scope", "state", "until", "opened", "for"), rows)


@app.command()
def revoke(
    link: Annotated[str, typer.Argument(help="Id of the link.")],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a link, and whatever was opened with it."""

    async def action(custodes: Custodes) -> None:
        tenant = (await custodes.portal.get_link(link)).tenant
        entry = custodes.audit.admin_entry(
            "portal_link.revoked", actor=operator(), target=f"portal_link:{link}", tenant=tenant
        )
        await custodes.portal.revoke_link(link, also=entry)

    run(database, action)
    if as_json:
        write_json({"id": link, "revoked": True})
    else:
        out.print("Revoked.")


def _shown(link: PortalLink) -> dict[str, object]:
    """Tell a link without its hashes."""
    names = [one.name for one in fields(link) if not one.name.endswith("_hash")]
    told = {name: getattr(link, name) for name in names}
    return {
        name: to_iso(value) if name.endswith("_at") and value is not None else value for name, value in told.items()
    }


def _state(link: PortalLink, now: int) -> str:
    if link.revoked_at is not None:
        return "revoked"
    return "works" if link.works(now) else "expired"
