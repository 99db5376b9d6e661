"""Saved views of the dashboard: kept, shared, changed, deleted, and opened by a tab."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from custodes.admin.dependencies import Admin, AuditTrail, CustodesDep, Owner, Trail
from custodes.admin.fields import Body, Identifier, Moment
from custodes.admin.paging import PageModel, PageQuery
from custodes.planes.identity.model import Principal, SeenView
from custodes.planes.identity.places import MAX_PLACE, Tab
from custodes.planes.identity.saved_views import MAX_NAME, may_change, told, told_changes
from custodes.runtime.transactions import Work

router = APIRouter()

_Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, description="What it is called")]
_Place = Annotated[
    str,
    Field(
        max_length=MAX_PLACE,
        description="Path and query below the dashboard, never a whole URL",
        examples=["/api?part=calls&status=5"],
    ),
]
_Shared = Annotated[bool, Field(description="Whether the other administrators of the same tenant see it")]


class SavedViewModel(BaseModel):
    """A view of the dashboard that is kept under a name, as the caller sees it."""

    id: str = Field(description="UUIDv7")
    tenant: str | None = Field(description="Whose administrators it is for; null for those of all tenants")
    name: str = Field(description="What it is called")
    tab: Tab = Field(description="Tab that it is of")
    place: str = Field(description="Path and query below the dashboard")
    shared: bool = Field(description="Whether the other administrators of the same tenant see it")
    made_by: str = Field(description="Who made it, for people; empty when there is no such profile any more")
    mine: bool = Field(description="Whether the caller made it")
    may_change: bool = Field(description="Whether the caller may change, share and delete it")
    my_default: bool = Field(description="Whether its tab opens with it for the caller, by the caller's own choice")
    shared_default: bool = Field(description="Whether its tab opens with it for all who have chosen no other")
    created_at: Moment = Field(description="When it was made")
    changed_at: Moment = Field(description="When it was last changed")

    @classmethod
    def of(cls, seen: SeenView, by: Principal) -> SavedViewModel:
        """Tell a view."""
        view = seen.view
        return cls(
            id=view.id,
            tenant=view.tenant,
            name=view.name,
            tab=view.tab,
            place=view.place,
            shared=view.shared,
            made_by=seen.maker,
            mine=seen.mine,
            may_change=may_change(seen, by),
            my_default=seen.my_default,
            shared_default=view.opens_tab,
            created_at=view.created_at,
            changed_at=view.changed_at,
        )


class NewSavedView(Body):
    """A view to keep."""

    name: _Name
    place: _Place
    shared: _Shared = False


class SavedViewChange(Body):
    """What to change; what is left out stays."""

    name: _Name | None = None
    place: _Place | None = None
    shared: _Shared | None = None


@router.get("/saved-views")
async def list_saved_views(
    custodes: CustodesDep,
    admin: Admin,
    page: PageQuery,
    tab: Annotated[Tab | None, Query(description="Only those of this tab")] = None,
) -> PageModel[SavedViewModel]:
    """List your views and those that others share with you, newest first."""
    found = await custodes.identity.views.list_views(by=admin, tab=tab, limit=page.limit, cursor=page.cursor)
    return PageModel[SavedViewModel].of(found, lambda seen: SavedViewModel.of(seen, admin))


@router.post("/saved-views", status_code=201)
async def create_saved_view(body: NewSavedView, custodes: CustodesDep, admin: Admin, trail: Trail) -> SavedViewModel:
    """Keep a view under a name: for yourself, or shared with the other administrators of your tenant."""
    view_id = custodes.identity.views.new_id()
    context = body.model_dump() if body.shared else {"shared": False}
    entry = trail.entry("saved_view.created", target=f"saved_view:{view_id}", context=context)
    made = await custodes.identity.views.create(**dict(body), by=admin, view_id=view_id, also=entry)
    return SavedViewModel.of(made, admin)


@router.patch("/saved-views/{id}")
async def change_saved_view(
    id: Identifier,  # noqa: A002
    body: SavedViewChange,
    custodes: CustodesDep,
    admin: Admin,
    trail: Trail,
) -> SavedViewModel:
    """Rename a view, let it be another, share it or take it back: your own; those that others shared as an owner."""
    before = await custodes.identity.views.get(id, by=admin)
    asked = body.model_dump(exclude_none=True)
    entry = trail.entry("saved_view.changed", target=f"saved_view:{id}", changes=told_changes(before.view, asked))
    changed = await custodes.identity.views.change(id, by=admin, also=entry, **asked)
    return SavedViewModel.of(changed, admin)


@router.delete("/saved-views/{id}", status_code=204, response_model=None)
async def delete_saved_view(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    admin: Admin,
    trail: Trail,
) -> None:
    """Delete a view: your own; those that others shared as an owner."""
    before = await custodes.identity.views.get(id, by=admin)
    entry = trail.entry("saved_view.deleted", target=f"saved_view:{id}", context=told(before.view))
    await custodes.identity.views.delete(id, by=admin, also=entry)


@router.put("/saved-views/{id}/default")
async def set_default_view(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    admin: Admin,
    trail: Trail,
) -> SavedViewModel:
    """Have a view's tab open with it, for you, whatever is the default for everybody."""
    entry = _default(trail, "saved_view.default_set", id, "me")
    return SavedViewModel.of(await custodes.identity.views.set_default(id, by=admin, on=True, also=entry), admin)


@router.delete("/saved-views/{id}/default")
async def clear_default_view(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    admin: Admin,
    trail: Trail,
) -> SavedViewModel:
    """Have a view's tab open with it no more, for you."""
    entry = _default(trail, "saved_view.default_cleared", id, "me")
    return SavedViewModel.of(await custodes.identity.views.set_default(id, by=admin, on=False, also=entry), admin)


@router.put("/saved-views/{id}/shared-default")
async def set_shared_default_view(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    owner: Owner,
    trail: Trail,
) -> SavedViewModel:
    """Have a shared view's tab open with it, for all who have chosen no other (owners only)."""
    entry = _default(trail, "saved_view.default_set", id, "everybody")
    return SavedViewModel.of(await custodes.identity.views.set_shared_default(id, by=owner, on=True, also=entry), owner)


@router.delete("/saved-views/{id}/shared-default")
async def clear_shared_default_view(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    owner: Owner,
    trail: Trail,
) -> SavedViewModel:
    """Have a shared view's tab open with it no more (owners only)."""
    entry = _default(trail, "saved_view.default_cleared", id, "everybody")
    return SavedViewModel.of(
        await custodes.identity.views.set_shared_default(id, by=owner, on=False, also=entry), owner
    )


def _default(trail: AuditTrail, action: str, view_id: str, whose: str) -> Work:
    return trail.entry(action, target=f"saved_view:{view_id}", context={"for": whose})
