"""The shield: what is ours never harms what is the host's.

Everything of ours that runs inside a host's request (parsing, hooks, stores, callbacks) runs behind this guard. What
it raises is counted, logged at a bounded rate and forgotten; what hangs is left behind after a time limit; what hangs
again and again is not waited for at all until it has had time to recover. What the host raises, and what stops the
program or the task, passes untouched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from custodes.kernel.clock import MINUTE, SECOND, Clock
from custodes.runtime.log import get_logger

T = TypeVar("T")

#: A failure of one name is logged once in this time, microseconds; the ones between are in the next line's count.
LOG_EVERY = MINUTE

#: Time-outs in a row after which a name is no longer waited for.
TRIPS_AFTER = 3

#: How long a name that trips is passed over before one request tries it again, microseconds.
RESTS_FOR = 5 * SECOND

#: What a plain call may fail with. A task is cancelled while it waits, so a cancellation out of a plain call is a bug.
_ANY = (Exception, asyncio.CancelledError)

_log = get_logger("custodes.shield")


class _Record:
    """What is known of one guarded thing."""

    __slots__ = ("failures", "logged_at", "logged_failures", "rests_until", "timeouts")

    def __init__(self) -> None:
        self.failures = 0
        self.logged_at: int | None = None
        self.logged_failures = 0
        self.timeouts = 0
        self.rests_until = 0


class Shield:
    """Guards the host against us.

    Args:
        clock: source of time.
        limit_seconds: longest that one hook or store is waited for inside a request.
    """

    def __init__(self, clock: Clock, limit_seconds: float = 0.25) -> None:
        self._clock = clock
        self._limit = limit_seconds
        self._records: dict[str, _Record] = {}
        self._left_behind: set[asyncio.Future[Any]] = set()

    @property
    def failures(self) -> dict[str, int]:
        """Failures since the start, by the name of what failed."""
        return {name: record.failures for name, record in self._records.items()}

    @property
    def left_behind(self) -> int:
        """Hooks that were cancelled after their time and have not ended yet."""
        return len(self._left_behind)

    def absorbs(self, name: str, error: BaseException) -> bool:
        """Tell whether an exception of ours ends here; if so, it is counted and logged.

        To be used as ``except BaseException as error: if not shield.absorbs("limiter", error): raise``. An
        interrupt, an exit and the cancellation of the task pass; a ``CancelledError`` that one of our parts raises
        while nobody cancels the task is a failure like any other.
        """
        if not isinstance(error, Exception) and not (isinstance(error, asyncio.CancelledError) and not _is_cancelled()):
            return False
        self._note(name, error)
        return True

    async def wait(
        self,
        name: str,
        awaitable: Awaitable[T],
        otherwise: T,
        *,
        seconds: float | None = None,
        unclaimed: Callable[[T], object] | None = None,
    ) -> T:
        """Wait for something of ours, not for ever.

        It runs in a task of its own, so that it cannot hold the request even when it ignores its cancellation.

        Args:
            name: what it is, for the count and the log.
            awaitable: what to wait for.
            otherwise: what to go on with when it fails, hangs or rests.
            seconds: time limit; default as given to the shield.
            unclaimed: called with what it returns when nobody waits for it any more, as it may hold something.
        """
        record = self._record(name)
        if self._rests(record):
            record.failures += 1
            _discard(awaitable)
            return otherwise
        try:
            task = asyncio.ensure_future(awaitable)
        except Exception as error:  # noqa: BLE001 - no awaitable after all, or not in a loop of asyncio
            self._note(name, error)
            return otherwise
        try:
            done, _ = await asyncio.wait((task,), timeout=self._limit if seconds is None else seconds)
        except asyncio.CancelledError:  # which may come in the moment in which the task has ended
            self._leave(name, task, unclaimed)
            raise
        if not done:
            self._leave(name, task, unclaimed)
            self._timed_out(name, record)
            return otherwise
        record.timeouts = 0
        return self._outcome(name, task, otherwise)

    def later(self, name: str, awaitable: Awaitable[object]) -> None:
        """Run something of ours beside the request, which goes on at once."""
        task = asyncio.ensure_future(self.wait(name, awaitable, None))
        self._left_behind.add(task)
        task.add_done_callback(partial(self._forget, name, None))

    def _rests(self, record: _Record) -> bool:
        try:
            return record.rests_until > 0 and self._clock.monotonic() < record.rests_until
        except _ANY:  # the clock may be what is broken
            return False

    def _outcome(self, name: str, task: asyncio.Future[T], otherwise: T) -> T:
        if task.cancelled():
            self._note(name, asyncio.CancelledError("it cancelled itself"))
            return otherwise
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, Exception):
            self._note(name, error)
            return otherwise
        raise error

    def _timed_out(self, name: str, record: _Record) -> None:
        self._note(name, TimeoutError("no answer in time"))
        record.timeouts += 1
        if record.timeouts < TRIPS_AFTER:
            return
        try:
            record.rests_until = self._clock.monotonic() + RESTS_FOR
        except _ANY as error:  # the clock may be what is broken
            self._note("clock", error)

    def _leave(self, name: str, task: asyncio.Future[T], unclaimed: Callable[[T], object] | None) -> None:
        """Cancel a task without waiting for it; a reference is kept until it ends, however long it takes."""
        self._left_behind.add(task)
        task.add_done_callback(partial(self._forget, name, unclaimed))
        task.cancel()

    def _forget(self, name: str, unclaimed: Callable[[T], object] | None, task: asyncio.Future[T]) -> None:
        self._left_behind.discard(task)
        # The exception is read in any case, so that asyncio does not complain that nobody did.
        if task.cancelled() or task.exception() is not None or unclaimed is None:
            return
        try:
            unclaimed(task.result())
        except _ANY as error:
            self._note(name, error)

    def _record(self, name: str) -> _Record:
        record = self._records.get(name)
        if record is None:
            record = self._records[name] = _Record()
        return record

    def _note(self, name: str, error: BaseException) -> None:
        """Count a failure, and log it unless one of its name was logged just now. Never fails itself."""
        record = self._record(name)
        record.failures += 1
        try:
            now = self._clock.monotonic()
            if record.logged_at is not None and now - record.logged_at < LOG_EVERY:
                return
            since = record.failures - record.logged_failures
            record.logged_at, record.logged_failures = now, record.failures
            _log.warning("shielded", what=name, error=repr(error)[:500], failures=since)
        except _ANY:  # the clock, the host's logging or the exception's repr may be what is broken
            record.failures += 1


def _is_cancelled() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # outside of an event loop nobody cancels
        return False
    return task is not None and task.cancelling() > 0


def _discard(awaitable: Awaitable[Any]) -> None:
    """Drop something without running it; a coroutine that is never awaited would warn."""
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()
