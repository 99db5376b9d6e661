"""The recorder: counts what happens to webhooks, and writes the counts now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from custodes.errors import CustodesError
from custodes.kernel.clock import MINUTE, Clock
from custodes.kernel.ids import RandomBits
from custodes.kernel.signals import ActivitySignal, FailureSignal
from custodes.planes.inbound.figures import RefusalTally, Tally
from custodes.planes.inbound.model import Arrival, EventRecord, Refusal, Status
from custodes.planes.inbound.ports import FigureStore
from custodes.planes.inbound.processor import Conclusion
from custodes.planes.inbound.rotation import Rotation
from custodes.planes.inbound.sources.base import Source
from custodes.planes.inbound.watch import Watch, Windows
from custodes.runtime.bus import Bus
from custodes.runtime.log import get_logger
from custodes.runtime.process import Named
from custodes.runtime.transactions import Store, Transaction

#: Refused deliveries of one source and reason that are kept as samples in one stretch of time.
SAMPLES = 3

#: Samples that wait to be written, at most.
MAX_SAMPLES = 300

#: Failed attempts of one source within a minute that are a failure burst.
FAILURE_BURST = 20

#: Sources and types without a handler that are named in the log, each once a process.
MAX_UNHANDLED = 300

#: What failures are called where people read them.
_TITLES = {"webhook.dead_lettered": "A webhook was given up", "webhook.failing": "Webhooks fail one after another"}

_log = get_logger("custodes.inbound")


class Recorder:
    """Counts in memory, in bounded space, and tells the watch and the bus.

    Args:
        store: runs units of work.
        figures: where counts and samples are kept.
        watch: what is told to security people.
        rotation: which secrets sign; written along with the counts.
        bus: where failures are told.
        clock: source of time.
        random_bits: source of randomness for the ids of samples.
        writer: what this process is called among those that count.
        enabled: False: nothing is counted and nobody is told; events are kept and handled all the same.
    """

    def __init__(
        self,
        *,
        store: Store,
        figures: FigureStore,
        watch: Watch,
        rotation: Rotation,
        bus: Bus,
        clock: Clock,
        random_bits: RandomBits,
        writer: Named,
        enabled: bool = True,
    ) -> None:
        self._store = store
        self._figures = figures
        self._watch = watch
        self._rotation = rotation
        self._bus = bus
        self._clock = clock
        self._random_bits = random_bits
        self._writer = writer
        self._enabled = enabled
        self._tally = Tally()
        self._refusals = RefusalTally()
        self._samples: list[Refusal] = []
        self._bursts = Windows(MINUTE)
        self._flushing = asyncio.Lock()
        self._unhandled: set[tuple[str, str]] = set()
        #: Events that this process was done with because no process had a handler for them.
        self.unhandled = 0
        #: Samples of refused deliveries that found no room; all refusals are counted.
        self.shed_samples = 0

    # ── At the door ──────────────────────────────────────────────────────────

    def accepted(self, source: Source, arrival: Arrival, kept_as: str) -> None:
        """An event was kept, or had been kept before under another id."""
        if not self._enabled:
            return
        if kept_as == arrival.id:
            self._tally.received(arrival.tenant, arrival.source, arrival.event_type, arrival.received_at)
            self._watch.accepted(source, arrival)
            if self._bus.heard(ActivitySignal):
                self._show(arrival.tenant, arrival.trace_id, arrival.id, "received", arrival.source, arrival.event_type)
        else:
            self._tally.duplicate(arrival.tenant, arrival.source, arrival.event_type, arrival.received_at)
            self._watch.repeated(arrival, kept_as)

    def greeted(self, tenant: str, source: str, *, ip: str, trace_id: str, now: int) -> None:
        """A handshake was signed as it should be; it is no event, and not counted as one."""
        if self._enabled:
            self._watch.greeted(tenant, source, ip=ip, trace_id=trace_id, now=now)

    def refused(self, sample: Refusal) -> None:
        """A delivery was refused: it is counted, and kept if there are few of its kind."""
        if not self._enabled:
            return
        self._note(sample.tenant, sample.source, sample.reason, sample.received_at, lambda: sample)
        self._watch.refused(
            sample.tenant,
            sample.source,
            sample.reason,
            ip=sample.client_ip,
            trace_id=sample.trace_id,
            now=sample.received_at,
        )

    def turned_away(self, tenant: str, source: str, reason: str, now: int, sample: Callable[[], Refusal]) -> None:
        """A delivery was not even looked at: it is counted like a refused one; who floods us is the limiter's to tell.

        Args:
            tenant: whose webhooks these are.
            source: name of the source.
            reason: why, in a word.
            now: microseconds since the epoch.
            sample: makes the sample; asked for the few that are kept, since a flood comes this way.
        """
        if self._enabled:
            self._note(tenant, source, reason, now, sample)

    def _note(self, tenant: str, source: str, reason: str, now: int, sample: Callable[[], Refusal]) -> None:
        if self._refusals.refused(tenant, source, reason, now) > SAMPLES:
            return
        if len(self._samples) >= MAX_SAMPLES:
            self.shed_samples += 1
        else:
            self._samples.append(sample())

    # ── At work ──────────────────────────────────────────────────────────────

    def concluded(self, conclusion: Conclusion) -> None:
        """An attempt at an event has ended and is written."""
        event = conclusion.event
        self._count(
            event.tenant, event.source, event.type, conclusion.status, conclusion.processing_us,
            unhandled=conclusion.unhandled,
        )  # fmt: skip
        if conclusion.unhandled:
            self._note_unhandled(event.source, event.type)
        if conclusion.status in (Status.FAILED, Status.DEAD):
            self._tell_failure(conclusion)
        if self._bus.heard(ActivitySignal):
            failed = conclusion.status in (Status.FAILED, Status.DEAD)
            self._show(
                event.tenant, event.trace_id, event.id, conclusion.status.value, event.source, event.type, failed=failed
            )

    def _note_unhandled(self, source: str, event_type: str) -> None:
        self.unhandled += 1
        if (source, event_type) not in self._unhandled and len(self._unhandled) < MAX_UNHANDLED:
            self._unhandled.add((source, event_type))
            _log.warning("no_handler", source=source, event_type=event_type, kept="without being handled")

    def logged(self, record: EventRecord) -> None:
        """The host has logged an event of its own."""
        if self._enabled:
            self._tally.received(record.tenant, record.source, record.event_type, record.received_at)
            self._count(record.tenant, record.source, record.event_type, record.status, record.processing_us)

    def updated(self, record: EventRecord) -> None:
        """The host has said where an event is on its way."""
        self._count(record.tenant, record.source, record.event_type, record.status, record.processing_us)

    def _show(
        self, tenant: str, trace_id: str, event: str, what: str, source: str, event_type: str, *, failed: bool = False
    ) -> None:
        self._bus.emit(
            ActivitySignal(
                at=self._clock.now(),
                tenant=tenant,
                trace_id=trace_id,
                plane="inbound",
                kind=f"webhook.{what}",
                title=f"{source} {event_type}",
                outcome="failure" if failed else "success",
                reference=f"webhook_event:{event}",
            )
        )

    def _count(
        self,
        tenant: str,
        source: str,
        event_type: str,
        status: Status,
        processing_us: int | None,
        *,
        unhandled: bool = False,
    ) -> None:
        if not self._enabled:
            return
        now = self._clock.now()
        if status is Status.SUCCEEDED:
            self._tally.succeeded(tenant, source, event_type, now, processing_us, unhandled=unhandled)
        elif status in (Status.FAILED, Status.DEAD):
            self._tally.failed(tenant, source, event_type, now, processing_us, dead=status is Status.DEAD)

    def _tell_failure(self, conclusion: Conclusion) -> None:
        event, now = conclusion.event, self._clock.now()
        if conclusion.status is Status.DEAD:
            text = f"{event.source} event {event.type or event.id} was given up after {event.attempt} attempts"
            self._fail("webhook.dead_lettered", text, conclusion)
        if self._bursts.count((event.tenant, event.source), now) == FAILURE_BURST:
            text = f"{FAILURE_BURST} attempts at events of {event.source} failed within a minute"
            self._fail("webhook.failing", text, conclusion)

    def _fail(self, name: str, text: str, conclusion: Conclusion) -> None:
        event = conclusion.event
        self._bus.emit(
            FailureSignal(
                at=self._clock.now(),
                tenant=event.tenant,
                trace_id=event.trace_id,
                system="webhooks",
                name=name,
                about=(("source", event.source),),
                title=_TITLES[name],
                summary=text,
                context={
                    "source": event.source,
                    "event_type": event.type,
                    "event": event.id,
                    "error": (conclusion.error or "")[:200],
                },
            )
        )

    # ── To the store ─────────────────────────────────────────────────────────

    async def flush(self) -> None:
        """Write what has been counted since the last time; what cannot be written is kept for the next.

        Raises:
            StorageUnavailable: nothing was written.
        """
        async with self._flushing:
            self._watch.sum_up()
            signed = await self._rotation.changed()
            figures, refused = self._tally.changed(), self._refusals.changed()
            samples, self._samples = self._samples, []
            if not (figures or refused or samples or signed):
                return

            def work(tx: Transaction) -> None:
                writer = self._writer()
                for counted in figures:
                    self._figures.put_figures(tx, counted.writer(writer), counted.rows)
                for counted in refused:
                    self._figures.put_refusals(tx, counted.writer(writer), counted.rows, ())
                self._figures.put_refusals(tx, writer, (), samples)
                self._rotation.put(tx, signed)

            try:
                await self._store.write(work, durable=False)
            except BaseException:
                self._tally.unwritten(figures)
                self._refusals.unwritten(refused)
                self._samples = [*samples, *self._samples][:MAX_SAMPLES]
                self._rotation.unwritten(signed)
                raise

    async def flush_if_possible(self) -> None:
        """Write, for a reader who would rather see somewhat older figures than none."""
        try:
            await self.flush()
        except CustodesError as error:
            _log.warning("figures_not_written", error=str(error))
