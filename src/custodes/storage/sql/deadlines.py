"""Ends work on a database connection that takes too long.

A thread that waits for a server which neither answers nor goes away (frozen, unplugged, behind a dead link) would wait
for ever: the server's own ``statement_timeout`` does not run there. One thread watches all connections at work. What is
overdue is cancelled politely (PostgreSQL documentation, "Canceling Queries in Progress"), then its socket is shut.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Generator
from typing import Any

from custodes.kernel.clock import SECOND
from custodes.runtime.system_clock import SystemClock

#: How often the watch looks, seconds.
_LOOK_SECONDS = 0.5

#: How long the server has to take a cancellation, seconds.
_CANCEL_SECONDS = 1.0


class Overdue(Exception):
    """The work was ended because it took too long."""


class _Watched:
    """A connection at work."""

    __slots__ = ("driver", "ends_at", "overdue")

    def __init__(self, driver: Any, ends_at: float) -> None:
        self.driver = driver
        self.ends_at = ends_at
        self.overdue = False


class Deadlines:
    """Watches psycopg connections while they are at work."""

    def __init__(self) -> None:
        # Always the real one: what hangs here hangs in real time.
        self._clock = SystemClock()
        self._watched: dict[int, _Watched] = {}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def guard(self, driver: Any, seconds: float) -> Generator[None]:
        """End what is done inside when it takes longer.

        Raises:
            Overdue: in place of the error that the broken connection gave.
        """
        watched = _Watched(driver, self._now() + seconds)
        key = id(watched)
        with self._lock:
            self._watched[key] = watched
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="custodes-deadlines", daemon=True)
                self._thread.start()
        try:
            yield
        except Exception as error:
            if watched.overdue:
                raise Overdue from error
            raise
        finally:
            with self._lock:
                del self._watched[key]

    def interrupt(self, driver: Any) -> None:
        """End what a connection is doing now, soon; does not wait."""
        with self._lock:
            for watched in self._watched.values():
                if watched.driver is driver:
                    watched.ends_at = 0.0

    def close(self) -> None:
        """End the watch; blocks for less than a second."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _now(self) -> float:
        return self._clock.monotonic() / SECOND

    def _watch(self) -> None:
        while not self._end.wait(_LOOK_SECONDS):
            now = self._now()
            with self._lock:
                overdue = [one for one in self._watched.values() if one.ends_at < now]
            for watched in overdue:
                self._stop(watched)

    def _stop(self, watched: _Watched) -> None:
        if not watched.overdue:
            watched.overdue = True
            with contextlib.suppress(Exception):
                watched.driver.cancel_safe(timeout=_CANCEL_SECONDS)
            watched.ends_at = self._now() + _CANCEL_SECONDS
            return
        with contextlib.suppress(Exception), self._lock:
            if id(watched) in self._watched:
                _shut(watched.driver)


def _shut(driver: Any) -> None:
    """Shut the socket of a connection beneath whoever waits on it."""
    with socket.socket(fileno=os.dup(driver.fileno())) as beneath:
        beneath.shutdown(socket.SHUT_RDWR)
