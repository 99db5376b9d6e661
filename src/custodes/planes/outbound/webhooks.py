"""Outgoing webhooks: everything that can be asked of them, and done with them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from custodes.errors import CustodesError
from custodes.kernel.clock import Clock
from custodes.kernel.health import SystemHealth
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.sealing import Sealer
from custodes.kernel.stretches import Level, steps_for
from custodes.planes.outbound.addresses import checked_url
from custodes.planes.outbound.analytics import DeliveryAnalytics, Examined, analyse
from custodes.planes.outbound.catalogue import Catalogue
from custodes.planes.outbound.credentials import Authenticator
from custodes.planes.outbound.deliveries import Deliveries, missed_by
from custodes.planes.outbound.emitter import TEST, Converter, Emitter
from custodes.planes.outbound.examination import examined
from custodes.planes.outbound.figures import Only
from custodes.planes.outbound.forwarding import Forward, Forwarder
from custodes.planes.outbound.gates import EndpointGates
from custodes.planes.outbound.health import RECENT, assess
from custodes.planes.outbound.keys import Keys
from custodes.planes.outbound.mender import Mender
from custodes.planes.outbound.model import JOB_KIND, Delivery, Endpoint, Message
from custodes.planes.outbound.notices import Notices
from custodes.planes.outbound.ports import DeliveryStore, EndpointStore, EventTypeStore, FigureStore
from custodes.planes.outbound.sender import HORIZON, Sender
from custodes.planes.outbound.tally import Tally
from custodes.planes.outbound.trial import Trial, Trials
from custodes.runtime.bus import Bus
from custodes.runtime.fairness import FairWorker, Windows
from custodes.runtime.jobs import Jobs
from custodes.runtime.log import get_logger
from custodes.runtime.outgoing.client import OutgoingClient
from custodes.runtime.periodic import Periodic
from custodes.runtime.process import Named
from custodes.runtime.transactions import Store, Transaction, Work, nothing
from custodes.runtime.worker import LEASE

_log = get_logger("custodes.outbound")

#: Deliveries that one process has under way at the same time.
CONCURRENCY = 64

#: Between two writes of the counters, seconds.
FLUSH_SECONDS = 1.0


def _untold(_delivery: Delivery) -> Work:
    return nothing


class OutgoingWebhooks(Deliveries):
    """Outgoing webhooks: emitted, delivered, watched.

    Args:
        store: the engine.
        endpoints: where endpoints are kept.
        deliveries: where messages and deliveries are kept.
        types: where the catalogue is kept.
        figures: where figures over time are kept.
        jobs: where jobs are kept.
        client: sends requests.
        sealer: seals secrets.
        clock: source of time.
        random_bits: source of randomness for ids and jitter.
        bus: where signals go.
        owner: id of this process among those that deliver.
        concurrency: deliveries under way at the same time; 0: this process emits only.
        lease: how long a process may be silent before its deliveries are taken over, microseconds.
        allow_http: whether ``http`` endpoints are allowed; for tests.
        default_tenant: whose it is when the caller does not say; also the operator's own tenant.
        weights: places a round for tenants that get more than others.
        tell: tells other processes that there is something to deliver.
    """

    def __init__(
        self,
        *,
        store: Store,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        types: EventTypeStore,
        figures: FigureStore,
        jobs: Jobs,
        client: OutgoingClient,
        sealer: Sealer,
        clock: Clock,
        random_bits: RandomBits,
        bus: Bus,
        owner: Named,
        default_tenant: str,
        concurrency: int = CONCURRENCY,
        lease: int = LEASE,
        leases_by: Callable[[], int] | None = None,
        allow_http: bool = False,
        weights: Mapping[str, int] | None = None,
        tell: Callable[[], object] = lambda: None,
    ) -> None:
        # Never a seeded source: it makes secrets.
        secret_bits = random.SystemRandom().getrandbits
        keys = Keys(endpoints, sealer, clock, secret_bits)
        super().__init__(
            store,
            endpoints,
            deliveries,
            keys,
            clock,
            random_bits,
            allow_http=allow_http,
            default_tenant=default_tenant,
            by_store=leases_by,
        )
        self._jobs = jobs
        self._mender = Mender(store, endpoints, deliveries, clock, self._wake)
        #: The catalogue of event types.
        self.catalogue = Catalogue(store, types, clock)
        self._emitter = Emitter(
            store=store,
            endpoints=endpoints,
            deliveries=deliveries,
            catalogue=self.catalogue,
            clock=clock,
            random_bits=random_bits,
            default_tenant=default_tenant,
            mender=self._mender,
            wake=self._wake,
        )
        self._forwarder = Forwarder(
            store=store, endpoints=endpoints, keys=keys, emitter=self._emitter, clock=clock, random_bits=random_bits
        )
        #: Whose tenant hears what is told of the endpoints of all tenants.
        self.operator = default_tenant
        self._figures = figures
        self._judged_by = (endpoints, figures, self._by_store)
        self._tally = Tally(store, endpoints, figures, lambda: uuid7(clock.now(), random_bits))
        windows = Windows()
        sender = Sender(
            store=store,
            endpoints=endpoints,
            deliveries=deliveries,
            client=client,
            authenticator=Authenticator(client, clock),
            keys=keys,
            emitter=self._emitter,
            notices=Notices(self._emitter, bus.emit, default_tenant),
            windows=windows,
            tally=self._tally,
            clock=clock,
            by_store=self._by_store,
            random_bits=random_bits,
        )
        self._trials = Trials(client, clock, secret_bits)
        self.worker = FairWorker(
            JOB_KIND,
            sender,
            store=store,
            jobs=jobs,
            clock=clock,
            owner=owner,
            concurrency=concurrency,
            lease=lease,
            horizon=HORIZON,
            leases_by=leases_by,
            tell=tell,
        )
        self._gates = EndpointGates(endpoints)
        self.worker.gates, self.worker.windows, self.worker.weights = self._gates, windows, weights or {}
        self._flusher = Periodic("outbound-flush", FLUSH_SECONDS, self._tally.flush)

    # ── Life ─────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Check that every stored secret can be opened, and begin to deliver; idempotent.

        Raises:
            ConfigurationError: secrets were sealed with a key that is not given, or with another one of its id.
        """
        await self.check_secrets()
        await self._flusher.start()
        await self.worker.start()

    async def check_secrets(self) -> None:
        """Check that every stored secret can be opened.

        Raises:
            ConfigurationError: secrets were sealed with a key that is not given, or with another one of its id.
        """
        self._keys.check(await self._store.read(self._endpoints.key_samples))

    async def stop(self) -> None:
        """Let deliveries end, give back the rest, write what is counted; idempotent."""
        await self.worker.stop()
        await self._mender.finish()
        await self._flusher.stop()
        await self._flusher.run_once()

    async def flush(self) -> None:
        """Write the counters of endpoints.

        Raises:
            StorageUnavailable: nothing was written; it is kept for the next time.
        """
        await self._tally.flush()

    async def get_health_status(self, *, tenant: str | None = None) -> SystemHealth:
        """Judge outgoing webhooks as a whole, of one tenant or of all; one endpoint: :meth:`examine_endpoint`."""
        now = self._clock.now()
        standing = await self._store.read(lambda tx: self._deliveries.standing(tx, tenant, now, now - RECENT))
        return assess(standing, now, alive=self.worker.alive)

    # ── Figures ──────────────────────────────────────────────────────────────

    async def get_delivery_analytics(
        self,
        *,
        since: int,
        until: int,
        tenant: str | None = None,
        endpoint_id: str | None = None,
        event_type: str | None = None,
        beside: int | None = None,
    ) -> DeliveryAnalytics:
        """Tell how attempts went in a range of time: over time, by endpoint, type and tenant.

        Args:
            since: begin, microseconds since the epoch; widened to a whole minute, or to what is still kept as far back:
                an hour or a day.
            until: end, microseconds since the epoch.
            tenant: only of this tenant.
            endpoint_id: only to this endpoint.
            event_type: only of this type, exactly.
            beside: begin of a range as long that is drawn in the same chart: stretches are as long as both can have.
        """
        await self._flush_if_possible()
        now = self._clock.now()
        steps, only = steps_for(since, until, now, beside), Only(tenant, endpoint_id, event_type)
        sums = await self._store.read(lambda tx: self._figures.sums(tx, steps, only))
        return analyse(sums, steps=steps, until=steps.counted_until(until, now))

    async def examine_endpoint(self, endpoint_id: str, *, tenant: str | None = None) -> Examined:
        """Judge one endpoint by its state, its breaker and the last hour, and say why.

        Raises:
            NotFound: no such endpoint.
        """
        await self._flush_if_possible()

        def work(tx: Transaction) -> Examined:
            endpoint = self._find(tx, endpoint_id, tenant)
            missed = self._deliveries.count(tx, missed_by(endpoint))
            return examined(tx, [endpoint], self._judged_by, self._clock.now(), lambda _: missed)[0]

        return await self._store.read(work)

    async def examine_endpoints(self, endpoints: Sequence[Endpoint]) -> list[Examined]:
        """Judge endpoints of one tenant as :meth:`examine_endpoint` does; what they have missed is not counted."""
        await self._flush_if_possible()
        return await self._store.read(lambda tx: examined(tx, endpoints, self._judged_by, self._clock.now()))

    async def purge_figures(self, level: Level, before: int, limit: int) -> int:
        """Delete figures of a level from before a moment."""
        return await self._store.write(lambda tx: self._figures.purge(tx, level, before, limit))

    async def count_purgeable_figures(self, level: Level, before: int) -> int:
        """Count the figures that :meth:`purge_figures` would delete."""
        return await self._store.read(lambda tx: self._figures.count_purgeable(tx, level, before))

    # ── Emitting ─────────────────────────────────────────────────────────────

    async def emit(
        self,
        event_type: str,
        payload: object,
        *,
        tenant: str = "",
        idempotency_key: str = "",
        order_key: str = "",
        channels: Iterable[str] = (),
        content_type: str = "application/json",
        trace_id: str | None = None,
        connection: object = None,
    ) -> Message:
        """Emit an event: it and a job for each endpoint that wants it, in one transaction.

        Args:
            event_type: what happened: ``order.shipped``.
            payload: what JSON can say becomes the ``data`` of a body with ``type`` and ``timestamp`` (Standard
                Webhooks); bytes are sent exactly as they are.
            tenant: whose endpoints get it.
            idempotency_key: a second emit with the same key changes nothing and returns the first event.
            order_key: deliveries of one key keep their order at endpoints that ask for it.
            channels: only to endpoints of one of these channels, and to those that name none.
            content_type: kind of the body, when it is given as bytes.
            trace_id: trace that it belongs to, 32 hex digits; None: that of the request that is being served.
            connection: a SQLAlchemy handle on the same database: the event commits, or rolls back, with the caller's
                own rows. None: it is durable when this returns.

        Raises:
            InvalidInput: a value is not acceptable, or the payload is not what the catalogue says.
            Conflict: another event was emitted with this idempotency key.
            StorageUnavailable: nothing was kept.
        """
        return await self._emitter.emit(
            event_type,
            payload,
            tenant=tenant,
            idempotency_key=idempotency_key,
            order_key=order_key,
            channels=channels,
            content_type=content_type,
            trace_id=trace_id,
            connection=connection,
        )

    def payload_version(self, event_type: str, version: str) -> Callable[[Converter], Converter]:
        """Make a decorator for a function that turns a payload into the one of an older version.

        Endpoints that are pinned to the version get what it returns; it is called when the event is emitted.
        """

        def register(function: Converter) -> Converter:
            self._emitter.converter(event_type, version, function)
            return function

        return register

    async def send_test(self, endpoint_id: str, *, tenant: str | None = None, also: Work = nothing) -> Message:
        """Send an event of type ``custodes.test`` to one endpoint, once, whatever it subscribes to or its state.

        Raises:
            NotFound: no such endpoint.
        """
        endpoint = await self.get_endpoint(endpoint_id, tenant=tenant)
        data = {"message": "This is a test.", "endpoint_id": endpoint.id}
        emission = self._emitter.draft(TEST, data, tenant=endpoint.tenant, only=endpoint.id)

        def work(tx: Transaction) -> None:
            [put] = self._emitter.insert(tx, [emission])
            if put.error is not None:
                raise put.error
            also(tx)

        await self._store.write(work)
        self._wake()
        return emission.message

    # ── Trials ───────────────────────────────────────────────────────────────

    async def try_delivery(
        self,
        delivery_id: str,
        url: str,
        *,
        tenant: str | None = None,
        told: Callable[[Delivery], Work] = _untold,
    ) -> Trial:
        """Send what a delivery carries to a URL of one's choosing, once; see :mod:`custodes.planes.outbound.trial`.

        The delivery, its endpoint and their figures stay as they are.

        Args:
            delivery_id: which.
            url: where to; whatever guards what is sent to endpoints guards this.
            tenant: whose it is.
            told: makes what commits before anything is sent.

        Raises:
            NotFound: no such delivery.
            InvalidInput: the URL is none.
            Conflict: there are too many trials at once.
        """
        delivery, _ = await self.get_delivery(delivery_id, tenant=tenant, limit=1)
        message, body = await self.get_message(delivery.message_id, tenant=delivery.tenant, version=delivery.version)
        await self._begin_trial(url, told(delivery))
        return await self._trials.of_message(url, message, delivery.version, body)

    async def try_received(
        self, url: str, headers: Sequence[tuple[str, str]], body: bytes, *, also: Work = nothing
    ) -> Trial:
        """Send what came in, as it came, to a URL of somebody's choosing, once.

        Args:
            url: where to.
            headers: as they were received, credentials masked; those that are masked do not go along.
            body: the exact bytes.
            also: commits before anything is sent.

        Raises:
            InvalidInput: the URL is none.
            Conflict: there are too many trials at once.
        """
        await self._begin_trial(url, also)
        return await self._trials.of_received(url, headers, body)

    async def _begin_trial(self, url: str, also: Work) -> None:
        checked_url(url, allow_http=self._allow_http, name="The URL")
        self._trials.check_room()
        await self._store.write(also)

    # ── Forwarding ───────────────────────────────────────────────────────────

    async def forward_to(self, source: str, url: str, *, tenant: str = "") -> Endpoint:
        """Have the webhooks of a source go to a URL: makes their endpoint, or changes where it leads; idempotent.

        It can be paused, tuned and looked at like any other; where it leads and what it gets follow from the source,
        and it cannot be deleted while this process forwards to it.

        Raises:
            InvalidInput: the URL or the tenant is none.
            ConfigurationError: there is no key to seal its secret with.
        """
        endpoint = await self._forwarder.keep_endpoint(source, url, tenant or self._default_tenant)
        self._forwarded_to[endpoint.id] = source
        return endpoint

    async def list_forwarded(self) -> Sequence[Endpoint]:
        """List the endpoints that sources are forwarded to, by whichever process."""
        return await self._store.read(self._endpoints.of_sources)

    async def forward(self, forward: Forward) -> Message:
        """Deliver a webhook that came in to the endpoint of its source; durable when this returns, and once.

        Raises:
            NotFound: the source has no endpoint; nothing was put in.
            StorageUnavailable: nothing was put in.
        """
        return await self._forwarder.forward(forward)

    # ── The catalogue ────────────────────────────────────────────────────────

    async def put_event_type(self, name: str, **fields: Any) -> None:
        """Put an event type into the catalogue; see :meth:`custodes.planes.outbound.catalogue.Catalogue.put`."""
        await self.catalogue.put(name, **fields)

    # ── Parts ────────────────────────────────────────────────────────────────

    async def _flush_if_possible(self) -> None:
        """Write, for a reader who would rather see somewhat older figures than none."""
        try:
            await self.flush()
        except CustodesError as error:
            _log.warning("figures_not_written", error=str(error))
