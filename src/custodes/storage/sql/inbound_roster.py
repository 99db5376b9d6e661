"""Which processes handle webhooks, in a SQL store."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update

from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.inbound.model import Offer, Presence
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.inbound import webhook_handlers as t

_OURS = t.c.tenant_id == DEFAULT_TENANT

_ALL = select(t.c.process, t.c.said_at, t.c.handlers).where(_OURS)


class SqlPresenceStore:
    """:class:`custodes.planes.inbound.ports.PresenceStore` in one table."""

    def say(self, tx: Transaction, presence: Presence) -> None:
        """Insert or replace what a process says."""
        connection = connection_of(tx)
        said = {"said_at": presence.said_at, "handlers": [list(offer) for offer in presence.offers]}
        its = update(t).where(_OURS, t.c.process == presence.process).values(said)
        if not connection.execute(its).rowcount:
            connection.execute(insert(t).values(tenant_id=DEFAULT_TENANT, process=presence.process, **said))

    def all(self, tx: Transaction) -> Sequence[Presence]:
        """Return what all processes say."""
        return [
            Presence(row.process, row.said_at, [Offer(*offer) for offer in row.handlers])
            for row in connection_of(tx).execute(_ALL)
        ]

    def forget(self, tx: Transaction, presence: Presence) -> None:
        """Delete what a process said, unless it has said something since."""
        its = delete(t).where(_OURS, t.c.process == presence.process, t.c.said_at == presence.said_at)
        connection_of(tx).execute(its)
