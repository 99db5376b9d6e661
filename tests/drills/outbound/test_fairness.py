"""A tenant whose endpoints hang, beside tenants whose endpoints answer.

The full count: ``CUSTODES_DRILL_ROUNDS=5 pytest -s -m drill tests/drills/outbound``.
"""

import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from tests.counts import FULL, rounds
from tests.drills.inbound.load import tell
from tests.drills.outbound.measuring import at_pace, lateness, p99, receivers, sending

from custodes import Custodes
from custodes.kernel.clock import SECOND
from custodes.planes.outbound.model import DeliveryStatus, Options, RetryPolicy
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.planes.outbound.rules import MIN_RATE

#: Rounds of the comparison.
ROUNDS = rounds(1)

#: Events a second of the tenant that hangs and of the healthy ones together; how long a stretch is, seconds.
NOISY_PACE, GOOD_PACE, SECONDS = (400, 60, 15) if FULL else (100, 20, 1)

#: Between a stretch whose events waited and the next, seconds.
SETTLE_SECONDS = 2.0 if FULL else 0.0

#: Deadline of the endpoints that hang, microseconds.
HANGS_FOR = 30 * SECOND

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
        async with asyncio.timeout(60):
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


@asynccontextmanager
async def noise(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The app of the noisy tenant: a process that emits and does not deliver; see ``noise.py``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("noise.py")),
        url,
        str(NOISY_PACE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            await process.stdout.readline()
        yield process
    finally:
        process.kill()
        await process.wait()


@pytest.mark.drill
@pytest.mark.timeout(120 + 120 * ROUNDS)
async def test_what_hangs_is_not_felt_by_others(tmp_path: Path) -> None:
    """Given a tenant for whom another process emits without a pause, when its endpoint hangs until its deadline instead
    of being paused or not being due, then the events of healthy tenants come as fast as before.

    All these stretches take in the same events. While the endpoint is paused they are held; while it has had what its
    rate allows they wait as those of the one that hangs do, and nobody hangs. One without the noise is only told. Each
    round has them in another order, so that none is always the one after the same.
    """
    url = f"sqlite:///{tmp_path}/noise.db"
    names = ("alone", "beside a paused one", "beside one whose events wait", "beside one that hangs")
    found: dict[str, list[float]] = {name: [] for name in names}
    async with receivers() as base, sending(url) as custodes:
        for number in range(3):
            await custodes.outbound.create_endpoint(f"{base}/good/{number}", tenant=f"good{number}")
        retry = RetryPolicy(timeout=HANGS_FOR)
        noisy = await custodes.outbound.create_endpoint(f"{base}/silent/0", tenant="noisy", retry=retry)
        waits = await custodes.outbound.create_endpoint(
            f"{base}/good/3", tenant="noisy", retry=retry, options=Options(rate=MIN_RATE)
        )
        for made in (noisy, waits):
            await custodes.outbound.pause_endpoint(made.endpoint.id)

        async def good(number: int) -> None:
            await custodes.outbound.emit("x", {"sent": time.time()}, tenant=f"good{number % 3}")

        async def stretch(name: str) -> None:
            count = await at_pace(GOOD_PACE, SECONDS, good)
            found[name].append(p99(await lateness(custodes, base, count)))

        await stretch("alone")  # all healthy endpoints have proven themselves
        found["alone"].clear()
        async with noise(url) as process:

            async def tell_noise(word: str) -> None:
                process.stdin.write(f"{word}\n".encode())
                await process.stdin.drain()
                await asyncio.sleep(0.5)

            stretches = [(names[1], None), (names[2], waits), (names[3], noisy)]
            for number in range(ROUNDS):
                await stretch("alone")
                await tell_noise("on")
                turn = number % len(stretches)
                for name, made in (*stretches[turn:], *stretches[:turn]):
                    if made is None:
                        await stretch(name)
                        continue
                    await custodes.outbound.resume_endpoint(made.endpoint.id, recover=False)
                    await stretch(name)
                    await custodes.outbound.pause_endpoint(made.endpoint.id)
                    # Its thousands of deliveries are held now: what that leaves to be written is not of the next.
                    await asyncio.sleep(SETTLE_SECONDS)
                await tell_noise("off")
        emitted = await custodes.outbound.list_deliveries(DeliveryFilter(tenant="noisy"), limit=1)
        assert emitted.items

    medians = {name: statistics.median(values) for name, values in found.items()}
    tell(
        f"p99 of healthy tenants, {NOISY_PACE}/s of another beside them, median of {ROUNDS}: "
        + ", ".join(f"{value * 1_000:.1f} ms {name}" for name, value in medians.items())
    )
    if FULL:
        assert medians[names[3]] <= medians[names[2]] * 1.1
