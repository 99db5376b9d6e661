"""Brings what was recorded to the store: one transaction a flush, repeated until it is kept, bounded all the way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import MINUTE, Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.signals import FailureSignal
from custodes.planes.traffic.batch import Batch, GroupSighting, seal
from custodes.planes.traffic.ports import RollupQuery, TrafficStore
from custodes.planes.traffic.recorder import Recorder
from custodes.planes.traffic.rollup import UNMATCHED, Figures, Rollups
from custodes.runtime.bus import Bus
from custodes.runtime.log import get_logger

#: Raw rows in one transaction: bounds how long others wait for the writer.
CALLS_A_BATCH = 5_000

#: Raw rows and rollup rows that wait for a store that is away; the oldest are shed beyond.
MAX_WAITING_CALLS = 60_000
MAX_WAITING_ROLLUPS = 60_000

#: How often it is told that an error goes on, microseconds: oftener than an alert ends by itself (15 minutes).
TOLD_EVERY = 5 * MINUTE

#: Kinds of errors of which it is remembered when they were told of last; the one told of longest ago is forgotten.
MAX_TOLD = 1_000

_log = get_logger("custodes.traffic")


class Flusher:
    """Seals what the recorder took in and writes it.

    A sealed batch keeps its id until it is written, so that an attempt whose outcome is unknown can be repeated. What
    is sealed and not yet written is part of every answer: see :meth:`live`.
    """

    def __init__(
        self, recorder: Recorder, store: TrafficStore, *, clock: Clock, random_bits: RandomBits, bus: Bus
    ) -> None:
        self._recorder = recorder
        self._store = store
        self._clock = clock
        self._random_bits = random_bits
        self._bus = bus
        self._sealing = asyncio.Lock()
        self._flushing = asyncio.Lock()
        #: Sealed, and still taking in more.
        self._open: Batch | None = None
        #: Handed to the store, or next in line.
        self._sent: deque[Batch] = deque()
        #: When each kind of error was told of last, by tenant and digest, microseconds since the epoch.
        self._told: dict[tuple[str, str], int] = {}
        #: Flushes that wrote everything.
        self.flushes = 0
        #: Attempts that the store refused.
        self.failures = 0
        #: Raw rows given up because the store was away for too long, or would not take them.
        self.shed_calls = 0
        #: Requests whose figures were given up.
        self.shed_requests = 0
        #: How long the last full flush took, microseconds.
        self.last_flush_us = 0
        #: When everything was last written, microseconds since the epoch.
        self.last_success_at = clock.now()

    @property
    def waiting_calls(self) -> int:
        """Raw rows that are sealed and not written."""
        return sum(len(batch.calls) for batch in self._waiting())

    @property
    def waiting_batches(self) -> int:
        """Batches that are sealed and not written."""
        return len(self._waiting())

    async def flush(self) -> None:
        """Write everything that was recorded so far.

        Raises:
            StorageUnavailable: something could not be written; it is kept and tried again next time.
        """
        async with self._flushing:
            began = self._clock.monotonic()
            await self._seal()
            self._line_up()
            await self._write()
            self.flushes += 1
            self.last_flush_us = self._clock.monotonic() - began
            self.last_success_at = self._clock.now()

    async def flush_calls(self) -> None:
        """Write the raw rows only, since there are many; the figures go on adding up until their flush.

        Raises:
            StorageUnavailable: as :meth:`flush`.
        """
        async with self._flushing:
            await asyncio.shield(asyncio.ensure_future(self._seal_calls()))
            await self._write()

    async def live(self, *queries: RollupQuery) -> tuple[list[Rollups], tuple[str, ...]]:
        """Add up what is in memory for queries.

        Returns:
            For each query the rollups in its own buckets, and the ids of the batches that all are from: leave these out
            when the store is asked, as some of them may have been written in the meantime.
        """
        await self._seal()
        async with self._sealing:
            waiting = self._waiting()
            found: list[Rollups] = [{} for _ in queries]
            for batch in waiting:
                for into, query in zip(found, queries, strict=True):
                    _add_matching(into, batch.rollups, query)
            return found, tuple(batch.id for batch in waiting)

    def _waiting(self) -> list[Batch]:
        return [*self._sent, *([self._open] if self._open is not None else [])]

    async def _seal(self) -> None:
        # Shielded: a flush may be cancelled at any time, what it took from the recorder must not get lost.
        await asyncio.shield(asyncio.ensure_future(self._seal_all()))

    async def _seal_all(self) -> None:
        async with self._sealing:
            taken = self._recorder.take()
            if not (taken.windows or taken.calls or taken.sightings):
                return
            batch = await asyncio.to_thread(seal, self._new_id(), taken, self._random_bits)
            if self._open is None:
                self._open = batch
            else:
                await asyncio.to_thread(self._open.absorb, batch)

    async def _seal_calls(self) -> None:
        taken = self._recorder.take_calls()
        batch = await asyncio.to_thread(seal, self._new_id(), taken, self._random_bits)
        self._sent += _split(batch, self._new_id)
        self._shed_excess()

    def _line_up(self) -> None:
        batch, self._open = self._open, None
        if batch is not None:
            self._sent += _split(batch, self._new_id)
        self._shed_excess()

    async def _write(self) -> None:
        while self._sent:
            ends = await asyncio.gather(
                *(self._keep(batch) for batch in islice(self._sent, self._store.at_once)), return_exceptions=True
            )
            for end in ends:
                if isinstance(end, BaseException):
                    raise end

    async def _keep(self, batch: Batch) -> None:
        try:
            news = await self._store.keep(batch)
        except StorageUnavailable:
            self.failures += 1
            raise
        except Exception as error:  # noqa: BLE001 - a batch that can never be written must not hold up the others
            self.failures += 1
            if self._lighten(batch, error):
                return  # what is left of it is still among the first
            _log.error("batch_given_up", error=repr(error), calls=len(batch.calls), requests=batch.recorded)
            self._give_up(batch)
            news = ()
        self._sent = deque(one for one in self._sent if one is not batch)
        self._announce(batch, news)

    def _lighten(self, batch: Batch, error: Exception) -> bool:
        """Leave out of a batch what others may have written into it, and which is worth least; False: nothing is left.

        Its figures are what must not get lost; it keeps its id, so that nothing of it is written twice.
        """
        if batch.sightings:
            _log.error("error_groups_given_up", error=repr(error), kinds=len(batch.sightings))
            batch.sightings.clear()
        elif batch.calls and batch.rollups:
            _log.error("calls_given_up", error=repr(error), calls=len(batch.calls))
            self.shed_calls += len(batch.calls)
            batch.calls.clear()
        else:
            return False
        return True

    def _shed_excess(self) -> None:
        while sum(len(batch.rollups) for batch in self._sent) > MAX_WAITING_ROLLUPS:
            self._give_up(self._sent.popleft())
        excess = sum(len(batch.calls) for batch in self._sent) - MAX_WAITING_CALLS
        for batch in self._sent:
            if excess <= 0:
                return
            excess -= len(batch.calls)
            self.shed_calls += len(batch.calls)
            batch.calls.clear()

    def _give_up(self, batch: Batch) -> None:
        self.shed_calls += len(batch.calls)
        self.shed_requests += batch.recorded

    def _announce(self, batch: Batch, news: Sequence[GroupSighting]) -> None:
        new = {sighting.id for sighting in news}
        for sighting in batch.sightings:
            seen = sighting.seen
            group = seen.tenant, seen.digest
            told_at = self._told.pop(group, None)
            if sighting.id not in new and told_at is not None and seen.last_at - told_at < TOLD_EVERY:
                self._told[group] = told_at
                continue
            self._told[group] = seen.last_at
            if len(self._told) > MAX_TOLD:
                del self._told[next(iter(self._told))]
            self._bus.emit(
                FailureSignal(
                    at=seen.last_at,
                    tenant=seen.tenant,
                    trace_id=seen.trace_id,
                    system="api",
                    name="api.new_error",
                    about=(("digest", seen.digest),),
                    title="The API has a new error",
                    summary=f"{seen.method} {seen.route or UNMATCHED}: {seen.title}. "
                    + ("It is new, or has come back" if sighting.id in new else "It goes on"),
                    opens=sighting.id in new,
                    context={"digest": seen.digest, "method": seen.method, "route": seen.route or ""},
                )
            )

    def _new_id(self) -> str:
        return uuid7(self._clock.now(), self._random_bits)


def _split(batch: Batch, new_id: Callable[[], str]) -> list[Batch]:
    """Cut a batch into transactions: the figures with the first raw rows, then the rest of them."""
    if batch.is_empty:
        return []
    calls, batch.calls = batch.calls, batch.calls[:CALLS_A_BATCH]
    more = [
        Batch(new_id(), calls=calls[begin : begin + CALLS_A_BATCH])
        for begin in range(CALLS_A_BATCH, len(calls), CALLS_A_BATCH)
    ]
    return [batch, *more]


def _add_matching(found: Rollups, rollups: Rollups, query: RollupQuery) -> None:
    """Add what a query is about, as the store would."""
    since = min((stretch.since for stretch in query.stretches), default=0)
    until = max((stretch.until for stretch in query.stretches), default=0)
    for series, figures in rollups.items():
        if (
            series.keyspace in query.keyspaces
            and series.tenant in query.tenants
            and since <= series.bucket < until
            and (query.names is None or series.name in query.names)
            and query.method in (None, series.method)
            and (query.pairs is None or (series.name, series.method) in query.pairs)
        ):
            bucket = series.bucket - (series.bucket - query.since) % query.step
            found.setdefault(series._replace(tenant="", bucket=bucket), Figures()).add(figures)
