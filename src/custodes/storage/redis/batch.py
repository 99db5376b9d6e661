"""What goes to Redis in one call, and what comes back; the format is that of ``decide.lua``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import msgspec

from custodes.kernel.window import NEVER, Ask, Outcome
from custodes.kernel.window.cells import COUNT_EVERY, Key, View
from custodes.storage.dated import Decided, Objected
from custodes.storage.redis.cells import Lease, RedisCells
from custodes.storage.redis.subjects import Subjects

# Statuses of a request.
_CHARGED, _CONTESTED = 0, 1

# In place of a number of limits: to look at a state.
_LOOK = -1

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode


class Question:
    """A request to decide on, and who waits for the decision."""

    __slots__ = ("answer", "asks")

    def __init__(self, asks: Sequence[Ask], answer: asyncio.Future[Outcome]) -> None:
        self.asks = asks
        self.answer = answer


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


Item = Question | GiveBack | Look | Borrow


class Batch:
    """Requests that are decided in one call, in order.

    Args:
        items: what is asked and given back.
        now: what the server's time is believed to be.
    """

    __slots__ = ("_limits", "items", "keys", "late", "lent", "packed", "unclaimed")

    def __init__(self, items: Sequence[Item], now: int) -> None:
        self.items = items
        #: Limits that leases were had of.
        self.lent: set[RedisCells] = set()
        #: Whether those who waited have been told that there is no decision in time.
        self.late = False
        #: Decisions that came when nobody waited for them any more.
        self.unclaimed: list[tuple[Sequence[Ask], Outcome]] = []
        subjects: dict[bytes, int] = {}
        own: dict[bytes, int] = {}
        rows: list[list[int]] = []
        row_of: dict[RedisCells | tuple[RedisCells, int], int] = {}
        script: list[int] = []
        for item in items:
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
            last_key: Key = None
            named: Subjects | None = None
            name, subject = b"", 0
            # Numbers of the script begin at 1, and so do these.
            for cells, key, cost in asks:
                kind = cells if cost == 1 else (cells, cost)
                row = row_of.get(kind)
                if row is None:
                    rows.append(cells.row(cost, now))
                    row = row_of[kind] = len(rows)
                if key is not last_key or cells.subjects is not named:
                    last_key, named = key, cells.subjects
                    name = (cells.subjects.names.get(key) or cells.named(key))[0]
                    subject = subjects.get(name) or subjects.setdefault(name, len(subjects) + 1)
                at = 0
                if cells.long:
                    own_key = name + cells.own_key
                    at = own.get(own_key) or own.setdefault(own_key, len(own) + 1)
                script += (row, subject, at)
            if type(item) is GiveBack:
                script += (item.at, item.cost)
        #: Limits that take part.
        self._limits = [kind for kind in row_of if isinstance(kind, RedisCells)]
        #: The keys of the script, and its argument.
        self.keys = [*subjects, *own]
        self.packed = _encode([rows, script, len(subjects)])

    def settle(self, reply: bytes, begun: int) -> tuple[int, list[Question]]:
        """Hand out the answers.

        Args:
            reply: what the script said.
            begun: monotonic time before it was asked.

        Returns:
            The server's time, and the requests that could not be decided because ours was too far off.
        """
        told = _decode(reply)
        now = told[0]
        at = 1
        off: list[Question] = []
        for item in self.items:
            if type(item) is not Question:
                if type(item) is Look:
                    if not item.answer.done():
                        item.answer.set_result(_view(item.cells, told[at], told[at + 1], now))
                    at += 2
                elif type(item) is Borrow:
                    at = self._lend(item, told, at, begun)
                continue
            status = told[at]
            if status == _CHARGED:
                outcome = _charged(item.asks, told, at + 1, now, begun)
                at += 1 + 2 * len(item.asks)
            elif status == _CONTESTED:
                outcome = _contested(item.asks, told, at + 1, now)
                at += 1 + 3 * len(item.asks)
            else:
                off.append(item)
                at += 1
                continue
            if item.answer.done():  # whoever asked has gone
                self.unclaimed.append((item.asks, outcome))
            else:
                item.answer.set_result(outcome)
        for cells in self._limits:
            if len(cells.fresh_charges) >= COUNT_EVERY:
                cells.count()
        return now, off

    def _lend(self, item: Borrow, told: list[int], at: int, begun: int) -> int:
        """Take a lease over, if there was enough left; returns where the next answer begins."""
        cells, key, units, length = item
        cells.borrowing.discard(key)
        if told[at] != _CHARGED:
            return at + (4 if told[at] == _CONTESTED else 1)
        now = told[0]
        left, more_in = told[at + 1], told[at + 2]
        if cells.exact_charge:
            left, more_in = cells.view(cells.state_of(left, more_in), now)
        cells.leases[key] = Lease(units, now, begun + length, left, now + more_in)
        cells.saw(key, left, begun)
        self.lent.add(cells)
        return at + 3

    def fail(self, error: Exception) -> int:
        """Have all that wait hear of a failure; returns how many of them are requests."""
        return fail(self.items, error)


def fail(items: Iterable[Item], error: Exception) -> int:
    """Have all that wait hear of a failure; returns how many of them are requests."""
    failed = 0
    for item in items:
        if isinstance(item, Borrow):
            item.cells.borrowing.discard(item.key)
        elif not isinstance(item, GiveBack) and not item.answer.done():
            item.answer.set_exception(error)
            item.answer.exception()  # read: who does not wait leaves no "exception was never retrieved"
            failed += isinstance(item, Question)
    return failed


def _view(cells: RedisCells, left: int, more_in: int, now: int) -> View:
    return cells.view(cells.state_of(left, more_in), now) if cells.exact_view else (left, more_in)


def _charged(asks: Sequence[Ask], told: list[int], at: int, now: int, begun: int) -> Outcome:
    views: list[View] = []
    for cells, key, cost in asks:
        left = told[at]
        more_in = told[at + 1]
        at += 2
        if cells.exact_charge:
            left, more_in = cells.view(cells.state_of(left, more_in), now)
        views.append((left, more_in))
        if left <= cells.near_at:
            cells.near.note(key, left)
        if cells.lease > 1:
            cells.saw(key, left, begun)
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
