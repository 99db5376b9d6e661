"""The API monitor on a real store: answers are live and exact, failures lose nothing unseen."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from custodes.errors import Conflict, InvalidInput, NotFound, StorageUnavailable
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.health import Health
from custodes.kernel.histogram import MAX_RELATIVE_ERROR
from custodes.kernel.signals import FailureSignal
from custodes.planes.traffic import flusher
from custodes.planes.traffic.batch import Batch, GroupSighting
from custodes.planes.traffic.latency import Measure
from custodes.planes.traffic.model import CallFilter, GroupState
from custodes.planes.traffic.monitor import ApiMonitor
from custodes.planes.traffic.ranking import QUANTILES, SLOW_ORDERS
from custodes.planes.traffic.recorder import Recorder
from custodes.planes.traffic.report import CallReport
from custodes.planes.traffic.rollup import Keyspace, Level
from custodes.runtime.bus import Bus
from custodes.storage.sql.database import Database
from custodes.storage.sql.traffic import SqlTrafficStore
from custodes.testing.clock import FakeClock
from custodes.testing.traffic import exchange

NOW = 1_790_035_200 * SECOND + 30 * SECOND

Maker = Callable[..., ApiMonitor]


class Unreliable(SqlTrafficStore):
    """The real store, with a disk that fails when told to."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.engine = database.dialect
        self.error: Exception | None = None
        self.after = False
        self.takes: Callable[[Batch], bool] | None = None

    async def keep(self, batch: Batch) -> Sequence[GroupSighting]:
        if self.takes is not None and not self.takes(batch):
            raise ValueError
        if self.error is not None and not self.after:
            raise self.error
        news = await super().keep(batch)
        if self.error is not None:
            raise self.error
        return news


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def store(database: Database) -> Unreliable:
    return Unreliable(database)


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def make(store: Unreliable, clock: FakeClock, random_bits: Any, bus: Bus) -> Maker:
    def make(**more: Any) -> ApiMonitor:
        return ApiMonitor(store, clock=clock, random_bits=random_bits, bus=bus, **more)

    return make


@pytest.fixture
def monitor(make: Maker) -> ApiMonitor:
    return make()


def seen(monitor: ApiMonitor, count: int = 1, **fields: Any) -> None:
    for _ in range(count):
        monitor.record(exchange(**{"started_at": NOW, **fields}))


async def count(monitor: ApiMonitor, **more: Any) -> int:
    return (await monitor.get_api_analytics(NOW - HOUR, NOW + MINUTE, **more)).totals.count


# ── Answers ──────────────────────────────────────────────────────────────────


async def test_answers_are_the_same_before_and_after_the_flush(monitor: ApiMonitor):
    chance = random.Random(4)
    for _ in range(500):
        seen(
            monitor,
            started_at=NOW - chance.randrange(HOUR),
            route=chance.choice(["/a", "/b", None]),
            status=chance.choice([200, 200, 404, 500]),
            total_us=int(chance.lognormvariate(9, 2)),
            user=chance.choice(["", "ann", "bob"]),
        )
    live = await monitor.get_api_analytics(NOW - HOUR, NOW + 1)
    await monitor.flush()
    stored = await monitor.get_api_analytics(NOW - HOUR, NOW + 1)

    assert live == stored
    assert live.totals.count == 500


