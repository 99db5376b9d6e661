"""Saved views: what one looks at again and again in the dashboard, kept under a name, for oneself or for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from custodes.errors import Conflict, NotFound, PermissionDenied
from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.paging import DEFAULT_LIMIT, Page, decode_cursor, page_of
from custodes.planes.identity.model import Principal, Role, SavedView, SeenView
from custodes.planes.identity.names import check_name
from custodes.planes.identity.places import Tab, tab_of
from custodes.planes.identity.ports import IdentityStore
from custodes.runtime.transactions import Transaction, Work, nothing

#: Longest name of a view, characters; the column is as wide.
MAX_NAME = 60

#: Views that one profile may keep, and that the administrators of one tenant may share: a menu that one still reads.
MAX_MADE = 50
MAX_SHARED = 100

#: What the trail tells in place of what only one person sees.
_PRIVATE = "(private)"


class SavedViews:
    """Keeps, lists, changes and deletes views, and says with which of them a tab opens.

    ``by`` is who asks. It sees its own views and those that administrators of the same tenant share; a private view of
    somebody else does not exist for it. Everybody changes and shares their own. What others rely on is an
    owner's: views that others shared, and what a tab opens with for everybody.
    """

    def __init__(self, store: IdentityStore, clock: Clock, random_bits: RandomBits) -> None:
        self._store = store
        self._clock = clock
        self._random_bits = random_bits

    async def list_views(
        self, *, by: Principal, tab: Tab | None = None, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[SeenView]:
        """List those that ``by`` sees, newest first; a tab of None filters nothing."""
        after = None if cursor is None else decode_cursor(cursor)
        rows = await self._store.read(
            lambda tx: self._store.list_views(
                tx, tenant=by.tenant, profile_id=by.profile_id, tab=tab, limit=limit + 1, after=after
            )
        )
        return page_of(rows, limit, lambda seen: (seen.view.created_at, seen.view.id))

    async def get(self, view_id: str, *, by: Principal) -> SeenView:
        """Find one.

        Raises:
            NotFound: no such view, or not one that ``by`` sees.
        """
        return await self._store.read(lambda tx: self._seen(tx, view_id, by))

    def new_id(self) -> str:
        """Make the id of a view, for its audit entry."""
        return uuid7(self._clock.now(), self._random_bits)

    async def create(
        self,
        name: str,
        place: str,
        *,
        by: Principal,
        shared: bool = False,
        view_id: str | None = None,
        also: Work = nothing,
    ) -> SeenView:
        """Keep a view.

        Args:
            name: what it is called.
            place: path and query below the dashboard.
            by: whose it is.
            shared: whether the other administrators of the same tenant see it.
            view_id: its id, from :meth:`new_id`.
            also: what commits with it.

        Raises:
            InvalidInput: the name cannot be shown, or the place is none of the dashboard.
            Conflict: ``by`` keeps a view of this name, or there are as many as there may be.
        """
        check_name(name, MAX_NAME)
        now = self._clock.now()
        view = SavedView(
            id=view_id or self.new_id(),
            tenant=by.tenant,
            made_by=by.profile_id,
            name=name,
            tab=tab_of(place),
            place=place,
            shared=shared,
            opens_tab=False,
            created_at=now,
            changed_at=now,
        )

        def work(tx: Transaction) -> SeenView:
            self._take_turn(tx, by)
            if self._store.count_made_views(tx, by.profile_id) >= MAX_MADE:
                msg = f"You keep {MAX_MADE} views, as many as there may be"
                raise Conflict(msg, remedy="Delete one that you do not use")
            self._check_free(tx, view)
            if shared:
                self._check_room(tx, by)
            self._store.add_view(tx, view)
            also(tx)
            return self._seen(tx, view.id, by)

        return await self._store.write(work)

    async def change(
        self,
        view_id: str,
        *,
        by: Principal,
        name: str | None = None,
        place: str | None = None,
        shared: bool | None = None,
        also: Work = nothing,
    ) -> SeenView:
        """Change a view; None leaves as it is.

        No tab opens any more with a view that has gone to another tab; nor, for others, with one that is taken back.

        Raises:
            NotFound: no such view, or not one that ``by`` sees.
            InvalidInput: the name cannot be shown, or the place is none of the dashboard.
            PermissionDenied: it is an owner's to change.
            Conflict: its maker keeps a view of this name, or as many are shared as may be; or its maker is gone, and
                nobody would see it.
        """
        if name is not None:
            check_name(name, MAX_NAME)
        tab = None if place is None else tab_of(place)

        def work(tx: Transaction) -> SeenView:
            self._take_turn(tx, by)
            seen = self._changeable(tx, view_id, by)
            before = seen.view
            after = replace(
                before,
                name=before.name if name is None else name,
                place=before.place if place is None else place,
                tab=tab or before.tab,
                shared=before.shared if shared is None else shared,
                changed_at=self._clock.now(),
            )
            if after.name != before.name:
                self._check_free(tx, after)
            if after.shared and not before.shared:
                self._check_room(tx, by)
            if before.shared and not after.shared:
                if before.made_by is None:
                    msg = "Whoever made this view is gone, so nobody would see it"
                    raise Conflict(msg, remedy="Delete it, or keep a copy of your own")
                self._store.clear_defaults(tx, view_id, but=before.made_by)
            if after.tab is not before.tab:
                self._store.clear_defaults(tx, view_id)
            if after.tab is not before.tab or not after.shared:
                after = replace(after, opens_tab=False)
            self._store.put_view(tx, after)
            also(tx)
            found = self._store.get_view(tx, view_id, tenant=by.tenant, profile_id=by.profile_id)
            # What an owner has taken back for another, only that other sees from then on.
            return found or replace(seen, view=after, my_default=False)

        return await self._store.write(work)

    async def delete(self, view_id: str, *, by: Principal, also: Work = nothing) -> None:
        """Delete a view; no tab opens with it any more.

        Raises:
            NotFound: no such view, or not one that ``by`` sees.
            PermissionDenied: it is an owner's to delete.
        """

        def work(tx: Transaction) -> None:
            self._take_turn(tx, by)
            self._changeable(tx, view_id, by)
            self._store.drop_view(tx, view_id)
            also(tx)

        await self._store.write(work)

    # ── What a tab opens with ────────────────────────────────────────────────

    async def set_default(self, view_id: str, *, by: Principal, on: bool, also: Work = nothing) -> SeenView:
        """Have a view's tab open with it for ``by``, or no more; idempotent.

        Raises:
            NotFound: no such view, or not one that ``by`` sees.
        """

        def work(tx: Transaction) -> SeenView:
            self._take_turn(tx, by)
            view = self._seen(tx, view_id, by).view
            if on:
                self._store.set_default(tx, by.profile_id, view)
            else:
                self._store.clear_defaults(tx, view_id, of=by.profile_id)
            also(tx)
            return self._seen(tx, view_id, by)

        return await self._store.write(work)

    async def set_shared_default(self, view_id: str, *, by: Principal, on: bool, also: Work = nothing) -> SeenView:
        """Have a view's tab open with it for all who have chosen no other, or no more; idempotent.

        Raises:
            NotFound: no such view, or not one that ``by`` sees.
            PermissionDenied: ``by`` is not an owner.
            Conflict: the view is not shared.
        """

        def work(tx: Transaction) -> SeenView:
            self._take_turn(tx, by)
            view = self._seen(tx, view_id, by).view
            if not by.role.covers(Role.OWNER):
                msg = "What a tab opens with for everybody is an owner's to say"
                raise PermissionDenied(msg, remedy="Ask an owner, or have it open with this view for yourself")
            if on and not view.shared:
                msg = "Only you see this view"
                raise Conflict(msg, remedy="Share it first")
            if on:
                self._store.clear_shared_default(tx, view.tenant, view.tab)
            self._store.put_view(tx, replace(view, opens_tab=on, changed_at=self._clock.now()))
            also(tx)
            return self._seen(tx, view_id, by)

        return await self._store.write(work)

    # ── What holds ───────────────────────────────────────────────────────────

    def _take_turn(self, tx: Transaction, by: Principal) -> None:
        """One after another, so that what was counted and found free is so still when this commits."""
        self._store.take_turn(tx, f"saved views of {by.tenant or ''}", f"saved views by {by.profile_id}")

    def _seen(self, tx: Transaction, view_id: str, by: Principal) -> SeenView:
        found = self._store.get_view(tx, view_id, tenant=by.tenant, profile_id=by.profile_id)
        if found is None:
            msg = "No such view"
            raise NotFound(msg)
        return found

    def _changeable(self, tx: Transaction, view_id: str, by: Principal) -> SeenView:
        seen = self._seen(tx, view_id, by)
        if not may_change(seen, by):
            msg = (
                "The tab opens with this view for everybody"
                if seen.mine
                else f"This view was shared by {seen.maker or 'somebody else'}"
            )
            raise PermissionDenied(msg, remedy="Ask an owner, or keep a copy of your own")
        return seen

    def _check_free(self, tx: Transaction, view: SavedView) -> None:
        if view.made_by is not None and self._store.find_view(tx, view.made_by, view.name) is not None:
            msg = "A view of this name is kept already"
            raise Conflict(msg, remedy="Choose another name, or change the view that there is")

    def _check_room(self, tx: Transaction, by: Principal) -> None:
        if self._store.count_shared_views(tx, by.tenant) >= MAX_SHARED:
            msg = f"{MAX_SHARED} views are shared, as many as there may be"
            raise Conflict(msg, remedy="Delete one that nobody uses")


def may_change(seen: SeenView, by: Principal) -> bool:
    """Tell whether somebody may change, share and delete a view that they see."""
    return by.role.covers(Role.OWNER) or (seen.mine and not seen.view.opens_tab)


def told(view: SavedView) -> dict[str, Any]:
    """Tell the trail of a view; of one that is private only that it is."""
    return {"shared": True, "name": view.name} if view.shared else {"shared": False}


def told_changes(view: SavedView, asked: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Tell the trail what changes; what is private, before or after, is told to nobody.

    Args:
        view: the view before.
        asked: what :meth:`SavedViews.change` takes.
    """
    shared = asked.get("shared", view.shared)
    changes: list[tuple[str, Any, Any]] = []
    for name, new in asked.items():
        old: Any = getattr(view, name)
        if new == old:
            continue
        if name == "shared":
            changes.append((name, old, new))
        else:
            changes.append((name, old if view.shared else _PRIVATE, new if shared else _PRIVATE))
    return changes
