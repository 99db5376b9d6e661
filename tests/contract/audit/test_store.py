"""What the trail promises on every engine."""

import asyncio
import sqlite3
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.contract.audit.conftest import START

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, SECOND
from custodes.planes.audit.model import (
    AuditEntry,
    Change,
    Context,
    Kind,
    Outcome,
    Reference,
    Review,
    ReviewState,
    RiskReason,
)
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.audit.reviews import STEPS
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.tables.audit import audit_logs

#: Behind a pooler in transaction mode, too.
pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql", "pgbouncer"], indirect=True)


async def listed(database: Database, store: SqlAuditStore, **filters: object) -> list[AuditEntry]:
    query = AuditQuery(**filters)  # type: ignore[arg-type]
    return list((await database.read(lambda tx: store.page(tx, query))).items)


async def test_an_entry_reads_back_as_it_was_written(database: Database, store: SqlAuditStore, make):
    entry = make(
        kind=Kind.ADMIN,
        outcome=Outcome.DENIED,
        actor=Reference("user", "ä:1", "Änn"),
        impersonator=Reference("user", "2", "Bob"),
        effective=Reference("service", "billing"),
        targets=(Reference("invoice", "7", "March"), Reference("invoice", "8"), Reference("invoice", "8")),
        changes=(Change("a.b", None, {"x": [1, 2.5, None, "\u0000ü"]}), Change("c", True, "[redacted]")),
        context=Context("2001:db8::1", "Firefox", "s-1", "r-1", "4bf92f35", "mfa", {"plan": "pro"}),
        reason="because\nof",
        observer="api",
        labels={"ticket": "OPS-1"},
        idempotency_key="k-1",
        risk_score=72,
        risk_reasons=(RiskReason("action", 72, "Base risk"),),
        flagged=True,
        review=Review(ReviewState.OPEN),
    )

    assert await store.append(entry) == entry.id

    found = await database.read(lambda tx: store.find(tx, "acme", entry.id))
    assert found == replace(entry, sequence=1, flag_id=entry.id, occurrences=1, last_at=entry.recorded_at)


async def test_both_ways_in_write_the_same(database: Database, store: SqlAuditStore, make):
    one, other = make(1, labels={"b": "2", "a": "1"}), make(2, labels={"b": "2", "a": "1"})

    await store.append(one)
    await database.write(lambda tx: store.add(tx, [other]))

    first, second = reversed(await listed(database, store))
    assert replace(first, id="", recorded_at=0, time=0, sequence=0) == replace(
        second, id="", recorded_at=0, time=0, sequence=0
    )
    assert (first.sequence, second.sequence) == (1, 2)


async def test_a_repetition_is_not_written_again_and_names_the_first(database: Database, store: SqlAuditStore, make):
    first = make(1, idempotency_key="k")

    ids = await asyncio.gather(*(store.append(make(place, idempotency_key="k")) for place in range(5)))
    again = await database.write(lambda tx: store.add(tx, [first, make(9, idempotency_key="k"), make(10)]))

    assert len({*ids, again[0], again[1]}) == 1
    assert len(await listed(database, store)) == 2


async def test_the_same_key_in_another_tenant_is_another_event(database: Database, store: SqlAuditStore, make):
    await store.append(make(1, idempotency_key="k"))
    await store.append(make(2, idempotency_key="k", tenant="other"))

    assert len(await listed(database, store)) == 2


async def test_the_sequence_has_no_gap_whatever_is_repeated_or_rolled_back(
    database: Database, store: SqlAuditStore, make
):
    async def failing(place: int) -> None:
        def work(tx):
            store.add(tx, [make(place)])
            raise InvalidInput("no")

        with pytest.raises(InvalidInput):
            await database.write(work)

    # Given many at once: fresh ones, repetitions, and some that roll back
    await asyncio.gather(
        *(store.append(make(place, idempotency_key=f"k{place % 7}")) for place in range(40)),
        *(store.append(make(100 + place)) for place in range(40)),
        *(failing(200 + place) for place in range(20)),
        *(database.write(lambda tx, place=place: store.add(tx, [make(300 + place)])) for place in range(20)),
    )

    sequences = sorted(entry.sequence for entry in await listed(database, store, limit=500))
    assert sequences == list(range(1, 68))


async def test_sequence_numbers_are_not_used_again_after_a_purge(database: Database, store: SqlAuditStore, make):
    for place in range(3):
        await store.append(make(place))
    await database.write(lambda tx: store.purge(tx, START + DAY, 10))

    await store.append(make(9))

    assert [entry.sequence for entry in await listed(database, store)] == [4]


