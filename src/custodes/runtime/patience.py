"""Waiting for a while and no longer, without a timer for what need not be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns; it runs in the task of the caller.

    A timer is set once it has to wait, and not before: with uvloop one that is set and taken back costs 9 µs, and what
    is read from a client has mostly come already.

    Args:
        seconds: longest that it may wait in all.
        work: what to wait for; not begun yet.

    Raises:
        TimeoutError: it took longer, and was cancelled.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        return end.value
    async with asyncio.timeout(seconds):
        return await _go_on(work, waits_for)


@coroutine
def _go_on(work: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Await a coroutine that has begun and waits for something."""
    while True:
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001 - raised where the coroutine waits, which may wait once more
            try:
                waits_for = work.throw(error)
            except StopIteration as end:
                return end.value
        else:
            return (yield from work.__await__())
