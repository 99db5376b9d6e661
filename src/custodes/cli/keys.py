"""``custodes user key``: what programs sign in with."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import typer
from rich.markup import escape

from custodes.app import Custodes
from custodes.cli.console import (
    ROWS,
    DatabaseOption,
    JsonOption,
    LimitOption,
    ReasonOption,
    operator,
    out,
    plain,
    run,
    told_at,
    write_json,
    write_page,
)
from custodes.errors import Conflict
from custodes.kernel.paging import Page
from custodes.planes.audit.model import Reference
from custodes.planes.identity.api_keys import NewApiKey
from custodes.planes.identity.model import LOCAL, ApiKey, Method, Principal, Role, State

app = typer.Typer(help="API keys: what programs sign in with.", no_args_is_help=True)

IssuerOption = Annotated[str, typer.Option(help="Who vouches for the subject: local, host, or the issuer's URL.")]


@app.command("create")
def create(
    subject: Annotated[str, typer.Argument(help="Whose key it is: it never does more than that profile may.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "key",
    role: Annotated[Role | None, typer.Option(help="The most it may do. Default: what the profile may.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The only tenant it may see. Default: as the profile.")] = None,
    days: Annotated[int | None, typer.Option(help="Days until it stops to work. Default: it does not.")] = None,
    issuer: IssuerOption = LOCAL,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key of a profile; it is shown once."""

    async def action(custodes: Custodes) -> NewApiKey:
        profile = await custodes.identity.profiles.find(subject, issuer=issuer)
        if profile.state is not State.ACTIVE:
            msg = f"{subject} is {profile.state}: a key of this profile would open nothing"
            raise Conflict(msg, remedy="Make the key of an active profile")
        owner = Principal(
            profile_id=profile.id,
            subject=profile.subject,
            role=profile.role,
            tenant=profile.tenant,
            method=Method.HOST,
            issuer=issuer,
        )
        key_id = custodes.new_id()
        entry = custodes.audit.admin_entry(
            "api_key.created",
            actor=operator(),
            target=Reference("api_key", key_id, name),
            tenant=tenant or profile.tenant,
            context={"subject": subject, "role": str(role or profile.role), "days": days},
        )
        return await custodes.identity.keys.create(
            name, owner=owner, role=role, tenant=tenant, days=days, also=entry, key_id=key_id
        )

    made = run(database, action)
    if as_json:
        write_json({**_shown(made.key), "key": made.secret})
        return
    until = "" if made.key.expires_at is None else f", until {told_at(made.key.expires_at)}"
    out.print(f"Key {made.key.id} of {escape(subject)} as {made.key.role}{until} (shown this once):")
    out.print(made.secret, soft_wrap=True, markup=False)


@app.command("list")
def list_keys(
    subject: Annotated[str | None, typer.Argument(help="Only of this profile.")] = None,
    issuer: IssuerOption = LOCAL,
    limit: LimitOption = ROWS,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List keys, newest first, those that no longer work, too."""

    async def action(custodes: Custodes) -> tuple[Page[ApiKey], int]:
        identity = custodes.identity
        profile_id = None if subject is None else (await identity.profiles.find(subject, issuer=issuer)).id
        return await identity.keys.list_keys(profile_id=profile_id, limit=limit), custodes.clock.now()

    found, now = run(database, action)
    write_page(
        found,
        ("id", "key", "name", "role", "tenant", "state", "last used"),
        lambda key: (
            key.id, f"{key.prefix}…", key.name, key.role, key.tenant or "all", _state(key, now),
            "never" if key.last_used_at is None else told_at(key.last_used_at),
        ),
        as_json=as_json,
        shown=_shown,
    )  # fmt: skip


@app.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="Id of the key.")],
    reason: ReasonOption = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw a key: it opens nothing from the next request on."""

    async def action(custodes: Custodes) -> None:
        found = await custodes.identity.keys.get(key)
        entry = custodes.audit.admin_entry(
            "api_key.revoked",
            actor=operator(),
            target=Reference("api_key", key, found.name),
            tenant=found.tenant,
            reason=reason,
        )
        await custodes.identity.keys.revoke(key, also=entry)

    run(database, action)
    if as_json:
        write_json({"id": key, "revoked": True})
    else:
        out.print("Revoked.")


def _shown(key: ApiKey) -> dict[str, object]:
    """Tell a key without its hash."""
    told: dict[str, object] = plain(key)
    return {name: told[name] for name in (one.name for one in fields(key)) if name != "key_hash"}


def _state(key: ApiKey, now: int) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "works" if key.expires_at is None or now < key.expires_at else "expired"
