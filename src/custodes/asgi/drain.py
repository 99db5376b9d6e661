"""Leaving without being missed: after SIGTERM a process says that it is not ready, and only then stops listening.

A balancer learns from ``/readyz`` that it must send requests elsewhere, but not at once. Until it has, whoever stops
listening refuses requests that nobody else gets. So SIGTERM has two parts: for a few seconds everything is served as
before, every answer asks its connection to be closed, and ``/readyz`` answers 503; then the server gets the signal,
lets requests under way end, and our own stop writes what is buffered and gives the leases back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from custodes.runtime.log import get_logger

#: Longest that a process goes on once all that stops has stopped, seconds: more than a flush at exit takes, and less
#: than the half minute after which Kubernetes kills.
END_SECONDS = 10.0

_log = get_logger("custodes.drain")

_Handler = Callable[[int, FrameType | None], object]


class Drain:
    """The part of a process's life between SIGTERM and its end.

    Args:
        seconds: how long everything is served as before.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        #: Whether the process has been asked to stop.
        self.begun = False

    def watch(self) -> None:
        """Stand before the server's own handler of SIGTERM; a second signal goes through at once.

        Nothing when the server has none, or runs in another thread than the main one: then it is stopped otherwise.
        """
        handler = signal.getsignal(signal.SIGTERM)
        if not callable(handler):
            return
        loop = asyncio.get_running_loop()

        def begin(number: int, frame: FrameType | None) -> None:
            if self.begun or not self._seconds:
                self.begun = True
                handler(number, frame)
                return
            self.begun = True
            loop.call_soon_threadsafe(self._end_later, loop, handler, number)

        try:
            signal.signal(signal.SIGTERM, begin)
        except ValueError:  # not the main thread
            return

    def _end_later(self, loop: asyncio.AbstractEventLoop, handler: _Handler, number: int) -> None:
        _log.info("draining", seconds=self._seconds)
        loop.call_later(self._seconds, handler, number, None)


def end_within(seconds: float) -> None:
    """End this process in a while, if it has not ended by itself.

    Python waits for every task and every thread of a pool: one handler that swallows its cancellation, or a call in a
    thread that never comes back, would keep the process, and a supervisor that waits for it, for ever.
    """

    def end() -> None:
        _log.warning("ended_by_force", seconds=seconds, why="a task or a thread would not end")
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True  # who ends in time does not wait for it
    timer.start()
