"""Fair shares: which jobs a worker takes when there are more than it has places.

A lane is named ``group/member`` (tenant and endpoint). Places go round by group, in each group round by member, so that
neither who has many jobs nor who has many members gets more than its turn. How much one lane may hold grows with its
successes and falls to one place with a failure (additive-increase / multiplicative-decrease, as TCP does it): a lane
that hangs costs one place. Lanes that have not proven themselves (new ones, and those whose last job failed) hold at
most a quarter of the places for each group, and three quarters together: the proven always have the rest. First in
line is whoever has waited longest since its last turn; each failure in a row puts a lane so many turns behind.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from custodes.runtime.jobs import Claim, Lease
from custodes.runtime.transactions import Transaction
from custodes.runtime.worker import Worker

R = TypeVar("R")

_NONE: frozenset[str] = frozenset()

#: Lanes whose windows are remembered; the one that was used longest ago is forgotten first and begins anew.
MAX_REMEMBERED = 10_000


#: Turns that each failure in a row puts a lane behind the others of its group: those that hang wait for those that may
#: well not, and are not passed over for good.
SETBACK_TURNS = 64


@dataclass(frozen=True, slots=True)
class Gate:
    """How far a lane is open."""

    #: Jobs that may be under way at once.
    at_once: int
    #: Jobs that may begin now, however many are under way; None: no limit.
    begin: int | None = None


class Gates(Protocol):
    """**Protocol:** says how many jobs of each lane may begin now."""

    def open(self, tx: Transaction, lanes: Sequence[str], now: int) -> Mapping[str, Gate]:
        """Tell how far each of these lanes is open; a lane that is left out: not at all."""
        ...

    def closed(self, lane: str, now: int) -> bool:
        """Tell whether a lane is known to be closed, so that it need not be looked at."""
        ...

    def opens_at(self, now: int) -> int | None:
        """Tell when a lane that is closed for its pace opens next, microseconds; None when none is known to."""
        ...

    def failing(self, lane: str) -> int:
        """Tell how often in a row jobs of a lane have failed, as it stood when it was looked at last."""
        ...

    def passed(self, tx: Transaction, counts: Mapping[str, int], now: int) -> None:
        """Note how many of each lane begin now."""
        ...


class Windows:
    """How many jobs of each lane may be under way: one at first, twice as many after each success, one after a failure.

    A heuristic of this process, forgotten when it ends: what must be remembered is in the store.
    """

    def __init__(self) -> None:
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def size(self, lane: str) -> int:
        """Return the places that a lane may hold."""
        return self._sizes.get(lane, 1)

    def proven(self, lane: str) -> bool:
        """Tell whether its last job went well."""
        return lane in self._sizes

    def succeeded(self, lane: str, most: int) -> None:
        """Widen a lane's window."""
        self._sizes[lane] = min(2 * self._sizes.get(lane, 1), max(most, 1))
        self._sizes.move_to_end(lane)
        if len(self._sizes) > MAX_REMEMBERED:
            self._sizes.popitem(last=False)

    def failed(self, lane: str) -> None:
        """Narrow a lane's window to one."""
        self._sizes.pop(lane, None)


class Turns:
    """When lanes and groups had a place last."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()
        self._count = 0

    def last(self, name: str) -> int:
        """Return the number of the last turn of a lane or a group; 0 when it had none, or it is forgotten."""
        return self._last.get(name, 0)

    def took(self, lane: str) -> None:
        """Note that it is a lane's turn, and its group's."""
        self._count += 1
        for name in (lane, group_of(lane)):
            self._last[name] = self._count
            self._last.move_to_end(name)
        while len(self._last) > MAX_REMEMBERED:
            self._last.popitem(last=False)


def shares(
    lanes: Sequence[str],
    room: Mapping[str, int],
    free: int,
    *,
    rank: Callable[[str], Any] = str,
    weights: Mapping[str, int] | None = None,
    unproven: frozenset[str] = frozenset(),
    unproven_free: int = 0,
    unproven_room: Callable[[str], int] | None = None,
) -> dict[str, int]:
    """Share free places among lanes.

    Args:
        lanes: lanes that have due jobs.
        room: how many more jobs each lane may have under way.
        free: places to give.
        rank: orders lanes within their group, and groups: the first in line is the one with the least.
        weights: places a round for each group; 1 where none is given.
        unproven: lanes that share ``unproven_free`` places.
        unproven_free: places that the unproven may still take together.
        unproven_room: places that the unproven of a group may still take; None: as many as together.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for lane in lanes:
        if room.get(lane, 0) > 0:
            groups[group_of(lane)].append(lane)
    order = sorted(groups, key=rank)
    left = {lane: room[lane] for members in groups.values() for lane in members}
    queues = {group: sorted(groups[group], key=rank) for group in order}
    given: dict[str, int] = {}
    unproven_left = {group: unproven_room(group) if unproven_room else unproven_free for group in order}
    while free > 0 and order:
        for group in list(order):
            for _ in range((weights or {}).get(group, 1)):
                queue = queues[group]
                while queue and (
                    left[queue[0]] <= 0 or (queue[0] in unproven and min(unproven_free, unproven_left[group]) <= 0)
                ):
                    queue.pop(0)
                if not queue or free <= 0:
                    break
                lane = queue.pop(0)
                queue.append(lane)
                left[lane] -= 1
                free -= 1
                unproven_free -= lane in unproven
                unproven_left[group] -= lane in unproven
                given[lane] = given.get(lane, 0) + 1
            if not queues[group]:
                order.remove(group)
    return given


