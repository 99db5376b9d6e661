"""Recording never harms, reading is right: counters, gauges and histograms through the real store."""

from __future__ import annotations

import asyncio
import itertools
import threading
from dataclasses import replace
from typing import Any

import pytest

from custodes.errors import InvalidInput, StorageUnavailable
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.health import Health
from custodes.planes.metrics.model import LEVELS, Kind, Query
from custodes.planes.metrics.names import OVERFLOW
from custodes.planes.metrics.recorder import GRACE, SystemMetrics
from custodes.planes.metrics.registry import Registry
from custodes.runtime.scheduler import Scheduler
from custodes.storage.sql.database import Database
from custodes.storage.sql.metrics import SqlMetricStore
from custodes.testing.clock import FakeClock

BATCHES = itertools.count()


def worker(database: Database, clock: FakeClock, **kwargs: Any) -> SystemMetrics:
    return SystemMetrics(SqlMetricStore(database), clock, lambda: f"batch-{next(BATCHES)}", **kwargs)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=1_790_000_400 * SECOND)  # on a full ten minutes


@pytest.fixture
def metrics(database: Database, clock: FakeClock) -> SystemMetrics:
    return worker(database, clock)


async def ask(metrics: SystemMetrics, clock: FakeClock, name: str, aggregation: str, **kwargs: Any):
    since = kwargs.pop("since", clock.now() - HOUR)
    return await metrics.query(Query(name, aggregation, since, clock.now() + 1, **kwargs))


async def single(metrics: SystemMetrics, clock: FakeClock, name: str, aggregation: str, **kwargs: Any) -> float:
    """The one value of an hour-long step."""
    answer = await ask(metrics, clock, name, aggregation, step=24 * HOUR, **kwargs)
    [line] = answer.lines
    [point] = line.points
    return point.value


class TestCounters:
    async def test_increments_add_up_live_and_flushed(self, metrics: SystemMetrics, clock: FakeClock):
        """Given increments of which half are flushed, when asked, then all are counted once."""
        metrics.count("orders.created")
        metrics.count("orders.created", 4)
        await metrics.flush()
        metrics.count("orders.created", 10)

        assert await single(metrics, clock, "orders.created", "sum") == 15
        assert await single(metrics, clock, "orders.created", "count") == 3

    async def test_the_rate_is_right_across_restarts_and_workers(self, database: Database, clock: FakeClock):
        """Given two workers of which one restarts each minute, when ten minutes pass, then the rate is theirs."""
        steady, restarting = worker(database, clock), worker(database, clock)
        for second in range(600):
            steady.count("jobs.done")
            restarting.count("jobs.done", 2)
            clock.advance(SECOND)
            if second % 10 == 9:
                await steady.flush()
                await restarting.flush()
            if second % 60 == 59:
                restarting = worker(database, clock)

        answer = await ask(steady, clock, "jobs.done", "rate", step=MINUTE, since=clock.now() - 10 * MINUTE)

        assert [point.value for point in answer.lines[0].points] == [3.0] * 10

    async def test_the_rate_of_a_step_that_has_just_begun_is_over_its_own_time(
        self, metrics: SystemMetrics, clock: FakeClock
    ):
        for _ in range(30):
            metrics.count("jobs.done", 5)
            clock.advance(SECOND)

        answer = await ask(metrics, clock, "jobs.done", "rate", step=10 * MINUTE)

        assert answer.lines[0].points[-1].value == pytest.approx(5.0)

    async def test_labels_make_series_and_by_merges_them(self, metrics: SystemMetrics, clock: FakeClock):
        for plan, region, amount in (("pro", "eu", 1), ("pro", "us", 2), ("free", "eu", 4)):
            metrics.count("orders.created", amount, labels={"plan": plan, "region": region})

        apart = await ask(metrics, clock, "orders.created", "sum")
        by_plan = await ask(metrics, clock, "orders.created", "sum", by=["plan"])
        europe = await ask(metrics, clock, "orders.created", "sum", labels={"region": "eu"}, by=[])

        assert len(apart.lines) == 3
        assert {line.labels: line.points[0].value for line in by_plan.lines} == {
            (("plan", "free"),): 4,
            (("plan", "pro"),): 3,
        }
        assert europe.lines[0].points[0].value == 5

    async def test_top_ranks_the_values_of_a_label(self, metrics: SystemMetrics, clock: FakeClock):
        for plan, amount in (("pro", 3), ("free", 9), ("team", 1)):
            metrics.count("orders.created", amount, labels={"plan": plan})
        await metrics.flush()

        query = Query("orders.created", "sum", clock.now() - HOUR, clock.now() + 1)
        ranked = await metrics.top(query, "plan", 2)

        assert [(one.value, one.figure) for one in ranked] == [("free", 9), ("pro", 3)]


