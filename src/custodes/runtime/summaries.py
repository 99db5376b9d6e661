"""Answers that are dear to work out and that many ask for at once: worked out once, and kept for a moment.

Those who ask for the same at the same time wait for one answer. Where instances share a cache, it is kept there for as
long as a dashboard takes to look again; without one, or while it does not answer, each instance works it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

#: Makes an answer.
Compute = Callable[[], Awaitable[bytes]]


class AnswerCache(Protocol):
    """**Protocol:** keeps answers for a moment, for all instances; never the only copy of anything."""

    async def get(self, key: bytes) -> bytes | None:
        """Return an answer; None when there is none or the cache cannot be asked. Never raises, never takes long."""
        ...

    async def put(self, key: bytes, answer: bytes) -> None:
        """Keep an answer for a moment, if that can be done now. Never raises, never takes long."""
        ...

    async def stop(self) -> None:
        """Close the connection; idempotent."""
        ...


class Summaries:
    """Works answers out, once for all who ask for the same.

    Args:
        cache: what instances share; None for nothing.
    """

    def __init__(self, cache: AnswerCache | None) -> None:
        self._cache = cache
        self._asked: dict[bytes, asyncio.Task[bytes]] = {}
        #: Answers that were worked out here.
        self.computed = 0

    async def answer(self, key: bytes, compute: Compute) -> bytes:
        """Return the answer for a key.

        Args:
            key: names what is asked, by whom it may be seen, and nothing else: the same key has the same answer.
            compute: works it out; what it raises, all who wait hear.
        """
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.get_running_loop().create_task(self._find(key, compute))
            task.add_done_callback(lambda done: self._told(key, done))
        # Shielded: when one who waits goes away, the others do not.
        return await asyncio.shield(task)

    async def start(self) -> None:
        """Nothing to do: the cache connects when it is first asked."""

    async def stop(self) -> None:
        """Close the cache; idempotent."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._cache is not None:
            await self._cache.stop()

    async def _find(self, key: bytes, compute: Compute) -> bytes:
        kept = None if self._cache is None else await self._cache.get(key)
        if kept is not None:
            return kept
        self.computed += 1
        made = await compute()
        if self._cache is not None:
            await self._cache.put(key, made)
        return made

    def _told(self, key: bytes, done: asyncio.Task[bytes]) -> None:
        del self._asked[key]
        if not done.cancelled():
            done.exception()  # read: when nobody waits any more, nobody complains
