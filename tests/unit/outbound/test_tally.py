"""Counters of endpoints are added once, whoever is cut off."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest

from custodes.errors import StorageUnavailable
from custodes.planes.outbound.figures import Figures, Series
from custodes.planes.outbound.model import Attempt
from custodes.planes.outbound.ports import Counts
from custodes.planes.outbound.tally import PIECE, Tally
from custodes.runtime.outgoing.timing import Timing


def names() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"piece-{next(numbers)}"


class SlowStore:
    """Store of units, endpoints and figures; tells when it has committed, and lets its caller know only then."""

    def __init__(self) -> None:
        self.successes = 0
        self.committed, self.goes_on = asyncio.Event(), asyncio.Event()

    async def write(self, work: Callable[[Any], None], *, durable: bool, once: str) -> None:
        work(None)
        self.committed.set()
        await self.goes_on.wait()

    def add_counts(self, _tx: Any, counts: dict[str, Counts]) -> None:
        self.successes += sum(one.successes for one in counts.values())

    def add(self, *_: Any) -> None: ...


async def test_a_flush_that_is_cancelled_while_it_commits_is_written_once():
    store = SlowStore()
    tally = Tally(*cast("Any", (store, store, store)), names())
    tally._counts["endpoint"] = Counts(successes=1)
    flush = asyncio.create_task(tally.flush())
    await store.committed.wait()

    flush.cancel()
    await asyncio.gather(flush, return_exceptions=True)
    store.goes_on.set()
    await tally.flush()

    assert store.successes == 1


class Pieces:
    """Store that notes what it is given, transaction by transaction; fails at some of them."""

    def __init__(self, *fails_at: int) -> None:
        self.fails_at = fails_at
        self.writes = 0
        self.names: list[str] = []
        self.counts: list[dict[str, Counts]] = []
        self.figures: list[list[tuple[Series, Figures]]] = []

    async def write(self, work: Callable[[Any], None], *, durable: bool, once: str) -> None:
        self.writes += 1
        self.names.append(once)
        if self.writes in self.fails_at:
            raise StorageUnavailable("down")
        work(None)

    def add_counts(self, _tx: Any, counts: dict[str, Counts]) -> None:
        self.counts.append(counts)

    def add(self, _tx: Any, figures: list[tuple[Series, Figures]]) -> None:
        self.figures.append(figures)


def attempt_at(endpoint: str) -> Attempt:
    return Attempt(
        tenant="t", delivery_id="d", number=1, endpoint_id=endpoint, started_at=0, url="", succeeded=True, status=200,
        error="", excerpt="", timing=Timing(total=1_000),
    )  # fmt: skip


def counting(store: Pieces, endpoints: int) -> Tally:
    tally = Tally(*cast("Any", (store, store, store)), names())
    for number in range(endpoints):
        tally.succeeded(attempt_at(f"e{number}"), "x", 1)
    return tally


async def test_the_figures_of_many_endpoints_are_written_a_piece_at_a_time():
    """Nobody else writes during a transaction: that of a thousand endpoints' figures would be felt by all."""
    store = Pieces()
    await counting(store, 2 * PIECE + 1).flush()

    assert [len(one) for one in store.counts[:3]] == [PIECE, PIECE, 1]
    assert max(len(one) for one in store.figures) == PIECE
    assert len({series for one in store.figures for series, _ in one}) == 3 * (2 * PIECE + 1)


async def test_what_could_not_be_written_is_written_next_time_and_nothing_twice():
    store = Pieces(2)
    tally = counting(store, 2 * PIECE)
    with pytest.raises(StorageUnavailable):
        await tally.flush()
    await tally.flush()

    assert sum(each.successes for one in store.counts for each in one.values()) == 2 * PIECE
    written = [series for one in store.figures for series, _ in one]
    assert len(written) == len(set(written)) == 6 * PIECE


async def test_what_may_not_have_been_written_is_written_again_under_its_name():
    """Given a store that goes away, when more is counted until it is back, then nothing new is in what is repeated."""
    store = Pieces(1)
    tally = counting(store, 1)
    with pytest.raises(StorageUnavailable):
        await tally.flush()
    tally.succeeded(attempt_at("e0"), "x", 1)
    await tally.flush()

    assert store.names == ["piece-0", "piece-0", "piece-1"]
    assert [one["e0"].successes for one in store.counts] == [1, 1]
    assert [{its.succeeded for _, its in one} for one in store.figures] == [{1}, {1}]


async def test_what_is_counted_while_figures_are_written_does_not_change_them():
    store = Pieces()
    tally = counting(store, 1)
    await tally.flush()
    tally.succeeded(attempt_at("e0"), "x", 1)

    assert {its.succeeded for _, its in store.figures[0]} == {1}
    assert {its.took.count for _, its in store.figures[0]} == {1}
