"""``custodes blocks`` and ``custodes lists``: who is shut out or let through, whatever the rules say."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

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
    write_fields,
    write_json,
    write_page,
)
from custodes.cli.moments import span
from custodes.errors import InvalidInput
from custodes.kernel.clock import to_iso
from custodes.kernel.paging import Page
from custodes.kernel.tenant import EVERY_TENANT
from custodes.planes.ratelimit.access import as_typed, normal_identifier
from custodes.planes.ratelimit.model import FOREVER, Access, Effect, Kind
from custodes.runtime.transactions import Work

blocks = typer.Typer(help="Blocks and bans: who is shut out.", no_args_is_help=True)
lists = typer.Typer(help="The allow list (no limit counts) and the deny list (always refused).", no_args_is_help=True)


class NamedKind(StrEnum):
    """What an entry can be for: a custom identifier is known to the callable of its rule alone."""

    #: An address or a CIDR block.
    IP = "ip"
    #: A user of a tenant.
    USER = "user"
    #: An API key, by its id.
    API_KEY = "api_key"
    #: A whole tenant.
    TENANT = "tenant"


_Identifier = Annotated[str, typer.Argument(help="Address or CIDR block, user, id of an API key, or tenant.")]
_KindOption = Annotated[NamedKind, typer.Option("--kind", help="What the identifier is.")]
_OnlyKind = Annotated[Kind | None, typer.Option("--kind", help="Only identifiers of this kind.")]
_Why = Annotated[str, typer.Option("--reason", help="Why, for people and for the audit trail.")]
_Whose = Annotated[str | None, typer.Option("--tenant", help="Only for requests of this tenant. Default: all.")]
_Entry = Annotated[str, typer.Argument(help="Id of the entry, from the list.")]


@blocks.command("list")
def list_blocks(
    kind: _OnlyKind = None,
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended or were lifted, too.")] = False,
    tenant: TenantOption = None,
    limit: LimitOption = ROWS,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List blocks and bans, newest first."""

    async def action(custodes: Custodes) -> Page[Access]:
        return await custodes.ratelimit.get_blocked_identifiers(tenant=tenant, kind=kind, active=not ended, limit=limit)

    _write(run(database, action), as_json=as_json)


