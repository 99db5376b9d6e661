"""``custodes views``: views of the dashboard that are kept under a name, in the name of whose they are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from custodes.app import Custodes
from custodes.cli.console import (
    ROWS,
    DatabaseOption,
    JsonOption,
    LimitOption,
    operator,
    out,
    plain,
    run,
    write_json,
    write_page,
)
from custodes.errors import InvalidInput, PermissionDenied
from custodes.kernel.paging import Page
from custodes.planes.identity.model import LOCAL, Method, Principal, Role, SeenView
from custodes.planes.identity.places import Tab
from custodes.planes.identity.saved_views import told, told_changes
from custodes.runtime.transactions import Work

app = typer.Typer(help="Saved views of the dashboard: your own and those that others share.", no_args_is_help=True)

_Whose = Annotated[str, typer.Option("--as", help="Whose views: user name, or the subject (sub) at the issuer.")]
_Issuer = Annotated[str, typer.Option("--issuer", help="Who vouches for the subject: local, host, or a URL.")]
_View = Annotated[str, typer.Argument(help="Id of the view.")]
_Shared = Annotated[
    bool | None, typer.Option("--shared/--private", help="Whether the other administrators of the tenant see it.")
]


@app.command("list")
def list_views(
    whose: _Whose,
    issuer: _Issuer = LOCAL,
    tab: Annotated[Tab | None, typer.Option(help="Only those of this tab.")] = None,
    limit: LimitOption = ROWS,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List somebody's views, and those that others share with them, newest first."""

    async def action(custodes: Custodes) -> Page[SeenView]:
        by = await _somebody(custodes, whose, issuer)
        return await custodes.identity.views.list_views(by=by, tab=tab, limit=limit)

    def row(seen: SeenView) -> tuple[object, ...]:
        view = seen.view
        opens = "everybody" if view.opens_tab else whose if seen.my_default else ""
        return view.id, view.name, view.tab, view.place, "shared" if view.shared else "private", seen.maker, opens

    columns = ("id", "name", "tab", "place", "", "made by", "its tab opens with it for")
    write_page(run(database, action), columns, row, as_json=as_json, shown=_plain)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    place: Annotated[str, typer.Argument(help="Path and query below the dashboard: '/api?part=calls&status=5'.")],
    whose: _Whose,
    issuer: _Issuer = LOCAL,
    shared: Annotated[
        bool, typer.Option("--shared", help="Let the other administrators of the tenant see it.")
    ] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a view under a name."""

    async def action(custodes: Custodes) -> SeenView:
        by = await _somebody(custodes, whose, issuer)
        views = custodes.identity.views
        view_id = views.new_id()
        context = {"name": name, "place": place, "shared": True} if shared else {"shared": False}
        entry = _trail(custodes, "created", view_id, by, context=context)
        return await views.create(name, place, by=by, shared=shared, view_id=view_id, also=entry)

    _done(run(database, action), "kept", as_json=as_json)


@app.command()
def change(
    view: _View,
    whose: _Whose,
    issuer: _Issuer = LOCAL,
    name: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    place: Annotated[str | None, typer.Option(help="Path and query below the dashboard.")] = None,
    shared: _Shared = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rename a view, let it be another, share it or take it back; what is not given stays."""
    given: dict[str, Any] = {"name": name, "place": place, "shared": shared}
    asked = {field: value for field, value in given.items() if value is not None}
    if not asked:
        msg = "Nothing says what to change"
        raise InvalidInput(msg, remedy="Give at least one option, such as --shared")

    async def action(custodes: Custodes) -> SeenView:
        by = await _somebody(custodes, whose, issuer)
        before = await custodes.identity.views.get(view, by=by)
        entry = _trail(custodes, "changed", view, by, changes=told_changes(before.view, asked))
        return await custodes.identity.views.change(view, by=by, also=entry, **asked)

    _done(run(database, action), "changed", as_json=as_json)


@app.command()
def delete(
    view: _View, whose: _Whose, issuer: _Issuer = LOCAL, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Delete a view; no tab opens with it any more."""

    async def action(custodes: Custodes) -> SeenView:
        by = await _somebody(custodes, whose, issuer)
        before = await custodes.identity.views.get(view, by=by)
        entry = _trail(custodes, "deleted", view, by, context=told(before.view))
        await custodes.identity.views.delete(view, by=by, also=entry)
        return before

    _done(run(database, action), "deleted", as_json=as_json)


@app.command()
def default(
    view: _View,
    whose: _Whose,
    issuer: _Issuer = LOCAL,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="For all who have chosen no other; an owner's to say.")
    ] = False,
    off: Annotated[bool, typer.Option("--off", help="Open with it no more.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the tab of a view open with it."""

    async def action(custodes: Custodes) -> SeenView:
        by = await _somebody(custodes, whose, issuer)
        views = custodes.identity.views
        context = {"for": "everybody" if everybody else by.actor}
        entry = _trail(custodes, "default_cleared" if off else "default_set", view, by, context=context)
        set_default = views.set_shared_default if everybody else views.set_default
        return await set_default(view, by=by, on=not off, also=entry)

    _done(
        run(database, action), "what its tab opens with no more" if off else "what its tab opens with", as_json=as_json
    )


async def _somebody(custodes: Custodes, subject: str, issuer: str) -> Principal:
    """Act for somebody, as far as their role goes: whoever has the database is vouched for by this host.

    Raises:
        NotFound: there is no such profile.
        PermissionDenied: it may not administer.
    """
    profile = await custodes.identity.profiles.find(subject, issuer=issuer)
    if not profile.role.covers(Role.ADMIN):
        msg = f"Views are for administrators, and {subject!r} is {profile.role}"
        raise PermissionDenied(msg, remedy="Name an administrator, or: custodes user role")
    return Principal(
        profile_id=profile.id,
        subject=profile.subject,
        role=profile.role,
        tenant=profile.tenant,
        method=Method.HOST,
        issuer=profile.issuer,
    )


def _trail(custodes: Custodes, what: str, view_id: str, by: Principal, **fields: Any) -> Work:
    """Make the entry of what the operator does to a view with somebody's rights."""
    return custodes.audit.admin_entry(
        f"saved_view.{what}",
        actor=operator(),
        effective=by.actor,
        target=f"saved_view:{view_id}",
        tenant=by.tenant,
        **fields,
    )


def _plain(seen: SeenView) -> dict[str, Any]:
    """Write a view for programs, as the admin API does."""
    view = plain(seen.view)
    return {
        **{name: value for name, value in view.items() if name not in ("made_by", "opens_tab")},
        "made_by": seen.maker,
        "mine": seen.mine,
        "my_default": seen.my_default,
        "shared_default": seen.view.opens_tab,
    }


def _done(seen: SeenView, what: str, *, as_json: bool) -> None:
    if as_json:
        write_json(_plain(seen))
    else:
        out.print(f"View {seen.view.name} ({seen.view.id}) is {what}.", markup=False)
