"""What goes to Redis in one call, and what comes back; the format is that of ``decide.lua``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import msgspec

from custodes.kernel.window import NEVER, Ask, Outcome
from custodes.kernel.window.cells import COUNT_EVERY, Key, View
from custodes.storage.dated import Decided, Objected
from custodes.storage.redis.cells import RedisCells

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


Item = Question | GiveBack | Look


class Batch:
    """Requests that are decided in one call, in order.

    Args:
        items: what is asked and given back.
        now: what the server's time is believed to be.
    """

    __slots__ = ("items", "keys", "packed")

    def __init__(self, items: Sequence[Item], now: int) -> None:
        self.items = items
        keys: dict[bytes, int] = {}
        rows: dict[tuple[RedisCells, int], int] = {}
        script: list[int] = []
        for item in items:
            if type(item) is Question:
                asks = item.asks
                script.append(len(asks))
            elif type(item) is Look:
                asks = ((item.cells, item.key, 1),)
                script.append(_LOOK)
            else:
                cells, key, _, cost = cast("GiveBack", item)
                asks = ((cells, key, cost),)
                script.append(0)
            for cells, key, cost in asks:
                # Numbers of the script begin at 1, and so do these.
                name = (cells.names.get(key) or cells.named(key))[0]
                script.append(rows.get((cells, cost)) or rows.setdefault((cells, cost), len(rows) + 1))
                script.append(keys.get(name) or keys.setdefault(name, len(keys) + 1))
            if type(item) is GiveBack:
                script += (item.at, item.cost)
        #: The states that take part, by name.
        self.keys = list(keys)
        #: The argument of the script.
        self.packed = _encode([[cells.row(cost, now) for cells, cost in rows], script])

    def settle(self, reply: bytes) -> tuple[int, list[Question]]:
        """Hand out the answers.

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
                continue
            status = told[at]
            if status == _CHARGED:
                outcome = _charged(item.asks, told, at + 1, now)
                at += 1 + 2 * len(item.asks)
            elif status == _CONTESTED:
                outcome = _contested(item.asks, told, at + 1, now)
                at += 1 + 3 * len(item.asks)
            else:
                off.append(item)
                at += 1
                continue
            if not item.answer.done():  # whoever asked may have gone
                item.answer.set_result(outcome)
        return now, off

    def fail(self, error: Exception) -> int:
        """Have all that wait hear of a failure; returns how many of them are requests."""
        failed = 0
        for item in self.items:
            if not isinstance(item, GiveBack) and fail(item.answer, error):
                failed += isinstance(item, Question)
        return failed


def fail(answer: asyncio.Future[Any], error: Exception) -> bool:
    """Have whoever waits hear of a failure; False when nobody waits any more."""
    if answer.done():
        return False
    answer.set_exception(error)
    answer.exception()  # read: a request that was not waited for leaves no "exception was never retrieved"
    return True


def _view(cells: RedisCells, left: int, more_in: int, now: int) -> View:
    return cells.view(cells.state_of(left, more_in), now) if cells.exact_view else (left, more_in)


def _charged(asks: Sequence[Ask], told: list[int], at: int, now: int) -> Outcome:
    views: list[View] = []
    for cells, key, cost in asks:
        view = _view(cells, told[at], told[at + 1], now)
        at += 2
        views.append(view)
        if view[0] <= cells.near_at:
            cells.near.note(key, view[0])
        if cost == 1 and len(cells.fresh_charges) < COUNT_EVERY:
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
