"""What the store of figures of deliveries promises on every engine."""

import pytest
from sqlalchemy import event

from custodes.kernel.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from custodes.kernel.histogram import Histogram
from custodes.kernel.stretches import Level, Steps, steps_for
from custodes.planes.outbound.figures import Figures, Only, Series
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.delivery_figures import SqlDeliveryFigureStore

AT = 1_790_000_040 * SECOND
UNTIL = AT + 10 * MINUTE
store = SqlDeliveryFigureStore()


def row(minute: int, *, tenant: str = "acme", endpoint: str = "e1", kind: str = "order.made", **counts: int):
    took = Histogram([100 * MILLISECOND] * sum(counts.values()))
    return Series(tenant, Level.MINUTE, AT + minute * MINUTE, endpoint, kind), Figures(**counts, took=took)


async def test_rows_of_all_writers_add_up_in_every_way(database: Database):
    # Given two processes that counted, one of them twice: it writes its rows anew
    await database.write(lambda tx: store.put(tx, "w1", [row(0, succeeded=1)]))
    await database.write(lambda tx: store.put(tx, "w1", [row(0, succeeded=3), row(1, server_errors=2)]))
    await database.write(
        lambda tx: store.put(tx, "w2", [row(0, succeeded=4), row(0, tenant="other", endpoint="e2", unanswered=5)])
    )

    everything = await database.read(lambda tx: store.sums(tx, Steps.of(Level.MINUTE, AT, UNTIL), Only()))
    acme = await database.read(
        lambda tx: store.sums(tx, Steps.of(Level.MINUTE, AT, UNTIL), Only("acme", "e1", "order.made"))
    )

    assert {at: its.attempts for at, its in everything.by_bucket.items()} == {AT: 12, AT + MINUTE: 2}
    assert {key: its.attempts for key, its in everything.by_endpoint.items()} == {("acme", "e1"): 9, ("other", "e2"): 5}
    assert everything.by_tenant["other"].unanswered == 5
    assert (acme.by_type["order.made"].succeeded, acme.by_type["order.made"].server_errors) == (7, 2)
    assert acme.by_tenant["acme"].took.count == 9
    assert "other" not in acme.by_tenant


async def test_rows_of_many_endpoints_are_written_by_one_statement(database: Database):
    statements: list[str] = []

    def put(tx):
        event.listen(connection_of(tx), "before_cursor_execute", lambda *given: statements.append(given[2]))
        store.put(tx, "w1", [row(0, endpoint=f"e{number}", succeeded=1) for number in range(64)])

    await database.write(put)
    assert len(statements) == 1


async def test_old_rows_of_a_level_go_in_bounded_bites(database: Database):
    await database.write(lambda tx: store.put(tx, "w1", [row(minute, succeeded=1) for minute in range(4)]))

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
    await database.write(lambda tx: store.put(tx, "w1", rows))

    # When a day is asked about that begins at half past
    half = hour + 30 * MINUTE
    steps = steps_for(half, half + DAY, half + DAY)
    found = await database.read(lambda tx: store.sums(tx, steps, Only()))

    # Then the first hour is told by half, under its begin, and every part adds up to the same
    assert {at: its.succeeded for at, its in found.by_bucket.items()} == {hour: 30, hour + HOUR: 60}
    assert {kind: its.succeeded for kind, its in found.by_type.items()} == {"order.made": 90}
    assert {whose: its.succeeded for whose, its in found.by_tenant.items()} == {"acme": 90}
