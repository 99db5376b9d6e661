"""Threads of handlers that are plain functions: no call waits for one for long, and one that hangs harms nobody else.

Nothing can stop a thread. One whose handler outlives its time is lost: another takes its place, up to a bound, of which
one source may have three quarters at most. All are daemons, so that what hangs does not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

#: Handlers that run at the same time.
THREADS = 16

#: Threads in all, those included that are lost.
MOST = 64

#: Longest that an event waits for a thread before it is given back, seconds.
PATIENCE_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class Call:
    """A call of a handler in a thread."""

    #: Source of its event.
    lane: str
    #: What is called.
    function: Callable[[], object]
    #: Loop that waits for it.
    loop: asyncio.AbstractEventLoop
    #: What came of it.
    future: asyncio.Future[Any]
    #: Whether nobody waits for it any more.
    lost: bool = False
    #: Whether its thread is done with it; the loop hears of that a little later.
    ended: bool = False


class Threads:
    """The threads of one process; used from one event loop."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Call] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._running: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def lost(self) -> int:
        """Threads whose handlers have outlived their time and have not ended yet."""
        return self._lost.total()

    async def begin(self, lane: str, function: Callable[[], object]) -> Call | None:
        """Call a function in a thread, at once or when one is free; None: none was within :data:`PATIENCE_SECONDS`."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not self._is_free(lane):
                    freed = loop.create_future()
                    self._waiting = [*(each for each in self._waiting if not each.done()), freed]
                    await freed
        if not self._is_free(lane):
            return None
        call = Call(lane, function, loop, loop.create_future())
        with self._lock:
            self._running[lane] += 1
            spawn = self._idle == 0
            self._idle -= not spawn
        self._queue.put(call)
        if spawn:
            threading.Thread(target=self._work, name="custodes-handler", daemon=True).start()
        return call

    def lose(self, call: Call) -> None:
        """Let go of a call that takes too long: another thread takes the place of its own."""
        with self._lock:
            if call.ended or call.lost:
                return
            call.lost = True
            self._running[call.lane] -= 1
            self._lost[call.lane] += 1
        self._wake()

    def _is_free(self, lane: str) -> bool:
        running, its = self._running, self._running[lane] + self._lost[lane]
        return (
            running.total() < THREADS
            and running[lane] < THREADS * 3 // 4
            and running.total() + self._lost.total() < MOST
            and its < MOST * 3 // 4
        )

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    def _work(self) -> None:
        while True:
            call = self._queue.get()
            error: BaseException | None = None
            try:
                call.function()
            except BaseException as raised:  # noqa: BLE001 - it belongs to who waits
                error = raised
            with self._lock:
                call.ended = True
                (self._lost if call.lost else self._running)[call.lane] -= 1
                spare = self._idle >= THREADS
                self._idle += not spare
            with contextlib.suppress(RuntimeError):  # the loop is closed
                call.loop.call_soon_threadsafe(self._ended, call, error)
            del call, error
            if spare:
                return

    def _ended(self, call: Call, error: BaseException | None) -> None:
        if not call.future.done():
            call.future.set_result(error)
        self._wake()
