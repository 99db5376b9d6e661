"""Counting who was admitted and who refused, off the request path: rows of T3 in batches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import MINUTE
from custodes.kernel.window.cells import Key
from custodes.planes.ratelimit.counts import Counts
from custodes.planes.ratelimit.floods import Floods
from custodes.planes.ratelimit.model import EVERY_ENDPOINT, Window
from custodes.planes.ratelimit.plans import Gate
from custodes.planes.ratelimit.ports import RateLimitStore
from custodes.runtime.completion import to_the_end
from custodes.runtime.log import get_logger

#: Length of a counted window.
WINDOW = MINUTE

#: Identifiers with rows of their own in one batch; those beyond are in the sums only, and counted as shed.
MAX_ROWS = 5_000

#: Refused identifiers kept apart between two batches.
MAX_REFUSED = 20_000

#: Endpoints told apart of one refused identifier and rule between two batches; whoever is refused may invent paths.
MAX_ENDPOINTS = 20

#: Sums over all identifiers in one batch; what belongs to further endpoints goes to the sum of all endpoints.
MAX_SUMS = 500

#: Longest endpoint and identifier of a row, characters.
_MAX_TEXT = 256

#: Admitted identifiers gone through before other tasks get a turn.
_SLICE = 2_000

#: (tenant, rule, kind, identifier, endpoint)
_Name = tuple[str, str, str, str, str]

_log = get_logger("custodes.ratelimit")


class Batch(NamedTuple):
    """Counts that are written at once."""

    #: Their name, unique: tried once more, they are the same.
    id: str
    #: The rows.
    rows: list[Window]


class Tracker:
    """Collects counts and writes them.

    Args:
        store: where rows are kept.
        now: wall clock, microseconds.
        new_id: makes ids.
        tenant: tenant of what belongs to no other: units admitted by address.
        floods: looks at what was refused; None for nobody.
    """

    def __init__(
        self,
        store: RateLimitStore,
        now: Callable[[], int],
        new_id: Callable[[], str],
        tenant: str,
        floods: Floods | None = None,
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._tenant = tenant
        self._floods = floods
        self._refused: dict[_Name, Counts] = {}
        self._endpoints: Counter[tuple[str, ...]] = Counter()
        self._waiting: Batch | None = None
        self._flushing = asyncio.Lock()
        #: Changes when what was counted is taken to be written.
        self.epoch = 0
        #: Identifiers whose counts are in the sums only.
        self.shed = 0
        #: Rows that could not be written and were dropped.
        self.lost = 0

    def refuse(self, name: _Name, trace_id: str, *, shadow: bool) -> Counts:
        """Count a refused request, or one that a rule in shadow would have refused.

        Returns:
            Where it was counted: further ones may be added there while :attr:`epoch` is the same.
        """
        counts = self._refused.get(name)
        if counts is None:
            counts = self._refused.setdefault(self._within_bounds(name), Counts())
        if shadow:
            counts.would_refuse += 1
        else:
            counts.refused += 1
        counts.trace_id = trace_id
        return counts

    def _within_bounds(self, name: _Name) -> _Name:
        """Name what is counted for the first time, or what it is counted with when there is too much of its sort."""
        tenant, rule, kind, identifier, _ = name
        if len(self._refused) >= MAX_REFUSED:
            self.shed += 1
            return tenant, rule, "", "", EVERY_ENDPOINT
        if self._endpoints[name[:4]] >= MAX_ENDPOINTS:
            return tenant, rule, kind, identifier, EVERY_ENDPOINT
        self._endpoints[name[:4]] += 1
        return name

    async def flush(self, gates: Iterable[Gate]) -> None:
        """Write what was counted since the last time; what cannot be written is tried once more, then dropped."""
        await to_the_end(self._flush(gates))

    async def _flush(self, gates: Iterable[Gate]) -> None:
        async with self._flushing:
            now = self._now()
            start = now // WINDOW * WINDOW
            counted = self._take_refused()
            if self._floods is not None:
                self._floods.look(counted, now)
            await self._take_admitted(gates, counted)
            new = Batch(self._new_id(), self._rows(counted, start))
            retried, self._waiting = self._waiting, new
            try:
                if retried is not None:
                    await self._store.record(retried.rows, retried.id)
                    retried = None
                if new.rows:
                    await self._store.record(new.rows, new.id)
                self._waiting = None
            except StorageUnavailable as error:
                self.lost += 0 if retried is None else len(retried.rows)
                _log.warning("rate_limit_counts_not_written", rows=len(new.rows), lost=self.lost, error=str(error))

    def _take_refused(self) -> dict[_Name, Counts]:
        refused, self._refused = self._refused, {}
        self.epoch += 1
        self._endpoints.clear()
        return refused

    async def _take_admitted(self, gates: Iterable[Gate], counted: dict[_Name, Counts]) -> None:
        for gate in gates:
            tallies = [cells.take_tally() for cells in gate.cells]
            # All limits of a rule admit the same units: the first one's count is the rule's.
            for number, (key, units) in enumerate(tallies[0].items()):
                if number % _SLICE == _SLICE - 1:
                    await asyncio.sleep(0)
                counted.setdefault(self._name(gate, key), Counts()).allowed += units

    def _name(self, gate: Gate, key: Key) -> _Name:
        tenant, kind, identifier = gate.whom(key, gate.tenant or self._tenant)
        return tenant, gate.rule.name, kind, identifier, gate.rule.route

    def _rows(self, counted: dict[_Name, Counts], start: int) -> list[Window]:
        sums: dict[_Name, Counts] = {}
        for (tenant, rule, _, _, endpoint), counts in counted.items():
            name = (tenant, rule, "", "", endpoint)
            if name not in sums and len(sums) >= MAX_SUMS:
                name = (tenant, rule, "", "", EVERY_ENDPOINT)
            sums.setdefault(name, Counts()).add(counts)
        ranked = [(name, counts) for name, counts in counted.items() if name[3]]
        if len(ranked) > MAX_ROWS:
            ranked.sort(key=lambda one: (one[1].refused, one[1].would_refuse, one[1].allowed), reverse=True)
            self.shed += len(ranked) - MAX_ROWS
            del ranked[MAX_ROWS:]
        return [self._row(name, counts, start) for name, counts in (*ranked, *sums.items())]

    def _row(self, name: _Name, counts: Counts, start: int) -> Window:
        tenant, rule, kind, identifier, endpoint = name
        return Window(
            id=self._new_id(),
            tenant=tenant,
            rule=rule,
            kind=kind,
            identifier=identifier[:_MAX_TEXT],
            endpoint=endpoint[:_MAX_TEXT],
            window_start=start,
            window_end=start + WINDOW,
            allowed=counts.allowed,
            refused=counts.refused,
            would_refuse=counts.would_refuse,
            trace_id=counts.trace_id,
        )