def group_of(lane: str) -> str:
    """Return the group of a lane."""
    return lane.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Left:
    """What may be due still after a claim, by whose end makes a place for it."""

    #: Lanes that hold all that they may have.
    filled: frozenset[str] = _NONE
    #: Lanes that hold the places that unproven ones wait for; none when none waits.
    unproven: frozenset[str] = _NONE
    #: Whether some wait for a place, whosever: there was none left to give.
    by_any: bool = False

    def waits_for(self, lane: str) -> bool:
        """Tell whether the end of a job of this lane makes a place."""
        return self.by_any or lane in self.filled or lane in self.unproven


class FairWorker(Worker[R], Generic[R]):
    """A worker that takes fair shares of what its gates let through."""

    #: How many jobs of each lane may begin; set before the start.
    gates: Gates

    #: Windows of the lanes.
    windows: Windows

    #: Places a round for groups that get more than others.
    weights: Mapping[str, int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turns = Turns()
        self._left = Left()

    def _waited_for(self, lease: Lease) -> bool:
        # Those that hang are due all the time: that a healthy job ends is no reason to look for them.
        return self._full or self._left.waits_for(lease.lane)

    def _overflows(self, taken: int, free: int) -> bool:
        return self._left.by_any

    def _opens_at(self, now: int) -> int | None:
        return self.gates.opens_at(now)

    def _take(self, tx: Transaction, now: int, by_store: int, free: int, held: Sequence[Lease]) -> list[Lease]:
        self._jobs.pull_in(tx, self.kind, max(now, by_store) + self.horizon, now)
        under_way: dict[str, int] = defaultdict(int)
        slow: dict[str, int] = defaultdict(int)
        for lease in held:
            under_way[lease.lane] += 1
            slow[group_of(lease.lane)] += not self.windows.proven(lease.lane)
        unproven_free = max(1, self.concurrency * 3 // 4) - sum(slow.values())

        def unproven_room(group: str) -> int:
            return min(unproven_free, max(1, self.concurrency // 4) - slow.get(group, 0))

        filled, waiting = set[str](), set[str]()

        def may_have_more(lane: str) -> bool:
            """Tell whether there can be a place for a lane, without looking at what it is a lane of."""
            if self.gates.closed(lane, by_store):
                return False
            if self.windows.size(lane) <= under_way.get(lane, 0):
                filled.add(lane)
                return False
            if self.windows.proven(lane) or unproven_room(group_of(lane)) > 0:
                return True
            waiting.add(lane)
            return False

        # Those that hang are due all the time, and it is for those that do not that one looks.
        lanes = [lane for lane in self._jobs.due_lanes(tx, self.kind, now, by_store) if may_have_more(lane)]
        gates: Mapping[str, Gate] = self.gates.open(tx, lanes, by_store) if lanes else {}
        places = {
            lane: min(gate.at_once, self.windows.size(lane)) - under_way.get(lane, 0) for lane, gate in gates.items()
        }
        room = {lane: _least(count, gates[lane].begin) for lane, count in places.items()}
        given = shares(
            lanes,
            room,
            free,
            rank=self._rank,
            weights=self.weights,
            unproven=frozenset(lane for lane in lanes if not self.windows.proven(lane)),
            unproven_free=unproven_free,
            unproven_room=unproven_room,
        )
        busy = frozenset(lease.ref for lease in held)
        for lane in given:
            self._turns.took(lane)
        # A delivery that was under way when a process died is no suspect: nothing of ours runs what it carries.
        wanted = Claim(self.owner(), now, by_store, by_store + self._lease, busy, suspect=True)
        taken = list(self._jobs.claim(tx, self.kind, given, wanted)) if given else []
        counts = Counter(lease.lane for lease in taken)
        for lane, most in places.items():
            share = given.get(lane, 0)
            if counts[lane] == share:  # there may be more
                _note(lane, share, most, room[lane], filled, waiting)
        self._left = Left(
            frozenset(filled),
            frozenset(lease.lane for lease in (*held, *taken) if waiting and not self.windows.proven(lease.lane)),
            by_any=bool(waiting) and sum(given.values()) >= free,
        )
        if taken:
            self.gates.passed(tx, counts, by_store)
            self._doer.begin(tx, taken)
        return taken

    def _rank(self, name: str) -> int:
        return self._turns.last(name) + SETBACK_TURNS * self.gates.failing(name)


def _note(lane: str, share: int, places: int, room: int, filled: set[str], waiting: set[str]) -> None:
    if share >= places:
        filled.add(lane)
    elif share < room:
        waiting.add(lane)
    # Else it has begun all that it may: what it waits for is a moment, not a place.


def _least(places: int, begin: int | None) -> int:
    return places if begin is None else min(places, begin)
