"""The feed: the events of all planes, from memory, for whoever looks.

All readers share one short memory of what happened; each keeps only how far it has read. So a reader costs nothing
while it waits, and one that is slow is told how much it missed. Requests, which may come by the thousand, are folded
when there are many of them. While nobody looks, at this instance or another, nobody listens: the planes then make no
events at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from custodes.kernel.signals import ActivitySignal, FailureSignal
from custodes.live.happening import Happening, numbered, of_activity, of_calls, of_failure
from custodes.live.peers import Peers
from custodes.runtime.termination import when_terminated

if TYPE_CHECKING:
    from custodes.composition import Composition

#: Events remembered: a reader who was away for a minute finds what happened meanwhile.
MEMORY = 2_000

#: Requests that wait to be told between two steps; the others are counted.
MAX_WAITING = 10_000

#: Events in one batch: more can nobody read; the newest are told and the others counted.
MAX_BATCH = 200

#: Seconds between two steps.
STEP_SECONDS = 0.25

#: Seconds that the feed goes on listening after the last reader has gone: who polls comes back.
LINGER_SECONDS = 60.0

#: Readers at a time, over all people.
MAX_READERS = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """What a reader has not seen yet."""

    events: list[Happening]
    #: Events that are not shown because there were too many, or that were forgotten before they were read.
    shed: int
    #: Pass as ``after`` for what comes next.
    last_id: int


class LiveFeed:
    """Remembers what happens while somebody looks.

    Args:
        custodes: the install.
    """

    def __init__(self, custodes: Composition) -> None:
        self._custodes = custodes
        self._memory: deque[Happening] = deque(maxlen=MEMORY)
        self._calls: deque[tuple[Any, ...]] = deque()
        self._waiting: deque[Happening] = deque(maxlen=MEMORY)
        self._peers = Peers(custodes.fanout, custodes.process_name, wanted=self._listen)
        self._stepped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._look_until = 0.0
        self._ended = False
        # Numbers begin with the time: those of a new process are greater than those of the one before.
        self._first_id = self._last_id = custodes.clock.now()
        #: People who read now.
        self.readers = 0
        #: Requests that were not told because too many came at once.
        self.shed_calls = 0

    # ── Life ─────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Hear of other instances at which somebody looks; idempotent."""
        self._ended = False
        self._peers.start()

    async def stop(self) -> None:
        """End all streams and listen no more; idempotent."""
        self.end()
        self._peers.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def end(self) -> None:
        """End all streams: servers wait for open answers before they stop, and these would never end by themselves."""
        self._ended = True
        self._wake()

    # ── Reading ──────────────────────────────────────────────────────────────

    def poll(self, tenant: str | None, after: int | None) -> Batch:
        """Return what is remembered and was not read yet; listens for a minute from now on.

        Args:
            tenant: whose; None for everybody's.
            after: ``last_id`` of the batch before; None: only what comes from now on.
        """
        self._look()
        return self._unread(tenant, self._begin(after))

    def end_with_the_process(self) -> None:
        """Have all streams end when the process is asked to stop; idempotent. Before the first word of one is sent."""
        when_terminated(self.end)

    async def follow(self, tenant: str | None, after: int | None, *, patience: float) -> AsyncIterator[Batch | None]:
        """Go on telling what happens, until the process ends; None when nothing did for ``patience`` seconds."""
        self.readers += 1
        try:
            self._look()
            self.end_with_the_process()
            read = self._begin(after)
            while not self._ended:
                stepped = self._stepped  # before looking: what comes while the reader is busy wakes it, too
                batch = self._unread(tenant, read)
                read = batch.last_id
                if batch.events or batch.shed:
                    yield batch
                try:
                    await asyncio.wait_for(stepped.wait(), patience)
                except TimeoutError:
                    yield None
        finally:
            self.readers -= 1

    def _begin(self, after: int | None) -> int:
        """Tell where to read on; a number that was not given out here, but by an instance that is younger, is now."""
        return self._last_id if after is None else min(after, self._last_id)

    def _unread(self, tenant: str | None, after: int) -> Batch:
        found: list[Happening] = []
        for event in reversed(self._memory):
            if event.id <= after:
                break
            if tenant is None or event.tenant == tenant:
                found.append(event)
        found.reverse()
        shed = max(0, len(found) - MAX_BATCH)
        if tenant is None and self._memory and after >= self._first_id:
            # Numbers have no gaps. Whose the forgotten events were is forgotten, too: only those who see all are told.
            shed += max(0, self._memory[0].id - after - 1)
        return Batch(found[-MAX_BATCH:], shed, max(after, self._last_id))

    # ── Listening ────────────────────────────────────────────────────────────

    def _look(self) -> None:
        """Somebody looks here, for a while."""
        self._look_until = asyncio.get_running_loop().time() + LINGER_SECONDS
        self._listen()

    def _listen(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="custodes-live")

    def _is_looked_at(self) -> bool:
        return bool(self.readers) or asyncio.get_running_loop().time() < self._look_until

    async def _run(self) -> None:
        custodes = self._custodes
        custodes.bus.subscribe(ActivitySignal, self._hear)
        custodes.bus.subscribe(FailureSignal, self._hear_failure)
        custodes.traffic.watch(self._see)
        try:
            while (looked_at := self._is_looked_at()) or self._peers.look:
                if looked_at:
                    self._peers.ask()
                await asyncio.sleep(STEP_SECONDS)
                self.step()
        finally:
            custodes.traffic.watch(None)
            custodes.bus.unsubscribe(ActivitySignal, self._hear)
            custodes.bus.unsubscribe(FailureSignal, self._hear_failure)

    def step(self) -> None:
        """Take what has come since the last step into memory, tell other instances, and wake the readers."""
        self._custodes.traffic.show()
        fresh = [*self._take(self._waiting), *of_calls(self._take(self._calls))]
        self._peers.tell(fresh)
        fresh += self._peers.take()
        if not fresh:
            return
        fresh.sort(key=lambda event: event.at)
        for event in fresh:
            self._last_id += 1
            self._memory.append(numbered(event, self._last_id))
        self._wake()

    def _wake(self) -> None:
        self._stepped.set()
        self._stepped = asyncio.Event()

    @staticmethod
    def _take(queue: deque[Any]) -> list[Any]:
        # One by one: other threads append at the other end.
        return [queue.popleft() for _ in range(len(queue))]

    def _see(self, row: tuple[Any, ...]) -> None:
        if len(self._calls) < MAX_WAITING:
            self._calls.append(row)
        else:
            self.shed_calls += 1

    def _hear(self, signal: ActivitySignal) -> None:
        self._waiting.append(of_activity(signal))

    def _hear_failure(self, signal: FailureSignal) -> None:
        if not signal.opens:
            return
        self._waiting.append(of_failure(signal))
