"""A time limit for many short waits: one timer for all of them, where ``asyncio.timeout`` costs one each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")

#: How often waits are looked at, as a share of their limit: a wait is ended at most this much too late.
_LOOKS = 8


class Deadline:
    """Ends waits of one event loop that take longer than a fixed time.

    Args:
        seconds: longest that a wait may take; it is ended after that, at most an eighth of it later.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._waits: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait for something.

        Raises:
            TimeoutError: it took too long, and was cancelled.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._waits[task] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self.seconds / _LOOKS, self._look, loop)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if task not in self._ended or task.uncancel() > 0:
                raise
            raise TimeoutError from None
        finally:
            self._waits.pop(task, None)
            self._ended.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        late = loop.time() - self.seconds
        for task in [task for task, began in self._waits.items() if began <= late]:
            del self._waits[task]
            self._ended.add(task)
            task.cancel()
        self._timer = loop.call_later(self.seconds / _LOOKS, self._look, loop) if self._waits else None