class TestGauges:
    async def test_last_least_greatest_and_mean(self, metrics: SystemMetrics, clock: FakeClock):
        for value in (4, 10, 1, 5):
            metrics.gauge("queue.depth", value)
            clock.advance(7 * SECOND)
            await metrics.flush()

        found = {name: await single(metrics, clock, "queue.depth", name) for name in ("last", "min", "max", "avg")}

        assert found == {"last": 5, "min": 1, "max": 10, "avg": 5}

    async def test_levels_do_not_add_up(self, metrics: SystemMetrics, clock: FakeClock):
        metrics.gauge("queue.depth", 4)

        for senseless in ("rate", "sum", "p95"):
            with pytest.raises(InvalidInput, match="makes no sense"):
                await ask(metrics, clock, "queue.depth", senseless)


class TestHistograms:
    async def test_percentiles_come_from_all_workers_and_levels(self, database: Database, clock: FakeClock):
        """Given 1..1000 ms over two workers and three hours, when folded, then percentiles are within 2.2 %."""
        workers = [worker(database, clock), worker(database, clock)]
        began = clock.now()
        for n in range(1_000):
            workers[n % 2].observe("checkout.seconds", (n * 7919 % 1000 + 1) / 1_000)
            clock.advance(10 * SECOND)
            if n % 50 == 49:
                for one in workers:
                    await one.flush()
        await workers[0].fold()

        for name, expected in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)):
            found = await single(workers[0], clock, "checkout.seconds", name, since=began)
            assert found == pytest.approx(expected, rel=0.023)

    async def test_the_ends_are_exact(self, metrics: SystemMetrics, clock: FakeClock):
        metrics.observe("checkout.seconds", 0.7)

        assert await single(metrics, clock, "checkout.seconds", "p99") == 0.7

    async def test_a_timer_observes_seconds_also_of_what_raises(self, metrics: SystemMetrics, clock: FakeClock):
        @metrics.timed("job.seconds")
        async def job() -> str:
            clock.advance(2 * SECOND)
            return "done"

        @metrics.timed("job.seconds")
        def failing() -> None:
            clock.advance(4 * SECOND)
            raise KeyError

        assert await job() == "done"
        with pytest.raises(KeyError):
            failing()

        assert await single(metrics, clock, "job.seconds", "avg") == 3


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "value", "labels"),
        [
            ("", 1, None),
            ("9lives", 1, None),
            ("a b", 1, None),
            ("a" * 101, 1, None),
            ("ok", float("nan"), None),
            ("ok", float("inf"), None),
            ("ok", -1, None),
            ("ok", "1", None),
            ("ok", None, None),
            ("ok", 1, {"bad label": "x"}),
            ("ok", 1, {f"l{n}": "x" for n in range(11)}),
            ("ok", 1, {1: "x"}),
            (None, 1, None),
        ],
    )
    async def test_what_cannot_be_kept_is_counted_never_raised(
        self, metrics: SystemMetrics, name: Any, value: Any, labels: Any
    ):
        metrics.count(name, value, labels=labels)

        assert metrics.refused == 1
        with pytest.raises(InvalidInput):
            metrics.record(Kind.COUNTER, name, value, labels)

    @pytest.mark.parametrize("name", [f"m{number}" for number in range(8)])
    async def test_a_name_that_has_changed_its_kind_is_what_was_written_last(
        self, database: Database, clock: FakeClock, name: str
    ):
        """Given a release that makes a gauge of a counter, then the gauge is asked for, at once and ever after."""

        def process(writer: str) -> SystemMetrics:
            ids = itertools.count()
            return SystemMetrics(SqlMetricStore(database), clock, lambda: f"{writer}-{next(ids)}")

        before, after = process("before"), process("after")
        before.count(name, 7)
        await before.flush()
        for _ in range(3):
            clock.advance(10 * SECOND)
            after.gauge(name, 42)
            await after.flush()
            now = clock.now()

            assert await before.latest(name, "last", 10 * SECOND, by=()) == [((), 42)]
            [course] = (await before.catalogue.courses(now - HOUR, now + 1)).items
            assert (course.metric.kind, course.aggregation, course.value) == (Kind.GAUGE, "last", 42)
            clock.advance(HOUR)

    async def test_series_of_long_ago_are_not_in_the_way(
        self, metrics: SystemMetrics, clock: FakeClock, monkeypatch: Any
    ):
        """Given hosts that come and go for months, then what is asked of today is of those of today."""
        monkeypatch.setattr("custodes.planes.metrics.analytics.MAX_SERIES", 5)
        for day in range(10):
            metrics.gauge("disk", day, labels={"host": f"pod-{day}"})
            await metrics.flush()
            clock.advance(DAY)
        metrics.gauge("disk", 99, labels={"host": "pod-now"})
        await metrics.flush()

        assert await metrics.latest("disk", "last", MINUTE, by=("host",)) == [((("host", "pod-now"),), 99)]
        now = clock.now()
        one = Query("disk", "max", now - 30 * DAY, now + 1, labels={"host": "pod-3"}, by=())
        [line] = (await metrics.query(one)).lines
        assert [point.value for point in line.points] == [3], "a series is found among however many"
        with pytest.raises(InvalidInput, match="More than 5 series"):
            await metrics.query(replace(one, labels=None))

    async def test_a_name_has_one_kind(self, metrics: SystemMetrics):
        metrics.count("orders.created")
        metrics.gauge("orders.created", 1)

        assert metrics.refused == 1

    async def test_hostile_label_values_are_cut_and_cleaned(self, metrics: SystemMetrics, clock: FakeClock):
        metrics.count("orders.created", labels={"agent": "a\r\nb\x00" + "x" * 1_000, "odd": ["unhashable"]})
        await metrics.flush()

        [series] = await metrics.list_series("orders.created")
        labels = dict(series.labels)
        assert labels["agent"].startswith("a  b ")
        assert len(labels["agent"]) == 128
        assert labels["odd"] == "['unhashable']"

    async def test_series_beyond_the_cap_go_into_one_that_shows(self):
        registry = Registry(max_series_per_name=3)

        found = {registry.find("t", "logins", Kind.COUNTER, {"user": str(n)}).labels for n in range(10)}

        assert len(found) == 4
        assert OVERFLOW in found
        assert registry.overflowed == 7

    async def test_names_are_capped(self):
        registry = Registry(max_names=2)
        registry.find("t", "a", Kind.COUNTER, None)
        registry.find("t", "b", Kind.COUNTER, None)

        with pytest.raises(InvalidInput, match="2 metrics already"):
            registry.find("t", "c", Kind.COUNTER, None)

    async def test_a_tenant_cannot_take_the_room_of_the_others(self):
        registry = Registry(max_names=2, max_names_of_all=3, max_series_per_tenant=2, max_series=4)
        for name in ("a", "b"):
            registry.find("greedy", name, Kind.COUNTER, None)

        assert registry.find("greedy", "a", Kind.COUNTER, {"user": "1"}).labels == OVERFLOW
        with pytest.raises(InvalidInput, match="2 metrics already"):
            registry.find("greedy", "c", Kind.COUNTER, None)
        assert registry.find("modest", "a", Kind.COUNTER, None).labels == ()

    async def test_all_tenants_together_are_bounded_too(self):
        registry = Registry(max_names_of_all=2, max_series=2)
        registry.find("t1", "a", Kind.COUNTER, None)
        registry.find("t2", "a", Kind.COUNTER, None)

        assert registry.find("t2", "a", Kind.COUNTER, {"user": "1"}).labels == OVERFLOW
        with pytest.raises(InvalidInput, match="of all tenants"):
            registry.find("t3", "a", Kind.COUNTER, None)

    async def test_series_that_are_not_used_make_room(self):
        registry = Registry(max_series_per_name=1)
        first = registry.find("t", "logins", Kind.COUNTER, {"user": "1"})
        registry.mark_used([first.id])
        registry.forget_unused()
        registry.forget_unused()

        assert registry.find("t", "logins", Kind.COUNTER, {"user": "2"}).labels == (("user", "2"),)


