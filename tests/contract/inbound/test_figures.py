"""What every keeper of figures and refusals promises (planes/inbound/ports.py), on every engine."""

import random
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.dialects import sqlite

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.histogram import Histogram
from custodes.kernel.ids import uuid7
from custodes.kernel.stretches import Level, Steps
from custodes.planes.inbound.figures import ALL, ErrorGroup, Figures, Only, RefusalCount, Series, Sums, Tally
from custodes.planes.inbound.model import Attempt, Outcome, Refusal, WebhookEvent
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.inbound import SqlEventStore
from custodes.storage.sql.inbound_figures import SqlFigureStore
from custodes.storage.sql.tables.inbound import FAILED, webhook_attempts, webhook_refusals, webhook_rollups

NOW = 1_790_000_000 * SECOND
START = NOW - NOW % MINUTE


@pytest.fixture
def figures() -> SqlFigureStore:
    return SqlFigureStore()


def series(bucket: int = START, event_type: str = "invoice.paid", **more) -> Series:
    return Series("default", Level.MINUTE, bucket, "stripe", event_type)._replace(**more)


async def test_a_writer_replaces_its_own_rows_and_those_of_all_writers_are_added_up(
    database: Database, figures: SqlFigureStore
):
    times = Histogram([100, 200])
    await database.write(lambda tx: figures.put_figures(tx, "w1", [(series(), Figures(received=1))]))
    await database.write(lambda tx: figures.put_figures(tx, "w1", [(series(), Figures(received=3, processing=times))]))
    await database.write(lambda tx: figures.put_figures(tx, "w2", [(series(), Figures(received=4, processing=times))]))

    [(found, total)] = await database.read(
        lambda tx: figures.figures(tx, "default", Level.MINUTE, START, START + MINUTE)
    )

    assert found == series()
    assert total.received == 7
    assert total.processing == Histogram([100, 200, 100, 200])


async def test_figures_are_found_by_tenant_level_and_time(database: Database, figures: SqlFigureStore):
    rows = [
        (series(START - MINUTE), Figures(received=1)),
        (series(START), Figures(received=2)),
        (series(START, level=Level.HOUR), Figures(received=4)),
        (series(START, tenant="acme"), Figures(received=8)),
    ]
    await database.write(lambda tx: figures.put_figures(tx, "w1", rows))

    async def received(tenant: str | None, since: int, until: int) -> list[int]:
        found = await database.read(lambda tx: figures.figures(tx, tenant, Level.MINUTE, since, until))
        return [total.received for _, total in found]

    assert await received("default", START, START + 1) == [2]
    assert await received("default", START - MINUTE, START) == [1]
    assert await received("default", START - 1, START + 1) == [1, 2]  # since is widened to its stretch
    assert sorted(await received(None, START, START + 1)) == [2, 8]


async def test_sums_are_those_of_all_figures_by_time_and_by_type(database: Database, figures: SqlFigureStore):
    # Given two writers' figures of two stretches and three types, with histograms few and many buckets wide
    for writer, times in (("w1", range(100, 90_000, 250)), ("w2", (7, 10**9))):
        rows = [
            (series(START + place * MINUTE, f"type.{kind}"), Figures(*range(kind, kind + 6), Histogram(times)))
            for place in range(2)
            for kind in range(3)
        ]
        await database.write(lambda tx, writer=writer, rows=rows: figures.put_figures(tx, writer, rows))

    # When they are added up, in one go and one by one
    until = START + 2 * MINUTE
    sums = await database.read(lambda tx: figures.sums(tx, "default", Steps.of(Level.MINUTE, START, until)))
    single = await database.read(lambda tx: figures.figures(tx, "default", Level.MINUTE, START, until))

    # Then both ways agree
    def added_up(key) -> dict:
        added: dict = {}
        for one, values in single:
            added.setdefault(key(one), Figures()).merge(values)
        return added

    assert sums.by_bucket == added_up(lambda one: one.bucket)
    assert sums.by_type == added_up(lambda one: (one.source, one.event_type))
    by_source = added_up(lambda one: (one.bucket, one.source))
    assert {key: one.received for key, one in sums.by_source.items()} == {k: f.received for k, f in by_source.items()}
    one_type = Only.of("stripe", ["type.1", "no.such*"])
    narrowed = await database.read(lambda tx: figures.sums(tx, None, Steps.of(Level.MINUTE, START, until), one_type))
    assert narrowed.by_type == {("stripe", "type.1"): sums.by_type["stripe", "type.1"]}
    assert await database.read(lambda tx: figures.sums(tx, "acme", Steps.of(Level.MINUTE, START, until))) == Sums(
        {}, {}, {}
    )


