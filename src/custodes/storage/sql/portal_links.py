"""Links of the portal on SQL: :class:`~custodes.planes.outbound.portal.PortalLinkStore`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select, update

from custodes.kernel.paging import Page, decode_cursor, page_of
from custodes.planes.outbound.portal import PortalLink, Scope
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.outbound import webhook_portal_links as links


class SqlPortalLinkStore:
    """Keeps links in ``webhook_portal_links``."""

    def add(self, tx: Transaction, link: PortalLink) -> None:
        """Insert one."""
        values = asdict(link)
        values["tenant_id"] = values.pop("tenant")
        values["scope"] = link.scope.value
        connection_of(tx).execute(insert(links).values(values))

    def by_token(self, tx: Transaction, token_hash: bytes) -> PortalLink | None:
        """Read one."""
        return self._one(tx, links.c.token_hash == token_hash)

    def by_session(self, tx: Transaction, session_hash: bytes) -> PortalLink | None:
        """Read one."""
        return self._one(tx, links.c.session_hash == session_hash)

    def find(self, tx: Transaction, tenant: str | None, link_id: str) -> PortalLink | None:
        """Read one."""
        where = (links.c.id == link_id,) if tenant is None else (links.c.id == link_id, links.c.tenant_id == tenant)
        return self._one(tx, *where)

    def page(self, tx: Transaction, tenant: str | None, limit: int, cursor: str) -> Page[PortalLink]:
        """Read a page, newest first: the ids are in the order of creation."""
        query = select(links).order_by(links.c.id.desc()).limit(limit + 1)
        if tenant is not None:
            query = query.where(links.c.tenant_id == tenant)
        if cursor:
            query = query.where(links.c.id < decode_cursor(cursor)[1])
        rows = [_link(row) for row in connection_of(tx).execute(query).mappings()]
        return page_of(rows, limit, lambda link: (link.created_at, link.id))

    def note_use(self, tx: Transaction, link: PortalLink, now: int, *, opened: bool) -> None:
        """Note a use."""
        values: dict[str, Any] = {"last_used_at": now}
        if opened:
            values["opened"] = links.c.opened + 1
        connection_of(tx).execute(update(links).where(*_this(link)).values(values))

    def revoke(self, tx: Transaction, link: PortalLink, now: int) -> None:
        """End one that has not been ended."""
        ended = update(links).where(*_this(link), links.c.revoked_at.is_(None)).values(revoked_at=now)
        connection_of(tx).execute(ended)

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count what purging would remove."""
        query = select(func.count()).select_from(links).where(links.c.expires_at < before)
        return connection_of(tx).execute(query).scalar_one()

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Remove the first that expired."""
        oldest = select(links.c.id).where(links.c.expires_at < before).order_by(links.c.expires_at).limit(limit)
        return connection_of(tx).execute(delete(links).where(links.c.id.in_(oldest))).rowcount

    def _one(self, tx: Transaction, *where: ColumnElement[bool]) -> PortalLink | None:
        row = connection_of(tx).execute(select(links).where(*where)).mappings().first()
        return None if row is None else _link(row)


def _this(link: PortalLink) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return links.c.tenant_id == link.tenant, links.c.id == link.id


def _link(row: RowMapping) -> PortalLink:
    values = dict(row)
    return PortalLink(tenant=values.pop("tenant_id"), scope=Scope(values.pop("scope")), **values)
