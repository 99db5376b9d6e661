"""What the store of figures of deliveries promises on every engine."""

import asyncio

import pytest
from sqlalchemy import event, select

from custodes.kernel.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from custodes.kernel.histogram import Histogram
from custodes.kernel.stretches import Level, Steps, steps_for
from custodes.planes.outbound.figures import Figures, Only, Series
from custodes.planes.outbound.folder import Folder
from custodes.storage.sql.bulk import upsert_rows
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.delivery_figures import COUNTS, SqlDeliveryFigureStore
from custodes.storage.sql.tables.outbound import webhook_delivery_rollups
from custodes.testing.clock import FakeClock

AT = 1_790_000_040 * SECOND
UNTIL = AT + 10 * MINUTE
store = SqlDeliveryFigureStore()


def row(minute: int, *, tenant: str = "acme", endpoint: str = "e1", kind: str = "order.made", **counts: int):
    took = Histogram([100 * MILLISECOND] * sum(counts.values()))
    return Series(tenant, Level.MINUTE, AT + minute * MINUTE, endpoint, kind), Figures(**counts, took=took)


async def put(database: Database, *rows: tuple[Series, Figures]) -> None:
    await database.write(lambda tx: store.add(tx, rows))


async def put_apart(database: Database, writer: str, *rows: tuple[Series, Figures]) -> None:
    """Write rows as a process of a version before does: of its own, each anew."""
    wrote = [
        {
            "tenant_id": series.tenant,
            "level": int(series.level),
            "bucket": series.bucket,
            "configuration_id": series.endpoint_id,
            "event_type": series.event_type,
            "writer": writer,
            **{name: getattr(its, name) for name in COUNTS},
            "took": its.took.encode(),
        }
        for series, its in rows
    ]
    await database.write(lambda tx: upsert_rows(connection_of(tx), webhook_delivery_rollups, wrote))


def by_minutes(database: Database):
    return database.read(lambda tx: store.sums(tx, Steps.of(Level.MINUTE, AT, UNTIL), Only()))


def by_hours(database: Database):
    return database.read(lambda tx: store.sums(tx, Steps.of(Level.HOUR, AT, UNTIL), Only()))


async def rows_kept(database: Database) -> list[tuple[str, int]]:
    """Writer and attempts that went well of each row."""
    its = webhook_delivery_rollups.c
    query = select(its.writer, its.succeeded).order_by(its.bucket, its.configuration_id, its.writer)
    return [tuple(row) for row in await database.read(lambda tx: connection_of(tx).execute(query).all())]


async def test_what_processes_counted_adds_up_in_every_way(database: Database):
    # Given two processes that counted, one of them twice
    await put(database, row(0, succeeded=1))
    await put(database, row(0, succeeded=2), row(1, server_errors=2))
    await put(database, row(0, succeeded=4), row(0, tenant="other", endpoint="e2", unanswered=5))

    everything = await by_minutes(database)
    acme = await database.read(
        lambda tx: store.sums(tx, Steps.of(Level.MINUTE, AT, UNTIL), Only("acme", "e1", "order.made"))
    )

    assert {at: its.attempts for at, its in everything.by_bucket.items()} == {AT: 12, AT + MINUTE: 2}
    assert {key: its.attempts for key, its in everything.by_endpoint.items()} == {("acme", "e1"): 9, ("other", "e2"): 5}
    assert everything.by_tenant["other"].unanswered == 5
    assert (acme.by_type["order.made"].succeeded, acme.by_type["order.made"].server_errors) == (7, 2)
    assert acme.by_tenant["acme"].took.count == 9
    assert "other" not in acme.by_tenant


async def test_processes_that_come_and_go_leave_no_rows_of_their_own(database: Database):
    for _ in range(20):
        await put(database, row(0, succeeded=3), row(0, endpoint="e2", succeeded=1))

    assert await rows_kept(database) == [("", 60), ("", 20)]
    assert (await by_minutes(database)).by_tenant["acme"].took == Histogram([100 * MILLISECOND] * 80)


