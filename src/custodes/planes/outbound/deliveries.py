"""Outgoing webhooks: what was emitted and what became of it; sending again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from custodes.errors import Conflict, NotFound
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.planes.outbound.emitter import TEST
from custodes.planes.outbound.endpoints import Endpoints
from custodes.planes.outbound.gates import EndpointGates
from custodes.planes.outbound.mender import RELEASE_BATCH, Mender
from custodes.planes.outbound.model import (
    HEALTHY,
    JOB_KIND,
    Attempt,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointState,
    Message,
)
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.planes.outbound.rules import checked_text
from custodes.planes.outbound.sender import Outcome
from custodes.runtime.fairness import FairWorker
from custodes.runtime.jobs import Jobs
from custodes.runtime.transactions import Transaction, Work, nothing

#: Makes what commits with the begin or the end of something done in batches, out of how many deliveries it is.
Ended = Callable[[int], Work]

T = TypeVar("T")

#: Where a delivery is that its receiver has missed.
_MISSED = (DeliveryStatus.FAILED, DeliveryStatus.HELD)

#: Where it is while it need not be sent again.
_ON_THEIR_WAY = frozenset({DeliveryStatus.PENDING, DeliveryStatus.WAITING})


def _unsaid(_deliveries: int) -> Work:
    return nothing


class Deliveries(Endpoints):
    """Reads events and deliveries, holds them back and has them sent again."""

    #: Does the delivering.
    worker: FairWorker[Outcome]

    _gates: EndpointGates

    _jobs: Jobs

    _mender: Mender

    #: Up to which message what is past its time has been looked at.
    _purged_to: str = ""

    # ── Reading ───────────────────────────────────────────────────────────

    async def list_messages(
        self, *, tenant: str | None = None, event_type: str | None = None, limit: int = DEFAULT_LIMIT, cursor: str = ""
    ) -> Page[Message]:
        """Return a page of events, newest first."""
        return await self._store.read(lambda tx: self._deliveries.messages(tx, tenant, event_type, limit, cursor))

    async def get_message(
        self, message_id: str, *, tenant: str | None = None, version: str = ""
    ) -> tuple[Message, bytes]:
        """Return one event and its body, in the version that an endpoint got.

        Raises:
            NotFound: no such event.
        """

        def work(tx: Transaction) -> tuple[Message, bytes]:
            message = self._deliveries.message(tx, tenant, message_id)
            if message is None:
                msg = "No such message"
                raise NotFound(msg, remedy="Look at the list of messages; it may have been removed by retention")
            return message, self._deliveries.body(tx, message, version) or b""

        return await self._store.read(work)

    async def list_deliveries(
        self, wanted: DeliveryFilter = DeliveryFilter(), *, limit: int = DEFAULT_LIMIT, cursor: str = ""
    ) -> Page[Delivery]:
        """Return a page of deliveries, newest first."""
        return await self._store.read(lambda tx: self._deliveries.find(tx, wanted, limit, cursor))

    async def get_delivery(
        self, delivery_id: str, *, tenant: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> tuple[Delivery, Sequence[Attempt]]:
        """Return one delivery and its latest attempts, newest first.

        Raises:
            NotFound: no such delivery.
        """

        def work(tx: Transaction) -> tuple[Delivery, Sequence[Attempt]]:
            delivery = self._delivery(tx, delivery_id, tenant)
            return delivery, self._deliveries.attempts(tx, delivery, limit)

        return await self._store.read(work)

    # ── Sending again ────────────────────────────────────────────────────────

    async def resend(self, delivery_id: str, *, tenant: str | None = None, also: Work = nothing) -> Delivery:
        """Send one delivery again, from the start of its schedule; one whose next attempt is due later, at once.

        Raises:
            NotFound: no such delivery.
            Conflict: its endpoint is not enabled, it is being sent, or another of its order key is on its way.
        """

        def work(tx: Transaction) -> Delivery:
            delivery = self._delivery(tx, delivery_id, tenant)
            at_once = self.worker.at_once()
            endpoint = self._endpoints.find(tx, delivery.tenant, delivery.endpoint_id)
            if endpoint is None or endpoint.state is not EndpointState.ENABLED:
                msg = "The endpoint of this delivery is not enabled"
                raise Conflict(msg, remedy="Resume the endpoint first")
            if delivery.status is DeliveryStatus.PENDING:
                self._hasten(tx, delivery, at_once)
            elif delivery.status is not DeliveryStatus.WAITING:
                self._deliveries.again(tx, DeliveryFilter(delivery_id=delivery.id), at_once, 1, "")
            elif not self._deliveries.begin(tx, [delivery.line], at_once):
                msg = "The delivery waits for its turn: another of its order key is on its way"
                raise Conflict(msg, remedy="Resend the one that is pending; this one follows when that has ended")
            also(tx)
            return self._delivery(tx, delivery_id, tenant)

        done = await self._store.write(work)
        self._wake()
        return done

    async def resend_many(
        self,
        wanted: DeliveryFilter,
        *,
        dry_run: bool = False,
        begun: Ended = _unsaid,
        ended: Ended = _unsaid,
    ) -> int:
        """Send a selection again, oldest first: those of it that have ended by now, whatever their end.

        It goes on in batches, as :meth:`recover` does. Tests are sent again only when their type is named. What was for
        endpoints that are paused or disabled is not among them: it is held until they are resumed.

        Args:
            wanted: which; those that failed or are held unless it names states.
            dry_run: only count them.
            begun: commits with the first batch, made of how many were asked for.
            ended: commits with the last, made of how many were sent again.

        Returns:
            How many there are.
        """
        ended_as = tuple(status for status in wanted.statuses or _MISSED if status not in _ON_THEIR_WAY)
        if not ended_as:
            return 0
        chosen = replace(
            wanted,
            statuses=ended_as,
            until=self._clock.now() + 1 if wanted.until is None else wanted.until,
            without_type=None if wanted.event_type else TEST,
            to_enabled=True,
        )
        if dry_run:
            return await self._store.read(lambda tx: self._deliveries.count(tx, chosen))

        def begin(tx: Transaction) -> tuple[None, DeliveryFilter]:
            begun(self._deliveries.count(tx, chosen))(tx)
            return None, chosen

        _, total = await self._put_back(begin, ended)
        return total

    async def pause_endpoint(
        self, endpoint_id: str, *, reason: str = "", tenant: str | None = None, also: Work = nothing
    ) -> Endpoint:
        """Send it nothing for now: what is on its way and what is emitted meanwhile is held.

        Raises:
            NotFound: no such endpoint.
            Conflict: it is not enabled.
        """
        text = checked_text(reason)

        def hold(tx: Transaction, _before: Endpoint, endpoint: Endpoint) -> None:
            self._deliveries.hold(tx, endpoint)
            also(tx)

        return await self._change(
            endpoint_id,
            tenant,
            lambda one: _moved(one, (EndpointState.ENABLED,), EndpointState.PAUSED, text),
            hold,
        )

    async def resume_endpoint(
        self,
        endpoint_id: str,
        *,
        recover: bool | None = None,
        tenant: str | None = None,
        also: Work = nothing,
        ended: Ended = _unsaid,
    ) -> Endpoint:
        """Send to it again, whether it was paused or disabled.

        Args:
            endpoint_id: which.
            recover: whether what was held is sent; default: after a pause yes, after being disabled no (it may be
                much, and old: :meth:`recover` does it by range).
            tenant: whose it is.
            also: commits with the change of the state, and with the first batch of what was held.
            ended: commits with the last batch.

        Raises:
            NotFound: no such endpoint.
            Conflict: it is enabled already.
        """
        stopped = (EndpointState.PAUSED, EndpointState.DISABLED)

        def begin(tx: Transaction) -> tuple[Endpoint, DeliveryFilter | None]:
            before = self._take(tx, endpoint_id, tenant)
            wanted = before.state is EndpointState.PAUSED if recover is None else recover
            now = self._clock.now()
            endpoint = _moved(before, stopped, EndpointState.ENABLED, "")
            endpoint = replace(endpoint, updated_at=now, held_before=0 if wanted else now)
            self._endpoints.put(tx, endpoint)
            self._endpoints.put_health(tx, endpoint.tenant, endpoint.id, HEALTHY)
            also(tx)
            held = DeliveryFilter(endpoint.tenant, endpoint.id, statuses=(DeliveryStatus.HELD,))
            return endpoint, held if wanted else None

        endpoint, _ = await self._put_back(begin, ended)
        return endpoint

    async def recover(
        self,
        endpoint_id: str,
        *,
        since: int | None = None,
        until: int | None = None,
        tenant: str | None = None,
        begun: Ended = _unsaid,
        ended: Ended = _unsaid,
    ) -> int:
        """Send an endpoint everything that it has missed: what failed for good and what was held. Returns how many.

        It goes on in batches: what ``begun`` makes, of how many there are, commits with the first, and what ``ended``
        makes, of how many were put back, with the last. When it is broken off, what a batch has put back stays, there
        is no end to be read, and a second call does the rest. Tests are not among what was missed.

        Raises:
            NotFound: no such endpoint.
            Conflict: it is not enabled.
        """

        def begin(tx: Transaction) -> tuple[Endpoint, DeliveryFilter | None]:
            endpoint = self._find(tx, endpoint_id, tenant)
            if endpoint.state is not EndpointState.ENABLED:
                msg = "The endpoint is not enabled"
                raise Conflict(msg, remedy="Resume it first")
            missed = replace(missed_by(endpoint), since=since, until=until)
            begun(self._deliveries.count(tx, missed))(tx)
            return endpoint, missed

        _, total = await self._put_back(begin, ended)
        return total

    async def mend(self) -> int:
        """Have deliveries that nobody would move on any more go on; returns how many there were.

        Of more than a hundred thousand open and held ones it looks at the next hundred thousand.

        Raises:
            StorageUnavailable: the next call goes on from there.
        """
        return await self._mender.mend()

    # ── Retention ────────────────────────────────────────────────────────────

    async def purge(self, before: int, limit: int) -> int:
        """Delete the oldest messages from before a moment with all of theirs, some ``limit`` rows; open ones stay.

        What goes is looked for in reads, from where the call before has come to: they keep nobody from writing, however
        much is held.

        Returns:
            How many messages are gone; 0: all have been looked at, or the limit is below 1.
        """
        while limit > 0:
            after = self._purged_to
            old = await self._store.read(lambda tx, after=after: self._deliveries.old(tx, before, limit, after))
            gone = 0
            if old.messages or old.deliveries:
                gone = await self._store.write(lambda tx, old=old: self._deliveries.purge(tx, old))
            self._purged_to = old.upto or ""
            if gone or old.upto is None:
                return gone
        return 0

    async def count_purgeable(self, before: int) -> int:
        """Count the messages that :meth:`purge` would delete."""
        return await self._store.read(lambda tx: self._deliveries.count_purgeable(tx, before))

    # ── Parts ────────────────────────────────────────────────────────────────

    def _hasten(self, tx: Transaction, delivery: Delivery, at_once: int) -> None:
        """Have a pending delivery sent at once, if need be with a new job.

        Raises:
            Conflict: it is being sent.
        """
        ids = [delivery.id]
        due = self._jobs.hasten(tx, JOB_KIND, delivery.id, at_once) or self._deliveries.put_jobs(tx, ids, at_once)
        if not due and self.worker.is_at(tx, delivery.id):
            msg = "The delivery is being sent just now"
            raise Conflict(msg, remedy="Wait until this attempt has ended")

    def _wake(self) -> None:
        """Have what was put in looked for."""
        self.worker.brought()

    async def _put_back(
        self, begin: Callable[[Transaction], tuple[T, DeliveryFilter | None]], ended: Ended
    ) -> tuple[T, int]:
        """Put a selection back in batches, the first of them with what begins it, the last with what ends it."""

        def batch(tx: Transaction, wanted: DeliveryFilter, after: str, total: int) -> list[str]:
            done = self._deliveries.again(tx, wanted, self.worker.at_once(), RELEASE_BATCH, after)
            if len(done) < RELEASE_BATCH:
                ended(total + len(done))(tx)
            return done

        def first(tx: Transaction) -> tuple[T, DeliveryFilter | None, list[str]]:
            of, wanted = begin(tx)
            return of, wanted, [] if wanted is None else batch(tx, wanted, "", 0)

        of, wanted, done = await self._store.write(first)
        self._gates.reopen()
        self._wake()
        total = len(done)
        while wanted is not None and len(done) == RELEASE_BATCH:
            done = await self._store.write(
                lambda tx, wanted=wanted, after=done[-1], total=total: batch(tx, wanted, after, total)
            )
            total += len(done)
            self._wake()
        return of, total

    def _delivery(self, tx: Transaction, delivery_id: str, tenant: str | None) -> Delivery:
        delivery = self._deliveries.get(tx, tenant, delivery_id)
        if delivery is None:
            msg = "No such delivery"
            raise NotFound(msg, remedy="Look at the list of deliveries; it may have been removed by retention")
        return delivery


def missed_by(endpoint: Endpoint) -> DeliveryFilter:
    """Select what an endpoint has missed; tests are no loss."""
    return DeliveryFilter(endpoint.tenant, endpoint.id, statuses=_MISSED, without_type=TEST)


def _moved(endpoint: Endpoint, allowed: tuple[EndpointState, ...], state: EndpointState, reason: str) -> Endpoint:
    """Return an endpoint in another state.

    Raises:
        Conflict: it is in none of the states that this can follow.
    """
    if endpoint.state not in allowed:
        msg = f"The endpoint is {endpoint.state} and cannot become {state}"
        raise Conflict(msg, remedy=f"It can when it is {' or '.join(allowed)}")
    return replace(endpoint, state=state, state_reason=reason)
