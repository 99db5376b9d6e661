"""Counters of endpoints are added once, whoever is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from custodes.planes.outbound.ports import Counts
from custodes.planes.outbound.tally import Tally


class SlowStore:
    """Store of units, endpoints and figures; tells when it has committed, and lets its caller know only then."""

    def __init__(self) -> None:
        self.successes = 0
        self.committed, self.goes_on = asyncio.Event(), asyncio.Event()

    async def write(self, work: Callable[[Any], None], *, durable: bool) -> None:
        work(None)
        self.committed.set()
        await self.goes_on.wait()

    def add_counts(self, _tx: Any, counts: dict[str, Counts]) -> None:
        self.successes += sum(one.successes for one in counts.values())

    def put(self, *_: Any) -> None: ...


async def test_a_flush_that_is_cancelled_while_it_commits_is_written_once():
    store = SlowStore()
    tally = Tally(*cast("Any", (store, store, store)), "writer")
    tally._counts["endpoint"] = Counts(successes=1)
    flush = asyncio.create_task(tally.flush())
    await store.committed.wait()

    flush.cancel()
    await asyncio.gather(flush, return_exceptions=True)
    store.goes_on.set()
    await tally.flush()

    assert store.successes == 1
