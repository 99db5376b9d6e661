"""The hot path: takes an exchange in, a few µs each, and waits for nothing.

An exchange is folded into counters and histograms of its series, and kept as a compact row. Both are bounded; what
does not fit is counted. :meth:`Recorder.take` hands everything over to the flush and begins anew.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from custodes.kernel.histogram import bucket_of
from custodes.planes.traffic.consumers import Consumers
from custodes.planes.traffic.faults import Faults, Sighting
from custodes.planes.traffic.model import Exchange
from custodes.planes.traffic.rollup import OVERFLOW_SERIES, UNMATCHED, Level
from custodes.runtime.buffer import Buffer

#: Series (tenant, method, route) told apart in one process and hour; what comes later is one visible series a tenant.
#: OpenTelemetry's default limit is the same 2,000.
MAX_SERIES = 2_000

#: Series × statuses × windows that wait for the flush; reached only when the store has been away for long.
MAX_FOLDS = 20_000

#: Windows of ten seconds that wait for the flush: two hours.
MAX_WINDOWS = 720

#: Rows that wait for the flush, and how many of them only errors and slow calls may take.
MAX_CALLS = 20_000
RESERVED_CALLS = 4_000

#: Rows at which a flush of rows is asked for, so that an ordinary load never comes near the bound.
PRESSING_CALLS = 4_000

#: From this time to the last byte on a call counts as slow when there is no room for all, microseconds.
SLOW_US = 1_000_000

#: Methods that have series of their own (RFC 9110 §9, RFC 5789; WebSockets and wrapped callables); anything else is
#: one series, since a client may invent methods.
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "WEBSOCKET", "CALL")
)

#: Stands for every other method.
OTHER_METHOD = "(other)"

#: What an exchange says of itself, in the order of the columns of the raw row.
CALL_FIELDS = (
    "tenant",
    "started_at",
    "kind",
    "method",
    "route",
    "path",
    "status",
    "total_us",
    "ttfb_us",
    "background_us",
    "request_bytes",
    "response_bytes",
    "user",
    "api_key",
    "client_ip",
    "trace_id",
    "span_id",
    "parent_id",
    "user_agent",
    "limited_by",
    "disconnected",
)

# A tuple of texts and numbers: smaller than the exchange, free of references to the exception and its frames, and
# soon ignored by the garbage collector.
_call_of = attrgetter(*CALL_FIELDS)

_NO_FAULT = ("", "")

#: A raw row: the fields of :data:`CALL_FIELDS`, the error's group and its text.
RawCall = tuple[Any, ...]

#: Tenant, method, route (None when no route matched) and status.
FoldKey = tuple[str, str, str | None, int]


class Fold:
    """Figures of one series and status in one window; written to by the hot path only."""

    __slots__ = (
        "count",
        "disconnected",
        "faults",
        "limited",
        "request_bytes",
        "response_bytes",
        "total",
        "total_max",
        "total_min",
        "total_sum",
        "ttfb",
    )

    def __init__(self) -> None:
        self.count = 0
        self.limited = 0
        self.disconnected = 0
        self.faults = 0
        self.request_bytes = 0
        self.response_bytes = 0
        self.total_sum = 0
        self.total_min = 1 << 62
        self.total_max = 0
        self.total: defaultdict[int, int] = defaultdict(int)
        self.ttfb: defaultdict[int, int] = defaultdict(int)


class Window:
    """What began within one bucket of ten seconds."""

    __slots__ = ("consumers", "end", "errors", "folds", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.folds: dict[FoldKey, Fold] = {}
        self.consumers = Consumers()
        self.errors: defaultdict[tuple[str, str], int] = defaultdict(int)


@dataclass(frozen=True, slots=True)
class Taken:
    """What was recorded since the last time."""

    #: The windows, in no order.
    windows: list[Window]
    #: Raw rows, in order of arrival.
    calls: list[RawCall]
    #: Kinds of errors seen.
    sightings: list[Sighting]
    #: Requests that the windows hold.
    recorded: int


class Recorder:
    """Folds exchanges. Safe to call from any thread; the lock is held for the few µs of one exchange.

    Args:
        max_series: series told apart.
        max_calls: raw rows that wait for the flush.
        slow_us: from when on a call is kept preferably.
    """

    def __init__(self, *, max_series: int = MAX_SERIES, max_calls: int = MAX_CALLS, slow_us: int = SLOW_US) -> None:
        self._lock = threading.Lock()
        self._max_series = max_series
        self._slow_us = slow_us
        self._known: set[tuple[str, str, str | None]] = set()
        self._hour = 0
        self._windows: dict[int, Window] = {}
        self._window = Window(0, 0)
        self._open_folds = 0
        self._faults = Faults()
        #: Raw rows that wait.
        self.calls: Buffer[RawCall] = Buffer(
            max_calls, reserve=min(RESERVED_CALLS, max_calls // 5), pressure_at=PRESSING_CALLS
        )
        #: Exchanges recorded since the start.
        self.recorded = 0
        self._taken = 0
        #: Exchanges that went into the overflow series since the start.
        self.overflowed = 0
        #: Exchanges that were not even counted, since the store has been away for too long.
        self.shed = 0

    def record(self, exchange: Exchange) -> None:
        """Take an exchange in. It is not changed and not kept."""
        key = (exchange.tenant, exchange.method, exchange.route, exchange.status)
        at = exchange.started_at
        total = exchange.total_us
        size = exchange.response_bytes
        with self._lock:
            window = self._window
            if not window.start <= at < window.end:
                window = self._turn(at)
            fold = window.folds.get(key)
            if fold is None:
                fold = self._fold_of(window, key)
                if fold is None:
                    self.shed += 1
                    return
            fold.count += 1
            fold.request_bytes += exchange.request_bytes
            fold.response_bytes += size
            if exchange.limited_by:
                fold.limited += 1
            else:
                fold.total_sum += total
                if total > fold.total_max:
                    fold.total_max = total
                if total < fold.total_min:
                    fold.total_min = total
                fold.total[bucket_of(total)] += 1
                fold.ttfb[bucket_of(exchange.ttfb_us)] += 1
            if exchange.disconnected:
                fold.disconnected += 1
            fault = _NO_FAULT
            if exchange.error is not None:
                fold.faults += 1
                fault = self._faults.see(exchange)
                window.errors[exchange.tenant, fault[0]] += 1
            window.consumers.meet(exchange, size)
            self.recorded += 1
            self.calls.offer(
                _call_of(exchange) + fault,
                precious=exchange.status >= 500 or total >= self._slow_us or fault is not _NO_FAULT,
            )

    def take(self) -> Taken:
        """Hand over what was recorded and begin anew."""
        with self._lock:
            taken = Taken(
                list(self._windows.values()), self.calls.take(), self._faults.take(), self.recorded - self._taken
            )
            self._taken = self.recorded
            self._windows = {}
            self._window = Window(0, 0)
            self._open_folds = 0
        return taken

    def take_calls(self) -> Taken:
        """Hand over the raw rows only."""
        with self._lock:
            return Taken([], self.calls.take(), [], 0)

    def _turn(self, at: int) -> Window:
        """Find or open the window of a moment; it becomes the one that is looked at first."""
        start = Level.TEN_SECONDS.start_of(at)
        window = self._windows.get(start)
        if window is None:
            window = Window(start, start + Level.TEN_SECONDS.micros)
            if len(self._windows) >= MAX_WINDOWS:
                return window  # opened for nobody: what falls into it is refused below and counted
            self._windows[start] = window
        self._window = window
        return window

    def _fold_of(self, window: Window, key: FoldKey) -> Fold | None:
        """Open the fold of a series and status within the bounds; None when there is no room at all."""
        if window.start not in self._windows or self._open_folds >= MAX_FOLDS:
            return None
        known = self._within_bounds(window, key)
        fold = window.folds.get(known)
        if fold is None:
            fold = window.folds[known] = Fold()
            self._open_folds += 1
        return fold

    def _within_bounds(self, window: Window, key: FoldKey) -> FoldKey:
        tenant, method, route, status = key
        if method not in METHODS:
            method = OTHER_METHOD
        hour = window.start // Level.HOUR.micros
        if hour > self._hour:
            self._hour = hour
            self._known.clear()
        series = (tenant, method, route)
        if series not in self._known:
            if len(self._known) >= self._max_series and route is not None:
                self.overflowed += 1
                return tenant, OTHER_METHOD, OVERFLOW_SERIES, status
            self._known.add(series)
        return tenant, method, route, status


def route_name(route: str | None) -> str:
    """Name the series of a route."""
    return UNMATCHED if route is None else route
