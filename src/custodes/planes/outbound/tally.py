"""Counters and figures of endpoints, added up in memory and written now and then: figures, not state."""

from __future__ import annotations

import asyncio

from custodes.planes.outbound.figures import Course
from custodes.planes.outbound.model import Attempt
from custodes.planes.outbound.ports import Counts, EndpointStore, FigureStore
from custodes.runtime.completion import to_the_end
from custodes.runtime.transactions import Store, Transaction


class Tally:
    """Counts attempts. What a killed process had not written is missing in the figures, never in the attempts.

    Args:
        store: runs units of work.
        endpoints: where the counters of endpoints are kept.
        figures: where figures over time are kept.
        writer: id of this process among those that count.
    """

    def __init__(self, store: Store, endpoints: EndpointStore, figures: FigureStore, writer: str) -> None:
        self._store = store
        self._endpoints = endpoints
        self._figures = figures
        self._writer = writer
        self._counts: dict[str, Counts] = {}
        self._course = Course()
        self._flushing = asyncio.Lock()

    def succeeded(self, attempt: Attempt, event_type: str, now: int) -> None:
        """Count a delivery that was answered with 2xx."""
        old = self._counts.get(attempt.endpoint_id, Counts())
        self._counts[attempt.endpoint_id] = Counts(old.successes + 1, now, old.failures, old.last_failure_at)
        self._course.count(attempt, event_type, now, exhausted=False)

    def failed(self, attempt: Attempt, event_type: str, now: int, *, exhausted: bool) -> None:
        """Count an attempt that was not."""
        old = self._counts.get(attempt.endpoint_id, Counts())
        self._counts[attempt.endpoint_id] = Counts(old.successes, old.last_success_at, old.failures + 1, now)
        self._course.count(attempt, event_type, now, exhausted=exhausted)

    async def flush(self) -> None:
        """Write what was counted.

        Raises:
            StorageUnavailable: nothing was written; it is kept for the next time.
        """
        await to_the_end(self._flush())

    async def _flush(self) -> None:
        async with self._flushing:
            counts, self._counts = self._counts, {}
            figures = self._course.changed()
            if not (counts or figures):
                return

            def work(tx: Transaction) -> None:
                self._endpoints.add_counts(tx, counts)
                self._figures.put(tx, self._writer, figures)

            try:
                await self._store.write(work, durable=False)
            except BaseException:
                self._take_back(counts)
                self._course.unwritten(figures)
                raise

    def _take_back(self, counts: dict[str, Counts]) -> None:
        for endpoint_id, newer in self._counts.items():
            old = counts.get(endpoint_id, Counts())
            counts[endpoint_id] = Counts(
                old.successes + newer.successes,
                newer.last_success_at or old.last_success_at,
                old.failures + newer.failures,
                newer.last_failure_at or old.last_failure_at,
            )
        self._counts = counts