async def test_processes_that_add_to_the_same_rows_at_once_lose_nothing(database: Database):
    """Given many at once, each with the rows in another order; then none is lost and none waits in a circle."""
    rows = [row(0, endpoint=f"e{number}", succeeded=1) for number in range(10)]
    await asyncio.gather(*(put(database, *rows[turn:], *rows[:turn]) for turn in range(10)))

    assert await rows_kept(database) == [("", 10)] * 10


async def test_rows_of_many_endpoints_are_added_to_by_two_statements(database: Database):
    statements: list[str] = []

    def add(tx):
        event.listen(connection_of(tx), "before_cursor_execute", lambda *given: statements.append(given[2]))
        store.add(tx, [row(0, endpoint=f"e{number}", succeeded=1) for number in range(64)])

    await database.write(add)
    assert len(statements) == 2


async def test_nothing_is_added_by_nothing(database: Database):
    await put(database)

    assert await rows_kept(database) == []


class TestRowsOfVersionsBefore:
    """A process of a version before kept a row for itself, and all of them were added up at each question."""

    async def test_they_are_folded_step_by_step_and_no_sum_differs(self, database: Database):
        # Given ten processes that came and went, of the same three minutes, and one that adds to shared rows
        for number in range(10):
            await put_apart(
                database, f"w{number}", *(row(minute, succeeded=number, unanswered=1) for minute in range(3))
            )
        await put(database, row(0, succeeded=5))
        before = await by_minutes(database)

        # When they are folded eight at a time
        steps = []
        for _ in range(5):
            steps.append(await database.write(lambda tx: store.fold(tx, UNTIL, 8)))
            assert await by_minutes(database) == before

        # Then there is a row a series
        assert steps == [8, 8, 8, 6, 0]
        assert await rows_kept(database) == [("", 50), ("", 45), ("", 45)]

    async def test_stretches_that_may_still_be_written_stay(self, database: Database):
        hour = AT - AT % HOUR
        of_hour = Series("acme", Level.HOUR, hour, "e1", "order.made"), Figures(succeeded=7)
        await put_apart(database, "w", row(0, succeeded=1), row(1, succeeded=2), of_hour)

        # When what ended before the end of the first minute is folded, and then before the hour has ended
        assert await database.write(lambda tx: store.fold(tx, AT + MINUTE - 1, 100)) == 0
        assert await database.write(lambda tx: store.fold(tx, AT + MINUTE, 100)) == 1
        assert await database.write(lambda tx: store.fold(tx, hour + HOUR - 1, 100)) == 1

        # Then a process that goes on with its hour writes it anew, and is counted once
        await put_apart(database, "w", (of_hour[0], Figures(succeeded=9)))
        assert (await by_hours(database)).by_tenant["acme"].succeeded == 9
        assert await database.write(lambda tx: store.fold(tx, hour + HOUR, 100)) == 1
        assert (await by_hours(database)).by_tenant["acme"].succeeded == 9

    async def test_two_leaders_fold_each_row_once(self, database: Database):
        for number in range(40):
            await put_apart(database, f"w{number}", *(row(minute, succeeded=1) for minute in range(5)))

        folded = await asyncio.gather(*(database.write(lambda tx: store.fold(tx, UNTIL, 60)) for _ in range(8)))
        while await database.write(lambda tx: store.fold(tx, UNTIL, 60)):
            pass

        assert 60 <= sum(folded) <= 200
        assert await rows_kept(database) == [("", 40)] * 5

    async def test_the_leader_folds_what_is_a_day_old(self, database: Database, clock: FakeClock):
        folder, at = Folder(database, store, clock), clock.now() - clock.now() % DAY
        for number in range(3):
            of_minute = Series("acme", Level.MINUTE, at, "e1", "order.made"), Figures(succeeded=1)
            await put_apart(database, f"w{number}", of_minute)

        clock.advance(at + DAY + MINUTE - 1 - clock.now())
        assert await folder.fold() == 0
        clock.advance(1)
        assert await folder.fold() == 3
        assert await rows_kept(database) == [("", 3)]

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    async def test_they_are_found_by_an_index_of_their_own(self, database: Database):
        plans: list[str] = []

        def explain(tx):
            def note(_connection, cursor, statement, parameters, _context, _many):
                if statement.startswith("DELETE"):
                    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                    plans.append("; ".join(line[3] for line in cursor.fetchall()))

            event.listen(connection_of(tx), "before_cursor_execute", note)
            store.fold(tx, UNTIL, 8)

        await database.write(explain)

        assert ["ix_webhook_delivery_rollups_apart" in plan for plan in plans] == [True] * len(Level), plans
        assert not any("SCAN webhook" in plan for plan in plans), plans


