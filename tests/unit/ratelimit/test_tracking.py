"""Counts of limits are written once, whoever is cut off."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any, cast

from custodes.errors import StorageUnavailable
from custodes.planes.ratelimit.model import Window
from custodes.planes.ratelimit.tracking import Tracker


class SlowStore:
    """Tells when it has kept something, and lets its caller know only then."""

    def __init__(self) -> None:
        self.kept: list[Window] = []
        self.names: list[str] = []
        self.down = False
        self.committed, self.goes_on = asyncio.Event(), asyncio.Event()

    async def record(self, windows: Sequence[Window], batch: str) -> None:
        self.names.append(batch)
        if self.down:
            msg = "The server is away"
            raise StorageUnavailable(msg)
        self.kept += windows
        self.committed.set()
        await self.goes_on.wait()


async def test_what_may_not_have_been_written_is_written_again_under_its_name():
    store, ids = SlowStore(), itertools.count()
    store.goes_on.set()
    tracker = Tracker(cast("Any", store), lambda: 0, lambda: f"id-{next(ids)}", "default")
    name = ("default", "login", "ip", "203.0.113.9", "/login")
    store.down = True
    tracker.refuse(name, "", shadow=False)
    await tracker.flush([])
    tracker.refuse(name, "", shadow=False)

    store.down = False
    await tracker.flush([])

    first, again, new = store.names
    assert first == again != new
    assert sum(window.refused for window in store.kept if window.identifier) == 2


async def test_a_flush_that_is_cancelled_while_it_commits_is_written_once():
    store = SlowStore()
    tracker = Tracker(cast("Any", store), lambda: 0, lambda: "id", "default")
    tracker.refuse(("default", "login", "ip", "203.0.113.9", "/login"), "", shadow=False)
    flush = asyncio.create_task(tracker.flush([]))
    await store.committed.wait()

    flush.cancel()
    await asyncio.gather(flush, return_exceptions=True)
    store.goes_on.set()
    await tracker.flush([])

    assert sum(window.refused for window in store.kept if window.identifier) == 1
