"""Putting right what nobody would move on any more: what fell between two transactions that did not see each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import Clock
from custodes.planes.outbound.model import Delivery, DeliveryStatus, EndpointState
from custodes.planes.outbound.ports import DeliveryFilter, DeliveryStore, EndpointStore, LineKey, Place, Stuck
from custodes.runtime.log import get_logger
from custodes.runtime.transactions import Store, Transaction

#: Between two looks of the leader, seconds.
MEND_SECONDS = 60.0

#: Open and held deliveries that are looked at in one read: some 20 ms.
PIECE = 2_000

#: Pieces of one look: of more than 100,000 open and held deliveries the next look takes the next ones.
PIECES = 50

#: Deliveries that are put back in one transaction.
RELEASE_BATCH = 500

_log = get_logger("custodes.outbound")


class Mender:
    """Looks for deliveries that are stuck and has them go on.

    An event that is emitted in the host's own transaction becomes visible when the host likes, and nobody may wait for
    that: what has happened to its line, or its endpoint, meanwhile is looked at as soon as it is committed. What a
    process did not live to look at the leader finds.
    """

    def __init__(
        self,
        store: Store,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._clock = clock
        self._wake = wake
        self._place: Place | None = None
        self._looks: set[asyncio.Task[None]] = set()

    async def mend(self) -> int:
        """Go on with the look at all that is open or held; returns how many were found stuck.

        Raises:
            StorageUnavailable: the next look goes on from there.
        """
        found = 0
        for _ in range(PIECES):
            after = self._place
            stuck, place = await self._store.read(lambda tx, after=after: self._deliveries.stuck(tx, after, PIECE))
            self._place = place  # before: what cannot be put right must not keep the rest from being looked at
            if stuck:
                _log.warning("outbound_deliveries_stuck", deliveries=len(stuck), first=stuck[0].delivery.id)
                await self._put_right(stuck)
                found += len(stuck)
            if place is None:
                break
        return found

    def look_soon(self, made: Sequence[Delivery]) -> None:
        """Look at deliveries that have become visible just now, without being waited for."""
        behind = [Stuck(one, enabled=True) for one in made if one.status is not DeliveryStatus.PENDING]
        if behind:
            task = asyncio.create_task(self._look(behind))
            self._looks.add(task)
            task.add_done_callback(self._looks.discard)

    async def finish(self) -> None:
        """Wait until what was to be looked at has been."""
        await asyncio.gather(*self._looks, return_exceptions=True)

    async def _look(self, behind: Sequence[Stuck]) -> None:
        try:
            await self._put_right(behind)
        except StorageUnavailable as error:
            _log.warning("outbound_look_failed", deliveries=len(behind), error=str(error))

    async def _put_right(self, stuck: Sequence[Stuck]) -> None:
        jobless = [one.delivery.id for one in stuck if one.delivery.status is DeliveryStatus.PENDING]
        waiting = [one for one in stuck if one.delivery.status is DeliveryStatus.WAITING]
        if jobless:
            await self._store.write(lambda tx: self._deliveries.put_jobs(tx, jobless, self._clock.now()))
        stopped = {one.delivery.endpoint_id for one in waiting if not one.enabled}
        if stopped:
            await self._store.write(lambda tx: self._hold(tx, stopped))
        lines = [one.delivery.line for one in waiting if one.enabled]
        if lines:
            await self._store.write(lambda tx: self._begin(tx, lines))
        held = {one.delivery.endpoint_id for one in stuck if one.delivery.status is DeliveryStatus.HELD}
        for endpoint_id in sorted(held):
            while await self._store.write(lambda tx, one=endpoint_id: self._release(tx, one)) == RELEASE_BATCH:
                self._wake()
        self._wake()

    def _begin(self, tx: Transaction, lines: Iterable[LineKey]) -> None:
        self._deliveries.begin(tx, lines, self._clock.now())

    def _hold(self, tx: Transaction, endpoint_ids: Iterable[str]) -> None:
        for endpoint_id, endpoint in sorted(self._endpoints.several(tx, endpoint_ids).items()):
            current = self._endpoints.find(tx, None, endpoint_id, locked=True)
            if current is None or current.state is not EndpointState.ENABLED:
                self._deliveries.hold(tx, endpoint)

    def _release(self, tx: Transaction, endpoint_id: str) -> int:
        """Send what an enabled endpoint holds for no reason."""
        endpoint = self._endpoints.find(tx, None, endpoint_id, locked=True)
        if endpoint is None or endpoint.state is not EndpointState.ENABLED:
            return 0
        held = DeliveryFilter(endpoint.tenant, endpoint.id, statuses=(DeliveryStatus.HELD,), since=endpoint.held_before)
        return len(self._deliveries.again(tx, held, self._clock.now(), RELEASE_BATCH, ""))
