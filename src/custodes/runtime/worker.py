"""The worker: takes jobs of one kind on lease, does them, and settles them in one transaction with what they changed.

What is done for one job is done for many at once: one transaction leases and begins all that there are places for, and
one settles all that have ended while the one before it committed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from custodes.errors import CustodesError, StorageUnavailable
from custodes.kernel.clock import HOUR, MINUTE, SECOND, Clock
from custodes.runtime.batches import Batches
from custodes.runtime.jobs import Claim, Jobs, Lease
from custodes.runtime.log import get_logger
from custodes.runtime.looks import Looks
from custodes.runtime.process import Named
from custodes.runtime.transactions import Store, Transaction

R = TypeVar("R")

#: Jobs that one worker does at the same time.
CONCURRENCY = 16

#: How long a lease lasts, microseconds; renewed at a third of it, so two renewals may fail. With the poll of another
#: worker, the jobs of a process that was killed are taken over in some 11 s.
LEASE = 10 * SECOND

#: Longest sleep when nothing wakes the worker, seconds: how late another process's job, or a retry, may begin.
POLL_SECONDS = 1.0

#: How long :meth:`Worker.stop` waits for what is under way, seconds: with the two of a process that drains, and one for
#: coroutines to clean up, less than the ten that containers get.
DRAIN_SECONDS = 5.0

#: Wait before a job is tried again that failed in a way its doer did not expect (the store was down), microseconds.
SETBACK = 10 * SECOND

#: No job waits longer by intention, microseconds: what is due later was written by a clock that ran ahead.
HORIZON = 24 * HOUR + MINUTE

_log = get_logger("custodes.worker")


def _nothing() -> None: ...


def _all(_tx: Transaction, lanes: Sequence[str]) -> Sequence[str]:
    return lanes


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """The job is done, for good or ill: it is deleted."""

    #: What came of it, for :meth:`Doer.write`; None when there is nothing to write.
    result: R | None = None
    #: Called once it is written.
    then: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class Again(Generic[R]):
    """The job is to be tried again."""

    #: Not before, microseconds since the epoch.
    due_at: int
    #: What came of it, for :meth:`Doer.write`; None when there is nothing to write.
    result: R | None = None
    #: Called once it is written.
    then: Callable[[], None] = _nothing
    #: Whether it counts as an attempt at the job; False: it was not begun.
    counted: bool = True


class Doer(Protocol[R]):
    """**Protocol:** does jobs of one kind."""

    def begin(self, tx: Transaction, leases: Sequence[Lease]) -> None:
        """Note in the transaction of the claim that these jobs are begun."""
        ...

    async def do(self, lease: Lease) -> Done[R] | Again[R]:
        """Do one job; what it raises counts as a setback and the job is tried again."""
        ...

    def write(self, tx: Transaction, results: Sequence[R]) -> None:
        """Write what came of jobs, in the transaction that settles them; only of those whose lease was still held."""
        ...

    def plain(self, result: R, error: Exception) -> R:
        """Return what to write instead of what the store refuses for good: the same end, without foreign texts."""
        ...


class Worker(Generic[R]):
    """Does jobs of one kind, many at a time, until stopped.

    Fair: free places are shared among the lanes that have work, and no lane may hold more than three quarters of all
    places, so a lane whose jobs hang cannot keep the others out. Safe: a job whose worker died is due again when its
    lease ends, and a worker that lost its lease settles nothing. Of the suspects, which may be what kills the workers,
    only one is done at a time.
    """

    def __init__(
        self,
        kind: str,
        doer: Doer[R],
        *,
        store: Store,
        jobs: Jobs,
        clock: Clock,
        owner: Named,
        concurrency: int = CONCURRENCY,
        lease: int = LEASE,
        poll_seconds: float = POLL_SECONDS,
        horizon: int = HORIZON,
        leases_by: Callable[[], int] | None = None,
        tell: Callable[[], object] = _nothing,
        mine: Callable[[Transaction, Sequence[str]], Sequence[str]] = _all,
    ) -> None:
        self.kind = kind
        #: Who holds the leases of this worker.
        self.owner = owner
        #: Jobs done at the same time, at most.
        self.concurrency = concurrency
        #: No job waits longer by intention, microseconds.
        self.horizon = horizon
        #: Places that one lane may hold.
        self.lane_limit = max(1, concurrency * 3 // 4)
        self._doer = doer
        self._store = store
        self._jobs = jobs
        self._clock = clock
        self._lease = lease
        #: The time that leases, and what a lane may have, are measured by: the same in all processes.
        self._leases_by = leases_by or clock.now
        self._looks = Looks(poll_seconds)
        self._tell = tell
        self._mine = mine
        #: Whether the last look left lanes to other processes.
        self._left_lanes = False
        #: Whether this process has put something in since the last look.
        self._brought = False
        self._running: dict[str, tuple[Lease, asyncio.Task[None]]] = {}
        self._ended: Batches[tuple[Lease, Done[R] | Again[R]], bool] = Batches(self._settle)
        self._turn = 0
        #: Whether there was no place when the last claim was to be made: nobody knows what is due.
        self._full = False
        #: Set when the time of the next look may have come nearer.
        self._stir = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._claiming: asyncio.Task[int] | None = None
        #: Jobs settled since the start.
        self.settled = 0
        #: Jobs whose lease was lost before they could be settled.
        self.fenced = 0
        #: Jobs whose doer raised.
        self.setbacks = 0

    # ── Life ─────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Begin to look for work, if there is a place for any; idempotent."""
        if self.concurrency and not self._loops:
            self._loops = [
                asyncio.create_task(self._claim_forever(), name=f"custodes-{self.kind}-claims"),
                asyncio.create_task(self._renew_forever(), name=f"custodes-{self.kind}-leases"),
            ]

    async def stop(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Take no more, let what is under way end, give back what does not end in time; idempotent."""
        loops, self._loops = self._loops, []
        try:
            await _cancel(loops[:1])  # leases are renewed for as long as jobs are under way
            if self._claiming is not None:  # what it leased is done or given back, not left until the lease ends
                await asyncio.gather(self._claiming, return_exceptions=True)
            running = [task for _, task in self._running.values()]
            if running:
                await asyncio.wait(running, timeout=drain_seconds)
        finally:
            await _cancel(loops[1:])
        await self._break_off()

    def at_once(self) -> int:
        """Tell the moment for what is to be done now, microseconds: neither this process nor another waits for it.

        By a host whose clock is ahead, others would wait for as long as that; by the store's, one that is behind.
        """
        return min(self._clock.now(), self._leases_by())

    def is_at(self, tx: Transaction, ref: str) -> bool:
        """Tell whether any process is at a job."""
        return self._jobs.is_leased(tx, self.kind, ref, self._leases_by())

    def wake(self) -> None:
        """Have the worker look for work now."""
        self._looks.came()
        self._stir.set()

    def brought(self) -> None:
        """Have what this process has put in looked for: here, and by other processes what there is no place for."""
        self.wake()
        if self._loops and len(self._running) < self.concurrency:
            self._brought = True  # whether there is a place for all of it, the look will tell
        else:
            self._tell()

    @property
    def alive(self) -> bool | None:
        """Whether it looks for work as it should; None when it was not started, or has no places."""
        return all(not loop.done() for loop in self._loops) if self._loops else None

    @property
    def running(self) -> int:
        """Jobs under way."""
        return len(self._running)

    async def run_due(self) -> int:
        """Do all jobs that are due now and return how many: for tests and commands, instead of :meth:`start`."""
        total = 0
        while True:
            # What ends while one looks has made room that the look did not have.
            crowded = bool(self._running)
            taken = await self.claim()
            if not (taken or crowded or self._running):
                return total
            total += taken
            await asyncio.gather(*(task for _, task in list(self._running.values())))

    # ── Taking ───────────────────────────────────────────────────────────────

    async def claim(self) -> int:
        """Lease as many due jobs as there are free places and begin them; returns how many."""
        free = self.concurrency - len(self._running)
        self._full = free <= 0
        brought, self._brought = self._brought, False
        if self._full:
            if brought:  # during the look that took the last place
                self._tell()
            return 0
        held = [lease for lease, _ in self._running.values()]
        now, by_store = self._clock.now(), self._leases_by()
        self._turn += 1
        leases = await self._store.write(lambda tx: self._take(tx, now, by_store, free, held), durable=False)
        for lease in leases:
            task = asyncio.create_task(self._do(lease), name=f"custodes-{self.kind}-{lease.ref}")
            self._running[lease.ref] = (lease, task)
        if brought and (self._left_lanes or self._overflows(len(leases), free)):
            self._tell()
        return len(leases)

    def _take(self, tx: Transaction, now: int, by_store: int, free: int, held: Sequence[Lease]) -> list[Lease]:
        self._jobs.pull_in(tx, self.kind, max(now, by_store) + self.horizon, now)
        there = self._jobs.lanes(tx, self.kind)
        lanes = sorted(self._mine(tx, there))
        self._left_lanes = len(lanes) < len(there)
        busy = frozenset(lease.ref for lease in held)
        taken: list[Lease] = []

        def claim(lane: str, share: int) -> bool:
            """Take at most a share for a lane; tells whether it may have more."""
            room = self.lane_limit - sum(lease.lane == lane for lease in (*held, *taken))
            limit = min(share, room)
            if limit <= 0:
                return False
            suspect = not any(lease.suspect for lease in (*held, *taken))
            at = busy | {lease.ref for lease in taken}
            wanted = Claim(self.owner(), now, by_store, by_store + self._lease, at, suspect)
            found = self._jobs.claim(tx, self.kind, {lane: limit}, wanted)
            taken.extend(found)
            return len(found) == limit

        turn = self._turn % len(lanes) if lanes else 0
        eager: list[str] = []
        for position, lane in enumerate((*lanes[turn:], *lanes[:turn])):
            # What is free is shared among the lanes still to come, so the last gets what the others left.
            if claim(lane, -(-(free - len(taken)) // (len(lanes) - position))):
                eager.append(lane)
        for lane in eager:  # and the first what the last left
            claim(lane, free - len(taken))
        self._doer.begin(tx, taken)
        return taken

    def _waited_for(self, _lease: Lease) -> bool:
        """Tell whether there are due jobs that the end of this one makes a place for, as the last claim saw it."""
        return True

    def _overflows(self, taken: int, free: int) -> bool:
        """Tell whether there may be due jobs that the last claim had no place for."""
        return taken >= free

    def _opens_at(self, _now: int) -> int | None:
        """Tell when what is due, and may not be done yet, may be done next; microseconds, None when nothing is."""
        return None

    async def _claim_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._looks.begin(loop.time())
            try:
                self._claiming = asyncio.create_task(self.claim())
                await asyncio.shield(self._claiming)
            except CustodesError as error:
                _log.warning("claim_failed", kind=self.kind, error=str(error))
            except Exception as error:  # noqa: BLE001 - one lane that cannot be judged must not end the worker
                _log.error("claim_failed", kind=self.kind, error=repr(error))
            self._looks.end(loop.time())
            now = self._leases_by()
            if (opens_at := self._opens_at(now)) is not None:
                self._looks.opens(loop.time() + (opens_at - now) / SECOND)
            while (wait := self._looks.wait(loop.time())) > 0:
                self._stir.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._stir.wait()

    # ── Doing ────────────────────────────────────────────────────────────────

    async def _do(self, lease: Lease) -> None:
        result: Done[R] | Again[R]
        try:
            try:
                result = await self._doer.do(lease)
            except Exception as error:  # noqa: BLE001 - whatever it was, the job is not lost
                self.setbacks += 1
                _log.warning("job_failed", kind=self.kind, ref=lease.ref, error=repr(error))
                result = Again(self._clock.now() + SETBACK, counted=False)
            if await self._written(lease, result):
                self.settled += 1
                result.then()
            else:
                self.fenced += 1
                _log.warning("lease_lost", kind=self.kind, ref=lease.ref)
        except CustodesError as error:  # the lease ends by itself, and the job is done again
            _log.warning("job_not_settled", kind=self.kind, ref=lease.ref, error=str(error))
        except Exception as error:  # noqa: BLE001 - as above; each lease that ends so is counted
            _log.error("job_not_settled", kind=self.kind, ref=lease.ref, error=repr(error))
        finally:
            self._running.pop(lease.ref, None)
            self._looks.freed(asyncio.get_running_loop().time(), waited_for=self._waited_for(lease))
            self._stir.set()

    async def _written(self, lease: Lease, result: Done[R] | Again[R]) -> bool:
        """Settle a job; what can never be written is written plainly, so that the attempt counts."""
        try:
            return await self._ended.do((lease, result))
        except StorageUnavailable:
            raise
        except Exception as error:
            if result.result is None:
                raise
            _log.error("result_not_writable", kind=self.kind, ref=lease.ref, error=repr(error))
            return await self._ended.do((lease, replace(result, result=self._doer.plain(result.result, error))))

    async def _settle(self, ended: Sequence[tuple[Lease, Done[R] | Again[R]]]) -> Sequence[bool]:
        """Settle jobs and write what came of them; tells of each whether its lease was still held."""

        def work(tx: Transaction) -> Sequence[bool]:
            finished = [lease for lease, result in ended if isinstance(result, Done)]
            back = [(lease, result) for lease, result in ended if isinstance(result, Again)]
            held = {lease.ref for lease in self._jobs.finish(tx, finished)} if finished else set[str]()
            for counted in (True, False):
                these = [(lease, result.due_at) for lease, result in back if result.counted is counted]
                held |= {lease.ref for lease in self._jobs.again(tx, these, counted=counted)} if these else set()
            came = [result.result for lease, result in ended if lease.ref in held and result.result is not None]
            if came:
                self._doer.write(tx, came)
            return [lease.ref in held for lease, _ in ended]

        return await self._store.write(work)

    # ── Keeping ──────────────────────────────────────────────────────────────

    async def renew(self) -> None:
        """Move the end of all leases of jobs that are under way."""
        held = [lease for lease, _ in self._running.values()]
        if held:
            until = self._leases_by() + self._lease
            await self._store.write(lambda tx: self._jobs.extend(tx, held, until), durable=False)

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._lease / SECOND / 3)
            try:
                await self.renew()
            except Exception as error:  # noqa: BLE001 - what fails once must not end it: jobs would be done twice
                _log.warning("leases_not_renewed", kind=self.kind, error=repr(error))

    async def _break_off(self) -> None:
        left = list(self._running.values())
        for _, task in left:
            task.cancel()
        await asyncio.gather(*(task for _, task in left), return_exceptions=True)
        await self._ended.finish()  # what had ended is settled, and not given back
        if left:
            now = self._clock.now()
            with contextlib.suppress(CustodesError):
                await self._store.write(lambda tx: self._give_back(tx, [lease for lease, _ in left], now))

    def _give_back(self, tx: Transaction, leases: Sequence[Lease], now: int) -> None:
        self._jobs.again(tx, [(lease, now) for lease in leases], counted=False)


async def _cancel(loops: Sequence[asyncio.Task[None]]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