async def test_an_answer_holds_what_is_asked_of_it(monitor: ApiMonitor):
    """Totals, statuses, endpoints, consumers and a series that adds up."""
    seen(monitor, 3, route="/a", status=200, user="ann", total_us=1_000, started_at=NOW - 10 * MINUTE)
    seen(monitor, 1, route="/a", status=500, user="bob", total_us=9_000)
    seen(monitor, 1, route="/b", status=429, limited_by="login", user="bob", api_key="k1", total_us=10)
    found = await monitor.get_api_analytics(NOW - HOUR, NOW + 1, step_seconds=60)

    assert (found.totals.count, found.totals.server_errors, found.totals.client_errors) == (5, 1, 1)
    assert found.totals.error_rate == 0.2
    assert (found.totals.limited, found.totals.timed, found.totals.min_us, found.totals.max_us) == (1, 4, 1_000, 9_000)
    assert found.totals.mean_us == 3_000
    assert found.statuses == {200: 3, 429: 1, 500: 1}
    assert [(point.at, point.stats.count) for point in found.series] == [
        ((NOW - 10 * MINUTE) // MINUTE * MINUTE, 3),
        (NOW // MINUTE * MINUTE, 2),
    ]
    assert [(one.route, one.stats.count, one.stats.error_rate) for one in found.endpoints] == [
        ("/a", 4, 0.25),
        ("/b", 1, 0.0),
    ]
    assert [(one.name, one.count, one.server_errors, one.limited) for one in found.consumers["user"]] == [
        ("ann", 3, 0, 0),
        ("bob", 2, 1, 1),
    ]
    assert [one.name for one in found.consumers["api_key"]] == ["k1"]


async def test_an_answer_can_be_about_one_endpoint(monitor: ApiMonitor):
    seen(monitor, 2, route="/a")
    seen(monitor, 1, route="/a", method="POST")
    seen(monitor, 4, route="/b")
    await monitor.flush()
    seen(monitor, 1, route="/a", method="POST")

    assert await count(monitor, route="/a") == 4
    assert await count(monitor, route="/a", method="POST") == 2
    assert await count(monitor, method="GET") == 6
    narrowed = await monitor.get_api_analytics(NOW - HOUR, NOW + 1, route="/b")
    assert [one.route for one in narrowed.endpoints] == ["/b"]


async def test_percentiles_are_merged_and_agree_with_an_exact_sort(monitor: ApiMonitor, clock: FakeClock):
    """Given times spread over buckets, levels and both sides of a fold, then percentiles are those of all together."""
    chance = random.Random(12)
    times = [int(chance.lognormvariate(8 + number % 3, 1)) for number in range(3_000)]
    for number, total in enumerate(times):
        seen(monitor, started_at=NOW - (number % 7) * HOUR, total_us=total)
        if number % 1_000 == 999:
            await monitor.flush()
            await monitor.fold()
    found = (await monitor.get_api_analytics(NOW - 8 * HOUR, NOW + 1)).totals
    times.sort()

    for name, q in QUANTILES.items():
        exact = times[int(-(-q * len(times) // 1)) - 1]
        assert abs(getattr(found.total, name) - exact) <= MAX_RELATIVE_ERROR * exact


async def test_two_workers_add_up(make: Maker):
    one, other = make(), make()
    seen(one, 3)
    seen(other, 4)
    await one.flush()
    await other.flush()

    assert await count(one) == await count(other) == 7


async def test_everybody_is_all_tenants_and_a_tenant_is_itself(monitor: ApiMonitor):
    for tenant, requests in (("default", 1), ("acme", 2), ("umbrella", 4)):
        seen(monitor, requests, tenant=tenant)
    await monitor.flush()
    seen(monitor, 8, tenant="acme")

    assert await count(monitor) == 15
    assert await count(monitor, tenant="acme") == 10
    assert await count(monitor, tenant="default") == 1
    assert await count(monitor, tenant="nobody") == 0


@pytest.mark.parametrize("order_by", SLOW_ORDERS)
async def test_slow_endpoints_are_found_exactly_without_reading_all(monitor: ApiMonitor, order_by: str):
    """Given 300 endpoints, of which only some histograms are read, then the slowest are those of a full comparison."""
    chance = random.Random(order_by)
    for number in range(300):
        pace = chance.choice([300, 3_000, 30_000])
        for _ in range(chance.randrange(1, 6)):
            seen(monitor, route=f"/r{number:03}", total_us=int(chance.lognormvariate(0, 1) * pace))
    await monitor.flush()
    every = await monitor.get_slow_endpoints(NOW - HOUR, NOW + 1, limit=300, order_by=order_by)
    slowest = await monitor.get_slow_endpoints(NOW - HOUR, NOW + 1, limit=7, order_by=order_by)
    frequent = await monitor.get_slow_endpoints(NOW - HOUR, NOW + 1, limit=300, min_count=4, order_by=order_by)

    assert len(every) == 300
    assert list(slowest) == list(every[:7])
    assert [one.route for one in frequent] == [one.route for one in every if one.stats.count >= 4]


async def test_endpoints_are_ranked_by_their_errors(monitor: ApiMonitor):
    seen(monitor, 10, route="/busy")
    seen(monitor, 2, route="/busy", status=500)
    seen(monitor, 1, route="/rare", status=503)
    seen(monitor, 5, route="/good")
    await monitor.flush()

    by_number = await monitor.get_slow_endpoints(NOW - HOUR, NOW + 1, order_by="errors")
    by_share = await monitor.get_slow_endpoints(NOW - HOUR, NOW + 1, order_by="error_rate")

    assert [(one.route, one.stats.server_errors) for one in by_number] == [("/busy", 2), ("/rare", 1)]
    assert [(one.route, one.stats.error_rate) for one in by_share] == [("/rare", 1.0), ("/busy", 2 / 12)]


async def test_a_heat_map_counts_every_time_in_its_row(monitor: ApiMonitor):
    """Given times over four powers of ten, half of them flushed, then each is in the one row that holds it."""
    times = [0, 1, 2, 900, 1_000, 1_025, 65_536, 65_537, 9_000_000]
    for took in times[:5]:
        seen(monitor, total_us=took, ttfb_us=0)
    await monitor.flush()
    for took in times[5:]:
        seen(monitor, total_us=took, ttfb_us=0, started_at=NOW - 20 * SECOND)

    found = await monitor.get_latency(NOW - MINUTE, NOW + 1, step_seconds=10)

    assert [sum(point.counts) for point in found.series] == [4, 5]
    assert found.times.count == len(times)
    for row, (low, high) in enumerate(itertools.pairwise((-1.0, *found.bounds))):
        assert sum(point.counts[row] for point in found.series) == sum(low < took <= high for took in times), (
            low,
            high,
        )
    first = await monitor.get_latency(NOW - MINUTE, NOW + 1, Measure.TTFB)
    assert [point.counts for point in first.series] == [(4,), (5,)]


async def test_background_work_has_times_of_its_own(monitor: ApiMonitor, clock: FakeClock):
    seen(monitor, 3, route="/mail", background_us=40_000)
    seen(monitor, 5, route="/mail", background_us=999)  # the app only returned
    seen(monitor, 2, route="/report", background_us=2_000_000, tenant="acme")
    await monitor.flush()
    clock.advance(2 * HOUR)
    await monitor.fold()

    async def timed(**more: Any) -> int:
        return (await monitor.get_latency(NOW - HOUR, clock.now(), Measure.BACKGROUND, **more)).times.count

    assert await timed() == 5
    assert await timed(route="/mail") == 3
    assert await timed(route="/mail", method="POST") == 0
    assert await timed(method="GET") == 5
    assert await timed(tenant="acme") == 2
    found = await monitor.get_latency(NOW - HOUR, clock.now(), Measure.BACKGROUND, route="/report")
    assert [(point.shortest, point.longest) for point in found.series] == [(2_000_000, 2_000_000)]


async def test_figures_of_one_consumer(monitor: ApiMonitor):
    seen(monitor, 3, user="ann")
    seen(monitor, 2, user="ann", status=500)
    seen(monitor, 4, user="bob")
    await monitor.flush()
    seen(monitor, 1, user="ann")

    found = await monitor.get_api_analytics(NOW - HOUR, NOW + 1, consumer=(Keyspace.USER, "ann"))

    assert (found.totals.count, found.totals.server_errors) == (6, 2)
    assert sum(point.stats.count for point in found.series) == 6
    with pytest.raises(InvalidInput, match="not by both"):
        await monitor.get_api_analytics(NOW - HOUR, NOW + 1, consumer=(Keyspace.USER, "ann"), route="/items/{id}")


async def test_tenants_are_listed_for_who_sees_all_of_them(monitor: ApiMonitor, clock: FakeClock):
    async def tenants(tenant: str | None = None) -> list[tuple[str, int]]:
        found = await monitor.get_api_analytics(NOW - HOUR, clock.now(), tenant=tenant)
        return [(one.name, one.count) for one in found.consumers["tenant"]]

    seen(monitor, 2)
    assert await tenants() == []  # there is only the default one
    seen(monitor, 3, tenant="acme", status=500)
    seen(monitor, 1, tenant="umbrella")
    await monitor.flush()
    clock.advance(2 * HOUR)
    await monitor.fold()
    seen(monitor, 1, tenant="umbrella")

    assert await tenants() == [("acme", 3), ("default", 2), ("umbrella", 2)]
    assert await tenants("acme") == []


async def test_long_ranges_survive_retention_of_the_fine_levels(monitor: ApiMonitor, clock: FakeClock):
    seen(monitor, 5)
    await monitor.flush()
    clock.advance(3 * DAY)
    await monitor.fold()
    for level in (Level.TEN_SECONDS, Level.MINUTE):
        assert await monitor.purge_rollups(level, clock.now(), 1_000) > 0

    assert (await monitor.get_api_analytics(NOW - DAY, clock.now())).totals.count == 5


async def test_only_the_leader_folds(make: Maker, clock: FakeClock):
    follower = make(is_leader=lambda: False)
    seen(follower)
    await follower.flush()
    clock.advance(HOUR)

    assert await follower.fold() == 0
    assert await make().fold() > 0


@pytest.mark.parametrize("wrong", [{"endpoints": 0}, {"endpoints": 501}, {"step_seconds": 11}])
async def test_arguments_out_of_bounds_are_refused(monitor: ApiMonitor, wrong: dict[str, int]):
    with pytest.raises(InvalidInput):
        await monitor.get_api_analytics(NOW - HOUR, NOW, **wrong)
    with pytest.raises(InvalidInput):
        await monitor.get_slow_endpoints(NOW - HOUR, NOW, order_by="p42")
    with pytest.raises(InvalidInput):
        await monitor.list_calls(cursor="rubbish")


# ── Failures of the store ────────────────────────────────────────────────────


@pytest.mark.parametrize("after", [False, True])
async def test_a_flush_that_fails_is_repeated_and_counts_once(monitor: ApiMonitor, store: Unreliable, after: bool):
    """Whether the attempt had been written before the error (its answer got lost) or not."""
    seen(monitor, 3, error=KeyError("x"), status=500)
    store.error, store.after = StorageUnavailable("The disk is full"), after
    with pytest.raises(StorageUnavailable):
        await monitor.flush()
    assert monitor.own_figures().flush_failures == 1
    assert await count(monitor) == 3  # from memory, and not from the store as well
    seen(monitor, 2)
    store.error = None
    await monitor.flush()

    assert await count(monitor) == 5
    assert len((await monitor.list_calls()).items) == 5
    assert monitor.own_figures().waiting_batches == 0
    assert monitor.own_figures().shed_calls == 0


async def test_what_waits_for_a_dead_store_is_bounded_and_counted(
    monitor: ApiMonitor, store: Unreliable, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(flusher, "MAX_WAITING_CALLS", 50)
    monkeypatch.setattr(flusher, "MAX_WAITING_ROLLUPS", 20)
    store.error = StorageUnavailable("The disk is gone")
    for number in range(20):
        seen(monitor, 10, started_at=NOW + number * MINUTE)
        with pytest.raises(StorageUnavailable):
            await monitor.flush()
    own = monitor.own_figures()
    store.error = None
    await monitor.flush()
    kept = (await monitor.get_api_analytics(NOW - HOUR, NOW + HOUR)).totals.count

    assert own.waiting_calls <= 50
    assert own.shed_requests > 0
    assert kept + own.shed_requests == 200
    assert len((await monitor.list_calls(limit=500)).items) + own.shed_calls == 200


async def test_a_batch_that_can_never_be_written_does_not_hold_up_the_others(monitor: ApiMonitor, store: Unreliable):
    seen(monitor, 4)
    store.error = TypeError("not a thing that a store takes")
    await monitor.flush()
    store.error = None
    seen(monitor, 1)
    await monitor.flush()

    assert await count(monitor) == 1
    assert monitor.own_figures().shed_requests == 4
    assert monitor.own_figures().shed_calls == 4


async def test_what_of_a_batch_cannot_be_written_does_not_take_the_rest_with_it(monitor: ApiMonitor, store: Unreliable):
    """
    Given a kind of error, and then a raw row, that the store can never take,
    When they are flushed,
    Then only the error groups, and only the raw rows, are given up.
    """
    store.takes = lambda batch: not batch.sightings
    monitor.record(exchange(started_at=NOW, error=RuntimeError(), status=500))
    seen(monitor, 2)
    await monitor.flush()
    assert (await count(monitor), len((await monitor.list_calls()).items)) == (3, 3)

    store.takes = lambda batch: not batch.calls
    seen(monitor, 4)
    await monitor.flush()

    assert await count(monitor) == 7
    assert (monitor.own_figures().shed_requests, monitor.own_figures().shed_calls) == (0, 4)


async def test_a_flush_that_is_cancelled_loses_nothing(monitor: ApiMonitor):
    seen(monitor, 9)
    for _ in range(3):
        task = asyncio.create_task(monitor.flush())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await monitor.flush()

    assert await count(monitor) == 9
    assert len((await monitor.list_calls()).items) == 9


async def test_queries_between_flushes_do_not_multiply_what_is_written(monitor: ApiMonitor, store: Unreliable):
    """Given a dashboard that asks again and again, then the flush still writes one row a series."""
    for _ in range(5):
        seen(monitor, 1)
        assert await count(monitor) > 0
    await monitor.flush()
    units = await store.foldable(Level.TEN_SECONDS, Level.MINUTE, NOW + DAY)

    assert {unit.rows for unit in units} == {1}


async def test_many_rows_are_written_in_transactions_of_bounded_size(make: Maker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flusher, "CALLS_A_BATCH", 100)
    monitor = make()
    seen(monitor, 250)
    await monitor.flush()

    assert len((await monitor.list_calls(limit=500)).items) == 250
    assert await count(monitor) == 250


async def test_two_connections_of_postgresql_write_what_is_more_than_a_transaction(
    monitor: ApiMonitor, store: Unreliable, monkeypatch: pytest.MonkeyPatch
):
    """Given rows for five transactions, When they are flushed, Then PostgreSQL has two at a time under way, which two
    processors of its work at, and SQLite, which has one writer, one; and each row is written once."""
    monkeypatch.setattr(flusher, "CALLS_A_BATCH", 100)
    under_way, most = 0, 0
    keep = store.keep

    async def kept(batch: Batch) -> Sequence[GroupSighting]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        news = await keep(batch)
        under_way -= 1
        return news

    monkeypatch.setattr(store, "keep", kept)
    seen(monitor, 450)
    await monitor.flush()

    assert most == (2 if store.engine == "postgresql" else 1)
    assert len((await monitor.list_calls(limit=500)).items) == 450
    assert await count(monitor) == 450
    assert monitor.own_figures().waiting_batches == 0


async def test_of_batches_that_are_written_side_by_side_one_that_fails_takes_no_other_with_it(
    monitor: ApiMonitor, store: Unreliable, monkeypatch: pytest.MonkeyPatch
):
    """Given rows for five transactions, the last of which can never be written and the first not now, When they are
    flushed, and again, Then only the last is given up."""
    monkeypatch.setattr(flusher, "CALLS_A_BATCH", 100)
    seen(monitor, 449)
    seen(monitor, 1, path="/never")
    down = True

    def takes(batch: Batch) -> bool:
        if down and batch.rollups:
            raise StorageUnavailable("Not now")
        return not any("/never" in call for call in batch.calls)

    store.takes = takes
    with pytest.raises(StorageUnavailable):
        await monitor.flush()
    assert monitor.own_figures().waiting_batches == 5 - (store.at_once - 1)
    down = False
    await monitor.flush()

    assert len((await monitor.list_calls(limit=500)).items) == 400
    assert monitor.own_figures().shed_calls == 50
    assert await count(monitor) == 450
    assert monitor.own_figures().waiting_batches == 0


async def test_stopping_writes_what_was_recorded(make: Maker):
    monitor = make(flush_seconds=3_600)
    await monitor.start()
    await monitor.start()
    seen(monitor, 2)
    await monitor.stop()
    await monitor.stop()

    assert len((await monitor.list_calls()).items) == 2


async def test_rows_are_written_early_when_many_wait(make: Maker):
    """Given a flush an hour away, when thousands of rows pile up, then they are written now, and nothing is shed."""
    monitor = make(flush_seconds=3_600, recorder=Recorder(max_calls=5_000))
    await monitor.start()
    for _ in range(3):
        seen(monitor, 4_000)
        async with asyncio.timeout(60):
            while monitor.own_figures().waiting_calls:
                await asyncio.sleep(0.005)
    await monitor.stop()

    assert monitor.own_figures().shed_calls == 0
    assert await count(monitor) == 12_000


# ── Errors ───────────────────────────────────────────────────────────────────


async def test_a_new_kind_of_error_is_announced_once_and_again_when_it_comes_back(
    monitor: ApiMonitor, bus: Bus, clock: FakeClock
):
    heard: list[FailureSignal] = []
    bus.subscribe(FailureSignal, heard.append)
    seen(monitor, 5, error=KeyError("x"), status=500, trace_id="a" * 32)
    await monitor.flush()
    seen(monitor, 5, error=KeyError("y"), status=500)
    await monitor.flush()
    assert [(one.system, one.name, one.trace_id) for one in heard] == [("api", "api.new_error", "a" * 32)]
    assert heard[0].summary.startswith("GET /items/{id}: KeyError")

    (group,) = (await monitor.list_error_groups()).items
    await monitor.resolve_error_group(group.id, by="ann")
    clock.advance(MINUTE)
    seen(monitor, 1, error=KeyError("z"), status=500, started_at=clock.now())
    await monitor.flush()
    assert len(heard) == 2


async def test_that_an_error_goes_on_is_told_every_few_minutes(monitor: ApiMonitor, bus: Bus, clock: FakeClock):
    """Given an error that occurs all the time; Then it is news once, and at times it is said that it goes on."""
    heard: list[FailureSignal] = []
    bus.subscribe(FailureSignal, heard.append)
    for _ in range(12):
        seen(monitor, error=KeyError("x"), status=500, started_at=clock.now())
        await monitor.flush()
        clock.advance(MINUTE)

    assert [(one.opens, (one.at - heard[0].at) // MINUTE) for one in heard] == [(True, 0), (False, 5), (False, 10)]
    assert heard[1].summary.endswith("It goes on")
    assert heard[1].about == heard[0].about


async def test_groups_say_how_often_they_occurred(monitor: ApiMonitor, clock: FakeClock):
    seen(monitor, 3, error=KeyError("x"), status=500, tenant="acme")
    seen(monitor, 2, error=KeyError("x"), status=500, tenant="umbrella")
    await monitor.flush()
    seen(monitor, 4, error=KeyError("x"), status=500, tenant="acme")
    groups = {group.tenant: group for group in (await monitor.list_error_groups()).items}

    assert {tenant: group.count for tenant, group in groups.items()} == {"acme": 7, "umbrella": 2}
    assert (await monitor.get_error_group(groups["acme"].id)).count == 7
    clock.advance(2 * HOUR)
    recent = await monitor.list_error_groups(since=NOW + HOUR)
    assert recent.items == []


async def test_verbs_on_groups_say_what_is_wrong(monitor: ApiMonitor):
    seen(monitor, 1, error=KeyError("x"), tenant="acme")
    await monitor.flush()
    (group,) = (await monitor.list_error_groups()).items

    with pytest.raises(NotFound):
        await monitor.resolve_error_group(group.id, by="eve", tenant="umbrella")
    with pytest.raises(Conflict):
        await monitor.reopen_error_group(group.id, by="ann")
    resolved = await monitor.resolve_error_group(group.id, by="ann", tenant="acme")
    assert (resolved.state, resolved.state_by, resolved.count) == (GroupState.RESOLVED, "ann", 1)
    with pytest.raises(NotFound):
        await monitor.get_error_group(group.id, tenant="umbrella")


# ── Reports, wrapped callables, health ───────────────────────────────────────


async def test_calls_that_others_report_are_there_like_any_other(monitor: ApiMonitor):
    monitor.log_api_call(
        CallReport(method="POST", route="/orders", status=500, total_us=7_000, user="ann", error_type="StockError")
    )
    await monitor.flush()
    (call,) = (await monitor.list_calls(CallFilter(route="/orders", user="ann"))).items

    assert (call.status, call.total_us, call.error) == (500, 7_000, "StockError")
    assert await monitor.get_call(call.id) == call
    assert await count(monitor, route="/orders") == 1


@pytest.mark.parametrize("identifier", ["stripe", "", "01a21d76", "f" * 5_000])
async def test_what_is_no_id_is_the_id_of_no_call(monitor: ApiMonitor, identifier: str):
    with pytest.raises(NotFound):
        await monitor.get_call(identifier)


async def test_wrapped_callables_show_beside_the_endpoints_and_are_no_requests(monitor: ApiMonitor, clock: FakeClock):
    @monitor.monitor
    async def charge() -> str:
        clock.advance(40_000)
        return "paid"

    @monitor.monitor("nightly-report", tenant="default")
    def report() -> None:
        clock.advance(90_000)

    assert await charge() == "paid"
    report()
    found = await monitor.get_api_analytics(NOW - HOUR, clock.now() + 1)
    slow = await monitor.get_slow_endpoints(NOW - HOUR, clock.now() + 1)

    assert found.totals.count == 0
    assert [(one.route.rpartition(".")[2], one.method, one.stats.max_us) for one in slow] == [
        ("nightly-report", "CALL", 90_000),
        ("charge", "CALL", 40_000),
    ]


@pytest.mark.parametrize("name", [5, ["nightly"], b"nightly", "a\0b", "\ud800", "x" * 513])
async def test_what_is_no_name_is_refused_and_not_left_to_the_flush(monitor: ApiMonitor, name: Any):
    with pytest.raises(InvalidInput, match="neither a callable nor a name"):
        monitor.monitor(name)


async def test_wrapped_callables_are_named_after_what_is_called(monitor: ApiMonitor, clock: FakeClock):
    class Report:
        @monitor.monitor
        @classmethod
        def write(cls) -> None: ...

    monitor.monitor(partial(charge_twice, 1))()
    Report.write()
    slow = await monitor.get_slow_endpoints(NOW - HOUR, clock.now() + 1)

    assert {one.route.rpartition(".")[2] for one in slow} == {"charge_twice", "write"}


def charge_twice(_amount: int) -> None: ...


async def test_health_follows_errors_and_times(monitor: ApiMonitor, clock: FakeClock):
    seen(monitor, 100, total_us=5_000)
    assert (await monitor.get_health_status()).state is Health.HEALTHY

    seen(monitor, 10, status=500)
    status = await monitor.get_health_status()
    assert status.state is Health.DEGRADED
    assert status.figures["error_rate"] == 10 / 110
    assert status.reasons[0] == "Requests that failed in the last 5 minutes: 9.1 % (degraded from 5 %)"

    seen(monitor, 500, status=503, total_us=6 * SECOND)
    status = await monitor.get_health_status()
    assert (status.state, len(status.reasons)) == (Health.UNHEALTHY, 3)

    clock.advance(10 * MINUTE)
    assert (await monitor.get_health_status()).figures["requests"] == 0


async def test_an_endpoint_that_fails_alone_is_named(monitor: ApiMonitor, clock: FakeClock):
    """Given much traffic that is well and an endpoint whose requests all fail; Then health says which."""
    seen(monitor, 1_000)
    seen(monitor, 9, route="/exports", status=500)
    assert (await monitor.get_health_status()).state is Health.HEALTHY  # nine say nothing

    seen(monitor, 3, route="/exports", status=500)
    status = await monitor.get_health_status()

    assert status.state is Health.DEGRADED
    assert status.reasons == (
        "Requests of GET /exports that failed in the last 5 minutes: 100 % of 12 (degraded from 50 %)",
    )
    assert (await monitor.get_health_status(tenant="other")).state is Health.HEALTHY


async def test_one_failure_among_few_requests_is_no_outage(monitor: ApiMonitor):
    seen(monitor, 2)
    seen(monitor, 1, status=500)

    assert (await monitor.get_health_status()).state is Health.HEALTHY


async def test_a_store_that_is_away_shows_in_health(make: Maker, store: Unreliable, clock: FakeClock):
    monitor = make()
    seen(monitor)
    store.error = StorageUnavailable("away")
    clock.advance(2 * MINUTE)
    with pytest.raises(StorageUnavailable):
        await monitor.flush()
    status = await monitor.get_health_status()

    assert status.state is Health.DEGRADED
    assert status.reasons[0].startswith("Figures were last written 2 min ago")


async def test_retention_purges_calls_and_groups(monitor: ApiMonitor):
    seen(monitor, 3, error=KeyError("x"))
    await monitor.flush()

    assert await monitor.purge_calls(NOW + 1, 2) == 2
    assert await monitor.purge_calls(NOW + 1, 2) == 1
    assert await monitor.purge_error_groups(NOW + 1, 10) == 1


def test_own_figures_start_at_zero(monitor: ApiMonitor):
    own = monitor.own_figures()

    assert own.own_time is None
    assert replace(own, capacity=0, last_success_at=0, own_time=0) == replace(
        own, **dict.fromkeys((name for name in own.__slots__), 0)
    )
