"""What every metric store promises: each measurement is counted once, at every level, whatever folds and purges."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, event

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.histogram import Histogram
from custodes.planes.metrics.model import LEVELS, Kind, Sample, Series
from custodes.planes.metrics.names import series_of
from custodes.planes.metrics.ports import Selection
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.metrics import SqlMetricStore

#: A day that begins on a bucket of every level.
START = 20_000 * DAY

ORDERS = series_of("acme", "orders.created", Kind.COUNTER, ())
LATENCY = series_of("acme", "checkout.seconds", Kind.HISTOGRAM, (("route", "/pay"),))


@pytest.fixture
def store(database: Database) -> SqlMetricStore:
    return SqlMetricStore(database)


def sample(at: int, value: float = 1.0, series: Series = ORDERS, count: int = 1) -> Sample:
    histogram = Histogram([round(value * 1_000_000)]).encode() if series.kind is Kind.HISTOGRAM else None
    return Sample(series, at - at % LEVELS[0].width, count, value * count, value, value, value, at, histogram)


def selection(
    level: int,
    since: int = START,
    until: int = START + DAY,
    series: Sequence[Series] = (ORDERS,),
    *,
    histograms: bool = False,
    last: bool = False,
) -> Selection:
    return Selection(series, LEVELS[level], since, until, LEVELS[level].width, histograms, last)


async def total(store: SqlMetricStore, level: int) -> float:
    return sum(one.total for one in await store.read(selection(level), 10_000))


async def fold_all(store: SqlMetricStore, before: int, limit: int = 1_000) -> None:
    for number, (level, into) in enumerate(itertools.pairwise(LEVELS)):
        for turn in itertools.count():
            closed = before - before % into.width
            if not await store.fold(level, into, closed, limit, f"fold-{before}-{number}-{turn}"):
                break


class TestAppend:
    async def test_what_was_appended_is_read_back(self, store: SqlMetricStore):
        await store.append([sample(START, 3), sample(START + 10 * SECOND, 4)], "w1", START)

        found = sorted(await store.read(selection(0, last=True), 100), key=lambda one: one.bucket)

        assert [(one.bucket, one.total, one.last) for one in found] == [(START, 3, 3), (START + 10 * SECOND, 4, 4)]

    async def test_two_workers_in_one_bucket_are_both_counted(self, store: SqlMetricStore):
        await store.append([sample(START, 3)], "w1", START)
        await store.append([sample(START, 4)], "w2", START)

        [merged] = await store.read(selection(0), 100)

        assert (merged.count, merged.total, merged.minimum, merged.maximum) == (2, 7, 3, 4)

    async def test_the_same_batch_twice_is_refused_whole(self, store: SqlMetricStore):
        await store.append([sample(START, 3)], "w1", START)

        with pytest.raises(Exception, match=r"UNIQUE|unique|duplicate"):
            await store.append([sample(START + MINUTE, 1), sample(START, 3)], "w1", START)
        assert await total(store, 0) == 3

    async def test_other_tenants_are_never_read(self, store: SqlMetricStore):
        foreign = series_of("globex", "orders.created", Kind.COUNTER, ())
        await store.append([sample(START, 3), sample(START, 50, foreign)], "w1", START)

        assert await total(store, 0) == 3

    async def test_more_than_the_limit_shows(self, store: SqlMetricStore):
        await store.append([sample(START + n * 10 * SECOND) for n in range(20)], "w1", START)

        assert len(await store.read(selection(0), 5)) == 6


class TestFold:
    async def test_every_level_adds_up_to_the_same(self, store: SqlMetricStore):
        """Given six hours of increments, when they are folded, then each level says the same total."""
        samples = [sample(START + n * 10 * SECOND, n % 7) for n in range(6 * 360)]
        await store.append(samples, "w1", START)
        expected = sum(one.total for one in samples)

        await fold_all(store, START + 5 * HOUR + 30 * MINUTE)

        assert [await total(store, level) for level in range(4)] == [expected] * 4

    async def test_a_row_that_comes_late_is_counted_at_every_level(self, store: SqlMetricStore):
        """Given an hour that is folded already, when a worker flushes into it, then nothing is lost or doubled."""
        await store.append([sample(START, 5)], "w1", START)
        await fold_all(store, START + 2 * HOUR)

        await store.append([sample(START, 2)], "w2-was-hung", START)
        assert [await total(store, level) for level in range(3)] == [7, 7, 7]
        await fold_all(store, START + 3 * HOUR)
        assert [await total(store, level) for level in range(3)] == [7, 7, 7]

    async def test_an_open_bucket_is_not_folded(self, store: SqlMetricStore):
        await store.append([sample(START + MINUTE, 5)], "w1", START)

        assert await store.fold(LEVELS[0], LEVELS[1], START + MINUTE, 100, "f") == 0

    async def test_folding_in_small_batches_is_the_same(self, store: SqlMetricStore):
        samples = [sample(START + n * 10 * SECOND, n) for n in range(500)]
        await store.append(samples, "w1", START)

        await fold_all(store, START + 2 * HOUR, limit=7)

        assert await total(store, 2) == sum(one.total for one in samples)

    async def test_extremes_and_the_latest_value_survive(self, store: SqlMetricStore):
        gauge = series_of("acme", "queue.depth", Kind.GAUGE, ())
        await store.append([sample(START + n * 10 * SECOND, v, gauge) for n, v in enumerate([5, 9, 1, 4])], "w", START)
        await fold_all(store, START + 2 * HOUR)

        [hour] = await store.read(selection(2, series=[gauge], last=True), 10)

        assert (hour.minimum, hour.maximum, hour.last, hour.last_at) == (1, 9, 4, START + 30 * SECOND)

    async def test_histograms_merge_to_the_histogram_of_all_values(self, store: SqlMetricStore):
        values = [0.001 * (n % 97 + 1) for n in range(720)]
        batch = [sample(START + n * 10 * SECOND, value, LATENCY) for n, value in enumerate(values)]
        await store.append(batch, "w1", START)
        await fold_all(store, START + 3 * HOUR)

        merged = Histogram()
        for one in await store.read(selection(2, series=[LATENCY], histograms=True), 10):
            assert one.histogram is not None
            merged.merge_encoded(one.histogram)

        assert merged == Histogram([round(value * 1_000_000) for value in values])


class TestPurge:
    async def test_only_old_rows_that_are_folded_go(self, store: SqlMetricStore):
        await store.append([sample(START), sample(START + 2 * HOUR)], "w1", START)
        await store.fold(LEVELS[0], LEVELS[1], START + HOUR, 100, "f")

        assert await store.purge(LEVELS[0], START + 3 * HOUR, 100) == 1
        assert [await total(store, level) for level in range(2)] == [1, 2]

    async def test_a_purge_is_bounded(self, store: SqlMetricStore):
        await store.append([sample(START + n * 10 * SECOND) for n in range(50)], "w1", START)
        await store.fold(LEVELS[0], LEVELS[1], START + HOUR, 1_000, "f")

        deleted = [await store.purge(LEVELS[0], START + HOUR, 20) for _ in range(4)]

        assert deleted == [20, 20, 10, 0]

    async def test_series_leave_the_catalogue_after_their_last_row(self, store: SqlMetricStore):
        await store.append([sample(START)], "w1", START)
        await store.append([sample(START, 1, LATENCY)], "w2", START + 3 * HOUR)

        assert await store.purge_series(START + HOUR, 100) == 1
        assert [one.name for one in await store.list_metrics(None, None, 10)] == ["checkout.seconds"]


class TestCatalogue:
    async def test_series_keep_their_labels_and_kind(self, store: SqlMetricStore):
        await store.append([sample(START, 1, LATENCY)], "w1", START)

        assert await store.list_series("acme", "checkout.seconds", 10) == [LATENCY]
        assert await store.list_series("globex", "checkout.seconds", 10) == []
        assert await store.list_series(None, "checkout.seconds", 10) == [LATENCY]

    async def test_metrics_are_listed_by_tenant_and_name(self, store: SqlMetricStore):
        names = [("b", "x"), ("a", "z"), ("a", "y")]
        batch = [sample(START, 1, series_of(tenant, name, Kind.COUNTER, ())) for tenant, name in names]
        await store.append(batch, "w1", START)

        listed = await store.list_metrics(None, None, 10)
        rest = await store.list_metrics(None, ("a", "y"), 10)

        assert [(one.tenant, one.name, one.series) for one in listed] == [("a", "y", 1), ("a", "z", 1), ("b", "x", 1)]
        assert [one.name for one in rest] == ["z", "x"]

    async def test_last_seen_moves_on_by_the_hour(self, store: SqlMetricStore):
        await store.append([sample(START)], "w1", START)
        await store.append([sample(START)], "w2", START + 59 * MINUTE)
        await store.append([sample(START)], "w3", START + 61 * MINUTE)

        [info] = await store.list_metrics("acme", None, 10)
        assert info.last_seen == START + HOUR


def driver_of(tx: Transaction) -> Any:
    return connection_of(tx).connection.driver_connection


class TestPlans:
    """What runs all the time uses its indexes: the real statements, SQLite's plans."""

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    async def test_no_statement_scans_a_table(self, store: SqlMetricStore, database: Database):
        await store.append([sample(START)], "w1", START)
        plans: dict[str, str] = {}

        def before(conn, cursor, statement, parameters, context, executemany):
            if not executemany and not statement.startswith(("EXPLAIN", "INSERT", "PRAGMA", "BEGIN")):
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans[statement] = " | ".join(row[3] for row in cursor.fetchall())

        beneath: list[str] = []
        event.listen(Engine, "before_cursor_execute", before)
        try:
            await database.read(lambda tx: driver_of(tx).set_trace_callback(beneath.append))
            await store.read(selection(0, last=True), 10)
            await store.read(selection(2), 10)
            await database.read(lambda tx: driver_of(tx).set_trace_callback(None))
            await store.fold(LEVELS[0], LEVELS[1], START + HOUR, 10, "f")
            await store.purge(LEVELS[0], START + HOUR, 10)
            await store.append([sample(START)], "w2", START + HOUR)
            for tenant in ("acme", None):
                await store.list_series(tenant, "orders.created", 10)
            await store.list_metrics("acme", ("acme", "a"), 10)
        finally:
            event.remove(Engine, "before_cursor_execute", before)

        for statement in beneath:
            if "system_metrics" in statement:
                plan = await database.read(lambda tx, it=statement: driver_of(tx).execute(f"EXPLAIN QUERY PLAN {it}"))
                plans[statement] = " | ".join(row[3] for row in plan)
        assert len(plans) >= 10
        for statement, plan in plans.items():
            on_tables = plan.replace("SCAN system_metrics USING COVERING INDEX", "")
            scans = [
                step
                for step in on_tables.split(" | ")
                if "SCAN" in step and "parts" not in step and "CONSTANT" not in step
            ]
            assert scans == [], statement
            if "GROUP BY" not in statement or "UNION ALL" not in statement:  # steps of an answer are grouped in memory
                assert "TEMP B-TREE" not in plan, statement