@blocks.command("show")
def show_block(block: _Entry, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show a block, or an entry of a list, whether it stands or has ended."""
    entry = run(database, lambda custodes: custodes.ratelimit.get_access(block))
    if as_json:
        write_json(_plain(entry))
        return
    write_fields(
        entry.id,
        (
            ("does", entry.effect),
            ("whom", f"{entry.kind}:{entry.identifier}"),
            ("tenant", _tenant_of(entry) or "all"),
            ("why", entry.reason),
            ("by", entry.actor),
            ("from", to_iso(entry.created_at)),
            ("stands", _end(entry)),
            ("lifted by", entry.lifted_by),
            ("offence", entry.level or ""),
        ),
    )


@blocks.command("add")
def add_block(
    identifier: _Identifier,
    reason: _Why,
    kind: _KindOption = NamedKind.IP,
    duration: Annotated[str | None, typer.Option("--for", help="How long: 30m, 2h, 7d. Default: no end.")] = None,
    tenant: _Whose = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse every request of an identifier, in every worker within two seconds; replaces a block that stands."""
    lasts = None if duration is None else span(duration)

    async def action(custodes: Custodes) -> Access:
        entry_id = custodes.new_id()
        named = normal_identifier(Kind(kind), identifier)
        targets = (f"{kind}:{named}", f"block:{entry_id}")
        return await custodes.ratelimit.block_identifier(
            identifier,
            kind,
            reason=reason,
            actor=operator(),
            duration=lasts,
            tenant=tenant,
            entry_id=entry_id,
            also=_trail(custodes, "blocked", targets, reason, tenant, context=as_typed(identifier, named)),
        )

    entry = run(database, action)
    if as_json:
        write_json(_plain(entry))
    else:
        out.print(
            f"{entry.kind}:{entry.identifier} is blocked {_end(entry)}. Block {entry.id}", markup=False, soft_wrap=True
        )


@blocks.command("lift")
def lift_block(
    block: _Entry, reason: ReasonOption = "", database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Lift a block or a ban."""

    async def action(custodes: Custodes) -> Access:
        before = await custodes.ratelimit.get_access(block)
        targets = (f"block:{block}", f"{before.kind}:{before.identifier}")
        also = _trail(custodes, "unblocked", targets, reason, _tenant_of(before))
        return await custodes.ratelimit.lift_block(block, actor=operator(), also=also)

    entry = run(database, action)
    if as_json:
        write_json(_plain(entry))
    else:
        out.print(f"{entry.kind}:{entry.identifier} is blocked no longer.", markup=False)


@lists.command("list")
def list_entries(
    effect: Annotated[Effect | None, typer.Option("--list", help="Only the allow list, or only the deny list.")] = None,
    kind: _OnlyKind = None,
    tenant: TenantOption = None,
    limit: LimitOption = ROWS,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what stands on the allow list and the deny list, newest first."""
    _check_list(effect)
    _write(
        run(
            database,
            lambda custodes: custodes.ratelimit.list_access(effect, tenant=tenant, kind=kind, limit=limit),
        ),
        as_json=as_json,
    )


@lists.command("add")
def add_entry(
    effect: Annotated[Effect, typer.Argument(metavar="LIST", help="allow or deny.")],
    identifier: _Identifier,
    reason: _Why,
    kind: _KindOption = NamedKind.IP,
    tenant: _Whose = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put an identifier on the allow list or the deny list; it counts in every worker within two seconds."""
    _check_list(effect)

    async def action(custodes: Custodes) -> Access:
        entry_id = custodes.new_id()
        named = normal_identifier(Kind(kind), identifier)
        targets = (f"{kind}:{named}", f"access:{entry_id}")
        return await custodes.ratelimit.add_to_list(
            effect,
            identifier,
            kind,
            reason=reason,
            actor=operator(),
            tenant=tenant,
            entry_id=entry_id,
            also=_trail(
                custodes,
                "listed",
                targets,
                reason,
                tenant,
                context={"effect": effect.value, **as_typed(identifier, named)},
            ),
        )

    entry = run(database, action)
    if as_json:
        write_json(_plain(entry))
    else:
        out.print(
            f"{entry.kind}:{entry.identifier} is on the {entry.effect} list. Entry {entry.id}",
            markup=False,
            soft_wrap=True,
        )


@lists.command("remove")
def remove_entry(
    entry: _Entry, reason: ReasonOption = "", database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Take an entry off its list."""

    async def action(custodes: Custodes) -> Access:
        before = await custodes.ratelimit.get_access(entry)
        targets = (f"access:{entry}", f"{before.kind}:{before.identifier}")
        also = _trail(custodes, "unlisted", targets, reason, _tenant_of(before))
        return await custodes.ratelimit.remove_from_list(entry, actor=operator(), also=also)

    gone = run(database, action)
    if as_json:
        write_json(_plain(gone))
    else:
        out.print(f"{gone.kind}:{gone.identifier} is off the {gone.effect} list.", markup=False)


def _check_list(effect: Effect | None) -> None:
    if effect is Effect.BLOCK:
        msg = "A block is on no list"
        raise InvalidInput(msg, remedy="Use custodes blocks")


def _trail(
    custodes: Custodes,
    what: str,
    targets: tuple[str, str],
    reason: str,
    tenant: str | None,
    context: dict[str, str] | None = None,
) -> Work:
    return custodes.audit.admin_entry(
        f"rate_limit.{what}", actor=operator(), targets=targets, reason=reason, context=context, tenant=tenant
    )


def _tenant_of(entry: Access) -> str | None:
    return None if entry.tenant == EVERY_TENANT else entry.tenant


def _plain(entry: Access) -> dict[str, Any]:
    """Write an entry for programs, as the admin API does: null for every tenant, and for no end."""
    ends_at = None if entry.ends_at >= FOREVER else to_iso(entry.ends_at)
    return {**plain(entry), "tenant": _tenant_of(entry), "ends_at": ends_at}


def _end(entry: Access) -> str:
    return "until it is lifted" if entry.ends_at >= FOREVER else f"until {told_at(entry.ends_at)}"


def _write(page: Page[Access], *, as_json: bool) -> None:
    def row(entry: Access) -> tuple[object, ...]:
        whom = f"{entry.kind}:{entry.identifier}"
        return entry.id, entry.effect, whom, _tenant_of(entry) or "all", _end(entry), entry.actor, entry.reason

    write_page(page, ("id", "does", "whom", "tenant", "how long", "by", "why"), row, as_json=as_json, shown=_plain)
