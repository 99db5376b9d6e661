"""The webhook monitor: everything that can be asked of incoming webhooks, and done with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from custodes.errors import ConfigurationError, CustodesError
from custodes.kernel.backoff import Backoff
from custodes.kernel.clock import Clock
from custodes.kernel.health import SystemHealth, Threshold
from custodes.kernel.ids import RandomBits
from custodes.kernel.sealing import Sealer
from custodes.kernel.stretches import Level, steps_for
from custodes.kernel.tenant import valid_tenant
from custodes.kernel.time_range import range_of
from custodes.planes.inbound import analytics
from custodes.planes.inbound.analytics import WebhookAnalytics
from custodes.planes.inbound.figures import Figures, Only
from custodes.planes.inbound.handlers import (
    MAX_ATTEMPTS,
    TIMEOUT_SECONDS,
    Handler,
    HandlerFunction,
    Handlers,
    check_names,
    name_of,
)
from custodes.planes.inbound.model import JOB_KIND, EventFilter, EventRecord, Offer
from custodes.planes.inbound.ports import EventStore, FigureStore, PresenceStore, SecretStore
from custodes.planes.inbound.processor import Processor
from custodes.planes.inbound.receiver import Receipt, Receiver, Registration
from custodes.planes.inbound.recorder import Recorder
from custodes.planes.inbound.refused import RefusedDeliveries
from custodes.planes.inbound.replay import Replayed, Replays, untold
from custodes.planes.inbound.roster import Roster
from custodes.planes.inbound.rotation import Rotation
from custodes.planes.inbound.sources.base import Source, Verified, WebhookRequest
from custodes.planes.inbound.watch import Watch
from custodes.runtime.bus import Bus
from custodes.runtime.jobs import Jobs
from custodes.runtime.log import get_logger
from custodes.runtime.periodic import Periodic
from custodes.runtime.process import Named
from custodes.runtime.transactions import Store, Transaction, Work, nothing
from custodes.runtime.worker import CONCURRENCY, LEASE, Worker

_log = get_logger("custodes.inbound")

F = TypeVar("F", bound=HandlerFunction)

#: Between two flushes of the figures, seconds: what a killed process loses of its counts, never of its events.
FLUSH_SECONDS = 2.0

#: Error groups that an analysis shows.
MAX_ERROR_GROUPS = 50


def _nobody() -> None:
    """Tell nobody."""


class WebhookMonitor(RefusedDeliveries):
    """Incoming webhooks: taken in, handled until done, measured, watched.

    Args:
        store: runs units of work.
        events: where events are kept.
        figures: where counts and refusals are kept.
        presences: where it is kept which process handles what.
        secrets: where it is kept when which secret signed.
        sealer: has the key of the install.
        jobs: where jobs are kept.
        clock: source of time.
        random_bits: source of randomness.
        bus: where signals go.
        tenant: whose webhooks they are when a source names no tenant.
        writer: what this process is called among those that count.
        concurrency: events handled at the same time.
        lease: how long a worker may be silent before its events are taken over, microseconds.
        leases_by: tells the time that all processes measure leases by; None: the clock's.
        thresholds: when the webhooks are degraded and unhealthy.
        measured: count figures and look for patterns; events are stored and handled all the same.
        client_of: names the client behind an address (IPv6 by its prefix).
    """

    def __init__(
        self,
        *,
        store: Store,
        events: EventStore,
        figures: FigureStore,
        presences: PresenceStore,
        secrets: SecretStore,
        sealer: Callable[[], Sealer],
        jobs: Jobs,
        clock: Clock,
        random_bits: RandomBits,
        bus: Bus,
        tenant: str,
        writer: Named,
        concurrency: int = CONCURRENCY,
        lease: int = LEASE,
        leases_by: Callable[[], int] | None = None,
        thresholds: Sequence[Threshold] = analytics.THRESHOLDS,
        measured: bool = True,
        tell: Callable[[], None] = _nobody,
        client_of: Callable[[str], str] = str,
    ) -> None:
        #: When each secret last signed.
        self.rotation = Rotation(
            store=store,
            secrets=secrets,
            sources=lambda: [(each.tenant, each.source) for each in self._sources.values()],
            sealer=sealer,
            clock=clock,
            enabled=measured,
        )
        recorder = Recorder(
            store=store,
            figures=figures,
            watch=Watch(bus, clock, client_of),
            rotation=self.rotation,
            bus=bus,
            clock=clock,
            random_bits=random_bits,
            writer=writer,
            enabled=measured,
        )
        super().__init__(
            store=store,
            events=events,
            figures=figures,
            recorder=recorder,
            clock=clock,
            random_bits=random_bits,
            tenant=tenant,
        )
        self._jobs = jobs
        self._thresholds = thresholds
        self._flusher = Periodic("inbound-flush", FLUSH_SECONDS, recorder.flush)
        #: The handlers of this process.
        self.handlers = Handlers()
        #: Who has which handlers.
        self.roster = Roster(
            store=store,
            presences=presences,
            handlers=self.handlers,
            clock=clock,
            process=writer,
            takes_part=concurrency > 0,
        )
        self._processor = Processor(
            store=store,
            events=events,
            handlers=self.handlers,
            roster=self.roster,
            clock=clock,
            random_bits=random_bits,
            concluded=recorder.concluded,
        )
        #: Does the handling.
        self.worker = Worker(
            JOB_KIND,
            self._processor,
            store=store,
            jobs=jobs,
            clock=clock,
            owner=writer,
            concurrency=concurrency,
            lease=lease,
            leases_by=leases_by,
            tell=tell,
            mine=self.roster.mine,
        )
        self._replays = Replays(store=store, events=events, jobs=jobs, worker=self.worker, clock=clock)
        self._receiver = Receiver(
            events=events,
            recorder=recorder,
            rotation=self.rotation,
            clock=clock,
            random_bits=random_bits,
            kept=self.worker.brought,
        )

    # ── Life ─────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Begin to handle events and to write figures; idempotent."""
        for handler in self.handlers.without_source(self._sources):
            _log.warning("handler_without_source", handler=handler.name, source=handler.source)
        await self._flusher.start()
        await self.rotation.start()
        await self.roster.start()
        await self.worker.start()

    async def stop(self) -> None:
        """Let handlers end, give back the rest, hear of late deliveries, write what is counted; idempotent."""
        await self.worker.stop()
        await self.roster.stop()
        await self.rotation.stop()
        await self._receiver.settle()
        await self._flusher.stop()
        await self._flusher.run_once()

    async def flush(self) -> None:
        """Write what has been counted since the last time.

        Raises:
            StorageUnavailable: nothing was written; it is kept for the next time.
        """
        await self._recorder.flush()

    # ── Sources and handlers ─────────────────────────────────────────────────

    def add_source(self, source: Source, *, tenant: str = "", replaceable: bool = False) -> Source:
        """Accept deliveries of a source at ``POST /hooks/{source.name}``.

        Args:
            source: the source.
            tenant: whose webhooks these are; default: the install's default tenant.
            replaceable: another source of this name may take its place.

        Raises:
            ConfigurationError: there is a source of this name, or the tenant is none.
        """
        if tenant and not valid_tenant(tenant):
            msg = f"The tenant of the webhook source {source.name!r} is not acceptable"
            raise ConfigurationError(msg, remedy="Use 1–64 of A–Z a–z 0–9 . _ : @ -, starting with a letter or digit")
        known = self._sources.get(source.name)
        if known is not None and not known.replaceable:
            msg = f"There are two webhook sources called {source.name!r}"
            raise ConfigurationError(msg, remedy="Give one of them another name, or all secrets to one")
        self._sources[source.name] = Registration(source, tenant or self._tenant, replaceable)
        return source

    def webhook(
        self,
        source: str,
        event_type: str = "*",
        *,
        name: str = "",
        timeout: float = TIMEOUT_SECONDS,
        max_attempts: int = MAX_ATTEMPTS,
        backoff: Backoff | None = None,
    ) -> Callable[[F], F]:
        """Make a decorator that registers a handler.

        Args:
            source: name of the source, or ``"*"``.
            event_type: type of the events, ``"prefix.*"`` or ``"*"``.
            name: unique name; default: module and function.
            timeout: longest it may take, seconds.
            max_attempts: attempts before the event is given up.
            backoff: waits between the attempts.

        Raises:
            ConfigurationError: no source is named, as by ``@custodes.webhook`` without parentheses; when applied: an
                argument cannot be, or the name is taken.
        """
        check_names(source, event_type)

        def register(function: F) -> F:
            self.handlers.add(
                Handler(
                    name or name_of(function), function, source, event_type, timeout, max_attempts, backoff or Backoff()
                )
            )
            return function

        return register

    async def list_handlers(self) -> Sequence[Offer]:
        """List the handlers of all processes of the install that have been there in the last ten minutes."""
        now = self._clock.now()
        return await self._store.read(lambda tx: self.roster.there(tx, now))

    # ── In ───────────────────────────────────────────────────────────────────

    def receive(
        self, registration: Registration, request: WebhookRequest, *, trace_id: str, client_ip: str, event_id: str = ""
    ) -> Awaitable[Receipt]:
        """Take a delivery in; see :meth:`custodes.planes.inbound.receiver.Receiver.receive`."""
        return self._receiver.receive(registration, request, trace_id=trace_id, client_ip=client_ip, event_id=event_id)

    def admit(
        self, registration: Registration, verified: Verified, request: WebhookRequest, *, trace_id: str
    ) -> Awaitable[Receipt]:
        """Take in what was fetched from its origin; see :meth:`custodes.planes.inbound.receiver.Receiver.admit`."""
        return self._receiver.admit(registration, verified, request, trace_id=trace_id)

    def refuse(
        self,
        registration: Registration,
        request: WebhookRequest,
        error: CustodesError,
        *,
        trace_id: str,
        client_ip: str,
    ) -> None:
        """Note a delivery that was refused before its signature was looked at (too large, too slow)."""
        self._receiver.refuse(registration, request, error, trace_id=trace_id, client_ip=client_ip)

    def turn_away(
        self, registration: Registration, raw: Sequence[tuple[bytes, bytes]], *, trace_id: str, client_ip: str
    ) -> None:
        """Note a delivery that the rate limiter refused (reason ``over-limit``); nothing is written now."""
        self._receiver.turn_away(registration, raw, trace_id=trace_id, client_ip=client_ip)

    async def get_webhook_analytics(
        self,
        *,
        since: int | None = None,
        until: int | None = None,
        tenant: str | None = None,
        source: str | Sequence[str] | None = None,
        event_type: str | Sequence[str] | None = None,
        beside: int | None = None,
    ) -> WebhookAnalytics:
        """Return volume, success, processing times, errors and refusals, by source, type and time.

        Args:
            since: begin, microseconds since the epoch; default: a day before ``until``. Widened to a whole minute, or
                to what is still kept as far back: an hour or a day.
            until: end; default: now.
            tenant: only this tenant's.
            source: only of this source, or of these.
            event_type: only of this type, or of these; refused deliveries have none and are left out then.
            beside: begin of a range as long that is drawn in the same chart: stretches are as long as both can have.

        Raises:
            InvalidInput: the range is empty.
        """
        now = self._clock.now()
        begin, end = range_of(since, until, now)
        steps = steps_for(begin, end, now, beside)
        only = Only.of(source, event_type)
        await self._recorder.flush_if_possible()

        until = steps.counted_until(end, now)

        def work(tx: Transaction) -> WebhookAnalytics:
            told = self._figures.overview(tx, tenant, steps, until, MAX_ERROR_GROUPS, only)
            return analytics.analyse(told, steps=steps, until=until, only=only)

        return await self._store.read(work)

    async def get_health_status(self, *, tenant: str | None = None) -> SystemHealth:
        """Judge the health of the webhooks by the last quarter of an hour and by what waits."""
        now = self._clock.now()
        await self._recorder.flush_if_possible()

        def work(tx: Transaction) -> SystemHealth:
            recent = self._recent(tx, tenant, now - analytics.HEALTH_RANGE, now)
            last_hour = analytics.total_of(self._recent(tx, tenant, now - analytics.DEAD_RANGE, now).items())
            refused = self._figures.refused(tx, tenant, now - analytics.HEALTH_RANGE, now + 1)
            return analytics.assess(
                recent,
                analytics.count(refused, lambda row: row.source),
                last_hour.dead,
                self._jobs.backlog(tx, JOB_KIND, now, tenant),
                self._figures.states(tx, tenant),
                now=now,
                alive=self.worker.alive,
                # Of the process, and so of all tenants.
                own={
                    "unhandled": float(self._recorder.unhandled),
                    "lost_threads": float(self._processor.threads.lost),
                }
                if tenant is None
                else None,
                thresholds=self._thresholds,
            )

        return await self._store.read(work)

    def _recent(self, tx: Transaction, tenant: str | None, since: int, now: int) -> dict[str, Figures]:
        rows = self._figures.figures(tx, tenant, Level.MINUTE, since, now + 1)
        return analytics.fold(rows, lambda series: series.source)

    # ── Again, and away ──────────────────────────────────────────────────────

    async def replay_event(self, event_id: str, *, tenant: str | None = None, also: Work = nothing) -> EventRecord:
        """Have an event handled again by all handlers; see :class:`custodes.planes.inbound.replay.Replays`.

        Raises:
            NotFound: no such event, or not this tenant's.
            Conflict: a worker is at it right now.
        """
        record = await self._replays.one(event_id, tenant=tenant, also=also)
        self.worker.brought()
        return record

    async def replay_events(
        self,
        wanted: EventFilter,
        *,
        limit: int = 100,
        cursor: str | None = None,
        dry_run: bool = False,
        also: Callable[[Replayed], Work] = untold,
    ) -> Replayed:
        """Have a selection of events handled again, or only say which; go on with the cursor of the answer.

        Args:
            wanted: which events; give ``until``, so that what comes meanwhile is not among them.
            limit: events of this call at most, 1 to 1000.
            cursor: ``next_cursor`` of the call before: an interrupted replay goes on from there.
            dry_run: only say which, and how many the whole selection has.
            also: told what was replayed; its work (an audit entry) commits with the replay, or both do not.

        Raises:
            InvalidInput: the limit or the cursor is not acceptable.
        """
        replayed = await self._replays.many(wanted, limit=limit, cursor=cursor, dry_run=dry_run, also=also)
        if not dry_run:
            self.worker.brought()
        return replayed

    # ── Retention ────────────────────────────────────────────────────────────

    async def purge(self, before: int, limit: int) -> int:
        """Delete finished events received before a moment, with payloads and attempts; returns how many.

        Args:
            before: microseconds since the epoch.
            limit: events at most; call again while it returns as many.
        """
        return await self._store.write(lambda tx: self._events.purge(tx, before, limit))

    async def count_purgeable(self, before: int) -> int:
        """Count what :meth:`purge` would delete in the end."""
        return await self._store.read(lambda tx: self._events.count_purgeable(tx, before))

    async def purge_figures(self, level: Level, before: int, limit: int) -> int:
        """Delete figures of a level from before a moment, at most ``limit`` rows; returns how many.

        How long each level is meant to be kept: :data:`custodes.kernel.stretches.KEPT`.
        """
        return await self._store.write(lambda tx: self._figures.purge_figures(tx, level, before, limit))

    async def count_purgeable_figures(self, level: Level, before: int) -> int:
        """Count what :meth:`purge_figures` would delete in the end."""
        return await self._store.read(lambda tx: self._figures.count_purgeable_figures(tx, level, before))