class TestFlush:
    async def test_a_store_that_is_down_loses_nothing(self, database: Database, clock: FakeClock):
        """Given a store that refuses two flushes, when it is back, then everything is there."""

        class Flaky(SqlMetricStore):
            down = True

            async def append(self, *args: Any) -> None:
                if self.down:
                    msg = "The disk is full"
                    raise StorageUnavailable(msg)
                await super().append(*args)

        store = Flaky(database)
        metrics = SystemMetrics(store, clock, lambda: f"batch-{next(BATCHES)}")
        for _ in range(2):
            metrics.count("orders.created", 5)
            with pytest.raises(StorageUnavailable):
                await metrics.flush()
            clock.advance(10 * SECOND)
        metrics.count("orders.created", 1)
        assert metrics.flush_failures == 2

        store.down = False
        await metrics.flush()
        assert await single(metrics, clock, "orders.created", "sum") == 11

    async def test_threads_lose_no_increment(self, metrics: SystemMetrics, clock: FakeClock):
        def hammer() -> None:
            for _ in range(2_000):
                metrics.count("hits", labels={"a": "b"})

        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert await single(metrics, clock, "hits", "sum") == 8_000

    async def test_reads_beside_flushes_neither_hide_nor_double(self, metrics: SystemMetrics, clock: FakeClock):
        metrics.count("hits", 100)

        async def flush() -> None:
            for _ in range(20):
                await metrics.flush()
                await asyncio.sleep(0)

        async def read() -> set[float]:
            return {await single(metrics, clock, "hits", "sum") for _ in range(20)}

        _, found = await asyncio.gather(flush(), read())
        assert found == {100}

    async def test_memory_is_bounded_while_the_store_is_down(self, clock: FakeClock):
        from custodes.planes.metrics.fold import Fold
        from custodes.planes.metrics.names import series_of

        fold = Fold(clock, max_cells=50)
        series = [series_of("t", "n", Kind.COUNTER, (("l", str(n)),)) for n in range(10)]
        for _ in range(100):
            for one in series:
                fold.add(one, 1)
            clock.advance(10 * SECOND)

        assert len(fold) <= 60
        assert sum(sample.total for sample in fold.samples()) == 1_000

    async def test_stop_writes_what_is_left(self, database: Database, clock: FakeClock):
        metrics = worker(database, clock)
        await metrics.start()
        metrics.count("orders.created", 3)
        await metrics.stop()
        await metrics.stop()

        assert await single(worker(database, clock), clock, "orders.created", "sum") == 3


