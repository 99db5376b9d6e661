"""Group commit: concurrent writers share one transaction and are all answered after it.

One thread owns the only writing connection. Everything that arrives while a commit is under way forms the next group,
so the group grows exactly as fast as the disk is slow and nobody waits for a timer.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from custodes.errors import StorageUnavailable
from custodes.runtime.log import get_logger
from custodes.runtime.stop_iteration import no_stop_iteration

P = TypeVar("P")

#: Told what became of a payload: its result and None, or None and why it was not kept.
Told: TypeAlias = Callable[[Any, "BaseException | None"], None]

#: Most payloads that share one commit: bounds how long a late-comer waits for the group before it.
MAX_GROUP = 512

#: Most payloads waiting for the writer before new ones are refused: bounds memory when the disk hangs.
MAX_WAITING = 20_000

#: Longest that an impatient payload waits, seconds: below the ten that GitHub waits for an answer.
PATIENCE_SECONDS = 7.0

#: How often impatient payloads are looked after, seconds: one may wait for as much longer.
LOOK_SECONDS = 1.0

_log = get_logger("custodes.writer")


class Pending(Generic[P]):
    """One payload on its way through the writer, and what became of it."""

    __slots__ = ("_future", "_loop", "error", "patient", "payload", "result", "told")

    def __init__(
        self, payload: P, loop: asyncio.AbstractEventLoop, *, patient: bool = True, told: Told | None = None
    ) -> None:
        self.payload = payload
        #: Whether it waits for as long as the store takes.
        self.patient = patient
        #: Called in the loop once it is known what became of it, whether or not anybody waits still.
        self.told = told
        self.result: object = None
        self.error: BaseException | None = None
        self._loop = loop
        self._future: asyncio.Future[object] = loop.create_future()

    def fail(self, error: BaseException) -> None:
        """Note that the payload was not kept."""
        self.error = error

    @property
    def future(self) -> asyncio.Future[object]:
        """Resolves after the commit."""
        return self._future

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Event loop that waits for it."""
        return self._loop


