"""Batches: what is asked for one by one is done for many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from custodes.errors import StorageUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Most items of one batch: bounds one statement, and how long it keeps others from the store.
MAX_BATCH = 64


class Batches(Generic[Item, Result]):
    """Does things together: all that is asked for in one turn of the loop, or while a batch is under way, is the next.

    Nobody waits for a timer: a thing that comes alone is done alone. A batch that fails is done again one by one, so
    that what cannot be done hurts itself only; unless it was the store that failed, for all alike.

    Args:
        run: does a batch; returns one result an item, in the same order. It must have no effect when it raises.
    """

    def __init__(self, run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]) -> None:
        self._run = run
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def do(self, item: Item) -> Result:
        """Do one thing, together with others; what its batch raised is raised here.

        Who is cancelled does not wait for it any more; it is done all the same.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run_all())
        return await future

    async def finish(self) -> None:
        """Wait until all that was asked for is done."""
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run_all(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:MAX_BATCH]
                await self._run_batch(batch)
                del self._waiting[: len(batch)]
        finally:  # cut off, with its loop: nobody is left to do the rest
            left, self._waiting = self._waiting, []
            for _, future in left:
                future.cancel()

    async def _run_batch(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._run([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            if len(batch) > 1 and not isinstance(error, StorageUnavailable):
                for one in batch:
                    await self._run_batch([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():  # else its waiter was cancelled
                future.set_result(result)
