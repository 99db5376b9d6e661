"""A decision that the engine has yet to make."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from custodes.errors import StorageUnavailable
from custodes.kernel.window import Outcome
from custodes.planes.ratelimit.answers import Decision


class Pending:
    """To be awaited once; whoever will not wait for it asks :meth:`undecided` instead.

    Args:
        outcome: what the engine will say.
        answer: makes the decision from that.
        fall_back: makes the decision without it, by the failure mode of the rules.
    """

    __slots__ = ("_answer", "_fall_back", "_outcome")

    def __init__(
        self, outcome: Awaitable[Outcome], answer: Callable[[Outcome], Decision], fall_back: Callable[[], Decision]
    ) -> None:
        self._outcome = outcome
        self._answer = answer
        self._fall_back = fall_back

    def __await__(self) -> Generator[Any, None, Decision]:
        """Wait for the engine; a store that cannot be had leaves it to the failure mode."""
        try:
            outcome = yield from self._outcome.__await__()
        except StorageUnavailable:
            return self._fall_back()
        except asyncio.CancelledError:
            self._give_back()
            raise
        return self._answer(outcome)

    def _give_back(self) -> None:
        """Give back the slots of a caller who left in the moment in which the engine had decided."""
        outcome = self._outcome
        if isinstance(outcome, asyncio.Future) and not outcome.cancelled() and outcome.done():
            with contextlib.suppress(StorageUnavailable):
                release = self._answer(outcome.result()).release
                if release is not None:
                    release()

    def undecided(self) -> Decision:
        """Decide without the engine: it hangs, is known to hang, or has a fault."""
        return self._fall_back()

    def close(self) -> None:
        """Drop what the engine was asked, when nobody has waited for it."""
        if asyncio.iscoroutine(self._outcome):
            self._outcome.close()