async def test_every_filter_selects_exactly_what_it_says(database: Database, store: SqlAuditStore, make):
    entries = {
        "plain": make(1),
        "actor": make(2, actor=Reference("user", "77")),
        "action": make(3, action="webhook.replayed", category="webhook"),
        "target": make(4, targets=(Reference("invoice", "1"), Reference("invoice", "9"))),
        "denied": make(5, outcome=Outcome.DENIED),
        "admin": make(6, kind=Kind.ADMIN),
        "origin": make(7, context=Context(ip="203.0.113.9", trace_id="abc")),
        "flagged": make(8, risk_score=80, flagged=True, review=Review(ReviewState.OPEN)),
        "closed": make(9, risk_score=61, flagged=True, review=Review(ReviewState.BENIGN)),
        "text": make(10, reason="Left the Company 100%_sure", labels={"ticket": "OPS-9"}),
        "other": make(11, tenant="other"),
    }
    names = {entry.id: name for name, entry in entries.items()}
    await asyncio.gather(*(store.append(entry) for entry in entries.values()))

    async def found(**filters: object) -> list[str]:
        return [names[entry.id] for entry in await listed(database, store, **filters)]

    everything = list(reversed(entries))
    for scope in ({}, {"tenant": "acme"}):
        assert await found(actor="user:77", **scope) == ["actor"]
        assert await found(actor="user:7*", **scope) == ["actor"]
        assert await found(action="webhook.*", **scope) == ["action"]
        assert await found(action="*.replayed", **scope) == ["action"]
        assert await found(action="webhook.replayed", **scope) == ["action"]
        assert await found(category="webhook", **scope) == ["action"]
        assert await found(target="invoice:9", **scope) == ["target"]
        assert await found(target="invoice:2", **scope) == []
        assert await found(outcome="denied", **scope) == ["denied"]
        assert await found(kind=Kind.ADMIN, **scope) == ["admin"]
        assert await found(ip="203.0.113.9", **scope) == ["origin"]
        assert await found(trace_id="abc", **scope) == ["origin"]
        assert await found(flagged=True, **scope) == ["closed", "flagged"]
        assert await found(review_state=ReviewState.OPEN, **scope) == ["flagged"]
        assert await found(min_risk=61, **scope) == ["closed", "flagged"]
        assert await found(min_risk=62, **scope) == ["flagged"]
        assert await found(text="company 100%_", **scope) == ["text"]
        assert await found(text="100%_Sure", **scope) == ["text"]
        assert await found(text="100_%", **scope) == []
        assert await found(text="ops-9", **scope) == ["text"]
        assert await found(since=START + 9 * SECOND, until=START + 10 * SECOND, **scope) == ["closed"]
    assert await found() == everything
    assert await found(tenant="acme") == everything[1:]
    assert await found(tenant="nobody") == []
    assert await found(flagged=False, tenant="acme", min_risk=1) == []


async def test_pages_join_without_gap_or_repetition_while_entries_arrive(
    database: Database, store: SqlAuditStore, make
):
    # Given entries of which several share a moment
    for place in range(25):
        await store.append(make(place // 3))
    seen: list[str] = []
    query = AuditQuery(tenant="acme", limit=4)

    while True:
        page = await database.read(lambda tx, query=query: store.page(tx, query))
        seen += [entry.id for entry in page.items]
        await store.append(make(1_000))
        if page.next_cursor is None:
            break
        query = query.paged(4, page.next_cursor)

    assert len(seen) == len(set(seen)) == 25
    assert seen == sorted(seen, reverse=True)


async def test_a_strange_cursor_is_refused(database: Database, store: SqlAuditStore):
    with pytest.raises(InvalidInput, match="cursor"):
        await listed(database, store, cursor="zzz")


async def test_a_review_changes_and_what_was_recorded_stays(database: Database, store: SqlAuditStore, make):
    entry = make(flagged=True, review=Review(ReviewState.OPEN))
    await store.append(entry)
    review = Review(ReviewState.TRUE_POSITIVE, "ann", "was him", "user:1", 7)

    assert await database.write(lambda tx: store.set_review(tx, entry.id, review, before=ReviewState.OPEN))

    found = await database.read(lambda tx: store.find(tx, None, entry.id))
    assert found.review == review
    assert replace(found, review=entry.review) == replace(
        entry, sequence=1, flag_id=entry.id, occurrences=1, last_at=entry.recorded_at
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_logs SET reason = 'nothing happened'",
        "UPDATE audit_logs SET actor = 'user:2', review_state = 'open', reviewed_by = 'user:1', reviewed_at = 1",
        "UPDATE audit_logs SET risk_score = 0",
        "DELETE FROM audit_logs",
    ],
)
async def test_the_store_itself_refuses_to_change_or_delete_what_was_recorded(
    database: Database, store: SqlAuditStore, make, statement: str
):
    await store.append(make())

    with pytest.raises((DBAPIError, sqlite3.DatabaseError), match="append-only"):
        await database.write(lambda tx: connection_of(tx).exec_driver_sql(statement))

    assert len(await listed(database, store)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_targets",
        "UPDATE audit_targets SET target = 'order:2'",
        "UPDATE audit_targets SET tenant_id = 'globex'",
    ],
)
async def test_the_store_itself_refuses_to_hide_an_entry_from_those_who_look_for_its_target(
    database: Database, store: SqlAuditStore, make, statement: str
):
    await store.append(make(targets=(Reference("order", "1"),)))
    targets = text("SELECT tenant_id, target, entry_id FROM audit_targets")
    before = await database.read(lambda tx: connection_of(tx).execute(targets).all())

    with pytest.raises((DBAPIError, sqlite3.DatabaseError), match="append-only"):
        await database.write(lambda tx: connection_of(tx).exec_driver_sql(statement))

    assert len(before) == 1
    assert await database.read(lambda tx: connection_of(tx).execute(targets).all()) == before


