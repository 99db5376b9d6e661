"""Nothing gets stuck between transactions that do not see each other; what is stuck is found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.sql import text
from tests.integration.outbound.conftest import ENGINES, Receiver

from custodes import Custodes
from custodes.errors import Conflict
from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.planes.outbound import mender
from custodes.planes.outbound.forwarding import Forward
from custodes.planes.outbound.model import Delivery, DeliveryStatus, Options
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.storage.sql.database import connection_of
from custodes.testing.clock import FakeClock

ORDERED = Options(ordered=True)


@pytest.fixture
async def host(database_url: str) -> AsyncIterator[AsyncConnection]:
    """The host's own connection to the same database, in a transaction."""
    engine = create_async_engine(database_url)
    async with engine.connect() as connection:
        await connection.begin()
        yield connection
    await engine.dispose()


async def deliveries(custodes: Custodes) -> list[Delivery]:
    """All, oldest first."""
    return [*(await custodes.outbound.list_deliveries(DeliveryFilter())).items][::-1]


async def statuses(custodes: Custodes) -> list[str]:
    return [delivery.status.value for delivery in await deliveries(custodes)]


async def until(met: Callable[[list[str]], bool], custodes: Custodes) -> None:
    """Wait for what is done as soon as the host has committed."""
    async with asyncio.timeout(60):
        while not met(await statuses(custodes)):
            await asyncio.sleep(0.01)


async def execute(custodes: Custodes, statement: str, **values: Any) -> None:
    await custodes.database.write(lambda tx: connection_of(tx).execute(text(statement), values))


@pytest.mark.parametrize("engine", ["postgresql"])
class TestTheHostsOwnTransaction:
    """It ends when the host likes, and what is emitted in it is not seen before."""

    async def test_nobody_waits_for_it_and_what_it_put_into_a_line_is_sent(
        self, custodes: Custodes, host: AsyncConnection, receiver: Receiver
    ) -> None:
        """Given a delivery on its way and another emitted behind it in a transaction that stays open, When others of
        the line are emitted and delivered meanwhile, Then that one is sent as soon as it is committed."""
        await custodes.outbound.create_endpoint(receiver.url, options=ORDERED)
        await custodes.outbound.emit("x", {"n": 1}, order_key="k")
        await custodes.outbound.emit("x", {"n": 2}, order_key="k", connection=host)
        async with asyncio.timeout(60):
            await asyncio.gather(*(custodes.outbound.emit("x", {"n": n}, order_key="k") for n in range(3, 9)))
            while await custodes.outbound.worker.run_due():
                pass
        assert await statuses(custodes) == ["succeeded"] * 7

        await host.commit()
        await until(lambda found: sorted(found) == ["pending", *["succeeded"] * 7], custodes)
        await custodes.outbound.worker.run_due()
        assert await statuses(custodes) == ["succeeded"] * 8

    async def test_what_it_emits_while_an_endpoint_is_resumed_is_sent(
        self, custodes: Custodes, host: AsyncConnection, receiver: Receiver
    ) -> None:
        made = await custodes.outbound.create_endpoint(receiver.url)
        await custodes.outbound.pause_endpoint(made.endpoint.id)
        await custodes.outbound.emit("x", {}, connection=host)
        await custodes.outbound.resume_endpoint(made.endpoint.id)

        await host.commit()
        await until(lambda found: found == ["pending"], custodes)

    async def test_what_it_emits_while_an_endpoint_is_resumed_without_what_it_missed_stays_held(
        self, custodes: Custodes, host: AsyncConnection, receiver: Receiver, clock: FakeClock
    ) -> None:
        made = await custodes.outbound.create_endpoint(receiver.url)
        await custodes.outbound.pause_endpoint(made.endpoint.id)
        await custodes.outbound.emit("x", {}, connection=host)
        clock.advance(SECOND)
        await custodes.outbound.resume_endpoint(made.endpoint.id, recover=False)

        await host.commit()
        await until(lambda found: found == ["held"], custodes)
        assert await custodes.outbound.mend() == 0
        assert await statuses(custodes) == ["held"]


