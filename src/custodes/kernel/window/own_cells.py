"""States in the memory of one worker, bounded without ever pardoning anybody."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from custodes.kernel.window.cells import Cells, Key
from custodes.kernel.window.concurrency import Concurrency
from custodes.kernel.window.meter import Meter, State

#: Subjects per limit whose states are kept apart, those of up to two windows together. A subject takes about 250
#: bytes and 8 for each event in its log.
MAX_SUBJECTS = 100_000

#: States that the subjects beyond that share, by hash: nobody gets more than the limit, some may get less.
SHARED_STATES = 1_024

#: Dead states let go of with each new subject: more than one, so that they go faster than new ones come.
_REAP = 4


class OwnCells(Cells):
    """States by subject in two generations.

    States that were not touched since the last change of generations wait in ``_earlier``. Generations change when all
    of those are as good as new (``meter.refill``): letting go of them forgets nothing, so no rotation of addresses ever
    pardons an attacker, and nothing has to be searched for victims.
    """

    __slots__ = ("_changed_at", "_dying", "_earlier", "max_subjects", "overflowed")

    def __init__(self, meter: Meter, *, shadow: bool = False, max_subjects: int = MAX_SUBJECTS) -> None:
        super().__init__(meter, shadow=shadow)
        self.max_subjects = max_subjects
        #: Decisions on subjects that had to share a state.
        self.overflowed = 0
        self._earlier: dict[Key, State] = {}
        self._dying: list[dict[Key, State]] = []
        self._changed_at = 0

    def __len__(self) -> int:
        return len(self.at_hand) + len(self._earlier)

    def known(self) -> Iterator[tuple[Key, State]]:
        """List subjects and states, the latest generation first."""
        return chain(self.at_hand.items(), self._earlier.items())

    def recall(self, key: Key, now: int) -> tuple[Key, State]:
        """Bring a state over from the earlier generation, or begin a new one."""
        if now - self._changed_at > self.meter.refill:
            self._change_generations(now)
        state = self._earlier.pop(key, None)
        if state is not None:
            self.at_hand[key] = state
            return key, state
        self._reap()
        if len(self) < self.max_subjects:
            return key, self.meter.fresh()
        self.overflowed += 1
        return self._shared(key)

    def release(self, key: Key, taken_at: int, cost: int) -> None:
        """Give back slots taken at a moment, of whichever generation the state is; nothing where none are held."""
        meter = self.meter
        if isinstance(meter, Concurrency):
            state = self.at_hand.get(key)
            if state is None:
                _, state = self.recall(key, taken_at)
            meter.release(state, taken_at, cost)

    def _shared(self, key: Key) -> tuple[Key, State]:
        # str hashes are keyed per process: nobody outside can choose whom to share with.
        key = ("shared", hash(key) % SHARED_STATES)
        state = self.at_hand.get(key)
        if state is None:
            state = self._earlier.pop(key, None)
        return key, self.meter.fresh() if state is None else state

    def _change_generations(self, now: int) -> None:
        if self._earlier:
            self._dying.append(self._earlier)
        self._earlier, self.at_hand = self.at_hand, {}
        self._changed_at = now
        if len(self.tally) > self.max_subjects:  # nobody collects it
            self.take_tally()

    def _reap(self) -> None:
        """Let go of some dead states: freeing all at once would hold up the event loop."""
        while self._dying:
            dead = self._dying[-1]
            for _ in range(min(_REAP, len(dead))):
                dead.popitem()
            if dead:
                return
            self._dying.pop()
