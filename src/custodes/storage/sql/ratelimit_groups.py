"""What engines have in common that decide in groups: everything that waits shares one transaction of one thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import TypeAlias, cast

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import SECOND
from custodes.kernel.window import (
    SHARED_STATES,
    Ask,
    Cells,
    Concurrency,
    Meter,
    Near,
    Outcome,
    decide,
    held,
    left_when_near,
)
from custodes.kernel.window.cells import Key
from custodes.kernel.window.meter import State
from custodes.runtime.writer import GroupCommitWriter, Pending


class SharedCells(Cells):
    """States of one limit; touched in the deciding thread only, but for the tally."""

    __slots__ = ("_engine", "_lock", "_near", "_ready", "name")

    def __init__(self, engine: GroupedWindows, name: str, meter: Meter, *, shadow: bool) -> None:
        super().__init__(meter, shadow=shadow)
        self._engine = engine
        self._lock = threading.Lock()
        self._ready: defaultdict[Key, int] = defaultdict(int)
        #: States as they were written, of those who had nearly used up the limit.
        self._near: Near[bytes] = Near()
        self.name = name

    def recall(self, key: Key, now: int) -> tuple[Key, State]:
        """Read a state from the store."""
        state = self._engine.load(self, key, now)
        if state is None and self._engine.full:
            shared = ("shared", int.from_bytes(self.row_id(key)[:4], "little") % SHARED_STATES)
            self._engine.overflow(self, key, shared)
            key = shared
            state = self._engine.load(self, key, now)
        if state is None:
            return key, self.meter.fresh()
        self.at_hand[key] = state
        return key, state

    def latest(self, now: int) -> int:
        """Tell up to when a state that is dead by then is believed.

        One that was written a whole window ahead of now comes from a clock that ran ahead and has been put right. Taken
        as it is, it would refuse its subject until that moment comes, perhaps for days. What is ahead by less is what
        clocks that differ make, and is never forgotten.
        """
        return now + 2 * self.meter.refill

    def row_id(self, key: Key) -> bytes:
        """Name a state in the store: of one size, and no address in clear."""
        return blake2b(f"{self.name}\0{key!r}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def settle(self) -> None:
        """Have what was counted since the last time be taken; called after a commit."""
        with self._lock:
            for key, units in self.tally.items():
                self._ready[key] += units
        self.tally.clear()

    def note(self, key: Key, left: int) -> None:
        """Remember a subject that has nearly used up the limit; who has not, costs a comparison."""
        if left <= left_when_near(self.meter):
            state = self.at_hand.get(key)
            if state is not None:
                with self._lock:
                    self._near.note(key, self.meter.pack(state))

    def near(self, now: int) -> list[tuple[Key, int]]:
        """List those who still have nearly used it up, by what this worker knows; forget the others."""
        found: list[tuple[Key, int]] = []
        with self._lock:
            for key, packed in self._near.all():
                left, _ = self.meter.view(self.meter.unpack(packed), now)
                if left <= left_when_near(self.meter):
                    found.append((key, left))
                else:
                    self._near.forget(key)
        return found

    def take_tally(self) -> dict[Key, int]:
        """Hand over the units of committed decisions, and begin again."""
        with self._lock:
            ready, self._ready = self._ready, defaultdict(int)
        return ready


@dataclass(slots=True)
class Decision:
    """Limits of a request to decide on."""

    asks: Sequence[Ask]
    now: int


@dataclass(slots=True)
class Release:
    """Slots to give back."""

    cells: SharedCells
    key: Key
    taken_at: int
    cost: int


Task: TypeAlias = "Decision | Release"


class GroupedWindows(ABC):
    """The part of a :class:`~custodes.planes.ratelimit.ports.Windows` that does not know where states are kept.

    Args:
        deadline: how long a request waits for its decision, microseconds.
    """

    #: Whether ``decide`` always answers at once.
    synchronous = False
    #: No leases are taken: what waits shares a transaction.
    lends = False

    #: What to look at when decisions take too long.
    remedy = ""

    def __init__(self, deadline: int) -> None:
        self._deadline = deadline / SECOND
        self._cells: dict[str, SharedCells] = {}
        self._writer: GroupCommitWriter[Task] | None = None
        self._dirty: dict[tuple[SharedCells, Key], None] = {}
        self._aliases: dict[tuple[SharedCells, Key], Key] = {}
        self._releases: set[asyncio.Task[None]] = set()
        #: Whether there is no room for states of new subjects.
        self.full = False
        #: Decisions on subjects that had to share a state.
        self.overflowed = 0
        #: Decisions that could not be made, or not in time.
        self.failures = 0

    # ── Port ─────────────────────────────────────────────────────────────────

    def cells(self, name: str, meter: Meter, *, shadow: bool = False, together: str = "") -> SharedCells:
        """Return the states of a limit; the same ones for the same name, in every worker."""
        found = self._cells.get(name)
        if found is None:
            found = self._cells[name] = SharedCells(self, name, meter, shadow=shadow)
        found.shadow = shadow
        return found

    async def decide(self, asks: Sequence[Ask], now: int) -> Outcome:
        """Decide on all limits of a request, in one transaction with whatever else waits.

        Raises:
            StorageUnavailable: there is no decision within the deadline.
        """
        try:
            deciding = self._running().hand_in(Decision(asks, now))
            # Neither cancelled at the deadline nor with whoever asked: it will be decided all the same.
            try:
                await asyncio.wait((deciding,), timeout=self._deadline)
            except asyncio.CancelledError:
                deciding.add_done_callback(partial(self._unclaimed, asks, now))
                raise
            if deciding.done():
                return cast("Outcome", deciding.result())
        except StorageUnavailable:
            self.failures += 1
            raise
        deciding.add_done_callback(partial(self._unclaimed, asks, now))
        self.failures += 1
        msg = f"Limits were not decided within {self._deadline * 1_000:g} ms"
        raise StorageUnavailable(msg, remedy=self.remedy)

    def release(self, cells: SharedCells, key: Key, taken_at: int, cost: int) -> None:
        """Give back slots in the background; what cannot be given back is free at the end of its lease."""
        task = asyncio.get_running_loop().create_task(self._release(Release(cells, key, taken_at, cost)))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def near(self, cells: SharedCells, now: int) -> list[tuple[Key, int]]:
        """List who has used 80 % of a limit or more: what this worker saw when it last decided on them, as of now."""
        return cells.near(now)

    @property
    def instances(self) -> int:
        """Workers are not counted: each falls back to the whole limit."""
        return 1

    @property
    def available(self) -> bool:
        """It is tried every time."""
        return True

    @property
    def trouble(self) -> str:
        """Told to whoever asks, each time."""
        return ""

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the limits of other names; their rows are cleaned up in time."""
        wanted = set(names)
        self._cells = {name: cells for name, cells in self._cells.items() if name in wanted}

    async def start(self) -> None:  # noqa: B027 - nothing that an engine would have to do
        """Nothing to do: the first decision opens what is needed."""

    async def stop(self) -> None:
        """Decide on what waits, then close the store."""
        if self._releases:
            await asyncio.gather(*self._releases, return_exceptions=True)
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(writer.close)

    def _unclaimed(self, asks: Sequence[Ask], now: int, deciding: asyncio.Future[object]) -> None:
        """Give back the slots of a request that was decided when nobody waited for it any more."""
        if deciding.exception() is None:
            for (cells, key, cost), taken_at in held(asks, cast("Outcome", deciding.result()), now):
                self.release(cells, key, taken_at, cost)

    async def _release(self, release: Release) -> None:
        with contextlib.suppress(StorageUnavailable):
            await self._running().submit(release)

    def _running(self) -> GroupCommitWriter[Task]:
        if self._writer is None:
            self._writer = GroupCommitWriter(self._commit, on_stop=self._close, name="custodes-limits")
        return self._writer

    # ── The deciding thread ──────────────────────────────────────────────────

    @abstractmethod
    def load(self, cells: SharedCells, key: Key, now: int) -> State | None:
        """Read a state; None when there is none, or none to be read or believed, see :meth:`SharedCells.latest`."""

    @abstractmethod
    def _commit(self, group: list[Pending[Task]]) -> None:
        """Carry out a group in one transaction."""

    @abstractmethod
    def _close(self) -> None:
        """Close the store."""

    def overflow(self, cells: SharedCells, key: Key, shared: Key) -> None:
        """Note that a subject has to share a state."""
        self.overflowed += 1
        self._aliases[cells, key] = shared

    def carry_out(self, task: Task) -> Outcome | None:
        """Decide, or give back, in memory."""
        if isinstance(task, Release):
            self._give_back(task)
            return None
        outcome = decide(task.asks, task.now)
        for (cells, key, _), (left, _) in zip(task.asks, outcome.views, strict=True):
            cells.note(key, left)
        if not outcome.refused:
            for cells, key, _ in task.asks:
                self._dirty[cells, self._aliases.get((cells, key), key)] = None
        return outcome

    def _give_back(self, task: Release) -> None:
        cells, meter = task.cells, task.cells.meter
        state = cells.at_hand.get(task.key)
        if state is None:
            _, state = cells.recall(task.key, task.taken_at)
        if isinstance(meter, Concurrency):
            cells.at_hand[task.key] = meter.release(state, task.taken_at, task.cost)
            self._dirty[cells, task.key] = None

    def rows(self, now: int) -> list[tuple[bytes, bytes, int]]:
        """List what has changed: name, state, and when it is dead."""
        return [
            (cells.row_id(key), cells.meter.pack(cells.at_hand[key]), now + cells.meter.refill)
            for cells, key in self._dirty
            if key in cells.at_hand  # not a limit in shadow that would have refused somebody new
        ]

    def forget(self) -> None:
        """Forget what is remembered between transactions."""
        for cells in self._cells.values():
            cells.at_hand.clear()

    def abandon(self) -> None:
        """Start afresh after a failure: what is remembered may differ from the store."""
        self.forget()
        for cells in self._cells.values():
            cells.tally.clear()

    def settle(self) -> None:
        """Note that what was carried out is kept."""
        for cells in self._cells.values():
            cells.settle()
