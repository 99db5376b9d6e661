"""All limits of a request decided at once: all or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

from custodes.kernel.window.concurrency import Concurrency
from custodes.kernel.window.meter import Meter, State

#: Whom a limit counts: an address, a (tenant, user) pair, …
Key: TypeAlias = Hashable

#: Units left and microseconds until there are more.
View: TypeAlias = tuple[int, int]


#: Charges that are counted together; takes a fiftieth of a millisecond.
COUNT_EVERY = 512


class Cells:
    """The states of all subjects under one limit. Engines say where those come from that are not at hand."""

    __slots__ = ("_tally", "at_hand", "attempt", "fresh_charges", "lease", "meter", "shadow", "view", "wait")

    def __init__(self, meter: Meter, *, shadow: bool = False) -> None:
        self.meter = meter
        #: True for a limit that refuses nobody: what it would have refused is told.
        self.shadow = shadow
        #: Units that an instance may take at once and hand out itself, where states are far away; 1 for none.
        self.lease = 1
        #: States by subject.
        self.at_hand: dict[Key, State] = {}
        #: Subjects that were charged one unit and are not in the tally yet: a hot path appends here, and calls
        #: :meth:`count` when there are :data:`COUNT_EVERY`. Somebody's place in a large dictionary is in no cache, the
        #: end of a list is: measured at half a microsecond a request with three limits.
        self.fresh_charges: list[Key] = []
        self._tally: Counter[Key] = Counter()
        # Bound once: the calls of every decision.
        self.wait = meter.wait
        self.attempt = meter.attempt
        self.view = meter.view

    @property
    def tally(self) -> Counter[Key]:
        """Units admitted by subject, since somebody last asked."""
        if self.fresh_charges:
            self.count()
        return self._tally

    def count(self) -> None:
        """Take what was charged lately into the tally."""
        self._tally.update(self.fresh_charges)
        self.fresh_charges.clear()

    def take_tally(self) -> dict[Key, int]:
        """Hand over the units admitted by subject, and begin again."""
        tally, self._tally = self.tally, Counter()
        return tally

    def stands(self, wait: int) -> int:
        """Tell for how long a refusal is sure to stand, microseconds: 0 when anything may end it, such as a slot.

        Args:
            wait: how long the refused have to wait, :data:`~custodes.kernel.window.NEVER` for ever, and then it stands
                for ever.
        """
        return 0 if isinstance(self.meter, Concurrency) else wait

    def recall(self, key: Key, now: int) -> tuple[Key, State]:
        """Find the state of a subject that is not at hand; also under which name to keep it."""
        raise NotImplementedError


#: One limit to ask: whose states, which subject, how many units.
Ask: TypeAlias = tuple[Any, Key, int]


class Outcome:
    """All limits admit, and all were charged."""

    __slots__ = ("views",)

    #: (number of the ask, wait) of every limit that refused; nothing was charged when there is one.
    refused: Sequence[tuple[int, int]] = ()
    #: The same of limits in shadow, which were not charged.
    would_refuse: Sequence[tuple[int, int]] = ()

    def __init__(self, views: list[View]) -> None:
        #: What is left, for each ask in order.
        self.views = views

    def charged_at(self, number: int, asked_at: int) -> int:
        """Tell the moment that a charge counts from, of the ask with this number."""
        return asked_at


class Contested(Outcome):
    """Some limit refused, or would have."""

    __slots__ = ("refused", "would_refuse")

    def __init__(
        self, views: list[View], refused: Sequence[tuple[int, int]], would_refuse: Sequence[tuple[int, int]]
    ) -> None:
        super().__init__(views)
        self.refused = refused
        self.would_refuse = would_refuse


def held(asks: Sequence[Ask], outcome: Outcome, now: int) -> list[tuple[Ask, int]]:
    """List the slots that a request holds until it gives them back, and the moment at which each was taken.

    Args:
        asks: the limits of the request.
        outcome: what was decided on them.
        now: when they were asked, microseconds.
    """
    if outcome.refused:
        return []
    spared = {number for number, _ in outcome.would_refuse}
    return [
        (ask, outcome.charged_at(number, now))
        for number, ask in enumerate(asks)
        if number not in spared and isinstance(ask[0].meter, Concurrency)
    ]


def decide(asks: Sequence[Ask], now: int) -> Outcome:
    """Ask all limits of a request and charge all of them or none.

    A limit in shadow takes no part in that: when the others admit, it is charged if it admits, too.

    Nearly every request is of somebody known and is admitted, so limits are charged as they are asked; when one
    refuses, those before it are undone. Nothing else runs in between.
    """
    views: list[View] = []
    for cells, key, cost in asks:
        state = cells.at_hand.get(key)
        charged = None if state is None else cells.attempt(state, now, cost)
        if charged is None:
            return decide_contested(asks, now, len(views))
        cells.at_hand[key], left, more_in = charged
        cells.tally[key] += cost
        views.append((left, more_in))
    return Outcome(views)


def decide_contested(asks: Sequence[Ask], now: int, charged: int) -> Outcome:
    """Ask all limits, so that each that refuses can be told, before any is charged.

    Args:
        asks: the limits of the request.
        now: microseconds.
        charged: so many of them have been charged already, and are undone first.
    """
    for cells, key, cost in asks[:charged]:
        cells.at_hand[key] = cells.meter.undo(cells.at_hand[key], now, cost)
        cells.tally[key] -= cost
    found: list[tuple[Key, State]] = []
    refused: list[tuple[int, int]] = []
    would_refuse: list[tuple[int, int]] = []
    for number, (cells, key, cost) in enumerate(asks):
        state = cells.at_hand.get(key)
        found.append(cells.recall(key, now) if state is None else (key, state))
        wait = cells.wait(found[-1][1], now, cost)
        if wait:
            (would_refuse if cells.shadow else refused).append((number, wait))
    if refused:
        views = [cells.view(state, now) for (cells, _, _), (_, state) in zip(asks, found, strict=True)]
        return Contested(views, refused, ())
    spared = {number for number, _ in would_refuse}
    views = [
        ask[0].view(state, now) if number in spared else _charge(ask, key, state, now)
        for number, (ask, (key, state)) in enumerate(zip(asks, found, strict=True))
    ]
    return Contested(views, (), would_refuse) if would_refuse else Outcome(views)


def _charge(ask: Ask, key: Key, state: State, now: int) -> View:
    cells, _, cost = ask
    cells.at_hand[key], left, more_in = cells.attempt(state, now, cost)
    cells.tally[key] += cost
    return left, more_in
