"""Incidents as people see them: list, look at, acknowledge, silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from custodes.errors import Conflict, InvalidInput, NotFound
from custodes.kernel.clock import DAY, Clock
from custodes.kernel.paging import DEFAULT_LIMIT, Page, decode_cursor, page_of
from custodes.planes.alerts.machine import silenced
from custodes.planes.alerts.model import Incident, Notification, State
from custodes.planes.alerts.ports import AlertStore
from custodes.runtime.transactions import Transaction, Work, nothing

#: Longest silence, microseconds.
MAX_SILENCE = 30 * DAY

#: Messages of one incident that are shown.
MAX_NOTIFICATIONS = 200


class Incidents:
    """The read side of alerts, and what an administrator can do about one."""

    def __init__(self, store: AlertStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def list(
        self,
        *,
        tenant: str | None = None,
        state: State | None = None,
        since: int | None = None,
        until: int | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Incident]:
        """List incidents, newest start first.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        after = decode_cursor(cursor) if cursor else None

        def work(tx: Transaction) -> list[Incident]:
            return self._store.list_incidents(
                tx, tenant=tenant, state=state, since=since, until=until, after=after, limit=limit + 1
            )

        return page_of(await self._store.read(work), limit, lambda one: (one.started_at, one.id))

    async def get(self, identifier: str, *, tenant: str | None = None) -> Incident:
        """Return one incident.

        Raises:
            NotFound: there is none, or not for this tenant.
        """
        return await self._store.read(lambda tx: self._get(tx, identifier, tenant))

    async def notifications(self, identifier: str, *, tenant: str | None = None) -> list[Notification]:
        """Return the messages about an incident, oldest first.

        Raises:
            NotFound: there is no such incident, or not for this tenant.
        """

        def work(tx: Transaction) -> list[Notification]:
            self._get(tx, identifier, tenant)
            return self._store.list_notifications(tx, identifier, MAX_NOTIFICATIONS)

        return await self._store.read(work)

    async def acknowledge(
        self, identifier: str, by: str, *, tenant: str | None = None, also: Work = nothing
    ) -> Incident:
        """Note that somebody has seen it: no more reminders. The first one who does stays.

        Raises:
            NotFound: there is none, or not for this tenant.
            Conflict: it is over.
        """

        def change(incident: Incident) -> Incident:
            if incident.acknowledged_by:
                return incident
            return replace(incident, acknowledged_by=by[:256], acknowledged_at=self._clock.now())

        return await self._change(identifier, tenant, change, also)

    async def silence(
        self, identifier: str, until: int, *, tenant: str | None = None, also: Work = nothing
    ) -> Incident:
        """Tell nobody of this problem before a moment, also when it comes back in the meantime.

        Raises:
            NotFound: there is none, or not for this tenant.
            Conflict: it is over.
            InvalidInput: the moment is past, or more than 30 days away.
        """
        now = self._clock.now()
        if not now < until <= now + MAX_SILENCE:
            msg = "A silence ends in the future and within 30 days"
            raise InvalidInput(msg, remedy="Name a moment between now and 30 days from now")
        return await self._change(identifier, tenant, lambda incident: replace(incident, silenced_until=until), also)

    async def end_silence(self, identifier: str, *, tenant: str | None = None, also: Work = nothing) -> Incident:
        """Tell of this problem again, also when it comes back; nothing is different when it was not silenced.

        Raises:
            NotFound: there is none, or not for this tenant.
            Conflict: it is over.
        """
        now = self._clock.now()

        def change(incident: Incident) -> Incident:
            if not silenced(incident, now):
                return incident
            # A new incident takes over what its last one says: those that are over stay as they were.
            return replace(incident, silenced_until=now)

        return await self._change(identifier, tenant, change, also)

    async def _change(
        self, identifier: str, tenant: str | None, change: Callable[[Incident], Incident], also: Work
    ) -> Incident:
        def work(tx: Transaction) -> Incident:
            changed = change(self._get_open(tx, identifier, tenant))
            self._store.put_incident(tx, changed)
            also(tx)
            return changed

        return await self._store.write(work)

    def _get_open(self, tx: Transaction, identifier: str, tenant: str | None) -> Incident:
        incident = self._get(tx, identifier, tenant)
        if not incident.open:
            msg = "The incident is over"
            raise Conflict(msg, remedy="Nothing to do")
        return incident

    def _get(self, tx: Transaction, identifier: str, tenant: str | None) -> Incident:
        found = self._store.get_incident(tx, tenant, identifier)
        if found is None:
            msg = "There is no such incident"
            raise NotFound(msg)
        return found