@pytest.mark.parametrize("engine", ENGINES)
class TestWhatIsStuck:
    """However it came to be."""

    async def test_the_leader_has_it_go_on(
        self, custodes: Custodes, receiver: Receiver, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Given a line that waits for nobody, a pending delivery without a job, and more that an enabled endpoint holds
        than are sent in one transaction, When all are looked at, Then all are sent, the line in its order."""
        monkeypatch.setattr(mender, "RELEASE_BATCH", 2)
        await custodes.outbound.create_endpoint(receiver.url, options=ORDERED)
        for number in range(3):
            await custodes.outbound.emit("x", {"n": number}, order_key="k")
        for _ in range(6):
            await custodes.outbound.emit("x", {})
        await execute(custodes, "UPDATE webhook_deliveries SET status = 'waiting' WHERE order_key = 'k'")
        await execute(custodes, "DELETE FROM custodes_jobs")
        held = [one.id for one in await deliveries(custodes) if not one.order_key][:5]
        for delivery_id in held:
            await execute(custodes, "UPDATE webhook_deliveries SET status = 'held' WHERE id = :id", id=delivery_id)
        await custodes.outbound.worker.run_due()
        assert receiver.got == []

        assert await custodes.scheduler.run_now("outbound.mend")

        assert sorted(await statuses(custodes)) == ["pending"] * 7 + ["waiting"] * 2
        assert await custodes.outbound.mend() == 0
        while await custodes.outbound.worker.run_due():
            pass
        assert await statuses(custodes) == ["succeeded"] * 9
        numbers = [json.loads(got.body)["data"].get("n") for got in receiver.got]
        assert [number for number in numbers if number is not None] == [0, 1, 2]

    async def test_what_waits_for_an_endpoint_that_is_stopped_is_held(
        self, custodes: Custodes, receiver: Receiver, clock: FakeClock
    ) -> None:
        made = await custodes.outbound.create_endpoint(receiver.url, options=ORDERED)
        for number in range(2):
            clock.advance(SECOND)
            await custodes.outbound.emit("x", {"n": number}, order_key="k")
        await custodes.outbound.pause_endpoint(made.endpoint.id)
        await execute(custodes, "UPDATE webhook_deliveries SET status = 'waiting'")

        assert await custodes.outbound.mend() == 2

        assert await statuses(custodes) == ["held"] * 2
        await custodes.outbound.resume_endpoint(made.endpoint.id)
        assert await statuses(custodes) == ["pending", "waiting"]

    async def test_a_pause_that_is_over_when_its_delivery_is_held_does_not_hold_it(
        self, custodes: Custodes, receiver: Receiver, clock: FakeClock
    ) -> None:
        """Given a job leased while its endpoint was paused, When that is resumed before the delivery is held, Then it
        is sent."""
        made = await custodes.outbound.create_endpoint(receiver.url)
        await custodes.outbound.emit("x", {})
        worker: Any = custodes.outbound.worker
        await execute(custodes, "UPDATE webhook_configurations SET state = 'paused'")
        leases = await custodes.database.write(lambda tx: worker._take(tx, clock.now(), clock.now(), 16, []))
        [lease] = leases
        done = await worker._doer.do(lease)

        await custodes.outbound.resume_endpoint(made.endpoint.id)
        assert await worker._settle([(lease, done)]) == [True]

        assert await statuses(custodes) == ["pending"]
        await custodes.outbound.worker.run_due()
        assert await statuses(custodes) == ["succeeded"]

    async def test_resending_does_something_or_says_that_it_cannot(
        self, custodes: Custodes, receiver: Receiver, clock: FakeClock
    ) -> None:
        """Given a delivery that is being sent, one that waits behind it, and one whose job is lost, When each is sent
        again, Then the first two are refused in words, and the third is sent, as is a line that stood still."""
        await custodes.outbound.create_endpoint(receiver.url, options=ORDERED)
        answering, answered = asyncio.Event(), asyncio.Event()

        async def answer(_receiver: Receiver, _request: web.Request) -> web.Response:
            answering.set()
            await answered.wait()
            return web.Response(status=500)

        receiver.answer = answer
        for number in range(2):
            clock.advance(SECOND)
            await custodes.outbound.emit("x", {"n": number}, order_key="k")
        first, second = await deliveries(custodes)
        sending = asyncio.create_task(custodes.outbound.worker.run_due())
        await answering.wait()
        with pytest.raises(Conflict, match="being sent just now"):
            await custodes.outbound.resend(first.id)
        with pytest.raises(Conflict, match="waits for its turn"):
            await custodes.outbound.resend(second.id)
        answered.set()
        await sending
        receiver.answer = None

        await execute(custodes, "DELETE FROM custodes_jobs")
        clock.advance(HOUR)
        assert (await custodes.outbound.resend(first.id)).status is DeliveryStatus.PENDING
        await custodes.outbound.worker.run_due()
        assert await statuses(custodes) == ["succeeded", "succeeded"]

        clock.advance(SECOND)
        await custodes.outbound.emit("x", {"n": 2}, order_key="k")
        await execute(custodes, "UPDATE webhook_deliveries SET status = 'waiting' WHERE status = 'pending'")
        await execute(custodes, "DELETE FROM custodes_jobs")
        [*_, third] = await deliveries(custodes)
        assert (await custodes.outbound.resend(third.id)).status is DeliveryStatus.PENDING
        await custodes.outbound.worker.run_due()
        assert await statuses(custodes) == ["succeeded"] * 3


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_a_removed_forwarding_held_is_not_sent_to_where_the_next_leads(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
):
    """Given a forwarding removed while it held something; when its source is forwarded elsewhere, that stays."""
    keep_endpoint = custodes.outbound._forwarder.keep_endpoint
    endpoint = await keep_endpoint("stripe", receiver.url, "default")
    forward = Forward(
        tenant="default", source="stripe", event_id="evt_1", event_type="paid", body=b"{}", headers=(), trace_id=""
    )
    await custodes.outbound._forwarder.forward(forward)
    await custodes.outbound.pause_endpoint(endpoint.id)
    await custodes.outbound.delete_endpoint(endpoint.id)
    clock.advance(20 * DAY)

    await keep_endpoint("stripe", f"{receiver.url}/other", "default")
    await custodes.outbound.mend()
    await custodes.outbound.worker.run_due()

    assert (await statuses(custodes), receiver.got) == (["held"], [])
