"""What the registry of endpoints promises on every engine."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from custodes.kernel.clock import DAY, SECOND
from custodes.kernel.ids import uuid7
from custodes.planes.outbound.model import (
    Endpoint,
    EndpointHealth,
    EndpointState,
    RetryPolicy,
    SealedSecret,
    SecretKind,
)
from custodes.planes.outbound.ports import Counts
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import postgresql_work
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.outbound import SqlEndpointStore
from custodes.storage.sql.sqlite import SqliteDatabase

AT = 1_790_000_000 * SECOND
store = SqlEndpointStore()


@pytest.fixture
def make(random_bits):
    def endpoint(seconds: int = 0, **fields: object) -> Endpoint:
        at = AT + seconds * SECOND
        given: dict[str, object] = {
            "id": uuid7(at, random_bits), "tenant": "acme", "url": "https://example.com/", "description": "ö",
            "event_types": ("order.*", "a"), "retry": RetryPolicy((SECOND, 2 * SECOND)), "created_at": at,
            "updated_at": at,
        }  # fmt: skip
        return Endpoint(**(given | fields))  # type: ignore[arg-type]

    return endpoint


async def test_an_endpoint_reads_back_as_it_was_put(database: Database, make):
    endpoint = make()
    await database.write(lambda tx: store.put(tx, endpoint))

    assert await database.read(lambda tx: store.find(tx, "acme", endpoint.id)) == endpoint
    assert await database.read(lambda tx: store.find(tx, None, endpoint.id)) == endpoint
    assert await database.read(lambda tx: store.find(tx, "other", endpoint.id)) is None


async def test_how_an_endpoint_is_doing_reads_back_as_it_was_put(database: Database, make):
    endpoint, health = make(), EndpointHealth(9, AT, AT + DAY, 70, AT + SECOND, open_for=DAY)
    await database.write(lambda tx: store.put_healths(tx, [(endpoint, health)]))
    assert await database.read(lambda tx: store.health(tx, [endpoint.id])) == {endpoint.id: health}


async def test_what_a_rate_allows_never_comes_nearer(database: Database, make):
    """Given an endpoint whose pace was counted after its health was read, when that is written, then the pace stays."""
    endpoint = make()

    async def put(health: EndpointHealth) -> EndpointHealth | None:
        await database.write(lambda tx: store.put_healths(tx, [(endpoint, health)]))
        return (await database.read(lambda tx: store.health(tx, [endpoint.id]))).get(endpoint.id)

    assert await put(EndpointHealth(paced_until=9)) == EndpointHealth(paced_until=9)
    assert await put(EndpointHealth(failures=2, paced_until=5)) == EndpointHealth(failures=2, paced_until=9)
    assert await put(EndpointHealth(failures=3, paced_until=12)) == EndpointHealth(failures=3, paced_until=12)
    assert await put(EndpointHealth()) is None

    # Given that its row is held, then what is written is what holds
    await put(EndpointHealth(paced_until=12))
    await database.write(lambda tx: store.put_health(tx, "acme", endpoint.id, EndpointHealth(paced_until=5)))
    found = await database.read(lambda tx: store.health(tx, [endpoint.id]))
    assert found == {endpoint.id: EndpointHealth(paced_until=5)}


async def test_one_process_at_a_time_counts_what_a_rate_allows(database: Database, make):
    """Given a process that holds the health of an endpoint, then another gets the others, waits for nobody, and gets
    this one when the first has ended."""
    held, free = make(), make(1)
    await database.write(lambda tx: store.hold_health(tx, [held]))
    got, end = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> dict[str, EndpointHealth]:
        found = store.hold_health(tx, [held])
        got.set()
        end.wait(30)
        return found

    if isinstance(database, SqliteDatabase):  # one writer at a time
        end.set()
    first = asyncio.create_task(database.write(hold))
    await asyncio.to_thread(got.wait, 30)
    second = await database.write(lambda tx: store.hold_health(tx, [held, free]))
    assert (held.id in second, free.id in second) == (end.is_set(), True)
    end.set()
    assert await first == {held.id: EndpointHealth()}
    assert set(await database.write(lambda tx: store.hold_health(tx, [held, free]))) == {held.id, free.id}


async def test_how_an_endpoint_is_doing_is_changed_by_one_process_after_the_other(database: Database, make):
    """Given two processes that count failures of the same endpoints, of which nothing is known yet, When each has read
    before the other has written, if it can, Then no failure is lost, and neither was rolled back."""
    endpoints = [make(place) for place in range(3)]
    reading = threading.Barrier(2)

    def count(some: list[Endpoint]) -> Callable[[Transaction], None]:
        def work(tx: Transaction) -> None:
            before = store.take_health(tx, some)
            with suppress(threading.BrokenBarrierError):  # the other has not read, as it should be
                reading.wait(0.2)
            assert before.keys() == {one.id for one in some}
            after = [(one, replace(before[one.id], failures=before[one.id].failures + 1)) for one in some]
            store.put_healths(tx, after)

        return work

    await asyncio.gather(*(database.write(count(some)) for some in (endpoints, endpoints[:0:-1])))

    found = await database.read(lambda tx: store.health(tx, [one.id for one in endpoints]))
    assert [found[one.id].failures for one in endpoints] == [1, 2, 2]


async def test_an_endpoint_that_turns_out_to_be_well_is_not_remembered(database: Database, make):
    endpoint = make()

    def judge(tx: Transaction) -> None:
        store.put_healths(tx, [(endpoint, store.take_health(tx, [endpoint])[endpoint.id])])

    await database.write(judge)

    assert await database.read(lambda tx: store.health(tx, [endpoint.id])) == {}
    assert await database.write(lambda tx: store.take_health(tx, [])) == {}


async def test_what_a_person_changes_leaves_the_counters_alone(database: Database, make):
    # Given an endpoint that deliveries were counted on since it was read
    endpoint = make()
    await database.write(lambda tx: store.put(tx, endpoint))
    await database.write(
        lambda tx: connection_of(tx).exec_driver_sql("UPDATE webhook_configurations SET success_count = 7")
    )

    changed = replace(endpoint, state=EndpointState.PAUSED, state_reason="noisy", success_count=0)
    await database.write(lambda tx: store.put(tx, changed))

    found = await database.read(lambda tx: store.find(tx, "acme", endpoint.id))
    assert found == replace(changed, success_count=7)


async def test_those_that_sources_are_forwarded_to_are_read_of_all_tenants(database: Database, make):
    of_source, other = make(source="stripe"), make(1, source="github", tenant="other")
    for endpoint in (make(2), of_source, other, make(3, source="gone", deleted_at=AT)):
        await database.write(lambda tx, endpoint=endpoint: store.put(tx, endpoint))

    assert await database.read(store.of_sources) == [of_source, other]


async def test_deleted_endpoints_are_found_by_no_read(database: Database, make):
    endpoint = make()
    await database.write(lambda tx: store.put(tx, endpoint))
    await database.write(lambda tx: store.put(tx, replace(endpoint, deleted_at=AT)))

    assert await database.read(lambda tx: store.find(tx, "acme", endpoint.id)) is None
    assert (await database.read(lambda tx: store.page(tx, "acme", None, 10, ""))).items == []
    assert await database.read(lambda tx: store.count(tx, "acme")) == 0


async def test_pages_are_newest_first_by_tenant_and_state(database: Database, make):
    endpoints = [make(place, state=EndpointState.PAUSED if place % 2 else EndpointState.ENABLED) for place in range(5)]
    for endpoint in [*endpoints, make(9, tenant="other")]:
        await database.write(lambda tx, endpoint=endpoint: store.put(tx, endpoint))

    first = await database.read(lambda tx: store.page(tx, "acme", None, 3, ""))
    rest = await database.read(lambda tx: store.page(tx, "acme", None, 3, first.next_cursor or ""))
    paused = await database.read(lambda tx: store.page(tx, None, EndpointState.PAUSED, 10, ""))

    assert [*first.items, *rest.items] == endpoints[::-1]
    assert rest.next_cursor is None
    assert list(paused.items) == [endpoints[3], endpoints[1]]


async def test_secrets_come_newest_first_end_and_go(database: Database, make):
    endpoint, other = make(0), make(1)
    secrets = [
        SealedSecret(
            id=f"{place:036d}", tenant="acme", endpoint_id=endpoint.id, key_id="aa", sealed=bytes([0, place]),
            created_at=AT,
        )
        for place in range(3)
    ]  # fmt: skip
    foreign = replace(secrets[0], id="9" * 36, endpoint_id=other.id, key_id="bb")
    for secret in [*secrets, foreign]:
        await database.write(lambda tx, secret=secret: store.put_secret(tx, secret))

    assert await database.read(lambda tx: store.secrets(tx, endpoint)) == secrets[::-1]
    samples = await database.read(store.key_samples)
    assert sorted(sample.key_id for sample in samples) == ["aa", "bb"]

    await database.write(lambda tx: store.retire_secrets(tx, endpoint, SecretKind.V1, AT + DAY))
    await database.write(lambda tx: store.retire_secrets(tx, endpoint, SecretKind.V1, AT + 2 * DAY))
    assert {one.expires_at for one in await database.read(lambda tx: store.secrets(tx, endpoint))} == {AT + DAY}

    await database.write(lambda tx: store.remove_secrets(tx, endpoint, expired_before=AT + DAY))
    assert len(await database.read(lambda tx: store.secrets(tx, endpoint))) == 3
    await database.write(lambda tx: store.remove_secrets(tx, endpoint, expired_before=AT + DAY + 1))
    assert await database.read(lambda tx: store.secrets(tx, endpoint)) == []
    assert await database.read(lambda tx: store.secrets(tx, other)) == [foreign]


@pytest.mark.parametrize(
    ("tenant", "index"), [("acme", "ix_webhook_configurations_living"), (None, "ix_webhook_configurations_id")]
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_lists_are_read_in_the_order_of_an_index(database: Database, tenant: str | None, index: str):
    from sqlalchemy import event

    plans: list[str] = []

    def explain(tx):
        connection = connection_of(tx)

        def note(_connection, cursor, statement, parameters, _context, _many):
            if statement.startswith("SELECT"):
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append("; ".join(row[3] for row in cursor.fetchall()))

        event.listen(connection, "before_cursor_execute", note)
        store.page(tx, tenant, None, 10, "")

    await database.read(explain)

    assert index in plans[0]
    assert "TEMP B-TREE" not in plans[0]


async def test_an_emit_reads_one_row_a_tenant_on_sqlite_however_many_endpoints_there_are(sqlite_url: str, make):
    """``sqlite3`` hands the interpreter lock back at each row: beside a busy loop each may take 5 ms."""
    from custodes.storage.sql.sqlite import SqliteDatabase

    database, rows = SqliteDatabase(sqlite_url), list[object]()
    await database.open()
    made = [make(place, tenant=f"t{place % 2}", url=f"https://example.com/{place}") for place in range(40)]

    def put(tx):
        for endpoint in made:
            store.put(tx, endpoint)
        connection_of(tx).connection.driver_connection.row_factory = lambda _cursor, row: rows.append(row) or row
        return store.of_tenants(tx, ["t0", "t1", "nobody"])

    found = await database.write(put)
    assert sorted(found, key=lambda endpoint: endpoint.id) == sorted(made, key=lambda endpoint: endpoint.id)
    assert len(rows) == 2
    await database.close()


async def test_what_is_changed_is_read_as_it_is_now_and_the_deleted_not_at_all(database: Database, make):
    first, second = make(0), make(1)
    for endpoint in (first, second):
        await database.write(lambda tx, endpoint=endpoint: store.put(tx, endpoint))
    assert len(await database.write(lambda tx: store.of_tenants(tx, ["acme"]))) == 2

    # At the same moment, in place: nothing but what it says tells it from before
    changed = replace(first, event_types=("a.*", "ü\u0000", '"quoted"'), description='a "b" \\ ü 💡')
    await database.write(lambda tx: store.put(tx, changed))
    await database.write(lambda tx: store.put(tx, replace(second, deleted_at=AT)))

    assert await database.write(lambda tx: store.of_tenants(tx, ["acme"])) == [changed]
    assert await database.write(lambda tx: store.of_tenants(tx, [])) == []


async def test_counters_are_added_up_and_keep_the_latest_moment(database: Database, make):
    endpoints = [make(place) for place in range(3)]
    statements: list[str] = []
    for endpoint in endpoints:
        await database.write(lambda tx, endpoint=endpoint: store.put(tx, endpoint))

    def add(tx, counts) -> int:
        from sqlalchemy import event

        event.listen(connection_of(tx), "before_cursor_execute", lambda *given: statements.append(given[2]))
        store.add_counts(tx, counts)
        return len(statements)

    one, two = endpoints[0].id, endpoints[1].id
    counts = {one: Counts(2, AT + 5, 1, AT), two: Counts(1, AT, 0, 0)}
    assert await database.write(lambda tx: add(tx, counts)) == 1
    await database.write(lambda tx: store.add_counts(tx, {one: Counts(1, AT + 4, 1, AT + 9)}))
    await database.write(lambda tx: store.add_counts(tx, {}))

    first, second, third = [await database.read(lambda tx, e=e: store.find(tx, None, e.id)) for e in endpoints]
    assert (first.success_count, first.last_success_at, first.failure_count, first.last_failure_at) == (
        3, AT + 5, 2, AT + 9,
    )  # fmt: skip
    assert (second.success_count, second.last_success_at, second.failure_count) == (1, AT, 0)
    assert third == endpoints[2]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_processes_that_count_for_the_same_endpoints_never_wait_for_each_other_in_a_circle(
    database: Database, make, monkeypatch: pytest.MonkeyPatch
):
    """Given updates that take a while, When two processes count in opposite orders, Then neither is rolled back."""
    monkeypatch.setattr(postgresql_work, "RETRIES", 0)
    ids = [make(place).id for place in range(2)]
    for place in range(2):
        await database.write(lambda tx, place=place: store.put(tx, make(place, id=ids[place])))
    slow = (
        (
            "CREATE FUNCTION takes_a_while() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$"
        ),
        "CREATE TRIGGER slow BEFORE UPDATE ON webhook_configurations FOR EACH ROW EXECUTE FUNCTION takes_a_while()",
    )
    await database.write(lambda tx: [connection_of(tx).exec_driver_sql(statement) for statement in slow])

    def count(order: list[str]) -> Callable[[Transaction], None]:
        def work(tx: Transaction) -> None:
            for way in ("hashjoin", "mergejoin", "seqscan"):  # as it goes through a table of thousands
                connection_of(tx).exec_driver_sql(f"SET LOCAL enable_{way} = off")
            store.add_counts(tx, dict.fromkeys(order, Counts(1, AT, 0, 0)))

        return work

    await asyncio.gather(*(database.write(count(order)) for order in (ids, ids[::-1])))

    found = [await database.read(lambda tx, one=one: store.find(tx, None, one)) for one in ids]
    assert [endpoint.success_count for endpoint in found] == [2, 2]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_counters_are_found_by_an_index(database: Database, make):
    plans: list[str] = []

    def explain(tx):
        from sqlalchemy import event

        connection = connection_of(tx)

        def note(_connection, cursor, statement, parameters, _context, _many):
            if statement.startswith("UPDATE"):
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append("; ".join(row[3] for row in cursor.fetchall()))

        event.listen(connection, "before_cursor_execute", note)
        store.add_counts(tx, {str(number): Counts(1, 1, 1, 1) for number in range(50)})

    await database.write(explain)
    assert "ix_webhook_configurations_id" in plans[0]


async def test_counting_is_by_tenant(database: Database, make):
    await asyncio.gather(
        *(
            database.write(lambda tx, place=place: store.put(tx, make(place, tenant=f"t{place % 2}")))
            for place in range(5)
        )
    )

    assert await database.read(lambda tx: store.count(tx, "t0")) == 3
