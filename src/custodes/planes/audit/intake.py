"""The intake: security signals on their way into the trail, buffered and written in batches.

A signal comes from a hot path, perhaps under attack, and its emitter never waits. What does not fit is shed and
counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from custodes.errors import StorageUnavailable
from custodes.kernel.signals import SecuritySignal
from custodes.runtime.log import get_logger

Entry = TypeVar("Entry")

_log = get_logger("custodes.audit")

#: Signals that wait at most; about 5 MB. More are shed: an attack must not eat the memory.
MAX_WAITING = 5_000

#: Signals written in one transaction.
MAX_BATCH = 250

#: Seconds until a batch that could not be written is tried again.
RETRY_SECONDS = 1.0


class Intake(Generic[Entry]):
    """Takes signals from any thread, writes them from one task.

    Args:
        prepare: turns signals into entries; those that cannot be turned are left out.
        write: writes entries in one transaction, passes over those that are there already. It raises
            :class:`~custodes.errors.StorageUnavailable` when the store does not answer.
        max_waiting: signals that wait at most.
    """

    def __init__(
        self,
        prepare: Callable[[Sequence[SecuritySignal]], Awaitable[list[Entry]]],
        write: Callable[[Sequence[Entry]], Awaitable[None]],
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._prepare = prepare
        self._write = write
        self._max = max_waiting
        self._waiting: deque[SecuritySignal] = deque()
        # Prepared once, however often the write is tried: preparing counts towards the patterns.
        self._batch: list[Entry] = []
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        #: Signals that were lost: too many waited, or they made no entry.
        self.shed = 0

    @property
    def waiting(self) -> int:
        """Signals not written yet."""
        return len(self._waiting) + len(self._batch)

    def offer(self, signal: SecuritySignal) -> None:
        """Take a signal; never blocks, never raises."""
        if len(self._waiting) >= self._max:
            self.shed += 1
            return
        self._waiting.append(signal)
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: stop() has written what there was
                loop.call_soon_threadsafe(self._wake.set)

    async def start(self) -> None:
        """Begin to write; idempotent."""
        if self._task is None:
            self._loop = asyncio.get_running_loop()
            self._stopping.clear()
            self._wake.set()
            self._task = asyncio.create_task(self._run(), name="custodes-audit-intake")

    async def stop(self) -> None:
        """Write what waits and end; what the store does not take then is counted as shed. Idempotent."""
        task, self._task, self._loop = self._task, None, None
        if task is None:
            return
        # Not cancelled: a write that is under way may be kept, and must not be made a second time.
        self._stopping.set()
        self._wake.set()
        await task
        if not await self.flush():
            self.shed += self.waiting
            self._waiting.clear()
            self._batch = []

    async def flush(self) -> bool:
        """Write what waits; False when the store did not take it."""
        while self._batch or self._waiting:
            try:
                if not self._batch:
                    await self._fill()
                await self._write(self._batch)
            except StorageUnavailable as error:  # it stays in the buffer and is tried again
                _log.warning("audit_batch_failed", entries=len(self._batch), error=repr(error))
                return False
            except Exception as error:  # noqa: BLE001 - one that cannot be written must not hold up the others
                _log.warning("audit_batch_failed", entries=len(self._batch), error=repr(error))
                if not self._batch or not await self._one_by_one():
                    return False
            self._batch = []
        return True

    async def _one_by_one(self) -> bool:
        """Write the batch entry by entry, shed what can never be written; False when the store went away meanwhile."""
        while self._batch:
            try:
                await self._write(self._batch[:1])
            except StorageUnavailable:
                return False
            except Exception as error:  # noqa: BLE001 - told, counted, and no reason to keep the others
                _log.error("audit_entry_lost", error=repr(error))
                self.shed += 1
            del self._batch[:1]
        return True

    async def _fill(self) -> None:
        taken = [self._waiting[place] for place in range(min(MAX_BATCH, len(self._waiting)))]
        batch = await self._prepare(taken)
        for _ in taken:
            self._waiting.popleft()
        self._batch = batch
        self.shed += len(taken) - len(batch)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            await self._wake.wait()
            self._wake.clear()
            if not await self.flush():
                self._wake.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_SECONDS):
                        await self._stopping.wait()
