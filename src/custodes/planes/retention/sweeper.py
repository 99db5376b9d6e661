"""The sweeper: deletes what is past its time, in batches so small that nobody waits for them.

Each batch is a transaction of its own, so a sweep that is killed half-way has done half of its work and nothing wrong;
the next one goes on. What goes is decided by the planes' own ``purge``; the sweeper only knows policies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from custodes.errors import ConfigurationError, CustodesError
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND, Clock
from custodes.kernel.health import Health, SystemHealth, Threshold, judge
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.planes.retention.model import Policy, PolicyReport, Run
from custodes.planes.retention.ports import RunStore
from custodes.runtime.log import get_logger
from custodes.runtime.scheduler import Scheduler
from custodes.runtime.transactions import Store, Transaction, Work, nothing

#: Rows of one transaction: a few milliseconds of the only writer.
BATCH = 1_000

#: Pause after each batch, seconds: what waits for the writer goes first.
PAUSE_SECONDS = 0.02

#: Longest time one policy may take in one sweep, seconds; a backlog is worked off over several sweeps.
POLICY_SECONDS = 60.0

#: Longest time between two looks whether a sweep is due, seconds: a process that lives longer than this sweeps, however
#: seldom sweeps are and however often processes are replaced.
LOOK_SECONDS = 30.0

#: So much more than this process has lived may have passed since anybody swept, microseconds: an install that is
#: switched off for a week goes on by itself. A clock that says more may have jumped, and what it would have deleted
#: does not come back.
LONGEST_ABSENCE = 7 * DAY

#: So far ahead of the store's clock this process's may be, microseconds: policies keep for days.
FARTHEST_AHEAD = HOUR

#: What the plane is called in health reports.
SYSTEM = "retention"

#: Intervals without success from which on a policy is late.
LATE = 3

#: When cleaning up is degraded or unhealthy; intervals are those of the setting.
THRESHOLDS = (
    Threshold("intervals_since_sweep", degraded=LATE, unhealthy=24, says="Not all was cleaned up for {} intervals"),
    Threshold("policies_failed", degraded=1, unhealthy=float("inf"), says="Policies that failed in the last sweep: {}"),
)

#: Most policies that a reason names.
_NAMED = 5

#: How long the records of runs are kept, microseconds.
KEEP_RUNS = 90 * DAY

#: Name of the task in the scheduler.
TASK = "retention.sweep"

_log = get_logger("custodes.retention")


#: Is told of a policy under way, and of how much it has removed.
Tell = Callable[[Policy, int], None]


def _untold(_policy: Policy, _removed: int) -> None: ...


def _unknown() -> None: ...


class Retention:
    """Runs the policies, on a schedule and on demand.

    On the schedule only while the time is plausible: see :data:`LONGEST_ABSENCE` and :data:`FARTHEST_AHEAD`.

    Args:
        store: the engine.
        runs: where runs are recorded.
        policies: what is deleted when, in this order.
        clock: source of time.
        random_bits: source of randomness for ids.
        scheduler: has the leader sweep when it is due; None: only on demand.
        every_minutes: minutes between two sweeps, whichever processes make them.
        batch: rows of one transaction.
        pause: waits so many seconds between batches.
        ahead: tells by how much this process's clock is ahead of one that others keep, microseconds; None: not known.

    Raises:
        ConfigurationError: two policies of one name.
    """

    def __init__(
        self,
        store: Store,
        runs: RunStore,
        policies: Sequence[Policy],
        clock: Clock,
        random_bits: RandomBits,
        *,
        scheduler: Scheduler | None = None,
        every_minutes: float = 60,
        batch: int = BATCH,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        ahead: Callable[[], int | None] = _unknown,
    ) -> None:
        self._store = store
        self._runs = runs
        self._clock = clock
        self._random_bits = random_bits
        self._batch = batch
        self._pause = pause
        self._ahead = ahead
        #: Why the last look left everything alone; empty when it did not.
        self._doubt = ""
        self.policies: tuple[Policy, ...] = (*policies, self._own_policy())
        self._names = names = [policy.name for policy in self.policies]
        if len(set(names)) < len(names):
            msg = f"Two retention policies have the same name: {', '.join(names)}"
            raise ConfigurationError(msg, remedy="Give each a name of its own")
        #: Time between two sweeps, microseconds.
        self.interval = round(every_minutes * MINUTE)
        self._began_at = clock.monotonic()
        #: When policies last succeeded in this process, by the monotonic clock.
        self._succeeded_at: dict[str, int] = {}
        #: When this process last swept, by the monotonic clock: a wall clock that jumps has nobody sweep all the time.
        self._swept_at: int | None = None
        if scheduler is not None:
            limit_seconds = POLICY_SECONDS * (len(names) + 1)
            every_seconds = min(LOOK_SECONDS, every_minutes * 60)
            scheduler.every(every_seconds, TASK, self.run_due, leader_only=True, limit_seconds=limit_seconds)

    async def start(self) -> None:
        """Do nothing: the scheduler looks whether a sweep is due. Here so that all services are alike."""

    async def stop(self) -> None:
        """Do nothing."""

    async def run(self, *, dry_run: bool = False, also: Work = nothing, tell: Tell = _untold) -> list[Run]:
        """Run every policy now; one that fails does not keep the others from running.

        Args:
            dry_run: delete nothing, count what would go.
            also: committed before anything is deleted (the audit entry of a run on demand).
            tell: called when a policy begins, and after each batch with what it has removed so far.

        Returns:
            One run for each policy, in their order. They are recorded, dry runs too.
        """
        if also is not nothing:
            await self._store.write(also)
        return await self._run_all(self.policies, tell, dry_run=dry_run)

    async def run_due(self) -> list[Run]:
        """Sweep if no process has done so for an interval; go on with a sweep that its process did not live to end.

        Returns:
            The runs of the policies that had not run lately; none when no sweep is due.
        """
        elapsed = self._clock.monotonic()
        if self._swept_at is not None and elapsed - self._swept_at < self.interval:
            return []
        now = self._clock.now()
        # A run far in the future is of a clock that was wrong and tells nothing; one of a clock a little ahead counts.
        until = now + self.interval // 2
        last = await self._store.read(lambda tx: self._runs.last(tx, self._names, until=until))
        ages = [(one, now - last[one.name].started_at if one.name in last else None) for one in self.policies]
        doubt, self._doubt = self._doubt, self._doubt_of(now, last.values())
        if self._doubt:
            if not doubt:
                _log.warning("retention_held", why=self._doubt)
            return []
        if not any(age is None or age >= self.interval for _, age in ages):
            return []
        self._swept_at = elapsed
        try:
            return await self._run_all([policy for policy, age in ages if age is None or age >= self.interval / 2])
        except BaseException:
            self._swept_at = None  # the next look goes on with the policies that have not run
            raise

    def _doubt_of(self, now: int, last: Iterable[Run]) -> str:
        """Tell why the time cannot be what it is said to be; empty when it can."""
        ahead = self._ahead()
        absent = now - max((run.started_at for run in last), default=now)
        lived = self._clock.monotonic() - (self._began_at if self._swept_at is None else self._swept_at)
        if ahead is not None and ahead > FARTHEST_AHEAD:
            return f"Nothing is cleaned up: the clock of this host is {ahead / HOUR:,.0f} h ahead of the database's"
        if ahead is None and absent - lived > LONGEST_ABSENCE:
            return (
                f"Nothing is cleaned up: by the clock, nobody did for {absent / DAY:,.0f} days. "
                "If that is so, say: custodes retention run"
            )
        return ""

    async def _run_all(self, policies: Sequence[Policy], tell: Tell = _untold, *, dry_run: bool = False) -> list[Run]:
        done: list[Run] = []
        for policy in policies:
            tell(policy, 0)
            run = await (self._count(policy) if dry_run else self._sweep(policy, tell))
            await self._store.write(lambda tx, run=run: self._runs.add(tx, run))
            done.append(run)
        return done

    async def get_policies(self) -> list[PolicyReport]:
        """Return every policy with its newest run."""
        last = await self._store.read(lambda tx: self._runs.last(tx, self._names))
        return [PolicyReport(policy, last.get(policy.name)) for policy in self.policies]

    async def get_health_status(self) -> SystemHealth:
        """Tell of the policy that has not succeeded for longest, in whichever process, and of those that failed.

        Runs in the future, of a clock that was wrong, hide no silence. A clock that jumps ahead makes none of what this
        process did itself, nor of a policy that has never run.
        """
        now = self._clock.now()

        def work(tx: Transaction) -> tuple[dict[str, Run], dict[str, Run], dict[str, Run]]:
            newest, real = self._runs.last(tx, self._names), self._runs.last(tx, self._names, until=now)
            return newest, real, self._runs.last(tx, self._names, until=now, succeeded=True)

        newest, real, succeeded = await self._store.read(work)
        doubt = self._doubt_of(now, real.values())
        silences = {name: self._silence(name, now, succeeded.get(name)) for name in self._names}
        failed = [name for name in self._names if name in newest and newest[name].error]
        silence = max(silences.values())
        figures = {
            "hours_since_sweep": silence / HOUR,
            "intervals_since_sweep": silence // self.interval,
            "policies_failed": float(len(failed)),
        }
        health = judge(SYSTEM, figures, THRESHOLDS, {doubt: Health.DEGRADED} if doubt else {})
        if health.state is Health.HEALTHY:
            return health
        named = [name for name in self._names if name in failed or silences[name] >= LATE * self.interval]
        return replace(health, reasons=(*health.reasons, f"Not cleaned up: {_listed(named)}")) if named else health

    def _silence(self, policy: str, now: int, run: Run | None) -> int:
        """Tell how long ago a policy last succeeded, microseconds; ``run`` is that success, as it is recorded."""
        own = self._clock.monotonic() - self._succeeded_at.get(policy, self._began_at)
        ago = own if run is None else max(0, now - run.started_at)
        return min(ago, own) if policy in self._succeeded_at else ago

    async def list_runs(self, *, limit: int = DEFAULT_LIMIT, cursor: str = "") -> Page[Run]:
        """Return a page of runs, newest first.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        return await self._store.read(lambda tx: self._runs.page(tx, limit, cursor))

    # ── One policy ───────────────────────────────────────────────────────────

    async def _sweep(self, policy: Policy, tell: Tell) -> Run:
        started, began = self._clock.now(), self._clock.monotonic()
        before = started - policy.keep
        removed, finished, error = 0, False, ""
        try:
            while not finished and self._clock.monotonic() - began < POLICY_SECONDS * SECOND:
                gone = await policy.purge(before, self._batch)
                removed += gone
                tell(policy, removed)
                finished = gone == 0
                if not finished:
                    await self._pause(PAUSE_SECONDS)
            self._succeeded_at[policy.name] = began
        except Exception as failure:  # noqa: BLE001 - the other policies still run
            error = _described(failure)
            _log.warning("retention_failed", policy=policy.name, removed=removed, error=error)
        return self._run(policy, started, began, before, removed, finished=finished, error=error)

    async def _count(self, policy: Policy) -> Run:
        started, began = self._clock.now(), self._clock.monotonic()
        before = started - policy.keep
        count: int | None = None
        error = ""
        try:
            count = await policy.count(before)
        except Exception as failure:  # noqa: BLE001 - the others are still counted
            error = _described(failure)
        return self._run(policy, started, began, before, count, finished=not error, error=error, dry_run=True)

    def _run(
        self,
        policy: Policy,
        started: int,
        began: int,
        before: int,
        removed: int | None,
        *,
        finished: bool,
        error: str,
        dry_run: bool = False,
    ) -> Run:
        return Run(
            id=uuid7(started, self._random_bits),
            policy=policy.name,
            started_at=started,
            before=before,
            removed=removed,
            duration_us=self._clock.monotonic() - began,
            dry_run=dry_run,
            finished=finished,
            error=error,
        )

    def _own_policy(self) -> Policy:
        async def purge(before: int, limit: int) -> int:
            return await self._store.write(lambda tx: self._runs.purge(tx, before, limit))

        async def count(before: int) -> int:
            return await self._store.read(lambda tx: self._runs.count_purgeable(tx, before))

        return Policy("retention.runs", "Records of these runs", KEEP_RUNS, purge, count)


def _listed(policies: Sequence[str]) -> str:
    more = len(policies) - _NAMED
    return ", ".join(policies[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _described(failure: Exception) -> str:
    """Say what failed, without the parameters that a driver's message may carry."""
    return failure.message if isinstance(failure, CustodesError) else type(failure).__name__
