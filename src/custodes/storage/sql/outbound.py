"""Endpoints on SQL: :class:`~custodes.planes.outbound.ports.EndpointStore`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, or_, select, update

from custodes.kernel.paging import Page, decode_cursor, page_of
from custodes.planes.outbound.model import Endpoint, EndpointState, RetryPolicy, SealedSecret
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.outbound import webhook_configurations as endpoints
from custodes.storage.sql.tables.outbound import webhook_secrets as secrets

#: What a person may change; the rest is the dispatcher's.
_EDITABLE = ("url", "description", "event_types", "retry", "state", "state_reason", "updated_at", "deleted_at")


class SqlEndpointStore:
    """Keeps endpoints in ``webhook_configurations`` and their secrets in ``webhook_secrets``."""

    def put(self, tx: Transaction, endpoint: Endpoint) -> None:
        """Insert or replace."""
        values = _values(endpoint)
        edited = (
            update(endpoints)
            .where(endpoints.c.tenant_id == endpoint.tenant, endpoints.c.id == endpoint.id)
            .values({name: values[name] for name in _EDITABLE})
        )
        if connection_of(tx).execute(edited).rowcount == 0:
            connection_of(tx).execute(insert(endpoints).values(values))

    def find(self, tx: Transaction, tenant: str | None, endpoint_id: str) -> Endpoint | None:
        """Read one."""
        query = _living(tenant).where(endpoints.c.id == endpoint_id)
        row = connection_of(tx).execute(query).mappings().first()
        return None if row is None else _endpoint(row)

    def page(
        self, tx: Transaction, tenant: str | None, state: EndpointState | None, limit: int, cursor: str
    ) -> Page[Endpoint]:
        """Read a page, newest first: the ids are in the order of creation."""
        query = _living(tenant).order_by(endpoints.c.id.desc()).limit(limit + 1)
        if state is not None:
            query = query.where(endpoints.c.state == state.value)
        if cursor:
            query = query.where(endpoints.c.id < decode_cursor(cursor)[1])
        rows = [_endpoint(row) for row in connection_of(tx).execute(query).mappings()]
        return page_of(rows, limit, lambda endpoint: (endpoint.created_at, endpoint.id))

    def count(self, tx: Transaction, tenant: str) -> int:
        """Count a tenant's."""
        query = select(func.count()).where(endpoints.c.tenant_id == tenant, endpoints.c.deleted_at == 0)
        return connection_of(tx).execute(query).scalar_one()

    def put_secret(self, tx: Transaction, secret: SealedSecret) -> None:
        """Add a secret."""
        values = asdict(secret)
        values["tenant_id"] = values.pop("tenant")
        values["configuration_id"] = values.pop("endpoint_id")
        connection_of(tx).execute(insert(secrets).values(values))

    def secrets(self, tx: Transaction, endpoint: Endpoint) -> list[SealedSecret]:
        """Read the secrets of an endpoint, newest first."""
        query = select(secrets).where(*_of(endpoint)).order_by(secrets.c.id.desc())
        return [_secret(row) for row in connection_of(tx).execute(query).mappings()]

    def retire_secrets(self, tx: Transaction, endpoint: Endpoint, expires_at: int) -> None:
        """Let them end."""
        longer = or_(secrets.c.expires_at == 0, secrets.c.expires_at > expires_at)
        connection_of(tx).execute(update(secrets).where(*_of(endpoint), longer).values(expires_at=expires_at))

    def remove_secrets(self, tx: Transaction, endpoint: Endpoint, expired_before: int | None = None) -> None:
        """Remove them for good."""
        query = delete(secrets).where(*_of(endpoint))
        if expired_before is not None:
            query = query.where(secrets.c.expires_at > 0, secrets.c.expires_at < expired_before)
        connection_of(tx).execute(query)

    def key_samples(self, tx: Transaction) -> list[SealedSecret]:
        """Read one secret of each key; the table holds a few rows an endpoint, so it is read whole."""
        newest = select(func.max(secrets.c.id)).group_by(secrets.c.key_id)
        query = select(secrets).where(secrets.c.id.in_(newest))
        return [_secret(row) for row in connection_of(tx).execute(query).mappings()]


def _living(tenant: str | None) -> Any:
    query = select(endpoints).where(endpoints.c.deleted_at == 0)
    return query if tenant is None else query.where(endpoints.c.tenant_id == tenant)


def _of(endpoint: Endpoint) -> tuple[Any, ...]:
    return secrets.c.tenant_id == endpoint.tenant, secrets.c.configuration_id == endpoint.id


def _values(endpoint: Endpoint) -> dict[str, Any]:
    values = asdict(endpoint)
    values["tenant_id"] = values.pop("tenant")
    return {**values, "event_types": list(endpoint.event_types), "state": endpoint.state.value}


def _endpoint(row: RowMapping) -> Endpoint:
    values = dict(row)
    values["event_types"] = tuple(values["event_types"])
    values["retry"] = RetryPolicy(**values["retry"])
    values["state"] = EndpointState(values["state"])
    return Endpoint(tenant=values.pop("tenant_id"), **values)


def _secret(row: RowMapping) -> SealedSecret:
    values = dict(row)
    return SealedSecret(tenant=values.pop("tenant_id"), endpoint_id=values.pop("configuration_id"), **values)
