"""A tenant whose endpoints hang, beside tenants whose endpoints answer."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web

from custodes import Custodes
from custodes.kernel.clock import SECOND
from custodes.planes.outbound.model import DeliveryStatus, RetryPolicy
from custodes.planes.outbound.ports import DeliveryFilter

#: Endpoints of the tenant that hangs, more than there are places; events for each of them and for each healthy tenant.
HUNG, NOISE, GOOD = 40, 10, 60
PLACES = 16


@pytest.mark.drill
async def test_who_hangs_costs_a_place_each_and_a_quarter_of_them_at_most(tmp_path: Path) -> None:
    """Given forty endpoints of one tenant that never answer, and a backlog for them, when events for three healthy
    tenants come, then all of these arrive while the others hang, no hung endpoint has two requests, and all of them
    together hold a quarter of the places at most."""
    under_way: Counter[str] = Counter()
    worst: Counter[str] = Counter()
    arrived: list[float] = []

    async def hang(request: web.Request) -> web.Response:
        name = request.path
        under_way[name] += 1
        worst[name] = max(worst[name], under_way[name])
        worst["all"] = max(worst["all"], under_way.total())
        try:
            await asyncio.sleep(60)
        finally:
            under_way[name] -= 1
        return web.Response()

    async def take(_request: web.Request) -> web.Response:
        arrived.append(time.monotonic())
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hang/{n}", hang)
    app.router.add_post("/good/{n}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    custodes = Custodes(
        f"sqlite:///{tmp_path}/fair.db",
        outbound_allow_http=True,
        outgoing_allow_networks="127.0.0.0/8",
        outbound_concurrency=PLACES,
    )
    await custodes.start()
    try:
        # A deadline that outlives the test: what hangs, hangs to its end.
        retry = RetryPolicy(timeout=60 * SECOND)
        for number in range(HUNG):
            await custodes.outbound.create_endpoint(f"{base}/hang/{number}", tenant="noisy", retry=retry)
        for number in range(3):
            await custodes.outbound.create_endpoint(f"{base}/good/{number}", tenant=f"good{number}")
        await asyncio.gather(*(custodes.outbound.emit("x", {}, tenant="noisy") for _ in range(NOISE)))
        await asyncio.gather(*(custodes.outbound.emit("x", {}, tenant=f"good{n % 3}") for n in range(GOOD * 3)))
        async with asyncio.timeout(30):
            while len(arrived) < GOOD * 3:
                await asyncio.sleep(0.02)
        assert under_way.total() > 0
        assert max(count for name, count in worst.items() if name != "all") == 1
        assert worst["all"] <= PLACES // 4
        held = DeliveryFilter(tenant="noisy", statuses=(DeliveryStatus.PENDING,))
        left = await custodes.outbound.list_deliveries(held, limit=1)
        assert left.items
    finally:
        await custodes.outbound.worker.stop(drain_seconds=0)
        await custodes.stop()
        await runner.cleanup()
