"""Fair shares: which jobs a worker takes when there are more than it has places.

A lane is named ``group/member`` (tenant and endpoint). Places go round by group, in each group round by member, so that
neither who has many jobs nor who has many members gets more than its turn. How much one lane may hold grows with its
successes and falls to one place with a failure (additive-increase / multiplicative-decrease, as TCP does it): a lane
that hangs costs one place. Lanes that have not proven themselves (new ones, and those whose last job failed) hold at
most a quarter of the places for each group, and three quarters together: the proven always have the rest.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from custodes.runtime.jobs import Claim, Lease
from custodes.runtime.transactions import Transaction
from custodes.runtime.worker import Worker

R = TypeVar("R")

#: Lanes whose windows are remembered; the one that was used longest ago is forgotten first and begins anew.
MAX_REMEMBERED = 10_000


class Gates(Protocol):
    """**Protocol:** says how many jobs of each lane may begin now."""

    def open(self, tx: Transaction, lanes: Sequence[str], now: int) -> Mapping[str, int]:
        """Tell for each of these lanes how many jobs may be under way at once; a lane that is left out: none."""
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


def shares(
    lanes: Sequence[str],
    room: Mapping[str, int],
    free: int,
    *,
    turn: int = 0,
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
        turn: a number that grows with each call, so that the first in line is another one each time.
        weights: places a round for each group; 1 where none is given.
        unproven: lanes that share ``unproven_free`` places.
        unproven_free: places that the unproven may still take together.
        unproven_room: places that the unproven of a group may still take; None: as many as together.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for lane in lanes:
        if room.get(lane, 0) > 0:
            groups[group_of(lane)].append(lane)
    order = _rotated(sorted(groups), turn)
    left = {lane: room[lane] for members in groups.values() for lane in members}
    queues = {group: _rotated(groups[group], turn) for group in order}
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


def _rotated(items: list[str], turn: int) -> list[str]:
    cut = turn % len(items) if items else 0
    return items[cut:] + items[:cut]


class FairWorker(Worker[R], Generic[R]):
    """A worker that takes fair shares of what its gates let through."""

    #: How many jobs of each lane may begin; set before the start.
    gates: Gates

    #: Windows of the lanes.
    windows: Windows

    #: Places a round for groups that get more than others.
    weights: Mapping[str, int]

    def _take(self, tx: Transaction, now: int, free: int, held: Sequence[Lease]) -> list[Lease]:
        self._jobs.pull_in(tx, self.kind, now + self.horizon, now)
        lanes = self._jobs.due_lanes(tx, self.kind, now)
        if not lanes:
            return []
        under_way: dict[str, int] = defaultdict(int)
        for lease in held:
            under_way[lease.lane] += 1
        limits = self.gates.open(tx, lanes, now)
        room = {lane: min(limit, self.windows.size(lane)) - under_way[lane] for lane, limit in limits.items()}
        unproven = frozenset(lane for lane in lanes if not self.windows.proven(lane))
        slow: dict[str, int] = defaultdict(int)
        for lane, count in under_way.items():
            if not self.windows.proven(lane):
                slow[group_of(lane)] += count
        given = shares(
            lanes,
            room,
            free,
            turn=self._turn,
            weights=self.weights,
            unproven=unproven,
            unproven_free=max(1, self.concurrency * 3 // 4) - sum(slow.values()),
            unproven_room=lambda group: max(1, self.concurrency // 4) - slow.get(group, 0),
        )
        busy = frozenset(lease.ref for lease in held)
        taken: list[Lease] = []
        for lane, limit in given.items():
            # A delivery that was under way when a process died is no suspect: nothing of ours runs what it carries.
            taken += self._jobs.claim(
                tx, self.kind, lane, Claim(self.owner, now, now + self._lease, limit, busy, suspect=True)
            )
        counts: dict[str, int] = defaultdict(int)
        for lease in taken:
            counts[lease.lane] += 1
        self.gates.passed(tx, counts, now)
        self._doer.begin(tx, taken)
        return taken
