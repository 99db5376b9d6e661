"""``monitor``: every kind of callable is measured and left as it was."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from custodes.planes.traffic.measure import CallMeter
from custodes.planes.traffic.model import Exchange
from custodes.planes.traffic.wrap import wrap
from custodes.testing.clock import FakeClock


@pytest.fixture
def seen() -> list[Exchange]:
    return []


@pytest.fixture
def measured(clock: FakeClock, seen: list[Exchange]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return lambda target: wrap(target, lambda: CallMeter("job", "default", clock, seen.append))


def test_a_function(measured: Any, seen: list[Exchange], clock: FakeClock):
    @measured
    def add(a: int, b: int = 1) -> int:
        clock.advance(500)
        return a + b

    assert add(2, b=3) == 5
    assert inspect.signature(add).parameters.keys() == {"a", "b"}
    assert [(x.route, x.method, x.status, x.total_us) for x in seen] == [("job", "CALL", 200, 500)]


def test_what_a_function_raises_passes_and_is_recorded(measured: Any, seen: list[Exchange]):
    @measured
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert seen[0].status == 500
    assert isinstance(seen[0].error, ValueError)


async def test_a_coroutine_is_measured_until_it_ends(measured: Any, seen: list[Exchange], clock: FakeClock):
    @measured
    async def work() -> str:
        await asyncio.sleep(0)
        clock.advance(700)
        return "done"

    assert inspect.iscoroutinefunction(work)
    assert await work() == "done"
    assert seen[0].total_us == 700


async def test_a_cancelled_coroutine_is_no_failure(measured: Any, seen: list[Exchange]):
    @measured
    async def wait() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (seen[0].status, seen[0].error, seen[0].disconnected) == (0, None, True)


def test_a_generator_hands_through_everything(measured: Any, seen: list[Exchange], clock: FakeClock):
    """Given a generator that yields, receives, handles what is thrown in and returns, then none of it changes."""
    log: list[object] = []

    @measured
    def talk() -> Iterator[Any]:
        clock.advance(10)
        log.append((yield 1))
        try:
            yield 2
        except KeyError as error:
            log.append(repr(error))
        clock.advance(30)
        yield 3
        return "end"

    conversation = talk()
    assert next(conversation) == 1
    assert conversation.send("hello") == 2
    assert conversation.throw(KeyError("in")) == 3
    with pytest.raises(StopIteration) as stop:
        next(conversation)

    assert stop.value.value == "end"
    assert log == ["hello", "KeyError('in')"]
    assert (seen[0].ttfb_us, seen[0].total_us, seen[0].status) == (10, 40, 200)


def test_a_generator_that_is_closed_early_is_closed_inside_and_is_no_failure(measured: Any, seen: list[Exchange]):
    closed: list[bool] = []

    @measured
    def forever() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    stream = forever()
    next(stream)
    stream.close()

    assert closed == [True]
    assert seen[0].status == 200


async def test_an_async_generator_hands_through_everything(measured: Any, seen: list[Exchange], clock: FakeClock):
    log: list[object] = []

    @measured
    async def talk() -> AsyncIterator[Any]:
        clock.advance(10)
        log.append((yield 1))
        try:
            yield 2
        except KeyError as error:
            log.append(repr(error))
        yield 3

    conversation = talk()
    assert inspect.isasyncgenfunction(talk)
    assert await anext(conversation) == 1
    assert await conversation.asend("hello") == 2
    assert await conversation.athrow(KeyError("in")) == 3
    with pytest.raises(StopAsyncIteration):
        await anext(conversation)

    assert log == ["hello", "KeyError('in')"]
    assert (seen[0].ttfb_us, seen[0].status) == (10, 200)


async def test_an_async_generator_that_is_closed_early_is_closed_inside(measured: Any, seen: list[Exchange]):
    closed: list[bool] = []

    @measured
    async def forever() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    stream = forever()
    await anext(stream)
    await stream.aclose()

    assert closed == [True]
    assert seen[0].status == 200


async def test_an_object_with_an_async_call_is_awaited(measured: Any, seen: list[Exchange]):
    class Handler:
        async def __call__(self, number: int) -> int:
            return number * 2

    assert await measured(Handler())(4) == 8
    assert len(seen) == 1


def test_a_recorder_that_fails_harms_nobody(clock: FakeClock):
    def broken(_exchange: Exchange) -> None:
        raise RuntimeError("ours")

    assert wrap(lambda: "fine", lambda: CallMeter("job", "default", clock, broken))() == "fine"


async def test_a_partial_of_a_coroutine_is_awaited(measured: Any, seen: list[Exchange], clock: FakeClock):
    async def wait(micros: int) -> None:
        clock.advance(micros)
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        await measured(functools.partial(functools.partial(wait), 300))()

    assert [(x.status, x.total_us) for x in seen] == [(500, 300)]


async def test_methods_that_are_static_or_of_the_class_stay_that(measured: Any, seen: list[Exchange], clock: FakeClock):
    class Orders:
        @measured
        @staticmethod
        async def ship(number: int) -> int:
            clock.advance(10)
            return number

        @measured
        @classmethod
        def place(cls, number: int) -> tuple[type, int]:
            return cls, number

    assert [await Orders.ship(1), await Orders().ship(2)] == [1, 2]
    assert [Orders.place(3), Orders().place(4)] == [(Orders, 3), (Orders, 4)]
    assert [x.total_us for x in seen] == [10, 10, 0, 0]
