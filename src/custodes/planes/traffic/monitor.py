"""The API monitor: what a host app and the admin API ask of the traffic plane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar, overload

from custodes.errors import InvalidInput, NotFound
from custodes.kernel.clock import Clock
from custodes.kernel.health import SystemHealth, Threshold
from custodes.kernel.ids import RandomBits
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.kernel.redact import storable
from custodes.kernel.tenant import DEFAULT_TENANT, check_tenant
from custodes.kernel.time_range import range_of
from custodes.planes.traffic.analytics import (
    MAX_SHOWN,
    SHOWN_CONSUMERS,
    SHOWN_ENDPOINTS,
    Analytics,
    ApiAnalytics,
    EndpointStats,
)
from custodes.planes.traffic.error_groups import ErrorGroups
from custodes.planes.traffic.facets import CallFacets, count_facets
from custodes.planes.traffic.flusher import Flusher
from custodes.planes.traffic.folder import Folder
from custodes.planes.traffic.health import THRESHOLDS, OwnFigures, assess, own_figures
from custodes.planes.traffic.kept import Kept
from custodes.planes.traffic.latency import Latency, Measure
from custodes.planes.traffic.measure import CallMeter
from custodes.planes.traffic.model import ApiCall, CallFilter, ErrorCourse, ErrorGroup, Exchange, GroupState, RawCall
from custodes.planes.traffic.overhead import Overhead
from custodes.planes.traffic.ports import TrafficStore
from custodes.planes.traffic.recorder import Recorder
from custodes.planes.traffic.report import MAX_ROUTE, CallReport, exchange_of
from custodes.planes.traffic.rollup import Keyspace
from custodes.planes.traffic.wrap import behind, is_measurable, wrap
from custodes.runtime.bus import Bus
from custodes.runtime.periodic import Periodic
from custodes.runtime.transactions import Work, nothing

F = TypeVar("F", bound=Callable[..., Any])

#: Seconds between two flushes.
FLUSH_SECONDS = 10.0

#: Longest that the last flush may take when the process ends, seconds.
LAST_FLUSH_SECONDS = 5.0


class ApiMonitor(Kept):
    """Watches API calls: every request by the middleware, single callables by :meth:`monitor`, others' by report.

    Args:
        store: where it is kept.
        clock: source of time.
        random_bits: source of randomness for ids.
        bus: where new kinds of errors are announced.
        is_leader: whether this process folds; one of several must.
        flush_seconds: time between two flushes.
        thresholds: when the API counts as degraded and unhealthy; for the figures of the usual ones.
        default_tenant: tenant of what names none.
        enabled: whether anything is recorded (``ENTERPRISE_MONITORING_ENABLED``); else all that records does nothing.
        recorder: the hot path, when its bounds shall be others than the usual.
    """

    def __init__(
        self,
        store: TrafficStore,
        *,
        clock: Clock,
        random_bits: RandomBits,
        bus: Bus,
        is_leader: Callable[[], bool] = lambda: True,
        flush_seconds: float = FLUSH_SECONDS,
        thresholds: Sequence[Threshold] = THRESHOLDS,
        default_tenant: str = DEFAULT_TENANT,
        enabled: bool = True,
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__(store)
        self._clock = clock
        self._thresholds = tuple(thresholds)
        self._default_tenant = default_tenant
        self._recorder = recorder or Recorder()
        self._flusher = Flusher(self._recorder, store, clock=clock, random_bits=random_bits, bus=bus)
        self._folder = Folder(store, clock=clock, random_bits=random_bits, is_leader=is_leader)
        self._analytics = Analytics(store, self._flusher, clock)
        self._errors = ErrorGroups(store, self._analytics, clock)
        self._flushing = Periodic("traffic-flush", flush_seconds, self._flush_and_fold)
        self._relief = Periodic("traffic-relief", flush_seconds, self._flusher.flush_calls)
        #: What passing the middleware costs a request, told by it.
        self.overhead = Overhead()
        #: Take one exchange in: synchronous, a few µs, from any thread; the middleware calls it for every request.
        self.record: Callable[[Exchange], None] = self._recorder.intake if enabled else _drop
        self._enabled = enabled

    # ── Life ─────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Begin to flush in the background; idempotent."""
        self._recorder.calls.on_pressure = self._relief.waker()
        await self._flushing.start()
        await self._relief.start()

    async def stop(self) -> None:
        """Stop, and write what was recorded so far, for a few seconds at most; idempotent."""
        self._recorder.calls.on_pressure = None
        await self._relief.stop()
        await self._flushing.stop()
        async with asyncio.timeout(LAST_FLUSH_SECONDS):
            await self.flush()

    async def flush(self) -> None:
        """Write everything that was recorded so far.

        Raises:
            StorageUnavailable: something could not be written; it is kept and tried again.
        """
        await self._flusher.flush()

    async def fold(self) -> int:
        """Fold complete buckets into coarser ones, when this process leads; returns how many rows were folded."""
        return await self._folder.fold()

    async def _flush_and_fold(self) -> None:
        await self.flush()
        await self.fold()

    # ── Recording ────────────────────────────────────────────────────────────

    @overload
    def monitor(self, target: F) -> F: ...

    @overload
    def monitor(self, target: str | None = None, *, tenant: str | None = None) -> Callable[[F], F]: ...

    def monitor(self, target: Any = None, *, tenant: str | None = None) -> Any:
        """Measure every call of a callable: a route of your app, a job, anything.

        It shows up beside the endpoints with the method ``CALL``; it is not counted as a request. Functions, coroutine
        functions and generators of both kinds are measured from begin to end and otherwise left as they are::

            @custodes.traffic.monitor
            async def charge(order: Order) -> Receipt: ...


            @custodes.traffic.monitor("nightly-report")
            def report() -> None: ...

        Args:
            target: the callable, or the name of the series (default: module and qualified name).
            tenant: whose calls they are.

        Raises:
            InvalidInput: the tenant is no tenant id, the name no text that can be kept.
        """
        whose = tenant or self._default_tenant
        check_tenant(whose)
        if is_measurable(target):
            return self._wrapped(target, None, whose)
        kept = isinstance(target, str) and len(target) <= MAX_ROUTE and storable(target) == target
        if target is not None and not kept:
            msg = f"What is monitored is given as a {type(target).__name__} that is neither a callable nor a name"
            raise InvalidInput(msg, remedy=f"Name it in at most {MAX_ROUTE} characters, without NUL")
        return partial(self._wrapped, name=target, whose=whose)

    def log_api_call(self, report: CallReport) -> None:
        """Take in a call that somebody else saw; written with the next flush, unless monitoring is switched off.

        Raises:
            InvalidInput: a field is out of bounds.
        """
        self.record(exchange_of(report, self._clock.now(), self._default_tenant))

    def watch(self, listener: Callable[[RawCall], object] | None) -> None:
        """Have calls shown to a listener when they are folded, or with :meth:`show`; None ends that.

        Args:
            listener: takes the fields of :data:`custodes.planes.traffic.model.CALL_FIELDS`; must not wait or raise.
        """
        self._recorder.watch = listener

    def show(self) -> None:
        """Show the listener of :meth:`watch` what has come since the last time."""
        self._recorder.fold()

    def _wrapped(self, target: Callable[..., Any], name: str | None, whose: str) -> Callable[..., Any]:
        if not self._enabled:
            return target
        meant = behind(target)
        series = name or f"{meant.__module__}.{getattr(meant, '__qualname__', type(meant).__qualname__)}"
        return wrap(target, lambda: CallMeter(series, whose, self._clock, self.record))

    # ── Analytics ────────────────────────────────────────────────────────────

    async def get_api_analytics(
        self,
        since: int | None = None,
        until: int | None = None,
        *,
        tenant: str | None = None,
        route: str | None = None,
        method: str | None = None,
        consumer: tuple[Keyspace, str] | None = None,
        step_seconds: int | None = None,
        beside: int | None = None,
        endpoints: int = SHOWN_ENDPOINTS,
        consumers: int = SHOWN_CONSUMERS,
    ) -> ApiAnalytics:
        """Tell what happened: totals, a time series, statuses, endpoints, consumers.

        Args:
            since: begin, microseconds since the epoch; a day before the end when None. Widened to a whole step.
            until: end, not included; now when None. Widened to a whole step.
            tenant: whose; None for everybody.
            route: only this route template.
            method: only this method.
            consumer: only this user, API key or address; its requests are counted, not timed, nor told by endpoint.
            step_seconds: width of a step, one of :data:`custodes.planes.traffic.ranges.STEPS`; by default what makes a
                readable chart. It grows when the answer would be too long or the data is kept in wider buckets only.
            beside: begin of a stretch as long that is drawn in the same chart: steps are as wide as both can have.
            endpoints: how many endpoints to list, those with most requests first.
            consumers: how many consumers of each kind to list, the heaviest first.

        Raises:
            InvalidInput: the stretch is empty, an argument is out of bounds, or both a consumer and an endpoint.
        """
        begin, end = range_of(since, until, self._clock.now())
        _within("endpoints", endpoints)
        _within("consumers", consumers)
        return await self._analytics.over(
            begin, end, tenant=tenant, route=route, method=method, consumer=consumer,
            step_seconds=step_seconds, beside=beside, endpoints=endpoints, consumers=consumers,
        )  # fmt: skip

    async def get_latency(
        self,
        since: int,
        until: int,
        measure: Measure = Measure.TOTAL,
        *,
        tenant: str | None = None,
        route: str | None = None,
        method: str | None = None,
        step_seconds: int | None = None,
        beside: int | None = None,
    ) -> Latency:
        """Tell how long requests took, step by step: their times as histograms, and the rows of a heat map.

        Args:
            since: begin, microseconds since the epoch; widened to a whole step.
            until: end, not included; widened to a whole step.
            measure: until the last byte, until the first, or what went on in the background after it.
            tenant: whose; None for everybody.
            route: only this route template.
            method: only this method.
            step_seconds: as in :meth:`get_api_analytics`.
            beside: as in :meth:`get_api_analytics`.

        Raises:
            InvalidInput: the stretch is empty, or the step is out of bounds.
        """
        return await self._analytics.latency(
            since, until, measure, tenant=tenant, route=route, method=method, step_seconds=step_seconds, beside=beside
        )

    async def get_slow_endpoints(
        self,
        since: int | None = None,
        until: int | None = None,
        *,
        tenant: str | None = None,
        limit: int = 10,
        min_count: int = 1,
        order_by: str = "p95",
    ) -> Sequence[EndpointStats]:
        """Find the slowest endpoints, or those with most errors, exactly: all are considered, whatever the limit.

        Args:
            since: begin, microseconds since the epoch; widened as in :meth:`get_api_analytics`.
            until: end, not included.
            tenant: whose; None for everybody.
            limit: how many.
            min_count: leave out endpoints with fewer requests.
            order_by: one of :data:`custodes.planes.traffic.ranking.ORDERS`.

        Raises:
            InvalidInput: the range is empty, or an argument is out of bounds.
        """
        begin, end = range_of(since, until, self._clock.now())
        _within("limit", limit)
        return await self._analytics.slowest(
            begin, end, tenant=tenant, limit=limit, min_count=min_count, order_by=order_by
        )

    # ── Single calls and errors ──────────────────────────────────────────────

    async def list_calls(
        self,
        where: CallFilter | None = None,
        *,
        tenant: str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[ApiCall]:
        """List single calls, newest first; they show up with the flush after them.

        Raises:
            InvalidInput: the cursor is not one of ours, or the limit is out of bounds.
        """
        _within("limit", limit)
        return await self._store.calls(where or CallFilter(), tenant=tenant, limit=limit, cursor=cursor)

    async def count_calls(self, where: CallFilter | None = None, *, tenant: str | None = None) -> CallFacets:
        """Count single calls by class of status, method and route, each with the other filters in force."""
        return await count_facets(self._store, where or CallFilter(), tenant=tenant)

    async def get_call(self, identifier: str, *, tenant: str | None = None) -> ApiCall:
        """Find one call.

        Raises:
            NotFound: there is none of this id, or it is another tenant's.
        """
        found = await self._store.call(identifier, tenant=tenant)
        if found is None:
            msg = "No such API call"
            raise NotFound(msg, remedy="It may be another tenant's, or older than single calls are kept")
        return found

    async def list_error_groups(
        self,
        *,
        tenant: str | None = None,
        state: GroupState | None = None,
        since: int | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[ErrorGroup]:
        """List kinds of errors, the latest occurrence first.

        Args:
            tenant: whose; None for everybody.
            state: only open or only resolved ones.
            since: only those that occurred since, and how often since then; default: as far back as is known.
            limit: rows at most.
            cursor: where to go on.

        Raises:
            InvalidInput: the cursor is not one of ours, or the limit is out of bounds.
        """
        _within("limit", limit)
        return await self._errors.page(tenant=tenant, state=state, since=since, limit=limit, cursor=cursor)

    async def get_error_group(self, identifier: str, *, tenant: str | None = None) -> ErrorGroup:
        """Find one kind of error, with all the occurrences that are known.

        Raises:
            NotFound: there is none of this id, or it is another tenant's.
        """
        return await self._errors.get(identifier, tenant=tenant)

    async def get_error_group_of(self, call: ApiCall) -> ErrorGroup:
        """Find the kind of error that was raised in a call.

        Raises:
            NotFound: none was, or it has not occurred for so long that it is not kept any more.
        """
        return await self._errors.of_call(call)

    async def get_error_course(
        self, identifier: str, since: int, until: int, *, tenant: str | None = None, step_seconds: int | None = None
    ) -> ErrorCourse:
        """Tell how often one kind of error occurred, step by step, and where; stretch as in :meth:`get_api_analytics`.

        Raises:
            NotFound: there is none of this id, or it is another tenant's.
            InvalidInput: the stretch is empty, or the step is out of bounds.
        """
        return await self._errors.course(identifier, since, until, tenant=tenant, step_seconds=step_seconds)

    async def resolve_error_group(
        self, identifier: str, *, by: str, tenant: str | None = None, also: Work = nothing
    ) -> ErrorGroup:
        """Note that an error is mended; it opens again by itself when it occurs again.

        Args:
            identifier: which.
            by: who says so.
            tenant: whose groups may be touched; None for all.
            also: done in the same transaction.

        Raises:
            NotFound: there is none of this id, or it is another tenant's.
            Conflict: it is resolved already.
        """
        return await self._errors.set_state(identifier, GroupState.RESOLVED, by=by, tenant=tenant, also=also)

    async def reopen_error_group(
        self, identifier: str, *, by: str, tenant: str | None = None, also: Work = nothing
    ) -> ErrorGroup:
        """Take back :meth:`resolve_error_group`; the same arguments and errors."""
        return await self._errors.set_state(identifier, GroupState.OPEN, by=by, tenant=tenant, also=also)

    # ── Health ───────────────────────────────────────────────────────────────

    async def get_health_status(self, *, tenant: str | None = None) -> SystemHealth:
        """Judge the last five minutes, and the monitor itself."""
        return await assess(self._analytics, self.own_figures(), self._clock.now(), tenant, self._thresholds)

    def own_figures(self) -> OwnFigures:
        """Tell how the monitor itself is doing."""
        return own_figures(self._recorder, self._flusher, self._folder, self.overhead)


def _within(name: str, number: int) -> None:
    if not 1 <= number <= MAX_SHOWN:
        msg = f"{name} is {number}"
        raise InvalidInput(msg, remedy=f"Use 1 to {MAX_SHOWN}")


def _drop(_exchange: Exchange) -> None:
    """Record nothing: monitoring is switched off."""
