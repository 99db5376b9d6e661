"""What goes to Redis in one call, and what comes back; the format is that of ``decide.lua``."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias, cast

import msgspec

from custodes.kernel.window import NEVER, Ask, Outcome
from custodes.kernel.window.cells import COUNT_EVERY, Key, View
from custodes.storage.dated import Decided, Objected
from custodes.storage.redis.cells import Lease, RedisCells
from custodes.storage.redis.kinds import Kind

# Status of a request that was not charged because some of its limits object. With any other it has to come again.
_CONTESTED = 1

# In place of a number of limits: to look at a state. Kinds are numbered from there, downwards.
_LOOK = -1

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, list[int], list[int], list[int]]).decode


class Question:
    """A request to decide on, and who waits for the decision."""

    __slots__ = ("answer", "asks")

    def __init__(self, asks: Sequence[Ask], answer: asyncio.Future[Outcome]) -> None:
        self.asks = asks
        self.answer = answer


#: The same where the limits are of a :class:`Kind`, as nearly every request's are: a tuple takes half as long to make.
Common: TypeAlias = tuple[Sequence[Ask], "asyncio.Future[Outcome]", Kind]


class GiveBack(NamedTuple):
    """Units to give back."""

    cells: RedisCells
    key: Key
    #: Moment of the charge, server time.
    at: int
    cost: int


class Look:
    """A state to look at, and who waits to see it."""

    __slots__ = ("answer", "cells", "key")

    def __init__(self, cells: RedisCells, key: Key, answer: asyncio.Future[View]) -> None:
        self.cells = cells
        self.key = key
        self.answer = answer


class Borrow(NamedTuple):
    """A lease to ask for; nobody waits for it."""

    cells: RedisCells
    key: Key
    #: Units.
    units: int
    #: How long it holds from when it is asked for, microseconds.
    length: int


Rare: TypeAlias = Question | GiveBack | Look | Borrow
Item: TypeAlias = Common | Rare


def asks_of(question: Common | Question) -> Sequence[Ask]:
    """Return the limits of a request."""
    return question.asks if isinstance(question, Question) else question[0]


def answer_of(question: Common | Question) -> asyncio.Future[Outcome]:
    """Return what is waited for."""
    return question.answer if isinstance(question, Question) else question[1]


class _Rows:
    """What the script has to know of the limits that take part in a call."""

    __slots__ = ("_now", "_number_of", "near", "rows")

    def __init__(self, now: int) -> None:
        self._now = now
        self._number_of: dict[RedisCells | tuple[RedisCells, int], int] = {}
        self.rows: list[list[int]] = []
        #: For each: of how much is left, or less, the script tells that it is near.
        self.near: list[int] = []

    def number(self, cells: RedisCells, cost: int) -> int:
        """Return the number of a limit and cost, from 1."""
        kind = cells if cost == 1 else (cells, cost)
        number = self._number_of.get(kind)
        if number is None:
            self.rows.append(cells.row(cost, self._now))
            self.near.append(-1 if cells.exact_charge else cells.near_at)
            number = self._number_of[kind] = len(self.rows)
        return number

    def limits(self) -> list[RedisCells]:
        """Return the limits that were charged one unit, if any."""
        return [kind for kind in self._number_of if isinstance(kind, RedisCells)]


class Batch:
    """Requests that are decided in one call, in order.

    Args:
        items: what is asked and given back.
        now: what the server's time is believed to be.
    """

    __slots__ = ("_rows", "items", "keys", "late", "lent", "packed", "unclaimed")

    def __init__(self, items: Sequence[Item], now: int) -> None:
        self.items = items
        #: Limits that leases were had of.
        self.lent: set[RedisCells] = set()
        #: Whether those who waited have been told that there is no decision in time.
        self.late = False
        #: Decisions that came when nobody waited for them any more.
        self.unclaimed: list[tuple[Sequence[Ask], Outcome]] = []
        self._rows = _Rows(now)
        subjects: dict[bytes, int] = {}
        own: dict[bytes, int] = {}
        kinds: dict[Kind, int] = {}
        script: list[int] = []
        for item in items:
            if type(item) is tuple:
                asks, _, kind = item
                key = asks[0][1]
                if key in kind.grown:
                    self._write(Question(*item[:2]), script, subjects, own)
                    continue
                name = (kind.names.get(key) or kind.named(key))[0]
                # Numbers of the script begin at 1, and those of kinds below that of a look.
                script += (
                    kinds.get(kind) or kinds.setdefault(kind, _LOOK - 1 - len(kinds)),
                    subjects.get(name) or subjects.setdefault(name, len(subjects) + 1),
                )
            else:
                self._write(cast("Rare", item), script, subjects, own)
        of_kinds = [[self._rows.number(cells, 1) for cells in kind.limits] for kind in kinds]
        #: The keys of the script, and its argument.
        self.keys = [*subjects, *own]
        self.packed = _encode([self._rows.rows, self._rows.near, of_kinds, script, len(subjects)])

    def _write(
        self,
        item: Question | GiveBack | Look | Borrow,
        script: list[int],
        subjects: dict[bytes, int],
        own: dict[bytes, int],
    ) -> None:
        """Write what is asked, limit by limit."""
        if type(item) is Question:
            asks = item.asks
            script.append(len(asks))
        elif type(item) is Look:
            asks = ((item.cells, item.key, 1),)
            script.append(_LOOK)
        elif type(item) is Borrow:
            asks = ((item.cells, item.key, item.units),)
            script.append(1)
        else:
            cells, key, _, cost = cast("GiveBack", item)
            asks = ((cells, key, cost),)
            script.append(0)
        for cells, key, cost in asks:
            name = (cells.subjects.names.get(key) or cells.named(key))[0]
            subject = subjects.get(name) or subjects.setdefault(name, len(subjects) + 1)
            at = 0
            if cells.long:
                own_key = name + cells.own_key
                at = own.get(own_key) or own.setdefault(own_key, len(own) + 1)
            script += (self._rows.number(cells, cost), subject, at)
        if type(item) is GiveBack:
            script += (item.at, item.cost)

    def settle(self, reply: bytes, begun: int) -> tuple[int, list[Common | Question]]:
        """Hand out the answers.

        Args:
            reply: what the script said.
            begun: monotonic time before it was asked.

        Returns:
            The server's time, and the requests that have to come again: ours was too far off, or the script has to be
            told where more of their states is.
        """
        now, figures, others, near = _decode(reply)
        figure = iter(figures)
        views = list(zip(figure, figure, strict=False))  # two figures of each
        others.append(0)  # the place of none
        at, other = 0, 0
        again: list[Common | Question] = []
        charged: defaultdict[Kind, list[Key]] = defaultdict(list)
        for place, item in enumerate(self.items, 1):
            if place == others[other]:
                other = self._object(item, others, other + 1, now, again)
            elif type(item) is tuple:
                asks, answer, kind = item
                begin, at = at, at + kind.size
                if answer.done():  # whoever asked has gone
                    self.unclaimed.append((asks, Decided(views[begin:at], now)))
                else:
                    answer.set_result(Decided(views[begin:at], now))
                charged[kind].append(asks[0][1])
            else:
                at = self._tell(cast("Rare", item), views, at, now, begun)
        self._count(charged)
        for number in range(0, len(near), 3):
            _note_near(self.items[near[number] - 1], near[number + 1] - 1, near[number + 2])
        return now, again

    def _count(self, charged: dict[Kind, list[Key]]) -> None:
        for kind, keys in charged.items():
            for cells in kind.limits:
                cells.fresh_charges += keys
        for cells in self._rows.limits():
            if len(cells.fresh_charges) >= COUNT_EVERY:
                cells.count()

    def _tell(self, item: Rare, views: list[View], at: int, now: int, begun: int) -> int:
        """Hand out the answer to what was charged or looked at; returns which view comes next."""
        if type(item) is Question:
            end = at + len(item.asks)
            outcome = _charged(item.asks, views[at:end], now, begun)
            self._claim(item.asks, item.answer, outcome)
            return end
        if type(item) is Look:
            if not item.answer.done():
                item.answer.set_result(_view(item.cells, *views[at], now))
        elif type(item) is Borrow:
            self._lend(item, views[at], now, begun)
        else:
            return at
        return at + 1

    def _object(self, item: Item, others: list[int], at: int, now: int, again: list[Common | Question]) -> int:
        """Hand out the answer to what was not charged; returns where the next one begins."""
        contested = others[at] == _CONTESTED
        if type(item) is Borrow:
            item.cells.borrowing.discard(item.key)
            return at + (4 if contested else 1)
        question = cast("Common | Question", item)
        if not contested:
            if type(question) is tuple:
                question[2].note_grown(question[0][0][1])
            again.append(question)
            return at + 1
        asks, answer = asks_of(question), answer_of(question)
        self._claim(asks, answer, _contested(asks, others, at + 1, now))
        return at + 1 + 3 * len(asks)

    def _claim(self, asks: Sequence[Ask], answer: asyncio.Future[Outcome], outcome: Outcome) -> None:
        if answer.done():
            self.unclaimed.append((asks, outcome))
        else:
            answer.set_result(outcome)

    def _lend(self, item: Borrow, view: View, now: int, begun: int) -> None:
        """Take a lease over."""
        cells, key, units, length = item
        cells.borrowing.discard(key)
        left, more_in = view
        if cells.exact_charge:
            left, more_in = cells.view(cells.state_of(left, more_in), now)
        cells.leases[key] = Lease(units, now, begun + length, left, now + more_in)
        cells.saw(key, left, begun)
        self.lent.add(cells)

    def fail(self, error: Exception) -> int:
        """Have all that wait hear of a failure; returns how many of them are requests."""
        return fail(self.items, error)


def fail(items: Iterable[Item], error: Exception) -> int:
    """Have all that wait hear of a failure; returns how many of them are requests."""
    failed = 0
    for item in items:
        if isinstance(item, Borrow):
            item.cells.borrowing.discard(item.key)
        elif not isinstance(item, GiveBack):
            answer = item.answer if isinstance(item, Look) else answer_of(item)
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # read: who does not wait leaves no "exception was never retrieved"
                failed += not isinstance(item, Look)
    return failed


def _view(cells: RedisCells, left: int, more_in: int, now: int) -> View:
    return cells.view(cells.state_of(left, more_in), now) if cells.exact_view else (left, more_in)


def _note_near(item: Item, number: int, left: int) -> None:
    """Remember who has nearly used up a limit of a request."""
    if isinstance(item, tuple | Question) and not isinstance(item, Borrow | GiveBack):
        cells, key, _ = asks_of(item)[number]
        cells.near.note(key, left)


def _charged(asks: Sequence[Ask], views: list[View], now: int, begun: int) -> Outcome:
    for number, (cells, key, cost) in enumerate(asks):
        if cells.exact_charge:
            left, _ = views[number] = cells.view(cells.state_of(*views[number]), now)
            if left <= cells.near_at:
                cells.near.note(key, left)
        if cells.lease > 1:
            cells.saw(key, views[number][0], begun)
        if cost == 1:
            cells.fresh_charges.append(key)
        else:
            cells.tally[key] += cost
    return Decided(views, now)


def _contested(asks: Sequence[Ask], told: list[int], at: int, now: int) -> Outcome:
    views: list[View] = []
    refused: list[tuple[int, int]] = []
    would_refuse: list[tuple[int, int]] = []
    for number, (cells, key, cost) in enumerate(asks):
        left, more_in, wait = told[at : at + 3]
        at += 3
        if cells.exact_view:
            state = cells.state_of(left, more_in)
            if wait:
                wait = cells.wait(state, now, cost)
            left, more_in = cells.view(state, now)
        views.append((left, more_in))
        if left <= cells.near_at:
            cells.near.note(key, left)
        if wait:
            (would_refuse if cells.shadow else refused).append((number, wait))
            cells.deny(key, cost, None if wait == NEVER else wait, left, now)
    if refused:
        return Objected(views, refused, (), now)
    spared = {number for number, _ in would_refuse}
    for number, (cells, key, cost) in enumerate(asks):
        if number not in spared:
            cells.tally[key] += cost
    return Objected(views, (), would_refuse, now)
