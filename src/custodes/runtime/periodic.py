"""Something done again and again in the background, that outlives its own failures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from custodes.runtime.log import get_logger

_log = get_logger("custodes.periodic")


class Periodic:
    """Runs an action every so many seconds until it is stopped.

    A run that fails is logged and counted, and the next one comes all the same. Tests call :meth:`run_once` and never
    wait.
    """

    def __init__(self, name: str, every_seconds: float, action: Callable[[], Awaitable[object]]) -> None:
        self.name = name
        self.every_seconds = every_seconds
        self._action = action
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        #: Runs that raised.
        self.failures = 0

    async def start(self) -> None:
        """Begin; idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._loop(), name=f"custodes-{self.name}")

    async def stop(self) -> None:
        """End, without a last run; idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def wake(self) -> None:
        """Have the next run begin now."""
        self._wake.set()

    def waker(self) -> Callable[[], None]:
        """Make a function that does so from any thread; ask for it in the loop that it runs in."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
                loop.call_soon_threadsafe(self.wake)

        return wake

    async def run_once(self) -> None:
        """Run the action once, under guard."""
        try:
            await self._action()
        except Exception as error:  # noqa: BLE001 - the next run comes all the same
            self.failures += 1
            _log.warning("periodic_failed", name=self.name, error=repr(error))

    async def _loop(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.every_seconds):
                    await self._wake.wait()
            # Cleared before the run: who wakes it while it runs has it run once more.
            self._wake.clear()
            await self.run_once()
