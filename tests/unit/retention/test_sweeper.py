"""The sweeper deletes by policy, in small batches, and one failure stops nothing else."""

import asyncio

import pytest

from custodes.errors import ConfigurationError, StorageUnavailable
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.health import Health
from custodes.planes.retention.model import Policy
from custodes.planes.retention.sweeper import POLICY_SECONDS, TASK, Retention
from custodes.runtime.scheduler import Scheduler
from custodes.storage.sql.database import Database
from custodes.storage.sql.retention import SqlRunStore
from custodes.testing.clock import FakeClock


class Shelf:
    """Rows with a moment each, purged as a plane would."""

    def __init__(self, clock: FakeClock, ages_in_days: list[int]) -> None:
        self.rows = sorted(clock.now() - age * DAY for age in ages_in_days)
        self.batches: list[int] = []

    async def purge(self, before: int, limit: int) -> int:
        gone = [row for row in self.rows if row < before][:limit]
        self.rows = self.rows[len(gone) :]
        self.batches.append(len(gone))
        return len(gone)

    async def count(self, before: int) -> int:
        return sum(row < before for row in self.rows)

    def policy(self, name: str = "shelf.rows", keep: int = 30 * DAY) -> Policy:
        return Policy(name, "Rows", keep, self.purge, self.count)


@pytest.fixture
def retention_of(database: Database, clock: FakeClock, random_bits):
    def make(*policies: Policy, **options: object) -> Retention:
        async def no_pause(_seconds: float) -> None:
            await asyncio.sleep(0)

        return Retention(
            database,
            SqlRunStore(),
            policies,
            clock,
            random_bits,
            **({"pause": no_pause, "batch": 10} | options),  # type: ignore[arg-type]
        )

    return make


async def test_rows_past_their_time_go_in_bounded_batches_and_the_others_stay(retention_of, clock: FakeClock):
    shelf = Shelf(clock, [*range(31, 56), 29, 30, 0])

    run, own = await retention_of(shelf.policy()).run()

    assert len(shelf.rows) == 3
    assert shelf.batches == [10, 10, 5, 0]
    assert (run.policy, run.removed, run.finished, run.error) == ("shelf.rows", 25, True, "")
    assert run.before == clock.now() - 30 * DAY
    assert own.policy == "retention.runs"


async def test_whoever_waits_is_told_how_far_it_is(retention_of, clock: FakeClock):
    told: list[tuple[str, int]] = []
    shelf = Shelf(clock, [*range(31, 56)])

    await retention_of(shelf.policy()).run(tell=lambda policy, removed: told.append((policy.name, removed)))

    assert told == [
        *(("shelf.rows", removed) for removed in (0, 10, 20, 25, 25)),
        *(("retention.runs", removed) for removed in (0, 0)),
    ]


async def test_between_batches_others_get_their_turn(retention_of, clock: FakeClock):
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    shelf = Shelf(clock, list(range(31, 56)))
    await retention_of(shelf.policy(), pause=pause).run()

    assert pauses == [0.02] * 3


async def test_a_dry_run_counts_and_deletes_nothing(retention_of, clock: FakeClock):
    shelf = Shelf(clock, [31, 32, 1])

    async def broken(_before: int) -> int:
        raise StorageUnavailable("The disk is full")

    blind = Policy("other.rows", "Rows", DAY, shelf.purge, broken)

    runs = await retention_of(shelf.policy(), blind).run(dry_run=True)

    assert [(run.removed, run.dry_run, run.error) for run in runs] == [
        (2, True, ""),
        (None, True, "The disk is full"),
        (0, True, ""),
    ]
    assert shelf.batches == []
    assert len(shelf.rows) == 3


async def test_a_policy_that_fails_does_not_stop_the_others_and_says_why(retention_of, clock: FakeClock):
    shelf = Shelf(clock, [31])

    async def broken(_before: int, _limit: int) -> int:
        raise StorageUnavailable("The disk is full")

    async def rude(_before: int, _limit: int) -> int:
        raise ValueError("row of alice@example.com")

    first, second, third, _own = await retention_of(
        Policy("a.broken", "", DAY, broken, shelf.count), Policy("b.rude", "", DAY, rude, shelf.count), shelf.policy()
    ).run()

    assert (first.error, first.finished) == ("The disk is full", False)
    assert second.error == "ValueError"
    assert third.removed == 1


async def test_a_backlog_is_worked_off_over_several_sweeps(retention_of, clock: FakeClock):
    # Given a store so slow that each batch takes twenty seconds
    shelf = Shelf(clock, list(range(31, 100)))

    async def slow(before: int, limit: int) -> int:
        clock.advance(20 * SECOND)
        return await shelf.purge(before, limit)

    retention = retention_of(Policy("shelf.rows", "", 30 * DAY, slow, shelf.count))

    first = (await retention.run())[0]
    assert (first.removed, first.finished) == (30, False)
    assert first.duration_us == POLICY_SECONDS * SECOND
    second = (await retention.run())[0]
    third = (await retention.run())[0]
    assert [second.removed, third.removed] == [30, 9]
    assert third.finished


