"""The tenants of a table, found by jumping through an index that begins with the tenant: one probe a tenant."""

from __future__ import annotations

from sqlalchemy import CTE, ColumnElement, Connection, Table, func, select


def tenants_of(connection: Connection, table: Table) -> list[str]:
    """Name the tenants of a table."""
    return list(connection.execute(select(walk(table).c.tenant)).scalars())


def in_key(connection: Connection, table: Table, tenant: str | None) -> tuple[ColumnElement[bool], ...]:
    """Choose a tenant, or all, so that SQLite reads along a key that begins with the tenant.

    PostgreSQL reads the pieces of the time that is asked for, whoever's.
    """
    if tenant is not None:
        return (table.c.tenant_id == tenant,)
    if connection.dialect.name != "sqlite":
        return ()
    return (table.c.tenant_id.in_(select(walk(table).c.tenant)),)


def walk(table: Table) -> CTE:
    """Write the jumps: a row with the column ``tenant`` for each."""
    own = table.c.tenant_id
    steps = select(func.min(own).label("tenant")).cte(f"{table.name}_walk", recursive=True)
    following = select(func.min(own)).where(own > steps.c.tenant).scalar_subquery()
    steps = steps.union_all(select(following).where(steps.c.tenant.is_not(None)))
    return select(steps.c.tenant).where(steps.c.tenant.is_not(None)).cte(f"{table.name}_tenants")
