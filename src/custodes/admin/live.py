"""What happens, as it happens: the events of all planes, from memory, for whoever looks.

All readers share one short memory of what happened; each keeps only how far it has read. So a reader costs nothing
while it waits, and one that is slow is told how much it missed. Requests, which may come by the thousand, are folded
when there are many of them. While nobody looks, nobody listens: the planes then make no events at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from custodes.app import Custodes
from custodes.kernel.signals import ActivitySignal, FailureSignal
from custodes.planes.traffic.recorder import CALL_FIELDS

#: Events remembered: a reader who was away for a minute finds what happened meanwhile.
MEMORY = 2_000

#: Requests that wait to be told between two steps; the others are counted.
MAX_WAITING = 10_000

#: Requests told one by one in a step; when there are more, those that are alike are told as one.
MAX_SINGLE = 25

#: Events in one batch: more can nobody read; the newest are told and the others counted.
MAX_BATCH = 200

#: Seconds between two steps.
STEP_SECONDS = 0.25

#: Seconds that the feed goes on listening after the last reader has gone: who polls comes back.
LINGER_SECONDS = 60.0

#: Readers at a time, over all people.
MAX_READERS = 200

_FIELD = {name: place for place, name in enumerate(CALL_FIELDS)}


@dataclass(frozen=True, slots=True)
class Happening:
    """One event, or several that are alike."""

    #: Grows with time, also over restarts: what comes later is greater.
    id: int
    #: When it happened, microseconds since the epoch; the last one of several.
    at: int
    tenant: str
    #: ``traffic``, ``inbound``, ``audit``, ``ratelimit``, ``alerts``, …
    plane: str
    #: What happened: ``api.call``, ``webhook.received``, the action of an audit entry, the name of a failure.
    kind: str
    #: One line for a person.
    title: str
    #: ``success``, ``failure``, ``denied`` or ``attention``.
    outcome: str
    #: How many it stands for.
    count: int = 1
    #: W3C trace id; of the last one of several; may be empty.
    trace_id: str = ""
    #: ``kind:id`` of what can be opened; may be empty.
    reference: str = ""
    #: HTTP status of a call; 0 otherwise.
    status: int = 0
    #: How long a call took, milliseconds; the slowest of several.
    duration_ms: float = 0.0


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

    def __init__(self, custodes: Custodes) -> None:
        self._custodes = custodes
        self._memory: deque[Happening] = deque(maxlen=MEMORY)
        self._calls: deque[tuple[Any, ...]] = deque()
        self._waiting: deque[Happening] = deque(maxlen=MEMORY)
        self._stepped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._listen_until = 0.0
        # Numbers begin with the time: those of a new process are greater than those of the one before.
        self._first_id = self._last_id = custodes.clock.now()
        #: People who read now.
        self.readers = 0
        #: Requests that were not told because too many came at once.
        self.shed_calls = 0

    # ── Reading ──────────────────────────────────────────────────────────────

    def poll(self, tenant: str | None, after: int | None) -> Batch:
        """Return what is remembered and was not read yet; listens for a minute from now on.

        Args:
            tenant: whose; None for everybody's.
            after: ``last_id`` of the batch before; None: only what comes from now on.
        """
        self._listen()
        return self._unread(tenant, self._last_id if after is None else after)

    async def follow(self, tenant: str | None, after: int | None, *, patience: float) -> AsyncIterator[Batch | None]:
        """Go on telling what happens; None when nothing did for ``patience`` seconds."""
        self.readers += 1
        try:
            self._listen()
            read = self._last_id if after is None else after
            while True:
                batch = self._unread(tenant, read)
                read = batch.last_id
                if batch.events or batch.shed:
                    yield batch
                try:
                    await asyncio.wait_for(self._stepped.wait(), patience)
                except TimeoutError:
                    yield None
        finally:
            self.readers -= 1

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

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listen_until = loop.time() + LINGER_SECONDS
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run(), name="custodes-live")

    async def _run(self) -> None:
        custodes, loop = self._custodes, asyncio.get_running_loop()
        custodes.bus.subscribe(ActivitySignal, self._hear)
        custodes.bus.subscribe(FailureSignal, self._hear_failure)
        custodes.traffic.watch(self._see)
        try:
            while self.readers or loop.time() < self._listen_until:
                await asyncio.sleep(STEP_SECONDS)
                self.step()
        finally:
            custodes.traffic.watch(None)
            custodes.bus.unsubscribe(ActivitySignal, self._hear)
            custodes.bus.unsubscribe(FailureSignal, self._hear_failure)

    async def stop(self) -> None:
        """Listen no more; idempotent."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def step(self) -> None:
        """Take what has come since the last step into memory, and wake the readers."""
        self._custodes.traffic.show()
        fresh = [*self._take(self._waiting), *_folded(self._take(self._calls))]
        if not fresh:
            return
        fresh.sort(key=lambda event: event.at)
        for event in fresh:
            self._last_id += 1
            self._memory.append(_numbered(event, self._last_id))
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
        plane = "ratelimit" if signal.kind.startswith("rate_limit.") else signal.plane
        self._waiting.append(
            Happening(
                0, signal.at, signal.tenant, plane, signal.kind, signal.title[:300], signal.outcome,
                trace_id=signal.trace_id, reference=signal.reference,
            )
        )  # fmt: skip

    def _hear_failure(self, signal: FailureSignal) -> None:
        plane = "health" if signal.name.startswith("health.") else "alerts"
        self._waiting.append(
            Happening(
                0, signal.at, signal.tenant, plane, signal.name, signal.summary[:300], "failure",
                trace_id=signal.trace_id,
            )
        )  # fmt: skip


def _numbered(event: Happening, number: int) -> Happening:
    return Happening(
        number, event.at, event.tenant, event.plane, event.kind, event.title, event.outcome, event.count,
        event.trace_id, event.reference, event.status, event.duration_ms,
    )  # fmt: skip


def _folded(rows: list[tuple[Any, ...]]) -> list[Happening]:
    """Tell requests one by one while they are few; those that are alike together when they are many."""
    if len(rows) <= MAX_SINGLE:
        return [_call([row]) for row in rows]
    alike: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        key = (row[_FIELD["tenant"]], row[_FIELD["method"]], row[_FIELD["route"]], row[_FIELD["status"]])
        alike.setdefault(key, []).append(row)
    return [_call(group) for group in alike.values()]


def _call(rows: list[tuple[Any, ...]]) -> Happening:
    last = rows[-1]
    status: int = last[_FIELD["status"]]
    limited = bool(last[_FIELD["limited_by"]])
    path = last[_FIELD["route"]] if len(rows) > 1 else last[_FIELD["path"]]
    slowest = max(row[_FIELD["total_us"]] for row in rows)
    return Happening(
        id=0,
        at=last[_FIELD["started_at"]] + last[_FIELD["total_us"]],
        tenant=last[_FIELD["tenant"]],
        plane="ratelimit" if limited else "traffic",
        kind="api.limited" if limited else "api.call",
        title=f"{last[_FIELD['method']]} {path or '(unmatched)'}"[:300],
        outcome="denied" if limited else "failure" if status >= 500 or status == 0 else "success",
        count=len(rows),
        trace_id=last[_FIELD["trace_id"]],
        status=status,
        duration_ms=slowest / 1_000,
    )
