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
        #: When each was told, and who tells it, until it is.
        self._told: OrderedDict[tuple[Hashable, str], tuple[int, asyncio.Task[Any] | None]] = OrderedDict()

    async def once(self, who: Hashable, what: str, tell: Coroutine[Any, Any, object]) -> None:
        """Have a look told, if it is a new one; return when it is, whoever has had it told.

        Raises:
            Exception: what telling raised. It is tried again at the next look.
        """
        now, look = self._clock.now(), (who, what)
        known = self._told.get(look)
        if known is not None and 0 <= now - known[0] < ONE_LOOK:
            tell.close()
            telling = known[1]
        else:
            telling = asyncio.create_task(tell)
            telling.add_done_callback(lambda done: self._ended(look, done))
            self._told[look] = (now, telling)
            self._told.move_to_end(look)
            if len(self._told) > _MAX_REMEMBERED:
                self._told.popitem(last=False)
        if telling is not None:
            await asyncio.shield(telling)  # of one who leaves meanwhile it is told all the same

    def _ended(self, look: tuple[Hashable, str], done: asyncio.Task[Any]) -> None:
        failed = done.cancelled() or done.exception() is not None
        told_at, telling = self._told.get(look, (0, None))
        if telling is not done:
            return
        if failed:
            del self._told[look]
        else:
            self._told[look] = (told_at, None)
