"""The metrics service: record from anywhere, keep as time series, ask for any range."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple, TypeVar

from custodes.errors import CustodesError, InvalidInput, StorageUnavailable
from custodes.kernel.clock import HOUR, SECOND, Clock
from custodes.kernel.health import Health, SystemHealth, Threshold, judge
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.kernel.tenant import DEFAULT_TENANT, check_tenant
from custodes.planes.metrics.analytics import Flushes, Live, MetricReader, figure_of
from custodes.planes.metrics.catalogue import Catalogue
from custodes.planes.metrics.collector import Collector, LagMeter
from custodes.planes.metrics.fold import Cells, Fold, samples_of
from custodes.planes.metrics.health import AS_NUMBER, HealthMonitor
from custodes.planes.metrics.health_record import HEALTH, HealthRecord
from custodes.planes.metrics.model import (
    LEVELS,
    Aggregation,
    Answer,
    Kind,
    Labels,
    Level,
    MetricInfo,
    Query,
    Ranked,
    Series,
)
from custodes.planes.metrics.ports import MetricStore
from custodes.planes.metrics.probes import Probe, Reading
from custodes.planes.metrics.registry import Registry
from custodes.planes.metrics.takeout import Takeout
from custodes.runtime.completion import to_the_end
from custodes.runtime.log import get_logger
from custodes.runtime.scheduler import Scheduler

#: Between two flushes, collections and folds, seconds: the width of the finest bucket.
INTERVAL_SECONDS = LEVELS[0].width / SECOND

#: How long a bucket of the next level stays open for rows that come late, microseconds: three flushes.
GRACE = 3 * LEVELS[0].width

#: Rows folded or purged in one transaction: holds the writer for some 25 ms.
BATCH = 1_000

#: Batches of one run of the fold, at most; the next run goes on.
MAX_BATCHES = 100

#: Largest size of a value: beyond it sums lose their last digits.
MAX_VALUE = 1e15

#: Different warnings about refused measurements that are logged; all are counted.
MAX_WARNINGS = 100

#: What makes the metrics plane itself degraded or unhealthy.
THRESHOLDS = (
    Threshold(
        "flush_age_seconds",
        6 * INTERVAL_SECONDS,
        30 * INTERVAL_SECONDS,
        unit=" s",
        says="Metrics were last written {} ago",
    ),
    Threshold("waiting_samples", 10_000, 19_000, says="Measurements that wait to be written: {}"),
)

_log = get_logger("custodes.metrics")

F = TypeVar("F", bound=Callable[..., object])


class Batch(NamedTuple):
    """What is written at once."""

    #: Its name, unique.
    id: str
    #: Cells by bucket.
    cells: dict[int, Cells]


class SystemMetrics:
    """Records custom and system metrics and answers questions about them (S6).

    :meth:`count`, :meth:`gauge` and :meth:`observe` may be called from any thread and from any code: they cost a
    few microseconds, do no I/O and never raise. What they refuse (a wrong name, a second kind for a name, a value
    that is not a number) is counted in :attr:`refused` and logged once.

    Args:
        store: where samples are kept.
        clock: source of time.
        new_id: makes unique names of batches.
        scheduler: runs flush and collection on every process and the fold on the leader.
        health: whose states and figures become time series: ``custodes.health`` {system} (0 healthy, 1 degraded,
            2 unhealthy), ``custodes.health.figure`` {system, figure} and, of those that are not well,
            ``custodes.health.unwell`` {system, figure}.
        tenant: tenant of what names none.
        probes: system figures to collect (:class:`~custodes.planes.metrics.probes.MachineProbe`).
        labels: labels of system figures, such as the host.
        thresholds: when this plane itself is degraded or unhealthy.
    """

    def __init__(
        self,
        store: MetricStore,
        clock: Clock,
        new_id: Callable[[], str],
        *,
        scheduler: Scheduler | None = None,
        health: HealthMonitor | None = None,
        tenant: str = DEFAULT_TENANT,
        probes: Sequence[Probe] = (),
        labels: Mapping[str, str] | None = None,
        thresholds: Sequence[Threshold] = THRESHOLDS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._health = health
        self._health_record = None if health is None else HealthRecord(health, self.gauge, self._greatest)
        self._tenant = tenant
        self._labels = dict(labels or {})
        self._thresholds = thresholds
        self._fold = Fold(clock)
        #: What was handed to the store, until it is known that it was kept.
        self._unwritten: Batch | None = None
        self._registry = Registry()
        self._collector = Collector(probes)
        self._collector.add(self._own_figures)
        self._lag = LagMeter(clock)
        self._flushes = Flushes()
        self._flushed_at = clock.monotonic()
        self._forgot_at = clock.monotonic()
        self._warned: set[tuple[str, str]] = set()
        self._reader = MetricReader(store, clock, self._live, self._flushes)
        #: All that is kept, for analysis elsewhere.
        self.takeout = Takeout(store, clock)
        #: Which metrics there are, each at a glance.
        self.catalogue = Catalogue(store, self._reader)
        #: Measurements that were refused.
        self.refused = 0
        #: Flushes that failed; what they held was kept for the next.
        self.flush_failures = 0
        if scheduler is not None:
            scheduler.every(INTERVAL_SECONDS, "metrics.collect", self.collect, leader_only=False)
            scheduler.every(INTERVAL_SECONDS, "metrics.health", self.record_health, leader_only=False)
            scheduler.every(INTERVAL_SECONDS, "metrics.flush", self.flush, leader_only=False)
            scheduler.every(INTERVAL_SECONDS, "metrics.fold", self.fold)

    # ── Recording ────────────────────────────────────────────────────────────

    def count(
        self, name: str, amount: float = 1, *, labels: Mapping[str, object] | None = None, tenant: str | None = None
    ) -> None:
        """Add to a counter: something happened ``amount`` times (≥ 0)."""
        self._record(Kind.COUNTER, name, amount, labels, tenant)

    def gauge(
        self, name: str, value: float, *, labels: Mapping[str, object] | None = None, tenant: str | None = None
    ) -> None:
        """Note the present level of something."""
        self._record(Kind.GAUGE, name, value, labels, tenant)

    def observe(
        self, name: str, value: float, *, labels: Mapping[str, object] | None = None, tenant: str | None = None
    ) -> None:
        """Add a value (≥ 0) to a distribution, percentiles of which are right from 0.000001 to 1 099 511."""
        self._record(Kind.HISTOGRAM, name, value, labels, tenant)

    @contextmanager
    def timer(
        self, name: str, *, labels: Mapping[str, object] | None = None, tenant: str | None = None
    ) -> Generator[None]:
        """Observe how many seconds the block takes, also when it raises."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self.observe(name, (self._clock.monotonic() - began) / SECOND, labels=labels, tenant=tenant)

    def timed(self, name: str, *, labels: Mapping[str, object] | None = None) -> Callable[[F], F]:
        """Decorate a function, sync or async, to observe how many seconds each call takes."""

        def decorate(function: F) -> F:
            if inspect.iscoroutinefunction(function):

                @functools.wraps(function)
                async def timed_async(*args: object, **kwargs: object) -> object:
                    with self.timer(name, labels=labels):
                        return await function(*args, **kwargs)

                return timed_async  # pyright: ignore[reportReturnType]

            @functools.wraps(function)
            def timed_sync(*args: object, **kwargs: object) -> object:
                with self.timer(name, labels=labels):
                    return function(*args, **kwargs)

            return timed_sync  # pyright: ignore[reportReturnType]

        return decorate

    def record(
        self, kind: Kind, name: str, value: float, labels: Mapping[str, object] | None = None, tenant: str | None = None
    ) -> None:
        """Record one measurement that comes from outside.

        Raises:
            InvalidInput: the name, a label, the tenant or the value is not acceptable.
        """
        _check_value(kind, value)
        if tenant is not None:
            check_tenant(tenant)
        self._fold.add(self._registry.find(tenant or self._tenant, name, kind, labels), value)

    def _record(
        self, kind: Kind, name: str, value: float, labels: Mapping[str, object] | None, tenant: str | None
    ) -> None:
        try:
            self.record(kind, name, value, labels, tenant)
        except Exception as error:  # noqa: BLE001 - the observer never harms the observed
            self.refused += 1
            self._warn(str(name)[:100], error)

    def _warn(self, name: str, error: Exception) -> None:
        message = error.message if isinstance(error, CustodesError) else type(error).__name__
        if (name, message) not in self._warned and len(self._warned) < MAX_WARNINGS:
            self._warned.add((name, message))
            _log.warning("measurement_refused", metric=name, reason=message)

    # ── Background ───────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Begin to measure the event loop; idempotent. The scheduler does the rest."""
        await self._lag.start()
        if self._health_record is not None:
            await self._health_record.learn()

    async def stop(self) -> None:
        """Write what is in memory; idempotent. A store that does not take it is logged, never raised."""
        await self._lag.stop()
        try:
            await self.flush()
        except StorageUnavailable as error:
            _log.warning("last_flush_failed", error=str(error))

    def watch(self, probe: Probe) -> None:
        """Ask one more probe for figures at every collection."""
        self._collector.add(probe)

    async def collect(self) -> None:
        """Record the figures of all probes and how late the event loop was."""
        self.gauge("process.event_loop.lag", self._lag.take(), labels=self._labels)
        for reading in await self._collector.collect():
            self._record(reading.kind, reading.name, reading.value, {**self._labels, **dict(reading.labels)}, None)

    async def record_health(self) -> None:
        """Record the state and the figures of every system."""
        if self._health_record is not None:
            await self._health_record.write()

    async def _greatest(self, name: str, window: int, by: tuple[str, ...]) -> list[tuple[Labels, float]]:
        return await self.latest(name, "max", window, by=by, tenant=self._tenant)

    async def flush(self) -> None:
        """Write what was folded in memory as one batch.

        Raises:
            StorageUnavailable: nothing was written, or nobody knows; it is kept for the next flush.
        """
        await to_the_end(self._flush())

    async def _flush(self) -> None:
        async with self._flushes:
            try:
                if self._unwritten is not None:
                    await self._append(self._unwritten)
                self._unwritten = Batch(self._new_id(), self._fold.take())
                await self._append(self._unwritten)
            except BaseException:
                self.flush_failures += 1
                raise
            self._flushed_at = self._clock.monotonic()
        self._forget()

    async def _append(self, batch: Batch) -> None:
        """Write a batch: the same rows under the same name, until it is known that they were kept."""
        await self._store.append(samples_of(batch.cells), batch.id, self._clock.now())
        self._unwritten = None
        self._registry.mark_used(key for cells in batch.cells.values() for key in cells)

    def _live(self) -> Live:
        batch = self._unwritten
        if batch is None:
            return Live(self._fold.samples())
        return Live([*samples_of(batch.cells), *self._fold.samples()], batch.id)

    def _waiting(self) -> float:
        batch = self._unwritten
        return float(len(self._fold) + (0 if batch is None else sum(map(len, batch.cells.values()))))

    def _forget(self) -> None:
        now = self._clock.monotonic()
        if now - self._forgot_at >= HOUR:
            self._forgot_at = now
            self._registry.forget_unused()

    async def fold(self) -> int:
        """Merge finished buckets into the coarser levels; returns how many rows. For the leader."""
        folded = 0
        for level, into in pairwise(LEVELS):
            closed = self._clock.now() - GRACE
            before = closed - closed % into.width
            for _ in range(MAX_BATCHES):
                done = await self._store.fold(level, into, before, BATCH, self._new_id())
                folded += done
                if not done:
                    break
        return folded

    async def purge(self, level: Level, before: int, limit: int = BATCH) -> int:
        """Delete rows of a level that began before a moment; what no coarser level holds yet stays.

        Returns:
            How many rows were deleted, about ``limit`` at most; call again while it is not 0.
        """
        return await self._store.purge(level, before, limit)

    async def count_purgeable(self, level: Level, before: int) -> int:
        """Count what :meth:`purge` would delete in the end."""
        return await self._store.count_purgeable(level, before)

    async def purge_series(self, before: int, limit: int = BATCH) -> int:
        """Forget series that were last written before a moment, at most ``limit``; returns how many."""
        return await self._store.purge_series(before, limit)

    async def count_purgeable_series(self, before: int) -> int:
        """Count what :meth:`purge_series` would forget in the end."""
        return await self._store.count_purgeable_series(before)

    # ── Asking ───────────────────────────────────────────────────────────────

    async def query(self, query: Query) -> Answer:
        """Answer a query about one metric over a range; what this process has not flushed yet is included.

        Raises:
            InvalidInput: the query makes no sense or asks for too much.
        """
        return await self._reader.answer(query)

    async def top(self, query: Query, label: str, limit: int = 10) -> list[Ranked]:
        """Rank the values of a label over the range of a query, greatest first.

        Raises:
            InvalidInput: the query makes no sense or asks for too much.
        """
        totals = await self._reader.totals(replace(query, by=(label,)))
        ranked = [Ranked(dict(labels).get(label, ""), figure) for labels, figure in totals]
        return sorted(ranked, key=lambda one: (-one.figure, one.value))[:limit]

    async def latest(
        self,
        name: str,
        aggregation: str,
        window: int,
        *,
        labels: Mapping[str, str] | None = None,
        by: Sequence[str] | None = None,
        tenant: str | None = None,
    ) -> list[tuple[Labels, float]]:
        """Return one figure a line over the last ``window`` microseconds: what alert rules look at.

        Raises:
            InvalidInput: the question makes no sense or asks for too much.
        """
        now = self._clock.now()
        return await self._reader.totals(Query(name, aggregation, now - window, now + 1, 0, labels, by, tenant))

    async def lack(self, name: str, *, labels: Mapping[str, str] | None = None, tenant: str | None = None) -> str:
        """Say what was never recorded, a metric or a series of it with these labels; empty when both were."""
        return await self._reader.lack(Query(name, Aggregation.COUNT, 0, 1, 0, labels, None, tenant))

    def check_aggregation(self, aggregation: str) -> None:
        """Make sure that there is an aggregation.

        Raises:
            InvalidInput: there is not.
        """
        figure_of(aggregation)

    async def meaning(self, name: str, labels: Labels, value: float) -> str:
        """Say in a sentence what a figure means; empty when it says so itself."""
        system = dict(labels).get("system", "")
        if name != HEALTH or self._health is None or not system:
            return ""
        states = [state for state, number in AS_NUMBER.items() if number <= value]
        return await self._health.tell(system, states[-1] if states else Health.HEALTHY)

    async def list_metrics(
        self, *, tenant: str | None = None, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[MetricInfo]:
        """List the metrics that exist, by tenant and name; a new one shows after its first flush.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        return await self.catalogue.list(tenant=tenant, limit=limit, cursor=cursor)

    async def list_series(self, name: str, *, tenant: str | None = None, limit: int = DEFAULT_LIMIT) -> list[Series]:
        """List the series known under a name."""
        return await self._store.list_series(tenant, name, limit)

    async def get_health_status(self) -> SystemHealth:
        """Tell whether measurements reach the store."""
        figures = {
            "flush_age_seconds": (self._clock.monotonic() - self._flushed_at) / SECOND,
            "waiting_samples": self._waiting(),
            "flush_failures": float(self.flush_failures),
            "series": float(len(self._registry)),
            "refused": float(self.refused),
            "overflowed": float(self._registry.overflowed),
            "probe_failures": float(self._collector.failures),
        }
        return judge("metrics", figures, self._thresholds)

    def _own_figures(self) -> Sequence[Reading]:
        return [
            Reading("custodes.metrics.series", float(len(self._registry))),
            Reading("custodes.metrics.waiting", self._waiting()),
            Reading("custodes.metrics.refused", float(self.refused), Kind.COUNTER),
            Reading("custodes.metrics.overflowed", float(self._registry.overflowed), Kind.COUNTER),
            Reading("custodes.metrics.flush_failures", float(self.flush_failures), Kind.COUNTER),
            Reading("custodes.metrics.probe_failures", float(self._collector.failures), Kind.COUNTER),
        ]


def _check_value(kind: Kind, value: float) -> None:
    if not isinstance(value, int | float) or not -MAX_VALUE <= value <= MAX_VALUE:  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = "The value is not a number that can be kept"
        raise InvalidInput(msg, remedy=f"Record a finite number from -{MAX_VALUE:g} to {MAX_VALUE:g}")
    if value < 0 and kind is not Kind.GAUGE:
        msg = f"A {kind} cannot take {value:g}"
        raise InvalidInput(msg, remedy="Record what goes down with gauge")