async def test_a_sweep_that_is_killed_half_way_has_done_no_harm(retention_of, clock: FakeClock):
    shelf = Shelf(clock, [*range(31, 81), 5])

    async def killed_at_the_third(before: int, limit: int) -> int:
        if len(shelf.batches) == 2:
            raise asyncio.CancelledError
        return await shelf.purge(before, limit)

    with pytest.raises(asyncio.CancelledError):
        await retention_of(Policy("shelf.rows", "", 30 * DAY, killed_at_the_third, shelf.count)).run()
    assert len(shelf.rows) == 31

    # When the next process sweeps
    run = (await retention_of(shelf.policy()).run())[0]

    assert run.removed == 30
    assert len(shelf.rows) == 1


async def test_runs_are_recorded_and_the_newest_real_one_is_shown(retention_of, clock: FakeClock):
    shelf = Shelf(clock, [31])
    retention = retention_of(shelf.policy())
    assert (await retention.get_policies())[0].last_run is None

    real = await retention.run()
    clock.advance(MINUTE)
    dry = await retention.run(dry_run=True)

    assert (await retention.get_policies())[0].last_run == real[0]
    page = await retention.list_runs(limit=3)
    rest = await retention.list_runs(limit=3, cursor=page.next_cursor)
    assert {run.id for run in (*page.items, *rest.items)} == {run.id for run in (*real, *dry)}
    assert page.items[0].dry_run


async def test_records_of_runs_are_themselves_cleaned_up(retention_of, clock: FakeClock):
    retention = retention_of()
    for _ in range(3):
        await retention.run()
        clock.advance(40 * DAY)

    last = await retention.run()

    assert last[-1].policy == "retention.runs"
    moments = [run.started_at for run in (await retention.list_runs()).items]
    assert min(moments) >= clock.now() - 90 * DAY


async def test_what_belongs_to_a_run_on_demand_is_committed_before_anything_is_deleted(retention_of, clock: FakeClock):
    shelf = Shelf(clock, [31])

    def refused(_tx: object) -> None:
        raise StorageUnavailable("no")

    with pytest.raises(StorageUnavailable):
        await retention_of(shelf.policy()).run(also=refused)

    assert len(shelf.rows) == 1


class Leadership:
    def __init__(self, leads: bool) -> None:
        self.is_leader = leads


@pytest.mark.parametrize("leads", [True, False])
async def test_of_several_workers_only_the_leader_sweeps(retention_of, clock: FakeClock, leads: bool):
    shelf = Shelf(clock, [31])
    scheduler = Scheduler(clock, Leadership(leads), uniform=lambda: 0.5)
    retention_of(shelf.policy(), scheduler=scheduler, every_minutes=0.000_1)

    await scheduler.start()
    while not (report := scheduler.reports()[0]).runs and not report.skipped:
        await asyncio.sleep(0.001)
    await scheduler.stop()

    assert report.name == TASK
    assert bool(shelf.rows) is not leads


async def test_a_sweep_is_due_by_what_all_processes_did_and_not_by_how_long_one_lives(retention_of, clock: FakeClock):
    """Given processes that live shorter than the interval, the next one sweeps what is overdue, and nobody twice."""
    shelf, other = Shelf(clock, [31]), Shelf(clock, [31])
    policies = (shelf.policy(), other.policy("other.rows"))

    async def next_process() -> list[str]:
        return [run.policy for run in await retention_of(*policies, every_minutes=60).run_due()]

    everything = ["shelf.rows", "other.rows", "retention.runs"]
    assert await next_process() == everything
    clock.advance(40 * MINUTE)
    assert await next_process() == []
    clock.advance(20 * MINUTE)
    living = retention_of(*policies, every_minutes=60)
    assert [run.policy for run in await living.run_due()] == everything
    assert await living.run_due() == []
    # Given one that dies in its sweep, then the next one does the rest of it
    clock.advance(60 * MINUTE)

    async def killed(_before: int, _limit: int) -> int:
        raise asyncio.CancelledError

    dying = retention_of(shelf.policy(), Policy("other.rows", "", DAY, killed, other.count), every_minutes=60)
    for _ in range(2):  # at its next look it goes on with the same, if it lives
        with pytest.raises(asyncio.CancelledError):
            await dying.run_due()
        clock.advance(SECOND)
    assert await next_process() == everything[1:]


async def test_after_a_clock_that_ran_ahead_one_process_sweeps_and_not_each_that_starts(retention_of, clock: FakeClock):
    shelf = Shelf(clock, [])
    clock.jump(10 * DAY)
    await retention_of(shelf.policy(), every_minutes=60).run_due()
    clock.jump(-10 * DAY)

    swept = [bool(await retention_of(shelf.policy(), every_minutes=60).run_due()) for _ in range(3)]

    assert swept == [True, False, False]


