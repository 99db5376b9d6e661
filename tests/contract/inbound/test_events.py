"""What every keeper of webhooks promises (planes/inbound/ports.py), on every engine."""

import asyncio
import threading
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy.dialects import sqlite

from custodes.kernel.clock import DAY, SECOND
from custodes.kernel.ids import uuid7
from custodes.planes.inbound.model import (
    JOB_KIND,
    Arrival,
    Attempt,
    Ending,
    EventFilter,
    Outcome,
    Progress,
    Status,
    Verdict,
    Wait,
)
from custodes.runtime.jobs import Claim, NewJob
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import inbound_accept
from custodes.storage.sql import inbound_queries as queries
from custodes.storage.sql.bulk import MAX_REMOVED_BYTES
from custodes.storage.sql.database import Database, as_transaction, connection_of
from custodes.storage.sql.inbound import SqlEventStore
from custodes.storage.sql.inbound_queries import events_query
from custodes.storage.sql.jobs import SqlJobs

NOW = 1_790_000_000 * SECOND


@pytest.fixture
def events(database: Database) -> SqlEventStore:
    return SqlEventStore(database)


@pytest.fixture
def arrival(random_bits):
    def make(key: str, at: int = NOW, *, tenant: str = "default", source: str = "stripe", **more) -> Arrival:
        body = more.pop("body", b'{"id":"%b"}' % key.encode())
        made = Arrival(
            tenant,
            uuid7(at, random_bits),
            at,
            source,
            key,
            "invoice.paid",
            key,
            Verdict.VERIFIED,
            "0" * 31 + "1",
            "203.0.113.9",
            len(body),
            '[["content-type","application/json"]]',
            body,
        )
        return made._replace(**more)

    return make


async def backlog(database: Database) -> int:
    return (await database.read(lambda tx: SqlJobs().backlog(tx, "webhook", NOW))).open


async def test_an_accepted_event_is_kept_byte_by_byte_with_its_job(database: Database, events: SqlEventStore, arrival):
    new = arrival("evt_1", body=bytes(range(256)) * 20)

    kept = await events.accept(new)

    assert kept == new.id
    payload = await database.read(lambda tx: events.payload(tx, "default", kept))
    assert payload is not None
    assert payload.body == new.body
    assert payload.headers == [("content-type", "application/json")]
    record = await database.read(lambda tx: events.get(tx, "default", kept))
    assert record is not None
    assert (record.status, record.attempts, record.body_bytes) == (Status.RECEIVED, 0, 5120)
    assert await backlog(database) == 1


async def test_of_many_simultaneous_deliveries_of_one_event_exactly_one_is_kept(
    database: Database, events: SqlEventStore, arrival
):
    """Given 200 deliveries of 20 events at one moment, then there are 20 rows, 20 jobs, and every answer agrees."""
    deliveries = [arrival(f"evt_{number % 20}", NOW + number) for number in range(200)]

    kept = await asyncio.gather(*(events.accept(delivery) for delivery in deliveries))

    by_key: dict[str, set[str]] = {}
    for delivery, event_id in zip(deliveries, kept, strict=True):
        by_key.setdefault(delivery.dedupe_key, set()).add(event_id)
    assert all(len(ids) == 1 for ids in by_key.values())
    page = await database.read(lambda tx: events.find(tx, EventFilter(), limit=500, cursor=None))
    assert sorted(record.id for record in page.items) == sorted(ids.pop() for ids in by_key.values())
    assert await backlog(database) == 20


async def test_the_same_key_from_another_source_or_tenant_is_another_event(
    database: Database, events: SqlEventStore, arrival
):
    kept = [
        await events.accept(arrival("evt_1")),
        await events.accept(arrival("evt_1", source="github")),
        await events.accept(arrival("evt_1", tenant="acme")),
    ]

    assert len(set(kept)) == 3