@pytest.mark.parametrize("same", ["seq", "id", "idempotency_key"])
async def test_the_store_itself_refuses_to_put_an_entry_in_the_place_of_another(
    database: Database, store: SqlAuditStore, make, same: str
):
    """Given an entry, When plain SQL puts in one with the same place, id or idempotency key, Then the first stays."""
    await store.append(make(idempotency_key="once"))
    recorded = await listed(database, store)
    forged = {"seq": "77", "id": "'another'", "idempotency_key": "'twice'", "actor": "'nobody'"} | {same: same}
    columns = [column.name for column in audit_logs.columns]
    values = ", ".join(forged.get(column, column) for column in columns)
    entry = f"INTO audit_logs ({', '.join(columns)}) SELECT {values} FROM audit_logs WHERE true"
    unique = "tenant_id, idempotency_key) WHERE (idempotency_key IS NOT NULL" if same == "idempotency_key" else same
    ways = [f"INSERT {entry} ON CONFLICT ({unique}) DO UPDATE SET actor = excluded.actor"]
    if await database.read(lambda tx: connection_of(tx).dialect.name) == "sqlite":
        ways += [f"INSERT OR REPLACE {entry}", f"REPLACE {entry}"]

    for way in ways:
        with pytest.raises((DBAPIError, sqlite3.DatabaseError), match="append-only"):
            await database.write(lambda tx, way=way: connection_of(tx).exec_driver_sql(way))

    assert await listed(database, store) == recorded


async def test_the_store_itself_refuses_a_review_that_does_not_go_step_by_step(
    database: Database, store: SqlAuditStore, make
):
    """Given reviews, When plain SQL decides one without a name and a moment, or decides it anew, Then it is refused."""
    named = "reviewed_by = 'user:1', reviewed_at = 5"
    refused = {
        "open": [
            "review_state = NULL",
            f"review_state = 'fine', {named}",
            "review_state = 'benign'",
            "review_state = 'benign', reviewed_by = '', reviewed_at = 5",
            "review_state = 'benign', reviewed_by = 'user:1'",
        ],
        "benign": [
            f"review_state = 'true_positive', {named}",
            f"review_state = 'acknowledged', {named}",
            f"review_note = 'never looked at', {named}",
            "reviewed_by = 'user:2'",
        ],
        "none": [f"review_state = 'benign', {named}", "review_note = 'put there'"],
    }
    kept = {
        "open": make(1, flagged=True, flag_key="k1", review=Review(ReviewState.OPEN)),
        "benign": make(2, flagged=True, flag_key="k2", review=Review(ReviewState.BENIGN, by="user:9", at=4)),
        "none": make(3),
    }
    for entry in kept.values():
        await store.append(entry)
    before = await listed(database, store)

    for state, changes in refused.items():
        for change in changes:
            statement = f"UPDATE audit_logs SET {change} WHERE id = '{kept[state].id}'"
            with pytest.raises((DBAPIError, sqlite3.DatabaseError), match="a review goes on step by step"):
                await database.write(lambda tx, s=statement: connection_of(tx).exec_driver_sql(s))

    assert await listed(database, store) == before


