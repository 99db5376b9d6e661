"""What is past its time goes a bounded piece at a time, on every engine."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from custodes.kernel.clock import DAY, SECOND
from custodes.kernel.ids import uuid7
from custodes.planes.outbound.model import Attempt, Delivery, DeliveryStatus, Endpoint, EndpointState, Message
from custodes.planes.outbound.ports import DeliveryFilter, Old
from custodes.runtime.outgoing.timing import Timing
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import delivery_retention
from custodes.storage.sql.bulk import MAX_REMOVED_BYTES, insert_rows
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.deliveries import SqlDeliveryStore
from custodes.storage.sql.delivery_rows import attempt_row
from custodes.storage.sql.outbound import SqlEndpointStore
from custodes.storage.sql.tables import outbound as tables

AT = 1_790_000_000 * SECOND
TABLES = (
    tables.webhook_messages, tables.webhook_message_bodies, tables.webhook_deliveries, tables.webhook_delivery_attempts,
)  # fmt: skip
endpoints, store = SqlEndpointStore(), SqlDeliveryStore()
Put = Callable[..., Awaitable[str]]


@pytest.fixture
def put(database: Database, random_bits) -> Put:
    """Put a message in with deliveries, each with attempts; returns its id."""
    made = iter(range(1_000))

    async def one(
        deliveries: int = 1,
        attempts: int = 1,
        *,
        status: DeliveryStatus = DeliveryStatus.SUCCEEDED,
        at: int = AT,
        body: bytes = b"{}",
    ) -> str:
        at += next(made) * SECOND
        message = Message(id=uuid7(at, random_bits), tenant="acme", event_type="a", created_at=at)
        sent = [
            Delivery(
                id=uuid7(at, random_bits), tenant="acme", message_id=message.id, endpoint_id=f"e{number}",
                event_type="a", status=status, created_at=at, attempts=attempts,
            )
            for number in range(deliveries)
        ]  # fmt: skip
        tried = [
            Attempt(
                tenant="acme", delivery_id=each.id, number=number + 1, endpoint_id=each.endpoint_id, started_at=at,
                url="https://example.com/", succeeded=True, status=204, error="", excerpt="", timing=Timing(),
                headers=(), answer_headers=(),
            )
            for each in sent
            for number in range(attempts)
        ]  # fmt: skip

        def work(tx: Transaction) -> None:
            store.add(tx, [message], [(message, "", body)], sent)
            if tried:
                insert_rows(connection_of(tx), tables.webhook_delivery_attempts, [attempt_row(each) for each in tried])

        await database.write(work)
        return message.id

    return one


async def rows(database: Database) -> list[int]:
    def count(tx: Transaction) -> list[int]:
        return [connection_of(tx).execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES]

    return await database.read(count)


async def purged(database: Database, before: int, limit: int) -> list[tuple[int, int]]:
    """Purge until all has been looked at; returns of each piece the messages and the rows that went."""
    pieces: list[tuple[int, int]] = []
    upto: str | None = ""
    while upto is not None:
        old: Old = await database.read(lambda tx, after=upto: store.old(tx, before, limit, after))
        there = sum(await rows(database))
        messages = await database.write(lambda tx, old=old: store.purge(tx, old))
        if old.messages or old.deliveries:
            pieces.append((messages, there - sum(await rows(database))))
        upto = old.upto
    return pieces


async def test_deliveries_attempts_and_bodies_count_too(database: Database, put: Put):
    """Given messages of several deliveries and attempts, and one of more than goes at once, When all are removed, Then
    no transaction removes more than it may, and nothing is left."""
    for deliveries, attempts in ((2, 1), (2, 1), (10, 2), (1, 0), (0, 0)):
        await put(deliveries, attempts)

    assert await database.read(lambda tx: store.count_purgeable(tx, AT + DAY)) == 5
    pieces = await purged(database, AT + DAY, 15)

    assert sum(messages for messages, _ in pieces) == 5
    assert max(size for _, size in pieces) <= 15
    assert await rows(database) == [0, 0, 0, 0]


async def test_a_delivery_goes_with_all_its_attempts_however_many(database: Database, put: Put):
    await put(2, 30)

    assert await purged(database, AT + DAY, 10) == [(0, 31), (0, 31), (1, 2)]


async def test_no_more_bytes_go_at_once_than_may(database: Database, put: Put):
    for size in (MAX_REMOVED_BYTES // 2, MAX_REMOVED_BYTES // 2, 1, MAX_REMOVED_BYTES + 1):
        await put(body=b"x" * size)

    assert [messages for messages, _ in await purged(database, AT + DAY, 1_000)] == [2, 1, 1]


async def test_what_is_young_or_is_to_be_sent_stays_and_is_passed_over(
    database: Database, put: Put, monkeypatch: pytest.MonkeyPatch
):
    """Given more of a paused endpoint than is looked at at once, When the old ones go, Then those behind it go, too."""
    monkeypatch.setattr(delivery_retention, "_LOOK", 5)
    paused = Endpoint(
        id="e0", tenant="acme", url="https://example.com/", description="", event_types=("*",), created_at=AT,
        updated_at=AT, state=EndpointState.PAUSED,
    )  # fmt: skip
    await database.write(lambda tx: endpoints.put(tx, paused))
    kept = [await put(status=status) for status in (DeliveryStatus.HELD, DeliveryStatus.PENDING) for _ in range(6)]
    gone = await put()
    young = await put(at=AT + DAY)

    assert await database.read(lambda tx: store.count_purgeable(tx, AT + DAY)) == 1
    assert await purged(database, AT + DAY, 5) == [(1, 4)]

    left = await database.read(lambda tx: store.messages(tx, None, None, 100, ""))
    assert {message.id for message in left.items} == {*kept, young} - {gone}


async def test_what_is_sent_again_since_it_was_chosen_stays(database: Database, put: Put):
    again, gone = await put(2), await put(2)
    old = await database.read(lambda tx: store.old(tx, AT + DAY, 100, ""))
    assert old.messages == (again, gone)
    one = DeliveryFilter(message_id=again)
    await database.write(lambda tx: store.again(tx, one, AT, 1, ""))

    assert await database.write(lambda tx: store.purge(tx, old)) == 1

    assert await rows(database) == [1, 1, 2, 2]
    of: Any = await database.read(lambda tx: store.find(tx, DeliveryFilter(), 10, ""))
    assert {delivery.message_id for delivery in of.items} == {again}
