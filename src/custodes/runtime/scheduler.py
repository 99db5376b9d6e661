"""The scheduler: what the planes do again and again, by name, each on every process or on the leader only."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from custodes.errors import ConfigurationError, NotFound
from custodes.kernel.clock import SECOND, Clock
from custodes.runtime.log import get_logger
from custodes.runtime.periodic import Periodic

_log = get_logger("custodes.scheduler")

#: Share by which each interval is shortened or lengthened, so that processes that start together drift apart.
JITTER = 0.1

#: Longest run of one task, seconds: a task that hangs is stopped, reported, and runs again at its next turn.
RUN_LIMIT_SECONDS = 300.0

#: A task is overdue when it has not run for this many of its intervals.
OVERDUE_INTERVALS = 3

Action = Callable[[], Awaitable[object]]


class Leadership(Protocol):
    """**Protocol:** knows whether this process leads (:class:`custodes.runtime.leases.Leader`)."""

    @property
    def is_leader(self) -> bool:
        """Whether this process leads, without I/O."""
        ...


@dataclass(frozen=True, slots=True)
class TaskReport:
    """How a task is doing in this process."""

    #: Its name, ``plane.verb``.
    name: str
    #: Seconds between two runs, before jitter.
    every_seconds: float
    #: Whether only the leader runs it.
    leader_only: bool
    #: When it last began, microseconds since the epoch; None when it never ran here.
    last_run_at: int | None
    #: How long the last finished run took, microseconds.
    last_duration_us: int
    #: What the last run raised; empty when it went well.
    last_error: str
    #: Runs that went well.
    runs: int
    #: Runs that raised or were stopped at the limit.
    failures: int
    #: Turns passed over because another process leads.
    skipped: int
    #: Whether it runs at this moment.
    running: bool
    #: Whether it should have run by now and has not.
    overdue: bool


class Task:
    """One thing done again and again. Made by :meth:`Scheduler.every`."""

    def __init__(
        self, name: str, every_seconds: float, action: Action, clock: Clock, *, leader_only: bool, limit_seconds: float
    ) -> None:
        self.name = name
        self.every_seconds = every_seconds
        self.leader_only = leader_only
        self._action = action
        self._clock = clock
        self._limit_seconds = limit_seconds
        self._turned_at = clock.monotonic()
        self._last_run_at: int | None = None
        self._last_duration_us = 0
        self._last_error = ""
        self._runs = 0
        self._failures = 0
        self._skipped = 0
        self._running = False

    async def turn(self, *, leads: bool) -> bool:
        """Take a turn: run, unless it is the leader's to run or still running. Returns whether it ran well."""
        if self._running:
            return False
        self._turned_at = self._clock.monotonic()
        if self.leader_only and not leads:
            self._skipped += 1
            return False
        return await self._run()

    async def _run(self) -> bool:
        self._running = True
        self._last_run_at = self._clock.now()
        try:
            async with asyncio.timeout(self._limit_seconds):
                await self._action()
        except Exception as error:  # noqa: BLE001 - the next turn comes all the same
            self._failures += 1
            self._last_error = _describe(error, self._limit_seconds)
            _log.warning("task_failed", task=self.name, error=self._last_error)
            return False
        else:
            self._runs += 1
            self._last_error = ""
            return True
        finally:
            self._last_duration_us = self._clock.monotonic() - self._turned_at
            self._running = False

    def report(self) -> TaskReport:
        """Tell how it is doing."""
        silent_us = self._clock.monotonic() - self._turned_at
        return TaskReport(
            name=self.name,
            every_seconds=self.every_seconds,
            leader_only=self.leader_only,
            last_run_at=self._last_run_at,
            last_duration_us=self._last_duration_us,
            last_error=self._last_error,
            runs=self._runs,
            failures=self._failures,
            skipped=self._skipped,
            running=self._running,
            overdue=silent_us > OVERDUE_INTERVALS * self.every_seconds * SECOND,
        )


class Scheduler:
    """Runs the tasks of all planes.

    Args:
        clock: source of time.
        leadership: who tells whether this process leads; without one this process always does.
        uniform: source of jitter, numbers from 0 to 1.
    """

    def __init__(
        self, clock: Clock, leadership: Leadership | None = None, *, uniform: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._leadership = leadership
        self._uniform = uniform
        self._tasks: dict[str, Task] = {}
        self._loops: dict[str, Periodic] = {}
        self._started = False

    def every(
        self,
        every_seconds: float,
        name: str,
        action: Action,
        *,
        leader_only: bool = True,
        limit_seconds: float = RUN_LIMIT_SECONDS,
    ) -> Task:
        """Have an action run again and again; call it before :meth:`start`.

        Raises:
            ConfigurationError: the name is taken, the interval is not positive, or the scheduler runs already.
        """
        if name in self._tasks or every_seconds <= 0 or self._started:
            msg = f"Cannot schedule {name!r} every {every_seconds:g} s"
            remedy = "Give each task a name of its own and a positive interval, before the scheduler is started"
            raise ConfigurationError(msg, remedy=remedy)
        task = Task(name, every_seconds, action, self._clock, leader_only=leader_only, limit_seconds=limit_seconds)
        self._tasks[name] = task
        return task

    async def start(self) -> None:
        """Begin all tasks; idempotent."""
        self._started = True
        for task in self._tasks.values():
            if task.name not in self._loops:
                loop = Periodic(task.name, self._interval(task), lambda task=task: self._turn(task))
                self._loops[task.name] = loop
                await loop.start()

    async def stop(self) -> None:
        """End all tasks; idempotent."""
        self._started = False
        loops, self._loops = self._loops, {}
        for loop in loops.values():
            await loop.stop()

    async def run_now(self, name: str) -> bool:
        """Run one task at once, whoever leads; returns whether it went well (False also when it runs already).

        Raises:
            NotFound: no task of that name.
        """
        task = self._tasks.get(name)
        if task is None:
            msg = f"There is no task {name!r}"
            raise NotFound(msg, remedy=f"Tasks are: {', '.join(sorted(self._tasks)) or 'none'}")
        return await task.turn(leads=True)

    def reports(self) -> list[TaskReport]:
        """Tell how all tasks are doing, by name."""
        return [self._tasks[name].report() for name in sorted(self._tasks)]

    async def _turn(self, task: Task) -> None:
        await task.turn(leads=self._leadership is None or self._leadership.is_leader)
        loop = self._loops.get(task.name)
        if loop is not None:
            loop.every_seconds = self._interval(task)

    def _interval(self, task: Task) -> float:
        return task.every_seconds * (1 + JITTER * (2 * self._uniform() - 1))


def _describe(error: Exception, limit_seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"Stopped after {limit_seconds:g} s"
    return f"{type(error).__name__}: {error}"
