"""Works that are not broken off with whoever waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Works under way: the event loop alone does not keep a task.
_under_way: set[asyncio.Task[Any]] = set()


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await a work, which goes on to its end also when the one who waits is cancelled.

    For what hands figures to a store: a transaction under way commits whoever has left, so that what is taken back on a
    cancellation would be written twice.
    """
    task = asyncio.ensure_future(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return await asyncio.shield(task)
