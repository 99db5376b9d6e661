"""Who has looked at what is private: one entry of the trail for what is one look."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Hashable
from typing import Any

from custodes.kernel.clock import MINUTE, Clock

#: Looks at the same thing within this are one, microseconds: a page asks for parts of it, and again when it comes back.
ONE_LOOK = 10 * MINUTE

#: Looks that are remembered; beyond it the oldest is forgotten, and told once more.
_MAX_REMEMBERED = 10_000


class Reads:
    """Remembers who looked at what; of this process.

    Args:
        clock: source of time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: OrderedDict[tuple[Hashable, str], tuple[int, asyncio.Task[Any]]] = OrderedDict()

    async def once(self, who: Hashable, what: str, tell: Coroutine[Any, Any, object]) -> None:
        """Have a look told, if it is a new one; return when it is, whoever has had it told.

        Raises:
            Exception: what telling raised. It is tried again at the next look.
        """
        now, look = self._clock.now(), (who, what)
        told_at, telling = self._told.get(look, (now, None))
        if telling is None or not 0 <= now - told_at < ONE_LOOK:
            telling = asyncio.create_task(tell)
            telling.add_done_callback(lambda done: self._forget_failed(look, done))
            self._told[look] = (now, telling)
            self._told.move_to_end(look)
            if len(self._told) > _MAX_REMEMBERED:
                self._told.popitem(last=False)
        else:
            tell.close()
        await asyncio.shield(telling)  # of one who leaves meanwhile it is told all the same

    def _forget_failed(self, look: tuple[Hashable, str], done: asyncio.Task[Any]) -> None:
        failed = done.cancelled() or done.exception() is not None
        if failed and self._told.get(look, (0, None))[1] is done:
            del self._told[look]