async def test_sums_of_days_are_those_of_their_hours_whoever_wrote_them(database: Database, figures: SqlFigureStore):
    # Given three days of three types from two sources, counted by a process of today and by one that knew no sources
    midnight, chance = START - START % DAY, random.Random(5)
    tally = Tally()
    for hour in range(3 * 24):
        at = midnight + hour * HOUR + chance.randrange(HOUR)
        names = (chance.choice(["default", "acme"]), chance.choice(["stripe", "github"]), f"type.{hour % 3}")
        tally.received(*names, at)
        tally.succeeded(*names, at, int(chance.lognormvariate(9, 2)))
    [(_, rows)] = tally.changed()
    older = [(one, values) for one, values in rows if one.event_type is not None]
    await database.write(lambda tx: figures.put_figures(tx, "new", rows))
    await database.write(lambda tx: figures.put_figures(tx, "old", older))

    # Then a range of days, from some hour to some hour, is what its hours say
    for tenant, only, since, until in (
        (None, Only(), midnight + 5 * HOUR, midnight + 2 * DAY + 3 * HOUR + 1),
        ("acme", Only.of("stripe", None), midnight, midnight + 2 * DAY),
        ("acme", Only.of(None, "type.1"), midnight + HOUR, midnight + 3 * DAY),
        (None, Only(), midnight + 2 * HOUR, midnight + 9 * HOUR),
    ):
        steps = Steps.of(Level.HOUR, since, until)
        sums = await database.read(lambda tx, given=(tenant, steps, only): figures.sums(tx, *given))
        by_hour: dict[int, Figures] = {}
        by_type: dict[tuple[str, str], Figures] = {}
        by_source: dict[tuple[int, str], int] = {}
        for one, values in older:
            asked = one.level is Level.HOUR and since <= one.bucket < until and tenant in (None, one.tenant)
            if not asked or not only.has(one.source, one.event_type or ""):
                continue
            for _ in ("new", "old"):
                by_hour.setdefault(one.bucket, Figures()).merge(values)
                by_type.setdefault((one.source, one.event_type or ""), Figures()).merge(values)
                key = (one.bucket, one.source)
                by_source[key] = by_source.get(key, 0) + values.received
        assert sums.by_bucket == by_hour
        assert sums.by_type == by_type
        assert {key: one.received for key, one in sums.by_source.items()} == by_source


async def test_a_chart_of_days_is_read_from_the_rows_of_sources(database: Database, figures: SqlFigureStore):
    # Given figures of two types and of their source
    tally = Tally()
    for kind in ("a", "b"):
        tally.received("default", "stripe", kind, START)
    [(_, rows)] = tally.changed()
    await database.write(lambda tx: figures.put_figures(tx, "w1", rows))

    # When those of the types are gone
    await database.write(lambda tx: connection_of(tx).execute(webhook_rollups.delete()))

    # Then the points are still there, and no type
    sums = await database.read(lambda tx: figures.sums(tx, None, Steps.of(Level.MINUTE, START, START + MINUTE)))
    assert {at: one.received for at, one in sums.by_bucket.items()} == {START: 2}
    assert sums.by_type == {}