async def test_a_repeat_gives_a_stranded_event_a_new_job(database: Database, events: SqlEventStore, arrival):
    kept = await events.accept(arrival("evt_1"))
    # Given its job was lost (a restored backup, a hand in the table)
    [lease] = await database.write(
        lambda tx: SqlJobs().claim(tx, "webhook", {"stripe": 1}, Claim("w", NOW, NOW, NOW + 1))
    )
    await database.write(lambda tx: SqlJobs().finish(tx, [lease]))
    assert await backlog(database) == 0

    assert await events.accept(arrival("evt_1", NOW + 5)) == kept

    assert await backlog(database) == 1


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.DEAD])
async def test_a_repeat_of_a_finished_event_changes_nothing(
    database: Database, events: SqlEventStore, arrival, status: Status
):
    kept = await database.write(lambda tx: events.log(tx, arrival("evt_1"), status))

    assert await events.accept(arrival("evt_1", NOW + 5)) == kept

    assert await backlog(database) == 0


async def test_one_bad_row_of_a_group_hurts_only_itself(database: Database, events: SqlEventStore, arrival):
    broken = arrival("bad")._replace(received_at="not a moment", body=None)

    results = await asyncio.gather(
        events.accept(arrival("a")), events.accept(broken), events.accept(arrival("b")), return_exceptions=True
    )

    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    assert await backlog(database) == 2


async def test_what_became_of_an_event_is_told(events: SqlEventStore, arrival):
    told: list[tuple[str | None, bool]] = []
    broken = arrival("bad")._replace(received_at="not a moment", body=None)

    for each in (arrival("a"), broken, arrival("a")):
        with suppress(Exception):
            await events.accept(each, lambda kept, error: told.append((kept, error is None)))

    assert told == [(told[0][0], True), (None, False), (told[0][0], True)]
    assert told[0][0]


async def test_handlers_get_the_event_with_its_attempt_and_what_is_done(
    database: Database, events: SqlEventStore, arrival
):
    kept = await events.accept(arrival("evt_1"))
    await database.write(lambda tx: events.begin(tx, [kept]))
    progress = Progress({"a": Outcome.SUCCEEDED}, {"b": Wait(tries=2, due_at=NOW + 7)})
    await conclude(database, events, kept, Status.FAILED, progress=progress, error="b: boom")
    await database.write(lambda tx: events.begin(tx, [kept]))

    loaded = await database.read(lambda tx: events.load(tx, [kept, "nothing"]))

    [(event, reached)] = loaded.values()
    assert (event.id, event.type, event.attempt, event.verified) == (kept, "invoice.paid", 2, True)
    assert event.json() == {"id": "evt_1"}
    assert event.headers == {"content-type": "application/json"}
    assert reached == progress


async def test_an_event_that_is_gone_is_not_loaded(database: Database, events: SqlEventStore):
    assert await database.read(lambda tx: events.load(tx, ["nothing"])) == {}
    assert await database.read(lambda tx: events.get(tx, None, "nothing")) is None
    assert await database.read(lambda tx: events.payload(tx, None, "nothing")) is None


async def test_another_tenants_event_does_not_exist(database: Database, events: SqlEventStore, arrival):
    kept = await events.accept(arrival("evt_1", tenant="acme"))
    attempt = Attempt(number=1, handler="h", outcome=Outcome.FAILED, started_at=NOW, duration_us=5)
    event = (await database.read(lambda tx: events.load(tx, [kept])))[kept][0]
    await database.write(lambda tx: events.add_attempts(tx, [(event, attempt)]))

    assert await database.read(lambda tx: events.get(tx, "other", kept)) is None
    assert await database.read(lambda tx: events.payload(tx, "other", kept)) is None
    assert list(await database.read(lambda tx: events.attempts(tx, "other", kept, 10))) == []
    assert list(await database.read(lambda tx: events.attempts(tx, "acme", kept, 10))) == [attempt]
    assert list(await database.read(lambda tx: events.attempts(tx, None, kept, 10))) == [attempt]
    page = await database.read(lambda tx: events.find(tx, EventFilter(tenant="other"), limit=10, cursor=None))
    assert page.items == []