class GroupCommitWriter(Generic[P]):
    """Feeds payloads, in order of arrival and in groups, to ``commit`` in one thread of its own.

    ``commit`` gets the group, sets ``result`` or ``error`` on each, and must not return before what it reports as kept
    is kept. ``on_stop`` runs last in the same thread, to close what only it may touch.
    """

    def __init__(
        self,
        commit: Callable[[list[Pending[P]]], None],
        *,
        on_stop: Callable[[], None],
        name: str = "custodes-writer",
        max_group: int = MAX_GROUP,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._commit = commit
        self._on_stop = on_stop
        self._name = name
        self._max_group = max_group
        self._max_waiting = max_waiting
        self._queue: queue.SimpleQueue[list[Pending[P]] | None] = queue.SimpleQueue()
        self._arriving: dict[asyncio.AbstractEventLoop, list[Pending[P]]] = {}
        self._left_over: list[Pending[P]] = []
        self._impatient: dict[asyncio.AbstractEventLoop, deque[tuple[float, list[Pending[P]]]]] = {}
        # Two counters, each written by one side only, so that no lock is needed.
        self._submitted = 0
        self._taken = 0
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        #: Payloads refused because too many were waiting.
        self.refused = 0
        #: Groups committed.
        self.groups = 0
        #: Payloads committed.
        self.payloads = 0

    @property
    def waiting(self) -> int:
        """Payloads that wait for the writer, roughly."""
        return self._submitted - self._taken

    async def submit(self, payload: P, *, patient: bool = True) -> object:
        """Hand in a payload and wait until its group is committed.

        Args:
            payload: what to commit.
            patient: False to wait for :data:`PATIENCE_SECONDS` at most; it may still be committed later.

        Raises:
            StorageUnavailable: the writer is closed, too many payloads wait already, or it took too long.
        """
        return await self.hand_in(payload, patient=patient)

    def hand_in(self, payload: P, *, patient: bool = True, told: Told | None = None) -> asyncio.Future[object]:
        """Hand in a payload, as :meth:`submit` does, and return what resolves after the commit.

        The hot path: no coroutine of ours waits with the caller. Of all that lives while a commit is under way the
        garbage collector looks at every object, often more than once.

        Args:
            payload: what to commit.
            patient: as of :meth:`submit`.
            told: called once in the caller's loop, before what waits goes on, when it is known what became of the
                payload; also after nobody waits any more, by impatience or because it was cancelled. Not when this
                raises.

        Raises:
            StorageUnavailable: as of :meth:`submit`, at once.
        """
        if self._closed:
            raise _closed()
        if self._submitted - self._taken >= self._max_waiting:
            self.refused += 1
            msg = f"The store is behind: {self._max_waiting} writes are waiting"
            raise StorageUnavailable(msg, remedy="Try again in a moment; look at the disk")
        if self._thread is None:
            self._start()
        loop = asyncio.get_running_loop()
        pending = Pending(payload, loop, patient=patient, told=told)
        self._submitted += 1
        arriving = self._arriving.get(loop)
        if arriving is None:
            # What arrives in the same turn of the loop is handed over together: one wake-up, one group.
            self._arriving[loop] = [pending]
            loop.call_soon(self._hand_over, loop)
        else:
            arriving.append(pending)
        return pending.future

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        arrived = self._arriving.pop(loop)
        impatient = [pending for pending in arrived if not pending.patient]
        if impatient:
            self._watch(loop, impatient)
        with self._lock:
            if not self._closed:
                self._queue.put(arrived)
                return
        for pending in arrived:
            pending.fail(_closed())
        self._submitted -= len(arrived)
        _resolve(arrived)

    def _watch(self, loop: asyncio.AbstractEventLoop, impatient: list[Pending[P]]) -> None:
        """Have those that will not wait for ever looked after: one timer for all, not one for each."""
        watched = self._impatient.get(loop)
        if watched is None:
            watched = self._impatient[loop] = deque()
            loop.call_later(LOOK_SECONDS, self._look, loop)
        watched.append((loop.time(), impatient))

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        watched, now = self._impatient[loop], loop.time()
        while watched:
            since, pendings = watched[0]
            left = [pending.future for pending in pendings if not pending.future.done()]
            if left and now - since < PATIENCE_SECONDS:
                break
            for future in left:
                msg = f"The store did not answer within {PATIENCE_SECONDS:g} s"
                future.set_exception(StorageUnavailable(msg, remedy="Try again; look at the disk"))
            watched.popleft()
        if watched:
            loop.call_later(LOOK_SECONDS, self._look, loop)
        else:
            del self._impatient[loop]

    def close(self) -> None:
        """Commit what is waiting, then stop the thread. Idempotent; blocks."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            running = True
            while running:
                group, running = self._next_group()
                if group:
                    self._commit_group(group)
        finally:
            self._on_stop()

    def _next_group(self) -> tuple[list[Pending[P]], bool]:
        group, self._left_over = self._left_over, []
        running = True
        while running and len(group) < self._max_group:
            try:
                arrived = self._queue.get(block=not group)
            except queue.Empty:
                break
            if arrived is None:
                running = False
            else:
                group.extend(arrived)
        if len(group) > self._max_group:
            self._left_over = group[self._max_group :]
            del group[self._max_group :]
        if not running and self._left_over:  # the end comes after what was handed in before it
            self._queue.put(None)
            running = True
        self._taken += len(group)
        return group, running

    def _commit_group(self, group: list[Pending[P]]) -> None:
        try:
            self._commit(group)
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            for pending in group:
                pending.fail(error)
        self.groups += 1
        self.payloads += len(group)
        _answer(group)


def _closed() -> StorageUnavailable:
    msg = "The store is closed"
    return StorageUnavailable(msg, remedy="Start Custodes before it is used, and not after it was stopped")


def _answer(group: list[Pending[P]]) -> None:
    """Wake those who wait: one wake-up per event loop, not per payload."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Pending[P]]] = {}
    for pending in group:
        by_loop.setdefault(pending.loop, []).append(pending)
    for loop, members in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, members)
        except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
            continue


def _resolve(members: list[Pending[P]]) -> None:
    for pending in members:
        if pending.told is not None:
            try:
                pending.told(pending.result, pending.error)
            except Exception:  # noqa: BLE001 - what is kept is kept, and the others of the group wait for their answer
                _log.exception("told_failed")
        future = pending.future
        if future.done():  # the waiter was cancelled, or has given up; its payload is kept all the same
            continue
        if pending.error is not None:
            future.set_exception(no_stop_iteration(pending.error))
        else:
            future.set_result(pending.result)