async def test_refusals_are_counted_and_sampled(database: Database, figures: SqlFigureStore, random_bits):
    samples = [
        Refusal(
            tenant="default",
            id=uuid7(NOW + number, random_bits),
            received_at=NOW + number,
            source="stripe" if number % 2 else "github",
            reason="no-match",
            client_ip=f"203.0.113.{number}",
            trace_id="",
            body_bytes=4,
            headers=[("stripe-signature", "t=1,v1=\xff")],
            body_head=b"\x00\xff{}",
        )
        for number in range(5)
    ]
    count = RefusalCount("default", START, "stripe", "no-match", 7)
    await database.write(lambda tx: figures.put_refusals(tx, "w1", [count], samples))
    await database.write(lambda tx: figures.put_refusals(tx, "w1", [count._replace(refused=9)], []))
    await database.write(lambda tx: figures.put_refusals(tx, "w2", [count], []))

    counted = await database.read(lambda tx: figures.refused(tx, None, START, START + 1))
    page = await database.read(lambda tx: figures.refusals(tx, None, None, 0, NOW + 9, limit=3, cursor=None))
    of_github = await database.read(
        lambda tx: figures.refusals(tx, "default", "github", 0, NOW + 9, limit=9, cursor=None)
    )
    of_one = await database.read(
        lambda tx: figures.refusals(tx, None, None, 0, NOW + 9, limit=9, cursor=None, client_ip="203.0.113.3")
    )
    of_others = await database.read(lambda tx: figures.refusals(tx, "acme", None, 0, NOW + 9, limit=9, cursor=None))

    assert counted == [count._replace(refused=16)]
    assert list(page.items) == samples[:1:-1]
    assert page.next_cursor is not None
    assert [sample.source for sample in of_github.items] == ["github"] * 3
    assert list(of_one.items) == [samples[3]]
    assert list(of_others.items) == []


async def test_failed_attempts_are_grouped_by_what_failed(database: Database, figures: SqlFigureStore):
    events = SqlEventStore(database)
    attempts = [
        Attempt(number=1, handler="a", outcome=Outcome.SUCCEEDED, started_at=NOW, duration_us=1),
        *(
            Attempt(
                number=number,
                handler="b",
                outcome=Outcome.FAILED,
                started_at=NOW + number,
                duration_us=1,
                error_type="KeyError",
                error="'amount'",
            )
            for number in (1, 2, 3)
        ),
    ]
    event = WebhookEvent(
        id="e",
        tenant="default",
        source="stripe",
        event_id="evt",
        type="x",
        body=b"",
        headers={},
        verified=True,
        attempt=1,
        trace_id="",
        received_at=NOW,
    )
    await database.write(lambda tx: events.add_attempts(tx, [(event, each) for each in attempts]))

    async def errors(tenant: str | None, only: Only = ALL) -> Sequence[ErrorGroup]:
        steps = Steps.of(Level.MINUTE, NOW, NOW + SECOND)
        return (await database.read(lambda tx: figures.overview(tx, tenant, steps, NOW + SECOND, 10, only))).errors

    [group] = await errors(None)

    assert (group.source, group.handler, group.error_type, group.count) == ("stripe", "b", "KeyError", 3)
    assert (group.last_at, group.example) == (NOW + 3, "'amount'")
    assert await errors("acme") == []
    for only, found in ((Only.of("stripe", "x*"), 1), (Only.of("github", None), 0), (Only.of(None, ["y", "z*"]), 0)):
        assert len(await errors(None, only)) == found


async def test_states_count_what_is_not_well(database: Database, figures: SqlFigureStore):
    assert await database.read(lambda tx: figures.states(tx, None)) == {}