class TestUpkeep:
    async def test_the_leader_folds_what_is_closed(self, metrics: SystemMetrics, clock: FakeClock):
        metrics.count("orders.created", 3)
        clock.advance(MINUTE + GRACE)
        await metrics.flush()

        assert await metrics.fold() == 1
        assert await metrics.fold() == 0

    async def test_old_rows_go_level_by_level_and_the_numbers_stay(self, metrics: SystemMetrics, clock: FakeClock):
        began = clock.now()
        metrics.count("orders.created", 3)
        await metrics.flush()
        clock.advance(26 * HOUR)
        await metrics.fold()

        finest = LEVELS[0]
        before = clock.now() - finest.retention
        assert await metrics.count_purgeable(finest, before) == 1
        assert [await metrics.purge(finest, before) for _ in range(2)] == [1, 0]
        assert await single(metrics, clock, "orders.created", "sum", since=began) == 3

    async def test_tasks_are_known_to_the_scheduler(self, database: Database, clock: FakeClock):
        scheduler = Scheduler(clock)
        worker(database, clock, scheduler=scheduler)

        assert [(one.name, one.leader_only) for one in scheduler.reports()] == [
            ("metrics.collect", False),
            ("metrics.flush", False),
            ("metrics.fold", True),
            ("metrics.health", False),
        ]

    async def test_metrics_are_listed_page_by_page(self, metrics: SystemMetrics):
        for name in ("a", "b", "c"):
            metrics.count(name)
        await metrics.flush()

        first = await metrics.list_metrics(limit=2)
        second = await metrics.list_metrics(limit=2, cursor=first.next_cursor)

        assert [one.name for one in first.items] == ["a", "b"]
        assert [one.name for one in second.items] == ["c"]
        assert second.next_cursor is None