async def test_pages_go_through_all_events_newest_first_also_across_tenants(
    database: Database, events: SqlEventStore, arrival
):
    for number in range(25):
        tenant = "acme" if number % 3 else "default"
        await events.accept(arrival(f"evt_{number}", NOW + number // 2, tenant=tenant))

    seen: list[str] = []
    cursor = None
    while True:
        page = await database.read(lambda tx, after=cursor: events.find(tx, EventFilter(), limit=7, cursor=after))
        seen.extend(record.id for record in page.items)
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 25


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (EventFilter(source="github"), ["github"]),
        (EventFilter(event_type="invoice.paid"), ["plain", "github", "dead", "unverified", "traced"]),
        (EventFilter(event_type="charge.*"), ["charge"]),
        (EventFilter(event_type="CHARGE.*"), []),
        (EventFilter(status=Status.DEAD), ["dead"]),
        (EventFilter(status=Status.RECEIVED), ["plain", "github", "charge", "traced"]),
        (EventFilter(verdict=Verdict.UNVERIFIED), ["unverified"]),
        (EventFilter(source=("github", "stripe"), status=(Status.DEAD, Status.SUCCEEDED)), ["dead", "unverified"]),
        (EventFilter(status=(Status.DEAD, Status.RECEIVED), since=NOW + 2), ["charge", "dead", "traced"]),
        (EventFilter(event_type=("charge.*", "no.such")), ["charge"]),
        (EventFilter(verdict=(Verdict.UNVERIFIED, Verdict.VERIFIED), until=NOW + 1), ["plain"]),
        (EventFilter(any_id="charge"), ["charge"]),
        (EventFilter(any_id="f" * 32), ["traced"]),
        (EventFilter(trace_id="f" * 32), ["traced"]),
        (EventFilter(event_id="charge"), ["charge"]),
        (EventFilter(since=NOW + 5), ["traced"]),
        (EventFilter(until=NOW + 1), ["plain"]),
        (EventFilter(source="stripe", status=Status.RECEIVED, since=NOW, until=NOW + 5), ["plain", "charge"]),
    ],
)
async def test_filters(database: Database, events: SqlEventStore, arrival, wanted: EventFilter, found: list[str]):
    await events.accept(arrival("plain", NOW))
    await events.accept(arrival("github", NOW + 1, source="github"))
    await events.accept(arrival("charge", NOW + 2, event_type="charge.failed"))
    await database.write(lambda tx: events.log(tx, arrival("dead", NOW + 3), Status.DEAD))
    unverified = arrival("unverified", NOW + 4, verdict=Verdict.UNVERIFIED)
    await database.write(lambda tx: events.log(tx, unverified, Status.SUCCEEDED))
    await events.accept(arrival("traced", NOW + 5, trace_id="f" * 32))

    for tenant in (None, "default"):
        chosen = replace(wanted, tenant=tenant)
        page = await database.read(lambda tx, chosen=chosen: events.find(tx, chosen, limit=50, cursor=None))

        assert sorted(record.event_id for record in page.items) == sorted(found)


async def test_each_facet_counts_with_the_other_filters_in_force(database: Database, events: SqlEventStore, arrival):
    """Given events of two sources and states; then a facet shows what choosing more of it would add."""
    await events.accept(arrival("a", NOW))
    await events.accept(arrival("b", NOW + 1, source="github", event_type="push"))
    await database.write(lambda tx: events.log(tx, arrival("c", NOW + 2), Status.DEAD))
    await database.write(lambda tx: events.log(tx, arrival("d", NOW + 3, tenant="acme"), Status.DEAD))

    found = await database.read(lambda tx: events.facets(tx, EventFilter(source="stripe", status=Status.DEAD)))

    assert [(each.value, each.count) for each in found.source] == [("stripe", 2)]
    assert [(each.value, each.count) for each in found.status] == [("dead", 2), ("received", 1)]
    assert [(each.value, each.count) for each in found.event_type] == [("invoice.paid", 2)]
    assert (found.total, found.complete) == (2, True)
    own = await database.read(lambda tx: events.facets(tx, EventFilter(tenant="default")))
    assert [(each.value, each.count) for each in own.source] == [("stripe", 2), ("github", 1)]
    assert own.total == 3