async def test_old_figures_and_refusals_are_purged_in_bounded_steps(database: Database, figures: SqlFigureStore):
    rows = [(series(START - number * HOUR), Figures(received=1)) for number in range(10)]
    await database.write(lambda tx: figures.put_figures(tx, "w1", rows))
    counts = [RefusalCount("default", START - number * HOUR, "stripe", "no-match", 1) for number in range(10)]
    await database.write(lambda tx: figures.put_refusals(tx, "w1", counts, []))
    before = START - 4 * HOUR

    purged = [await database.write(lambda tx: figures.purge_figures(tx, Level.MINUTE, before, 3)) for _ in range(3)]
    refused = [await database.write(lambda tx: figures.purge_refusals(tx, before, 3)) for _ in range(3)]

    assert purged == [3, 2, 0]
    assert refused == [3, 2, 0]
    assert len(await database.read(lambda tx: figures.figures(tx, None, Level.MINUTE, 0, NOW))) == 5


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            select(webhook_attempts).where(
                webhook_attempts.c.tenant_id == "default", FAILED, webhook_attempts.c.started_at >= 1
            ),
            "ix_webhook_attempts_failed",
        ),
        (
            select(webhook_refusals)
            .where(webhook_refusals.c.tenant_id == "default", webhook_refusals.c.received_at >= 1)
            .order_by(webhook_refusals.c.received_at.desc(), webhook_refusals.c.id.desc()),
            "ix_webhook_refusals_tenant_id_received_at_id",
        ),
    ],
    ids=["errors", "refusals"],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_queries_go_along_an_index(database: Database, query, index: str):
    text = str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))

    plan = await database.read(lambda tx: connection_of(tx).exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all())

    assert any(index in row[3] for row in plan), plan


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_retention_goes_along_indexes_by_age(database: Database, figures: SqlFigureStore):
    """While old rows are looked for, whoever writes waits: the newest of a large table are not looked at."""
    plans: list[str] = []

    def explain(connection, cursor, statement, parameters, context, many):
        if statement.startswith("DELETE"):
            rows = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append("; ".join(row[3] for row in rows))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        await database.write(lambda tx: figures.purge_figures(tx, Level.MINUTE, START, 10))
        await database.write(lambda tx: figures.purge_refusals(tx, START, 10))
    finally:
        event.remove(Engine, "before_cursor_execute", explain)

    looked_for = [
        "ix_webhook_rollups_level (level=? AND bucket<?)",
        "ix_webhook_source_rollups_level (level=? AND bucket<?)",
        "ix_webhook_refusals_received_at (received_at<?)",
        "ix_webhook_refusal_counts_bucket (bucket<?)",
    ]
    assert len(plans) == len(looked_for)
    assert [index for index, plan in zip(looked_for, plans, strict=True) if index not in plan] == []
    assert not [plan for plan in plans if "SCAN webhook" in plan or "TEMP B-TREE" in plan]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_states_are_counted_along_the_index_of_what_is_open(database: Database, figures: SqlFigureStore):
    sql = "SELECT status, count(*) FROM webhook_events WHERE status <> 'succeeded' GROUP BY status"

    plan = await database.read(lambda tx: connection_of(tx).exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all())

    assert "ix_webhook_events_unfinished" in plan[0][3]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_figures_of_all_tenants_are_searched_along_the_key_that_begins_with_the_tenant(
    database: Database, figures: SqlFigureStore
):
    plans: list[str] = []

    def explain(connection, cursor, statement, parameters, context, many):
        if statement.startswith(("SELECT", "WITH")):
            plans.append("; ".join(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        await database.read(lambda tx: figures.sums(tx, None, Steps.of(Level.HOUR, START, NOW)))
        await database.read(lambda tx: figures.refused(tx, None, START, NOW, HOUR))
    finally:
        event.remove(Engine, "before_cursor_execute", explain)

    *sums, refused = plans
    key = "USING PRIMARY KEY (tenant_id=? AND level=? AND bucket>? AND bucket<?)"
    assert all(f"SEARCH webhook_rollups {key}" in one or f"SEARCH webhook_source_rollups {key}" in one for one in sums)
    assert "SEARCH webhook_refusal_counts USING PRIMARY KEY (tenant_id=? AND bucket>? AND bucket<?)" in refused


async def test_refused_deliveries_are_counted_by_stretches_of_any_length(database: Database, figures: SqlFigureStore):
    first = START - START % HOUR
    counts = [RefusalCount("default", first + number * 20 * MINUTE, "stripe", "no-match", 2) for number in range(5)]
    await database.write(lambda tx: figures.put_refusals(tx, "w1", counts, []))

    by_hour = await database.read(lambda tx: figures.refused(tx, None, first, first + DAY, HOUR))

    assert [(row.bucket, row.refused) for row in by_hour] == [(first, 6), (first + HOUR, 4)]
