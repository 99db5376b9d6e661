"""``custodes user``: who may administer, from the command line."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from custodes.app import Custodes
from custodes.cli import keys
from custodes.cli.console import DatabaseOption, JsonOption, ReasonOption, operator, out, run, write_json, write_table
from custodes.kernel.clock import to_iso
from custodes.kernel.paging import MAX_LIMIT
from custodes.planes.audit.model import Reference
from custodes.planes.identity.model import LOCAL, Profile, Role, State

app = typer.Typer(help="Who may administer.", no_args_is_help=True)
app.add_typer(keys.app, name="key")

SubjectArgument = Annotated[
    str, typer.Argument(help="User name of a local account, or the subject (sub) at the issuer.")
]
IssuerOption = Annotated[str, typer.Option(help="Who vouches for the subject: local, host, or the issuer's URL.")]


@app.command("add")
def add(
    subject: SubjectArgument,
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.ADMIN,
    issuer: IssuerOption = LOCAL,
    email: Annotated[str, typer.Option(help="For people to read.")] = "",
    name: Annotated[str, typer.Option(help="For people to read.")] = "",
    tenant: Annotated[str | None, typer.Option(help="The only tenant it may see. Default: all.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add somebody. A local account gets a one-time password, shown once."""

    async def action(custodes: Custodes) -> tuple[Profile, str | None]:
        profile_id = custodes.new_id()
        made = await custodes.identity.profiles.create(
            subject,
            role=role,
            issuer=issuer,
            email=email,
            display_name=name,
            tenant=tenant,
            profile_id=profile_id,
            also=custodes.audit.admin_entry(
                "user_profile.created",
                actor=operator(),
                target=Reference("user_profile", profile_id, subject),
                context={"role": str(role), "issuer": issuer},
                tenant=tenant,
            ),
        )
        return made.profile, made.one_time_password

    profile, password = run(database, action, create=True)
    if as_json:
        write_json({"id": profile.id, "subject": subject, "role": role, "one_time_password": password})
        return
    out.print(f"Added {escape(subject)} as {role}.")
    if password is not None:
        out.print(f"One-time password: [bold]{password}[/]  (to be changed at the first login)", soft_wrap=True)


@app.command("role")
def set_role(
    subject: SubjectArgument,
    role: Annotated[Role, typer.Argument(help="What it may do from now on.")],
    issuer: IssuerOption = LOCAL,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what somebody may do."""

    async def action(custodes: Custodes) -> Profile:
        profile = await custodes.identity.profiles.find(subject, issuer=issuer)
        also = custodes.audit.admin_entry(
            "role.changed",
            actor=operator(),
            target=Reference("user_profile", profile.id, subject),
            changes=[("role", str(profile.role), str(role))],
            tenant=profile.tenant,
        )
        return await custodes.identity.profiles.set_role(profile.id, role, also=also)

    profile = run(database, action)
    if as_json:
        write_json({"id": profile.id, "subject": subject, "role": profile.role})
    else:
        out.print(f"{escape(subject)} is {profile.role} now.")


@app.command("disable")
def disable(
    subject: SubjectArgument,
    reason: ReasonOption = "",
    issuer: IssuerOption = LOCAL,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep somebody out, from their next request on, and end their sessions."""
    _set_state(subject, issuer, State.DISABLED, "user.disabled", reason, database, as_json=as_json)


@app.command("enable")
def enable(
    subject: SubjectArgument,
    reason: ReasonOption = "",
    issuer: IssuerOption = LOCAL,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let somebody in again who was kept out."""
    _set_state(subject, issuer, State.ACTIVE, "user.enabled", reason, database, as_json=as_json)


def _set_state(
    subject: str, issuer: str, state: State, action: str, reason: str, database: str | None, *, as_json: bool
) -> None:
    async def change(custodes: Custodes) -> Profile:
        profile = await custodes.identity.profiles.find(subject, issuer=issuer)
        target = Reference("user_profile", profile.id, subject)
        also = custodes.audit.admin_entry(action, actor=operator(), target=target, reason=reason, tenant=profile.tenant)
        return await custodes.identity.profiles.set_state(profile.id, state, also=also)

    profile = run(database, change)
    if as_json:
        write_json({"id": profile.id, "subject": subject, "state": profile.state})
    else:
        out.print(f"{escape(subject)} is {profile.state} now.")


@app.command("reset-password")
def reset_password(subject: SubjectArgument, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Give a local account a new one-time password and end its sessions."""

    async def action(custodes: Custodes) -> str:
        profile = await custodes.identity.profiles.find(subject)
        target = Reference("user_profile", profile.id, subject)
        also = custodes.audit.admin_entry("auth.password_reset", actor=operator(), target=target, tenant=profile.tenant)
        return await custodes.identity.profiles.reset_password(profile.id, also=also)

    password = run(database, action)
    if as_json:
        write_json({"subject": subject, "one_time_password": password})
    else:
        out.print(f"One-time password of {escape(subject)}: [bold]{password}[/]", soft_wrap=True)


@app.command("list")
def list_users(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List who may administer."""

    async def action(custodes: Custodes) -> list[Profile]:
        found: list[Profile] = []
        cursor: str | None = None
        while True:
            page = await custodes.identity.profiles.list_profiles(limit=MAX_LIMIT, cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    profiles = run(database, action)
    if as_json:
        write_json(profiles)
        return
    rows = (
        (user.subject, user.role, user.state, user.issuer, user.tenant or "all", _when(user.last_seen_at))
        for user in profiles
    )
    write_table(("subject", "role", "state", "issuer", "tenant", "last seen"), rows)


def _when(moment: int | None) -> str:
    return "never" if moment is None else to_iso(moment)
