"""When the secrets of webhook sources last signed, in a SQL store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, delete, select, update

from custodes.planes.inbound.rotation_model import SecretUse
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.bulk import affected, counted, insert_ignoring
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.inbound import webhook_source_secrets as t


class SqlSecretStore:
    """:class:`custodes.planes.inbound.ports.SecretStore` in one table."""

    def put(self, tx: Transaction, use: SecretUse) -> None:
        """Insert or renew what is known of a secret."""
        connection = connection_of(tx)
        its = (t.c.tenant_id == use.tenant, t.c.source == use.source, t.c.fingerprint == use.fingerprint)
        said: dict[str, Any] = {"place": use.place, "said_at": use.said_at}
        if use.last_at is not None:  # another process may have written a later one; NULL is none
            said["last_at"] = case((t.c.last_at > use.last_at, t.c.last_at), else_=use.last_at)
        renew = update(t).where(*its).values(said)
        if connection.execute(renew).rowcount:
            return
        values = {**use._asdict(), "tenant_id": use.tenant}
        del values["tenant"]
        if not affected(connection, insert_ignoring(connection, t).values(values)):
            connection.execute(renew)  # another process has come first: all that start say the same

    def all(self, tx: Transaction, tenant: str | None) -> Sequence[SecretUse]:
        """Return what is known of all secrets."""
        query = select(t.c.tenant_id, t.c.source, t.c.fingerprint, t.c.place, t.c.since, t.c.said_at, t.c.last_at)
        if tenant is not None:
            query = query.where(t.c.tenant_id == tenant)
        return [SecretUse(*row) for row in connection_of(tx).execute(query)]

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Delete what is known of secrets that were said last before."""
        key = (t.c.tenant_id, t.c.source, t.c.fingerprint)
        connection, old = connection_of(tx), t.c.said_at < before
        chosen = connection.execute(select(*key).where(old).limit(limit)).all()
        deleted = 0
        for values in chosen:
            its = (column == value for column, value in zip(key, values, strict=True))
            deleted += connection.execute(delete(t).where(*its, old)).rowcount
        return deleted

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count the secrets that were said last before."""
        return counted(connection_of(tx), t, t.c.said_at < before)