async def test_old_rows_of_a_level_go_in_bounded_bites(database: Database):
    await put(database, *(row(minute, succeeded=1) for minute in range(4)))

    assert await database.read(lambda tx: store.count_purgeable(tx, Level.MINUTE, AT + 3 * MINUTE)) == 3
    assert await database.write(lambda tx: store.purge(tx, Level.MINUTE, AT + 3 * MINUTE, 2)) == 2
    assert await database.write(lambda tx: store.purge(tx, Level.MINUTE, AT + 3 * MINUTE, 2)) == 1
    assert await database.write(lambda tx: store.purge(tx, Level.HOUR, UNTIL, 2)) == 0

    left = await database.read(lambda tx: store.sums(tx, Steps.of(Level.MINUTE, AT, UNTIL), Only()))
    assert list(left.by_bucket) == [AT + 3 * MINUTE]


@pytest.mark.parametrize(
    ("only", "index"),
    [
        (Only(), "(level=? AND bucket>? AND bucket<?)"),
        (Only("acme", "e1"), "ix_webhook_delivery_rollups_endpoint"),
    ],
)
@pytest.mark.parametrize("steps", [Steps.of(Level.MINUTE, AT, UNTIL), steps_for(AT, AT + DAY, AT + DAY)])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_range_is_read_by_an_index(database: Database, only: Only, index: str, steps: Steps):
    plans: list[str] = []

    def explain(tx):
        connection = connection_of(tx)

        def note(_connection, cursor, statement, parameters, _context, _many):
            if statement.startswith("SELECT"):
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append("; ".join(line[3] for line in cursor.fetchall()))

        event.listen(connection, "before_cursor_execute", note)
        store.sums(tx, steps, only)

    await database.read(explain)

    assert [index in plan for plan in plans] == [True] * 5, plans
    assert not any("SCAN" in plan for plan in plans), plans


async def test_the_day_before_begins_at_its_minute_and_is_told_by_hours(database: Database):
    # Given an attempt a minute for two hours, with the rows of its hours and days beside, as a process writes them
    hour = AT - AT % HOUR
    rows = [
        (Series("acme", level, at - at % level.micros, "e1", "order.made"), Figures(succeeded=many))
        for level, many in ((Level.MINUTE, 1), (Level.HOUR, 60))
        for at in range(hour, hour + 2 * HOUR, level.micros)
    ]
    await put(database, *rows)

    # When a day is asked about that begins at half past
    half = hour + 30 * MINUTE
    steps = steps_for(half, half + DAY, half + DAY)
    found = await database.read(lambda tx: store.sums(tx, steps, Only()))

    # Then the first hour is told by half, under its begin, and every part adds up to the same
    assert {at: its.succeeded for at, its in found.by_bucket.items()} == {hour: 30, hour + HOUR: 60}
    assert {kind: its.succeeded for kind, its in found.by_type.items()} == {"order.made": 90}
    assert {whose: its.succeeded for whose, its in found.by_tenant.items()} == {"acme": 90}
