"""Counters and figures of endpoints, added up in memory and written now and then: figures, not state."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from custodes.planes.outbound.figures import Course, Figures, Series
from custodes.planes.outbound.model import Attempt
from custodes.planes.outbound.ports import Counts, EndpointStore, FigureStore
from custodes.runtime.completion import to_the_end
from custodes.runtime.transactions import Store, Transaction

#: Rows of one transaction: those of many endpoints that were sent to in a second are some thousand, and all that while
#: nobody else could write. Of so many it is 2 ms.
PIECE = 64


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
            StorageUnavailable: what was not written is kept for the next time.
        """
        await to_the_end(self._flush())

    async def _flush(self) -> None:
        async with self._flushing:
            counts, self._counts = list(self._counts.items()), {}
            figures = self._course.changed()
            try:
                while counts or figures:
                    # Copies: they are written in another thread while the loop goes on counting.
                    rows = [(series, its.copy()) for series, its in figures[:PIECE]]
                    await self._store.write(partial(self._put, dict(counts[:PIECE]), rows), durable=False)
                    del counts[:PIECE], figures[:PIECE]
            except BaseException:
                self._take_back(dict(counts))
                self._course.unwritten(figures)
                raise

    def _put(self, counts: Mapping[str, Counts], figures: Sequence[tuple[Series, Figures]], tx: Transaction) -> None:
        self._endpoints.add_counts(tx, counts)
        self._figures.put(tx, self._writer, figures)

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
