"""Counters and figures of endpoints, added up in memory and written now and then: figures, not state."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from custodes.planes.outbound.figures import Course, Figures, Series
from custodes.planes.outbound.model import Attempt
from custodes.planes.outbound.ports import Counts, EndpointStore, FigureStore
from custodes.runtime.completion import to_the_end
from custodes.runtime.transactions import Store, Transaction

#: Rows of one transaction: those of many endpoints that were sent to in a second are some thousand, and all that while
#: nobody else could write. Of so many it is 3 ms.
PIECE = 32


class Piece(NamedTuple):
    """What is written in one transaction."""

    #: Its name, unique.
    id: str
    #: What is added to the counters of endpoints, by id.
    counts: dict[str, Counts]
    #: What is added to figures over time.
    figures: list[tuple[Series, Figures]]


class Tally:
    """Counts attempts. What a killed process had not written is missing in the figures, never in the attempts.

    Args:
        store: runs units of work.
        endpoints: where the counters of endpoints are kept.
        figures: where figures over time are kept.
        new_id: makes unique names of pieces.
    """

    def __init__(
        self,
        store: Store,
        endpoints: EndpointStore,
        figures: FigureStore,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._figures = figures
        self._new_id = new_id
        #: Of what is handed to the store, what nobody knows to be kept yet.
        self._unwritten: deque[Piece] = deque()
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
            StorageUnavailable: what was not written, or may not have been, is kept for the next time.
        """
        await to_the_end(self._flush())

    async def _flush(self) -> None:
        async with self._flushing:
            await self._write()  # the same counts under the same names, until it is known that they were kept
            counts, self._counts = list(self._counts.items()), {}
            figures = self._course.take()
            for begin in range(0, max(len(counts), len(figures)), PIECE):
                end = begin + PIECE
                self._unwritten.append(Piece(self._new_id(), dict(counts[begin:end]), figures[begin:end]))
            await self._write()

    async def _write(self) -> None:
        while self._unwritten:
            piece = self._unwritten[0]
            await self._store.write(partial(self._add, piece), durable=False, once=piece.id)
            self._unwritten.popleft()

    def _add(self, piece: Piece, tx: Transaction) -> None:
        self._endpoints.add_counts(tx, piece.counts)
        self._figures.add(tx, piece.figures)
