"""Whose turn it is in the lines of order keys, and what is stuck, on every engine."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from custodes.kernel.clock import SECOND
from custodes.kernel.ids import uuid7
from custodes.planes.outbound.model import JOB_KIND, Delivery, DeliveryStatus, Endpoint, EndpointState, Message
from custodes.planes.outbound.ports import DeliveryFilter, Stuck
from custodes.runtime.jobs import Claim, Lease
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.deliveries import SqlDeliveryStore
from custodes.storage.sql.jobs import SqlJobs
from custodes.storage.sql.outbound import SqlEndpointStore
from custodes.storage.sql.tables.jobs import jobs as job_rows
from custodes.storage.sql.tables.outbound import webhook_deliveries

AT = 1_790_000_000 * SECOND
PENDING, WAITING, HELD = DeliveryStatus.PENDING, DeliveryStatus.WAITING, DeliveryStatus.HELD
endpoints, store, jobs = SqlEndpointStore(), SqlDeliveryStore(), SqlJobs()


@pytest.fixture
async def endpoint(database: Database) -> Endpoint:
    made = Endpoint(
        id="e", tenant="acme", url="https://example.com/", description="", event_types=("*",), created_at=AT,
        updated_at=AT,
    )  # fmt: skip
    await database.write(lambda tx: endpoints.put(tx, made))
    return made


@pytest.fixture
def put(database: Database, endpoint: Endpoint, random_bits) -> Callable[..., Any]:
    """Put a delivery in as it is, pending ones with a job."""

    async def one(status: DeliveryStatus, position: int = 0, **fields: Any) -> Delivery:
        message = Message(id=uuid7(AT, random_bits), tenant="acme", event_type="a", created_at=AT)
        given: dict[str, Any] = {
            "id": uuid7(AT, random_bits), "tenant": "acme", "message_id": message.id, "endpoint_id": endpoint.id,
            "event_type": "a", "order_key": "k" if position else "", "position": position, "status": status,
            "created_at": AT,
        }  # fmt: skip
        delivery = Delivery(**(given | fields))

        def work(tx: Transaction) -> None:
            store.add(tx, [message], [(message, "", b"{}")], [delivery])

        await database.write(work)
        return delivery

    return one


async def stands(database: Database, *deliveries: Delivery) -> list[tuple[str, bool]]:
    """Tell where deliveries are, and whether they have a job."""

    def work(tx: Transaction) -> list[tuple[str, bool]]:
        refs = set(connection_of(tx).execute(job_rows.select().with_only_columns(job_rows.c.ref)).scalars())
        found = [store.get(tx, None, delivery.id) for delivery in deliveries]
        return [(one.status.value, one.id in refs) for one in found if one is not None]

    return await database.read(work)


async def lose_jobs(database: Database) -> None:
    await database.write(lambda tx: connection_of(tx).execute(job_rows.delete()))


async def claimed(database: Database, endpoint: Endpoint, most: int = 1) -> Sequence[Lease]:
    claim = Claim(now=AT, ended=AT, until=AT + SECOND, owner="o", busy=())
    return await database.write(lambda tx: jobs.claim(tx, JOB_KIND, {endpoint.lane: most}, claim))


def ends(delivery: Delivery) -> Callable[[Transaction], None]:
    """Have a delivery end, and who comes after it begin."""

    def work(tx: Transaction) -> None:
        jobs.finish(tx, [Lease("acme", JOB_KIND, delivery.id, "acme/e", 0, 0, 1)])
        store.move(tx, delivery, DeliveryStatus.SUCCEEDED)
        store.begin(tx, [delivery.line], AT)

    return work


async def test_the_oldest_begins_where_nobody_is_on_its_way(database: Database, put):
    """Given lines, one of them with a delivery on its way, When they are to begin, Then the oldest of each other does,
    once, with a job."""
    second, first = await put(WAITING, 2), await put(WAITING, 1)
    moving, behind = await put(PENDING, 1, order_key="m"), await put(WAITING, 2, order_key="m")
    lines = [first.line, moving.line, ("acme", "e", "empty"), first.line]

    assert await database.write(lambda tx: store.begin(tx, lines, AT)) == [first.id]
    assert await database.write(lambda tx: store.begin(tx, lines, AT)) == []
    assert await database.write(lambda tx: store.begin(tx, [], AT)) == []

    assert await stands(database, first, second, moving, behind) == [
        ("pending", True), ("waiting", False), ("pending", True), ("waiting", False),
    ]  # fmt: skip


async def test_who_is_put_behind_another_is_seen_by_whoever_ends_that_one(database: Database, endpoint: Endpoint, put):
    """Given a delivery on its way, When it ends while another is put behind it, each having looked before the other has
    written, if it can, Then the other begins."""
    first = await put(PENDING, 1)
    await claimed(database, endpoint)
    looked, ended = threading.Event(), threading.Event()
    behind = replace(first, id="behind", position=2, status=WAITING)

    def emit(tx: Transaction) -> None:
        store.take_turns(tx, [endpoint.id])
        assert store.in_line(tx, endpoint, ["k"])["k"].moving
        looked.set()
        ended.wait(0.3)  # it cannot, as it should be
        store.add(tx, [], [], [behind])

    emitting = asyncio.create_task(database.write(emit))
    await asyncio.to_thread(looked.wait, 30)
    await database.write(ends(first))
    ended.set()
    await emitting

    assert await stands(database, first, behind) == [("succeeded", False), ("pending", True)]


async def test_what_nobody_is_at_is_held_with_those_that_wait(database: Database, endpoint: Endpoint, put):
    """Given a delivery under way, one with a job and one that waits, When all is held, Then the first goes on."""
    under_way = await put(PENDING)
    await claimed(database, endpoint)
    free, waiting = await put(PENDING, 1), await put(WAITING, 2)

    assert await database.write(lambda tx: store.hold(tx, endpoint)) == 2
    assert await database.write(lambda tx: store.hold(tx, endpoint)) == 0

    assert await stands(database, under_way, free, waiting) == [("pending", True), ("held", False), ("held", False)]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_what_is_given_back_while_others_are_held_keeps_its_job(database: Database, endpoint: Endpoint, put):
    """Given a delivery under way, When it fails between two statements of the transaction that holds the others, Then
    it still has its job."""
    under_way, free = await put(PENDING), await put(PENDING)
    [lease] = await claimed(database, endpoint)
    under_way, free = (under_way, free) if lease.ref == under_way.id else (free, under_way)
    loop = asyncio.get_running_loop()

    def hold(tx: Transaction) -> None:
        failed: list[object] = []

        def between(*_given: object) -> None:
            if not failed:
                failed.append(lease)
                back = database.write(lambda other: jobs.again(other, [(lease, AT)]))
                asyncio.run_coroutine_threadsafe(back, loop).result(10)

        event.listen(connection_of(tx), "after_cursor_execute", between)
        store.hold(tx, endpoint)

    await database.write(hold)

    assert await stands(database, under_way, free) == [("pending", True), ("held", False)]


async def test_what_is_sent_again_lines_up_with_those_that_wait(database: Database, put):
    """Given a line in which all wait and one has failed, When that is sent again, Then the first in line begins."""
    failed, waiting = await put(DeliveryStatus.FAILED, 2), await put(WAITING, 1)
    free = await put(HELD)

    wanted = DeliveryFilter("acme", statuses=(DeliveryStatus.FAILED, HELD))
    assert await database.write(lambda tx: store.again(tx, wanted, AT, 10, "")) == sorted([failed.id, free.id])
    assert await database.write(lambda tx: store.again(tx, wanted, AT, 10, "")) == []

    assert await stands(database, failed, waiting, free) == [("waiting", False), ("pending", True), ("pending", True)]


async def test_jobs_are_put_in_for_what_is_pending_and_has_none(database: Database, put):
    lost, well, ended = await put(PENDING), await put(PENDING), await put(DeliveryStatus.FAILED)
    await database.write(lambda tx: connection_of(tx).execute(job_rows.delete().where(job_rows.c.ref == lost.id)))
    ids = [lost.id, well.id, ended.id, "nobody"]

    assert await database.write(lambda tx: store.put_jobs(tx, ids, AT)) == 1
    assert await database.write(lambda tx: store.put_jobs(tx, ids, AT)) == 0

    assert await stands(database, lost, well, ended) == [("pending", True), ("pending", True), ("failed", False)]


async def test_what_is_stuck_is_found_piece_by_piece_and_nothing_else(database: Database, endpoint: Endpoint, put):
    """Given deliveries that go on and others that do not, When all are looked at a few at a time, Then each of the
    latter is found once, with whether its endpoint is enabled."""
    paused = replace(endpoint, id="p", state=EndpointState.PAUSED)
    resumed = replace(endpoint, id="r", held_before=AT + 1)
    gone = replace(endpoint, id="g", deleted_at=AT)
    for one in (paused, resumed, gone):
        await database.write(lambda tx, one=one: endpoints.put(tx, one))
    lost = await put(PENDING)
    await lose_jobs(database)
    found = [
        Stuck(lost, enabled=True),
        Stuck(await put(HELD), enabled=True),
        Stuck(await put(WAITING, 2), enabled=True),
        Stuck(await put(WAITING, 3), enabled=True),
        Stuck(await put(HELD, endpoint_id="r", created_at=AT + 1), enabled=True),
        Stuck(await put(WAITING, 1, endpoint_id="p"), enabled=False),
    ]
    await put(PENDING)
    await put(PENDING, 1, order_key="m")
    await put(WAITING, 2, order_key="m")
    for endpoint_id in ("p", "r", "g"):
        await put(HELD, endpoint_id=endpoint_id)
    await put(DeliveryStatus.SUCCEEDED)

    for limit in (1, 3, 1_000):
        seen: list[Stuck] = []
        place, looks = None, 0
        while looks == 0 or place is not None:
            some, place = await database.read(lambda tx, place=place, limit=limit: store.stuck(tx, place, limit))
            seen += some
            looks += 1
        assert sorted(seen, key=lambda one: one.delivery.id) == sorted(found, key=lambda one: one.delivery.id)
        assert looks == 12 // limit + 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_lines_and_what_is_stuck_are_found_by_an_index(database: Database, endpoint: Endpoint, put):
    """However many have ended, which is nearly all."""
    waits = await put(WAITING, 1)
    plans: list[str] = []

    def explain(tx: Transaction) -> None:
        connection = connection_of(tx)

        def note(_connection, cursor, statement, parameters, _context, _many):
            if webhook_deliveries.name in statement and not statement.startswith("INSERT"):
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.extend(row[3] for row in cursor.fetchall())

        event.listen(connection, "before_cursor_execute", note)
        store.in_line(tx, endpoint, ["k", "l"])
        store.stuck(tx, None, 1)
        store.begin(tx, [waits.line], AT)
        store.hold(tx, endpoint)

    await database.write(explain)

    of_deliveries = [plan for plan in plans if "webhook_deliveries" in plan or " p " in f"{plan} "]
    assert len(of_deliveries) >= 6
    assert all("unended" in plan or "PRIMARY KEY" in plan or "autoindex" in plan for plan in of_deliveries), plans
