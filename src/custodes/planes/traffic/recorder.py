"""The hot path: takes an exchange in, a few µs each, and waits for nothing.

An exchange waits until some hundreds have come. Then all are settled, become compact rows and are folded into the
counters and histograms of their series: between the requests of a host code and counters have left the processor's
caches, so that what is done for many at once costs each of them less. Everything is bounded; what does not fit is
counted. :meth:`Recorder.take` hands everything over to the flush and begins anew.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from custodes.kernel.compiled import twin
from custodes.planes.traffic import folding
from custodes.planes.traffic.consumers import Consumers
from custodes.planes.traffic.faults import Faults, Sighting
from custodes.planes.traffic.folding import ERROR_GROUP
from custodes.planes.traffic.model import CALL_FIELDS, Exchange, RawCall
from custodes.planes.traffic.rollup import OVERFLOW_SERIES, Figures, Level
from custodes.runtime.buffer import Buffer
from custodes.runtime.log import get_logger

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

#: Rows that are folded together: enough for caches to matter, and a pause of a fifth of a millisecond.
FOLD_EVERY = 256

#: From this time to the last byte on a call counts as slow when there is no room for all, microseconds.
SLOW_US = 1_000_000

#: Methods that have series of their own (RFC 9110 §9, RFC 5789; WebSockets and wrapped callables); anything else is
#: one series, since a client may invent methods.
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "WEBSOCKET", "CALL")
)

#: Stands for every other method.
OTHER_METHOD = "(other)"

#: Places in a row.
_STATUS = CALL_FIELDS.index("status")
_TOTAL = CALL_FIELDS.index("total_us")

_log = get_logger("custodes.traffic")

if not TYPE_CHECKING and (_twin := twin("custodes.planes.traffic._folding")) is not None:
    folding = _twin

#: Least work after the last byte that is counted, microseconds: below, the app has only returned.
BACKGROUND_US = 1_000

#: Tenant, method, route (None when no route matched) and status.
FoldKey = tuple[str, str, str | None, int]


class Fold:
    """Figures of one series and status in one window; written to by the hot path only."""

    __slots__ = (
        "background",
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
        self.total: Counter[int] = Counter()
        self.ttfb: Counter[int] = Counter()
        #: Background work; None as long as there was none.
        self.background: Figures | None = None

    def add_times(self, rows: list[RawCall]) -> None:
        """Add the times of some rows."""
        summed, least, most = folding.count_times(rows, self.total, self.ttfb)
        self.total_sum += summed
        self.total_min = min(self.total_min, least)
        self.total_max = max(self.total_max, most)

    def add_background(self, times: list[int]) -> None:
        """Add work that went on after the last byte."""
        work = self.background
        if work is None:
            work = self.background = Figures()
        work.count += len(times)
        work.add_times(len(times), sum(times), min(times), max(times))
        for took in times:
            work.total.record(took)


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
    """Folds exchanges. Safe to call from any thread; once folded, nothing of an exchange is kept but its row.

    Args:
        max_series: series told apart.
        max_calls: raw rows that wait for the flush.
        slow_us: from when on a call is kept preferably.
    """

    def __init__(self, *, max_series: int = MAX_SERIES, max_calls: int = MAX_CALLS, slow_us: int = SLOW_US) -> None:
        self._lock = threading.Lock()
        self._max_series = max_series
        self._slow_us = slow_us
        #: Exchanges that are not folded yet, and rows of those that failed. Threads append while one of them takes away
        #: at the other end: both are atomic.
        self._fresh: deque[Exchange | RawCall] = deque()
        self._known: set[tuple[str, str, str | None]] = set()
        self._hour = 0
        self._windows: dict[int, Window] = {}
        self._window = Window(0, 0)
        self._open_folds = 0
        self._faults = Faults()
        self._calls: Buffer[RawCall] = Buffer(
            max_calls, reserve=min(RESERVED_CALLS, max_calls // 5), pressure_at=PRESSING_CALLS
        )
        self._recorded = 0
        self._taken = 0
        self._overflowed = 0
        self._shed = 0
        #: Takes an exchange in, as :meth:`record` does: that itself, or its twin.
        self.intake: Callable[[Exchange], None] = self.record
        if not TYPE_CHECKING and _twin is not None:
            self.intake = _twin.Intake(self._fresh, FOLD_EVERY, self._fold, self._faulty).record
        #: Sees each row when it is folded, in the thread that folds; for the live view, None while nobody looks.
        self.watch: Callable[[RawCall], object] | None = None

    @property
    def calls(self) -> Buffer[RawCall]:
        """Raw rows that wait."""
        self._fold()
        return self._calls

    @property
    def recorded(self) -> int:
        """Exchanges recorded since the start."""
        self._fold()
        return self._recorded

    @property
    def overflowed(self) -> int:
        """Exchanges that went into the overflow series since the start."""
        self._fold()
        return self._overflowed

    @property
    def shed(self) -> int:
        """Exchanges that were not even counted, since the store has been away for too long."""
        self._fold()
        return self._shed

    def record(self, exchange: Exchange) -> None:
        """Take an exchange in; nobody may change it from now on."""
        fresh = self._fresh
        # An exception holds the frames of a request: what is to be known of it is read now.
        fresh.append(exchange if exchange.error is None else self._faulty(exchange))
        if len(fresh) >= FOLD_EVERY:
            self._fold()

    def _faulty(self, exchange: Exchange) -> RawCall:
        exchange.settle()
        with self._lock:
            return exchange.row(*self._faults.see(exchange))

    def fold(self) -> None:
        """Fold at once what waits; :attr:`watch` sees it."""
        self._fold()

    def take(self) -> Taken:
        """Hand over what was recorded and begin anew."""
        with self._lock:
            self._fold_fresh()
            taken = Taken(
                list(self._windows.values()), self._calls.take(), self._faults.take(), self._recorded - self._taken
            )
            self._taken = self._recorded
            self._windows = {}
            self._window = Window(0, 0)
            self._open_folds = 0
        return taken

    def take_calls(self) -> Taken:
        """Hand over the raw rows only."""
        with self._lock:
            self._fold_fresh()
            return Taken([], self._calls.take(), [], 0)

    def _fold(self) -> None:
        with self._lock:
            self._fold_fresh()

    def _fold_fresh(self) -> None:
        """Fold the rows that have come; the caller has the lock.

        Rows that are alike are folded together, which takes half as long as one by one: what is left to do for each of
        them (sums, extremes, counts) is done by functions of C.
        """
        fresh = self._fresh
        rows = self._rows([fresh.popleft() for _ in range(len(fresh))])  # what comes meanwhile comes next time
        groups = folding.group_alike(rows, self._window, self._turn)
        shed = [group for (window, kind), group in groups.items() if not self._fold_group(window, kind, group)]
        if shed:
            gone = {id(row) for group in shed for row in group}
            rows = [row for row in rows if id(row) not in gone]
        self._recorded += len(rows)
        if not self._calls.offer_all(rows):
            for row in rows:
                precious = row[_STATUS] >= 500 or row[_TOTAL] >= self._slow_us or row[ERROR_GROUP] != ""
                self._calls.offer(row, precious=precious)

    def _rows(self, exchanges: list[Exchange | RawCall]) -> list[RawCall]:
        """Settle what has waited until now; one that cannot be settled is lost and counted, and harms no other."""
        rows: list[RawCall] = []
        for exchange in exchanges:
            if isinstance(exchange, tuple):
                rows.append(exchange)
                continue
            try:
                rows.append(exchange.row())
            except Exception as error:  # noqa: BLE001 - the host's clock or header may be what is broken
                self._shed += 1
                _log.warning("exchange_lost", error=repr(error)[:200])
        if self.watch is not None:
            for row in rows:
                self.watch(row)
        return rows

    def _fold_group(self, window: Window, kind: Any, rows: list[RawCall]) -> bool:
        """Fold rows that are alike; False when there is no room for them."""
        tenant, method, route, status, limited_by, disconnected, error_group = kind
        count = len(rows)
        key = (tenant, method, route, status)
        fold = window.folds.get(key) or self._fold_of(window, key, count)
        if fold is None:
            self._shed += count
            return False
        fold.count += count
        received, sent = folding.bytes_of(rows)
        fold.request_bytes += received
        fold.response_bytes += sent
        if limited_by:
            fold.limited += count
        else:
            fold.add_times(rows)
        late = folding.late_work(rows, BACKGROUND_US)
        if late:
            fold.add_background(late)
        if disconnected:
            fold.disconnected += count
        if error_group:
            fold.faults += count
            window.errors[tenant, error_group] += count
        if status >= 400 or error_group:
            failed = status >= 500 or error_group != ""
            folding.meet_errors(window.consumers, rows, limited=limited_by != "", server=failed)
        else:
            folding.meet(window.consumers, rows)
        return True

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

    def _fold_of(self, window: Window, key: FoldKey, count: int) -> Fold | None:
        """Open the fold of a series and status of so many rows within the bounds; None when there is no room at all."""
        if window.start not in self._windows or self._open_folds >= MAX_FOLDS:
            return None
        known = self._within_bounds(window, key, count)
        fold = window.folds.get(known)
        if fold is None:
            fold = window.folds[known] = Fold()
            self._open_folds += 1
        return fold

    def _within_bounds(self, window: Window, key: FoldKey, count: int) -> FoldKey:
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
                self._overflowed += count
                return tenant, OTHER_METHOD, OVERFLOW_SERIES, status
            self._known.add(series)
        return tenant, method, route, status