async def test_health_says_for_how_long_nothing_was_cleaned_up_and_what_failed(retention_of, clock: FakeClock):
    async def broken(_before: int, _limit: int) -> int:
        raise StorageUnavailable("The disk is full")

    shelf = Shelf(clock, [])
    well, ill = retention_of(shelf.policy()), retention_of(Policy("a.broken", "", DAY, broken, shelf.count))
    assert (await well.get_health_status()).state is Health.HEALTHY
    await well.run()
    clock.advance(2 * HOUR)
    assert (await well.get_health_status()).state is Health.HEALTHY
    clock.advance(HOUR)

    late = await well.get_health_status()
    assert (late.state, late.figures["hours_since_sweep"]) == (Health.DEGRADED, 3.0)
    await ill.run()
    failed = await ill.get_health_status()
    assert (failed.state, failed.figures["policies_failed"]) == (Health.DEGRADED, 1.0)


async def test_health_tells_of_the_policy_that_has_not_cleaned_up_for_longest(retention_of, clock: FakeClock):
    """Given one policy that is swept by hand again and again and one that fails, the second one is told of, by name."""
    shelf = Shelf(clock, [])
    failing = False

    async def unsteady(_before: int, _limit: int) -> int:
        if failing:
            raise StorageUnavailable("The disk is full")
        return 0

    retention = retention_of(shelf.policy(), Policy("b.unsteady", "", DAY, unsteady, shelf.count), every_minutes=60)
    await retention.run_due()
    failing = True
    for _ in range(24):
        clock.advance(HOUR)
        await retention.run_due()
        for _ in range(3):
            await retention_of(shelf.policy()).run()

    other_process = retention_of(*retention.policies[:2])
    for health in (await retention.get_health_status(), await other_process.get_health_status()):
        assert (health.state, health.figures["intervals_since_sweep"]) == (Health.UNHEALTHY, 24)
        assert health.figures["policies_failed"] == 1
        assert health.reasons[-1] == "Not cleaned up: b.unsteady"


async def test_a_clock_that_jumps_is_no_silence_and_hides_none(retention_of, clock: FakeClock):
    shelf = Shelf(clock, [])
    retention = retention_of(shelf.policy(), every_minutes=60)
    # Given a wall clock that runs a day ahead while it sweeps
    clock.jump(DAY)
    await retention.run_due()
    clock.jump(-DAY)
    assert (await retention.get_health_status()).figures["hours_since_sweep"] == 0
    # Then a process that is new counts from its own begin, and does not wait for that day to be over
    other = retention_of(shelf.policy(), every_minutes=60)
    clock.advance(4 * HOUR)
    assert (await other.get_health_status()).figures["hours_since_sweep"] == 4
    # Given a wall clock that jumps ahead after a sweep, then that is none who swept just now
    await retention.run_due()
    clock.jump(30 * DAY)
    assert (await retention.get_health_status()).figures["hours_since_sweep"] == 0


async def test_a_clock_that_jumps_far_ahead_has_nothing_deleted(retention_of, clock: FakeClock):
    """Given rows within their time, When a clock jumps a year ahead, beneath a process or before one starts, Then
    nothing is deleted and health says why, until somebody sweeps by hand or the clock is put right."""
    shelf = Shelf(clock, [10])
    retention = retention_of(shelf.policy())
    await retention.run_due()
    clock.jump(365 * DAY)
    for each in (retention, retention_of(shelf.policy())):
        for _ in range(3):
            clock.advance(HOUR)
            assert await each.run_due() == []
        health = await each.get_health_status()
        assert health.state is not Health.HEALTHY
        assert "365 days" in health.reasons[0]
    assert len(shelf.rows) == 1

    clock.jump(-365 * DAY)
    assert [run.removed for run in await retention.run_due()] == [0, 0]
    assert (await retention.get_health_status()).state is Health.HEALTHY

    clock.jump(365 * DAY)
    await retention_of(shelf.policy()).run()  # custodes retention run: it is as late as that
    assert shelf.rows == []
    clock.advance(HOUR)
    assert [run.error for run in await retention_of(shelf.policy()).run_due()] == ["", ""]


async def test_where_another_clock_is_known_it_decides_whether_the_time_can_be(retention_of, clock: FakeClock):
    """Given an install that was off for a year, on a server with a clock of its own, When both clocks agree, Then it
    sweeps; When this host's is ahead of the server's, Then it does not."""
    shelf = Shelf(clock, [10])
    ahead = 0
    await retention_of(shelf.policy()).run_due()
    clock.jump(365 * DAY)
    ahead = 365 * DAY
    wrong = retention_of(shelf.policy(), ahead=lambda: ahead)
    assert await wrong.run_due() == []
    [reason] = [one for one in (await wrong.get_health_status()).reasons if "ahead of the database's" in one]
    assert "8,760 h" in reason
    ahead = SECOND
    await wrong.run_due()
    assert shelf.rows == []


def test_two_policies_of_one_name_are_refused(retention_of, clock: FakeClock):
    shelf = Shelf(clock, [])

    with pytest.raises(ConfigurationError, match="same name"):
        retention_of(shelf.policy(), shelf.policy())