async def test_counting_stops_where_it_is_told_to(database: Database, events: SqlEventStore, arrival):
    for number in range(5):
        await events.accept(arrival(f"evt_{number}", NOW + number))

    counts = [await database.read(lambda tx, n=n: events.count(tx, EventFilter(), n)) for n in (3, 10)]

    assert counts == [3, 5]


async def test_reopening_forgets_what_handlers_did(database: Database, events: SqlEventStore, arrival):
    kept = await database.write(lambda tx: events.log(tx, arrival("evt_1"), Status.RECEIVED))
    await conclude(database, events, kept, Status.DEAD, progress=Progress({"a": Outcome.PERMANENT}), error="a: no")

    await database.write(lambda tx: events.reopen(tx, [kept]))

    record = await database.read(lambda tx: events.get(tx, None, kept))
    assert (record.status, record.handlers_done, record.finished_at) == (Status.RECEIVED, {}, None)


async def test_purge_deletes_old_finished_events_with_all_that_belongs_to_them(
    database: Database, events: SqlEventStore, arrival
):
    old = await database.write(lambda tx: events.log(tx, arrival("old", NOW - DAY), Status.SUCCEEDED))
    dead = await database.write(lambda tx: events.log(tx, arrival("dead", NOW - DAY, tenant="acme"), Status.DEAD))
    # Given events that the host has logged, in states that nothing here will ever end
    for status in (Status.FAILED, Status.RECEIVED, Status.PROCESSING):
        await database.write(lambda tx, s=status: events.log(tx, arrival(s.value, NOW - DAY), s))
    open_ = await events.accept(arrival("open", NOW - DAY))
    new = await database.write(lambda tx: events.log(tx, arrival("new", NOW), Status.SUCCEEDED))
    event = (await database.read(lambda tx: events.load(tx, [old])))[old][0]
    attempt = Attempt(number=1, handler="h", outcome=Outcome.SUCCEEDED, started_at=NOW, duration_us=5)
    await database.write(lambda tx: events.add_attempts(tx, [(event, attempt)]))

    assert await database.read(lambda tx: events.count_purgeable(tx, NOW)) == 5
    assert await database.write(lambda tx: events.purge(tx, NOW, 1)) == 1
    assert await database.write(lambda tx: events.purge(tx, NOW, 100)) == 4
    assert await database.write(lambda tx: events.purge(tx, NOW, 100)) == 0

    left = await database.read(lambda tx: events.find(tx, EventFilter(), limit=10, cursor=None))
    assert {record.id for record in left.items} == {open_, new}
    for table in ("webhook_payloads", "webhook_attempts"):
        rows = await database.read(
            lambda tx, table=table: connection_of(tx).exec_driver_sql(f"SELECT event_id FROM {table}").all()
        )
        assert not {row[0] for row in rows} & {old, dead}