class TestHealth:
    async def test_flushes_that_do_not_come_show(self, metrics: SystemMetrics, clock: FakeClock):
        assert (await metrics.get_health_status()).state is Health.HEALTHY
        clock.advance(61 * SECOND)
        assert (await metrics.get_health_status()).state is Health.DEGRADED
        clock.advance(5 * MINUTE)

        found = await metrics.get_health_status()
        assert found.state is Health.UNHEALTHY
        assert found.reasons[0].startswith("Metrics were last written 6 min 1 s ago")


class TestQueries:
    @pytest.mark.parametrize("aggregation", ["median", "p", "p100", "p1e5", "", "x" * 1_000])
    async def test_an_unknown_aggregation_is_refused(self, metrics: SystemMetrics, clock: FakeClock, aggregation: str):
        with pytest.raises(InvalidInput, match="not an aggregation"):
            await ask(metrics, clock, "orders.created", aggregation)

    async def test_an_empty_range_and_too_many_points_are_refused(self, metrics: SystemMetrics, clock: FakeClock):
        with pytest.raises(InvalidInput, match="empty"):
            await metrics.query(Query("a", "sum", clock.now(), clock.now()))
        with pytest.raises(InvalidInput, match="points"):
            await metrics.query(Query("a", "sum", clock.now() - 48 * HOUR, clock.now(), MINUTE))

    async def test_an_unknown_metric_has_no_lines(self, metrics: SystemMetrics, clock: FakeClock):
        answer = await ask(metrics, clock, "nothing.here", "sum")

        assert (answer.kind, answer.lines) == (None, ())

    async def test_tenants_are_apart(self, metrics: SystemMetrics, clock: FakeClock):
        metrics.count("orders.created", 1, tenant="acme")
        metrics.count("orders.created", 2, tenant="globex")
        await metrics.flush()
        metrics.count("orders.created", 4, tenant="globex")

        assert await single(metrics, clock, "orders.created", "sum", tenant="acme") == 1
        assert await single(metrics, clock, "orders.created", "sum", tenant="globex") == 6
        assert await single(metrics, clock, "orders.created", "sum") == 7


async def test_metrics_with_the_longest_names_are_paged(metrics: SystemMetrics):
    names = ["m" * 99 + end for end in "ab"]
    for name in names:
        metrics.count(name, tenant="t" * 64)
    await metrics.flush()

    first = await metrics.list_metrics(limit=1)
    second = await metrics.list_metrics(limit=1, cursor=first.next_cursor)

    assert [page.items[0].name for page in (first, second)] == names


async def test_a_flush_that_is_cancelled_while_it_commits_is_written_once(
    metrics: SystemMetrics, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    """Given a flush that is cut off after its commit, as at a stop, then the next one doubles nothing."""
    committed, goes_on = asyncio.Event(), asyncio.Event()
    append = metrics._store.append

    async def slow(*given: Any) -> None:
        await append(*given)
        committed.set()
        await goes_on.wait()

    monkeypatch.setattr(metrics._store, "append", slow)
    metrics.count("orders.created", 100)
    flush = asyncio.create_task(metrics.flush())
    await committed.wait()

    flush.cancel()
    await asyncio.gather(flush, return_exceptions=True)
    goes_on.set()
    await metrics.flush()

    assert await single(metrics, clock, "orders.created", "sum") == 100
