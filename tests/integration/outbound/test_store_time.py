"""Hosts whose clocks differ, on one PostgreSQL."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from tests.integration.outbound.conftest import Receiver, opened

from custodes import Custodes
from custodes.cli.doctor import examine
from custodes.errors import Conflict
from custodes.kernel.clock import HOUR, MINUTE, SECOND
from custodes.kernel.health import Health
from custodes.runtime.system_clock import SystemClock
from custodes.storage.sql.outbound import SqlEndpointStore
from custodes.testing import signed_webhook
from custodes.testing.clock import FakeClock


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url.replace("postgresql:", "postgresql+psycopg:")


async def receive(custodes: Custodes) -> None:
    signed = signed_webhook("stripe", {"id": "evt_1", "type": "invoice.paid"}, "whsec_test", now=custodes.clock.now())
    source = custodes.inbound.source("stripe")
    await custodes.inbound.receive(source, signed.request, trace_id="", client_ip="203.0.113.9")


@pytest.mark.parametrize("ahead", [-MINUTE, MINUTE])
async def test_a_host_whose_clock_is_wrong_takes_nothing_that_another_is_at(
    url: str,
    clock: FakeClock,
    receiver: Receiver,
    ahead: int,
) -> None:
    """Given a webhook being handled and a delivery under way at one host, When a host whose clock is a minute ahead, or
    behind, looks for work, Then it finds none until the leases have ended."""
    wrong = FakeClock(clock.now() + ahead)
    runs: list[str] = []
    handling, sending, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with opened(url, clock) as right, opened(url, wrong) as other:
        for name, host in (("right", right), ("other", other)):
            await host.store_time.measure()
            host.source("stripe", ["whsec_test"])

            @host.webhook("stripe")
            async def handle(_event: Any, name: str = name) -> None:
                runs.append(name)
                handling.set()
                await done.wait()

        async def answer(_receiver: Receiver, _request: web.Request) -> web.Response:
            sending.set()
            await done.wait()
            return web.Response(status=204)

        receiver.answer = answer
        await right.outbound.create_endpoint(receiver.url, event_types=["order.*"])
        await right.outbound.emit("order.paid", {})
        await receive(right)
        assert [await right.inbound.worker.claim(), await right.outbound.worker.claim()] == [1, 1]
        async with asyncio.timeout(60):  # one that has not begun when its lease is lost never does
            await handling.wait()
            await sending.wait()
        for _ in range(3):
            assert [await other.inbound.worker.claim(), await other.outbound.worker.claim()] == [0, 0]
            for each in (clock, wrong):
                each.advance(8 * SECOND)
            await right.inbound.worker.renew()
            await right.outbound.worker.renew()
        for each in (clock, wrong):
            each.advance(MINUTE)  # nobody renews any more
        assert [await other.inbound.worker.claim(), await other.outbound.worker.claim()] == [1, 1]
        done.set()
        for host in (right, other):
            await host.inbound.worker.run_due()
            await host.outbound.worker.run_due()
        assert runs == ["right", "other"]


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
async def test_what_a_host_whose_clock_is_wrong_does_again_is_done_at_once_and_not_twice(
    url: str, clock: FakeClock, receiver: Receiver, ahead: int
) -> None:
    """Given a host whose clock is an hour ahead, or behind, When a delivery that is under way elsewhere is to be sent
    again by it, Then it says so; what has ended, or waits for its next attempt, is due for the others at once."""
    wrong = FakeClock(clock.now() + ahead)
    async with opened(url, clock) as right, opened(url, wrong) as other:
        for host in (right, other):
            host.source("stripe", ["whsec_test"])
            await host.store_time.measure()
        behind = other.store_time.now() - clock.now()  # the right one is the database's
        clock.advance(behind)
        wrong.advance(behind)
        for host in (other, right):
            await host.store_time.measure()
        clock.advance(SECOND)
        handled, refusals = list[str](), list[str]()

        @right.webhook("stripe")
        async def handle(event: Any) -> None:
            handled.append(event.id)

        async def look(_receiver: Receiver, _request: web.Request) -> web.Response:
            [delivery] = (await other.outbound.list_deliveries()).items
            with suppress(Conflict):
                await other.outbound.resend(delivery.id)
                return web.Response(status=500)
            refusals.append(delivery.id)
            return web.Response(status=500)

        receiver.answer = look
        await right.outbound.create_endpoint(receiver.url, event_types=["order.*"])
        await right.outbound.emit("order.paid", {})
        assert await right.outbound.worker.run_due() == 1
        [delivery] = (await right.outbound.list_deliveries()).items
        assert (delivery.status, delivery.attempts, refusals) == ("pending", 1, [delivery.id])

        receiver.answer = None
        await other.outbound.resend(delivery.id)
        assert await right.outbound.worker.run_due() == 1
        await other.outbound.resend(delivery.id)
        assert await right.outbound.worker.run_due() == 1
        assert len(receiver.got) == 3

        await receive(right)
        assert await right.inbound.worker.run_due() == 1
        await other.inbound.replay_event(handled[0])
        assert await right.inbound.worker.run_due() == 1
        assert len(handled) == 2


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
async def test_a_breaker_goes_by_the_clock_of_the_store(
    url: str, clock: FakeClock, receiver: Receiver, ahead: int
) -> None:
    """Given a host whose clock is an hour ahead, or behind, When what it sends fails, Then the endpoint is left alone
    for as long as by any other, and people are told so."""
    wrong = FakeClock(clock.now() + ahead)
    receiver.status = 503
    async with opened(url, wrong) as host:
        await host.store_time.measure()
        endpoint = (await host.outbound.create_endpoint(receiver.url, event_types=["order.*"])).endpoint
        await host.outbound.emit("order.paid", {})
        assert await host.outbound.worker.run_due() == 1
        found = await host.database.read(lambda tx: SqlEndpointStore().health(tx, [endpoint.id]))
        assert abs(found[endpoint.id].open_until - host.store_time.now()) <= MINUTE

        assert await host.outbound.list_endpoint_healths([endpoint.id]) == found
        for told in (
            await host.outbound.examine_endpoint(endpoint.id),
            *await host.outbound.examine_endpoints([endpoint]),
        ):
            assert told.health == found[endpoint.id]
            assert re.match("The last attempt failed, [0-9]+ s ago", told.reasons[0])
            assert re.match("Nothing is sent for another ([0-9]+ s|1 min), then", told.reasons[1])


class Fast(SystemClock):
    """The clock of a host that is a minute ahead."""

    def now(self) -> int:
        return super().now() + MINUTE


async def test_a_clock_that_is_off_is_told_of(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a host whose clock is a minute ahead of the database's, When its health is asked for and the doctor looks,
    Then both say so; of a host whose clock is right they do not."""
    async with opened(url, Fast()) as wrong, opened(url) as right:
        for host in (wrong, right):
            await host.store_time.measure()
        told = {one.system: one for one in (await wrong.health.check(60)).systems}["storage"]
        well = {one.system: one for one in (await right.health.check(60)).systems}["storage"]
        # A busy machine is slow to write and to read, which is told as well, and is not what is tried.
        reasons = [[reason for reason in one.reasons if "clocks of this host" in reason] for one in (told, well)]
        assert (len(reasons[0]), reasons[1]) == (1, [])
        assert told.state is not Health.HEALTHY
        assert told.figures["clock_off_seconds"] == pytest.approx(60, abs=2)
        assert well.figures["clock_off_seconds"] == pytest.approx(0, abs=2)

    monkeypatch.setenv("CUSTODES_SECRET_KEY", "k" * 32)
    assert not [one for one in await examine(url) if one.area == "clock"]
    monkeypatch.setattr("custodes.foundation.SystemClock", Fast)
    [found] = [one for one in await examine(url) if one.area == "clock"]
    ahead = re.fullmatch(r"the clock of this host is ([\d.]+) s ahead of the database's", found.text)
    assert ahead is not None
    assert (found.verdict, float(ahead[1])) == ("warning", pytest.approx(60, abs=2))