@pytest.mark.parametrize(("column", "value"), [("attempts", 40), ("body_bytes", MAX_REMOVED_BYTES // 2)])
async def test_attempts_and_bytes_count_in_a_purge(
    database: Database, events: SqlEventStore, arrival, column: str, value: int
):
    """Given events that are large, or were tried often, When they are purged, Then fewer go at once, one at least."""
    for number in range(5):
        await database.write(lambda tx, n=number: events.log(tx, arrival(str(n), NOW - DAY), Status.SUCCEEDED))
    await database.write(lambda tx: connection_of(tx).exec_driver_sql(f"UPDATE webhook_events SET {column} = {value}"))

    assert [await database.write(lambda tx: events.purge(tx, NOW, 100)) for _ in range(4)] == [2, 2, 1, 0]
    await database.write(lambda tx: events.log(tx, arrival("large", NOW - DAY), Status.SUCCEEDED))
    assert await database.write(lambda tx: events.purge(tx, NOW, 1)) == 1


async def test_an_event_that_gets_a_job_while_it_is_purged_stays(
    database: Database, events: SqlEventStore, arrival, monkeypatch: pytest.MonkeyPatch
):
    """Given a clean-up that has chosen events, When one of them gets a job first, Then that one stays."""
    taken_up, gone = [
        await database.write(lambda tx, key=key: events.log(tx, arrival(key, NOW - DAY), Status.FAILED))
        for key in ("taken-up", "gone")
    ]
    choose = queries.finished_before

    def chosen_and_taken_up(connection, before: int, limit: int):
        chosen = choose(connection, before, limit)
        SqlJobs().put(as_transaction(connection), NewJob("default", JOB_KIND, taken_up, "stripe", NOW))
        return chosen

    monkeypatch.setattr(queries, "finished_before", chosen_and_taken_up)
    assert await database.write(lambda tx: events.purge(tx, NOW, 100)) == 1

    assert set(await database.read(lambda tx: events.load(tx, [taken_up, gone]))) == {taken_up}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_what_is_delivered_or_replayed_while_it_is_purged_is_kept_or_said_to_be_gone(
    database: Database, events: SqlEventStore, arrival, monkeypatch: pytest.MonkeyPatch
):
    """Given a delivery that has found its event there, When that is deleted for its age in this moment, Then what was
    accepted is kept anew, and who would replay the other event finds it gone.
    """
    for key in ("delivered", "replayed"):
        kept = await database.write(lambda tx, key=key: events.log(tx, arrival(key, NOW - DAY), Status.FAILED))
    found, deleted, settle = threading.Event(), threading.Event(), inbound_accept._settle_postgresql

    def settle_after_it_was_deleted(driver, row):
        found.set()
        assert deleted.wait(30)
        return settle(driver, row)

    async def hold() -> set[str]:
        return await database.write(lambda tx: events.hold(tx, [kept]))

    def purge_while_others_come(tx: Transaction) -> Future[set[str]]:
        assert found.wait(30)
        assert events.purge(tx, NOW, 100) == 2
        deleted.set()
        holding = asyncio.run_coroutine_threadsafe(hold(), loop)
        wait([holding], timeout=0.2)  # both are to wait for the commit, which is what comes next
        return holding

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(inbound_accept, "_settle_postgresql", settle_after_it_was_deleted)
    delivery = asyncio.ensure_future(events.accept(arrival("delivered", NOW)))
    holding = await database.write(purge_while_others_come)

    accepted = await delivery
    assert (await database.read(lambda tx: events.load(tx, [accepted]))).keys() == {accepted}
    assert await asyncio.wrap_future(holding) == set()
    assert await backlog(database) == 1


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (EventFilter(), "ix_webhook_events_tenant_id_received_at_id"),
        (EventFilter(since=1, until=NOW), "ix_webhook_events_tenant_id_received_at_id"),
        (EventFilter(source="stripe", since=1), "ix_webhook_events_tenant_id_source_received_at_id"),
        (EventFilter(status=Status.DEAD), "ix_webhook_events_unfinished"),
        (EventFilter(status=Status.FAILED, since=1), "ix_webhook_events_unfinished"),
        (EventFilter(any_id="f" * 32), "ix_webhook_events_tenant_id_trace_id"),
        (EventFilter(trace_id="f" * 32), "ix_webhook_events_tenant_id_trace_id"),
        (EventFilter(event_id="evt_1"), "ix_webhook_events_tenant_id_event_id"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_every_list_goes_along_an_index(database: Database, wanted: EventFilter, index: str):
    query = events_query("default", wanted).limit(51)
    text = str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))

    plan = await database.read(lambda tx: connection_of(tx).exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all())

    steps = [row[3] for row in plan]
    assert any(index in step for step in steps), steps
    assert not any(step.startswith("SCAN") for step in steps), steps
    if (
        wanted.trace_id is None and wanted.event_id is None and wanted.any_id is None
    ):  # those find a handful, which may be sorted
        assert not any("TEMP B-TREE" in step for step in steps), steps


async def conclude(
    database: Database, events: SqlEventStore, event_id: str, status: Status, *, progress, error
) -> None:
    await database.write(
        lambda tx: events.conclude(
            tx,
            [
                Ending(
                    event_id=event_id,
                    status=status,
                    progress=progress,
                    at=NOW,
                    processing_us=5,
                    next_retry_at=None,
                    error=error,
                )
            ],
        )
    )
