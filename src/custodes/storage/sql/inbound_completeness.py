"""What is proven of the completeness of sources, in a SQL store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, insert, select

from custodes.planes.inbound.completeness_model import Proof
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.inbound import webhook_completeness as t


class SqlProofStore:
    """:class:`custodes.planes.inbound.ports.ProofStore` in one table."""

    def get(self, tx: Transaction, tenant: str, source: str) -> Proof | None:
        """Return what is known of a source."""
        row = connection_of(tx).execute(select(t).where(t.c.tenant_id == tenant, t.c.source == source)).first()
        return None if row is None else _proof_of(row)

    def all(self, tx: Transaction, tenant: str | None) -> Sequence[Proof]:
        """Return what is known of all sources."""
        query = select(t).order_by(t.c.source, t.c.tenant_id)
        if tenant is not None:
            query = query.where(t.c.tenant_id == tenant)
        return [_proof_of(row) for row in connection_of(tx).execute(query)]

    def put(self, tx: Transaction, proof: Proof) -> None:
        """Insert or replace what is known of a source."""
        connection = connection_of(tx)
        values = asdict(proof)
        tenant = values.pop("tenant")
        connection.execute(delete(t).where(t.c.tenant_id == tenant, t.c.source == proof.source))
        connection.execute(insert(t).values(tenant_id=tenant, **values))


def _proof_of(row: Any) -> Proof:
    values = dict(row._mapping)  # noqa: SLF001 - the public name of a row's mapping
    return Proof(tenant=values.pop("tenant_id"), **values)
