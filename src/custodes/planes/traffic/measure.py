"""Measures one call of a wrapped callable and records it like an exchange."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable

from custodes.kernel.clock import Clock
from custodes.planes.traffic.model import Exchange
from custodes.runtime.current import current_trace


class CallMeter:
    """One call, from its making to :meth:`stop`; nothing here ever raises into the measured callable."""

    __slots__ = ("_began", "_clock", "_first_us", "_name", "_record", "_started_at", "_tenant", "_trace_id")

    def __init__(self, name: str, tenant: str, clock: Clock, record: Callable[[Exchange], None]) -> None:
        self._name = name
        self._tenant = tenant
        self._clock = clock
        self._record = record
        self._started_at = clock.now()
        self._began = clock.monotonic()
        self._first_us = -1
        trace = current_trace()
        self._trace_id = "" if trace is None else trace.trace_id

    def first(self) -> None:
        """Note the first item."""
        if self._first_us < 0:
            self._first_us = self._clock.monotonic() - self._began

    def stop(self, error: BaseException | None) -> None:
        """Record the call."""
        try:
            self._record(self._exchange(error))
        except Exception:  # noqa: BLE001 - the observer never harms the observed
            return

    def _exchange(self, error: BaseException | None) -> Exchange:
        total = self._clock.monotonic() - self._began
        if isinstance(error, CancelledError):  # whoever waited has left: no failure, like a client's disconnect
            status, error = 0, None
        else:
            status = 200 if error is None else 500
        exchange = Exchange()
        exchange.kind = "call"
        exchange.method = "CALL"
        exchange.route = exchange.path = self._name
        exchange.status = status
        exchange.started_at = self._started_at
        exchange.total_us = total
        exchange.ttfb_us = self._first_us if self._first_us >= 0 else total
        exchange.background_us = exchange.request_bytes = exchange.response_bytes = 0
        exchange.client_ip = exchange.user = exchange.api_key = ""
        exchange.tenant = self._tenant
        exchange.ids = (self._trace_id, "", "", "")
        exchange.user_agent = ""
        exchange.error = error
        exchange.disconnected = status == 0
        exchange.limited_by = ""
        return exchange
