"""Saved views in SQL: :class:`~custodes.planes.identity.ports.ViewRows`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, delete, insert, or_, select, tuple_, update

from custodes.planes.identity.model import SavedView, SeenView
from custodes.planes.identity.places import Tab
from custodes.planes.identity.ports import After
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.bulk import counted
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.identity import saved_views, user_profiles, view_defaults

_views = saved_views.c
_defaults = view_defaults.c


class SqlViewRows:
    """The part of the identity store that keeps views in ``admin_saved_views``."""

    def add_view(self, tx: Transaction, view: SavedView) -> None:
        """Insert one."""
        connection_of(tx).execute(insert(saved_views).values(_row(view)))

    def get_view(self, tx: Transaction, view_id: str, *, tenant: str | None, profile_id: str) -> SeenView | None:
        """Find one that a profile sees."""
        query = _seen_by(tenant, profile_id).where(_views.id == view_id)
        row = connection_of(tx).execute(query).first()
        return None if row is None else _seen(row, profile_id)

    def list_views(
        self, tx: Transaction, *, tenant: str | None, profile_id: str, tab: Tab | None, limit: int, after: After
    ) -> Sequence[SeenView]:
        """List those that a profile sees, newest first."""
        query = _seen_by(tenant, profile_id).order_by(_views.created_at.desc(), _views.id.desc()).limit(limit)
        if tab is not None:
            query = query.where(_views.tab == tab.value)
        if after is not None:
            query = query.where(tuple_(_views.created_at, _views.id) < tuple_(*after))
        return [_seen(row, profile_id) for row in connection_of(tx).execute(query)]

    def put_view(self, tx: Transaction, view: SavedView) -> None:
        """Replace what one is."""
        connection_of(tx).execute(update(saved_views).where(_views.id == view.id).values(_row(view)))

    def drop_view(self, tx: Transaction, view_id: str) -> None:
        """Delete one; whose default it is goes with it."""
        connection_of(tx).execute(delete(saved_views).where(_views.id == view_id))

    def find_view(self, tx: Transaction, made_by: str, name: str) -> str | None:
        """Find one by maker and name."""
        query = select(_views.id).where(_views.made_by == made_by, _views.name == name).limit(1)
        return connection_of(tx).execute(query).scalar()

    def count_made_views(self, tx: Transaction, made_by: str) -> int:
        """Count those of a maker."""
        return counted(connection_of(tx), saved_views, _views.made_by == made_by)

    def count_shared_views(self, tx: Transaction, tenant: str | None) -> int:
        """Count those that are shared in a tenant."""
        return counted(connection_of(tx), saved_views, _of_tenant(tenant), _views.private_to.is_(None))

    def set_default(self, tx: Transaction, profile_id: str, view: SavedView) -> None:
        """Have a view's tab open with it for one profile."""
        connection = connection_of(tx)
        before = (_defaults.profile_id == profile_id) & (_defaults.tab == view.tab.value)
        connection.execute(delete(view_defaults).where(before))
        row = {"profile_id": profile_id, "tab": view.tab.value, "tenant_id": view.tenant, "view_id": view.id}
        connection.execute(insert(view_defaults).values(row))

    def clear_defaults(self, tx: Transaction, view_id: str, *, of: str | None = None, but: str | None = None) -> None:
        """Have no tab open with a view any more."""
        cleared = delete(view_defaults).where(_defaults.view_id == view_id)
        if of is not None:
            cleared = cleared.where(_defaults.profile_id == of)
        if but is not None:
            cleared = cleared.where(_defaults.profile_id != but)
        connection_of(tx).execute(cleared)

    def clear_shared_default(self, tx: Transaction, tenant: str | None, tab: Tab) -> None:
        """Have a tab open with no shared view any more."""
        opens = (_of_tenant(tenant), _views.tab == tab.value, _views.opens_tab)
        connection_of(tx).execute(update(saved_views).where(*opens).values(opens_tab=False))


def _of_tenant(tenant: str | None) -> ColumnElement[bool]:
    return _views.tenant_id.is_(None) if tenant is None else _views.tenant_id == tenant


def _seen_by(tenant: str | None, profile_id: str) -> Select[Any]:
    """Select the views that a profile sees, each with its maker and whether the profile's tab opens with it."""
    mine = and_(_defaults.view_id == _views.id, _defaults.profile_id == profile_id)
    return (
        select(saved_views, user_profiles.c.display_name, user_profiles.c.subject, _defaults.view_id.label("mine"))
        .outerjoin(user_profiles, user_profiles.c.id == _views.made_by)
        .outerjoin(view_defaults, mine)
        .where(_of_tenant(tenant), or_(_views.private_to.is_(None), _views.private_to == profile_id))
    )


def _row(view: SavedView) -> dict[str, Any]:
    return {
        "id": view.id,
        "tenant_id": view.tenant,
        "made_by": view.made_by,
        "private_to": None if view.shared else view.made_by,
        "name": view.name,
        "tab": view.tab.value,
        "place": view.place,
        "opens_tab": view.opens_tab,
        "created_at": view.created_at,
        "changed_at": view.changed_at,
    }


def _seen(row: Row[Any], profile_id: str) -> SeenView:
    view = SavedView(
        id=row.id,
        tenant=row.tenant_id,
        made_by=row.made_by,
        name=row.name,
        tab=Tab(row.tab),
        place=row.place,
        shared=row.private_to is None,
        opens_tab=row.opens_tab,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
    return SeenView(
        view=view,
        maker=row.display_name or row.subject or "",
        mine=row.made_by == profile_id,
        my_default=row.mine is not None,
    )