async def test_the_store_itself_lets_a_review_take_every_step_that_there_is(
    database: Database, store: SqlAuditStore, make
):
    for number, (before, possible) in enumerate(STEPS.items()):
        for place, state in enumerate(sorted(possible)):
            given = {"flagged": True, "review": Review(before)} if before else {}
            entry = make(100 * number + place, flag_key=f"k{number}.{place}", **given)
            await store.append(entry)
            after = Review(state, "user:2", "seen", "user:1", 7)
            assert await database.write(lambda tx, i=entry.id, a=after, b=before: store.set_review(tx, i, a, before=b))
            found = await database.read(lambda tx, i=entry.id: store.find(tx, None, i))
            assert found.review == after
            # Somebody who has read the state before comes too late
            if before is not state:
                late = Review(ReviewState.OPEN, "", "", "user:3", 8)
                assert not await database.write(
                    lambda tx, i=entry.id, a=late, b=before: store.set_review(tx, i, a, before=b)
                )


async def test_an_unreviewed_entry_cannot_be_deleted_even_in_a_purge_window(
    database: Database, store: SqlAuditStore, make
):
    await store.append(make(flagged=True, review=Review(ReviewState.OPEN)))

    def purge_by_hand(tx):
        connection_of(tx).exec_driver_sql(f"INSERT INTO audit_purge_window VALUES ('acme', {START + DAY})")
        connection_of(tx).exec_driver_sql("DELETE FROM audit_logs")

    with pytest.raises((DBAPIError, sqlite3.DatabaseError), match="append-only"):
        await database.write(purge_by_hand)


async def test_purging_takes_the_oldest_first_and_leaves_what_waits_for_a_review(
    database: Database, store: SqlAuditStore, make
):
    kept = {state: make(place, flagged=True, review=Review(state)) for place, state in enumerate(ReviewState)}
    plain = [make(10 + place, targets=(Reference("invoice", str(place)),)) for place in range(5)]
    young = make(100)
    for entry in [*kept.values(), *plain, young]:
        await store.append(entry)
    before = START + 50 * SECOND

    assert await database.read(lambda tx: store.count_purgeable(tx, before)) == 8
    removed = [await database.write(lambda tx: store.purge(tx, before, 3)) for _ in range(7)]

    assert removed == [3, 1, 1, 1, 1, 1, 0]  # each with its target is two rows
    left = {entry.id for entry in await listed(database, store)}
    assert left == {young.id, kept[ReviewState.OPEN].id, kept[ReviewState.ACKNOWLEDGED].id}
    assert await database.read(lambda tx: store.count_purgeable(tx, before)) == 0
    # and the index of targets and the window are empty again
    for table in ("audit_targets", "audit_purge_window"):
        count = await database.read(
            lambda tx, table=table: connection_of(tx).exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
        )
        assert count == 0


async def test_the_past_is_that_of_the_actor_and_of_the_address_in_the_tenant(
    database: Database, store: SqlAuditStore, make
):
    here, there = Context(ip="1.1.1.1", user_agent="Firefox"), Context(ip="2.2.2.2")
    await store.append(make(1, context=here, outcome=Outcome.FAILURE))
    await store.append(make(2, context=there))
    await store.append(make(3, context=here, outcome=Outcome.FAILURE, actor=Reference("user", "2")))
    await store.append(make(4, context=here, outcome=Outcome.FAILURE, tenant="other"))

    past = await database.read(lambda tx: store.past(tx, "acme", "user:1", "1.1.1.1"))

    assert list(past.actor.addresses) == ["1.1.1.1", "2.2.2.2"]
    assert list(past.actor.devices) == ["Firefox"]
    assert list(past.actor.failures) == [START + SECOND]
    assert list(past.address.failures) == [(START + SECOND, "user:1"), (START + 3 * SECOND, "user:2")]


async def test_what_waits_for_a_review_is_counted_with_its_age(database: Database, store: SqlAuditStore, make):
    assert await database.read(store.unreviewed) == (0, 0)
    for place, state in enumerate(ReviewState):
        await store.append(make(place, flagged=True, review=Review(state)))

    assert await database.read(store.unreviewed) == (2, START)


async def test_targets_count_in_a_purge(database: Database, store: SqlAuditStore, make):
    """Given entries of many targets, When they are purged, Then fewer go at once, one at least."""
    for place in range(5):
        await store.append(make(place, targets=tuple(Reference("row", str(number)) for number in range(40))))

    purged = [await database.write(lambda tx: store.purge(tx, START + DAY, 100)) for _ in range(4)]
    assert purged == [2, 2, 1, 0]
