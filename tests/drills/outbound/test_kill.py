"""kill -9 of the sender at random moments: what was emitted arrives, repeats are few and carry the same id."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web

ROUNDS = int(os.environ.get("CUSTODES_DRILL_ROUNDS", "8"))
PLACES = 16
#: A round is killed at a random moment in this stretch after its first event, seconds.
EARLIEST, LATEST = 0.02, 0.4
#: Longest that what is left after the last kill may take to arrive, seconds.
SETTLES_WITHIN = 60


class Ledger:
    """What the receiver saw, outside of the sender."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = {}

    async def take(self, request: web.Request) -> web.Response:
        identifier = request.headers["webhook-id"]
        body = await request.read()
        self.bodies.setdefault(identifier, set()).add(body)
        # An answer on its way is the moment between send and record.
        await asyncio.sleep(random.random() * 0.01)
        self.seen[identifier] += 1
        return web.Response(status=204)


class Processes:
    """The sender's side of the drill."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.emitted: set[str] = set()
        self.pid = 0

    async def line(self) -> str:
        async with asyncio.timeout(60):
            return (await self.process.stdout.readline()).decode().strip()

    async def begin(self, number: int) -> None:
        self.process.stdin.write(f"{number}\n".encode())
        await self.process.stdin.drain()
        while not (line := await self.line()).startswith("pid "):
            self.note(line)
        self.pid = int(line.split()[1])

    async def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        while (line := await self.line()) != "dead":
            self.note(line)

    def note(self, line: str) -> None:
        if len(line) == 36:  # the last line of a killed process may be cut off
            self.emitted.add(line)


@pytest.mark.drill
@pytest.mark.timeout(600)
async def test_every_event_arrives_and_repeats_are_few(tmp_path: Path) -> None:
    """Given a sender that is killed again and again, then every event that was emitted arrives, unchanged,
    and no kill repeats more than was under way."""
    random.seed(20261125)
    ledger = Ledger()
    app = web.Application()
    app.router.add_post("/hooks", ledger.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environment = {
        **os.environ,
        "DRILL_URL": f"http://127.0.0.1:{runner.addresses[0][1]}/hooks",
        "DRILL_DATABASE": f"sqlite:///{tmp_path}/drill.db",
        "DRILL_PLACES": str(PLACES),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("sender.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    drill = Processes(process)
    try:
        assert await drill.line() == "ready"
        for number in range(ROUNDS):
            await drill.begin(number)
            drill.note(await drill.line())
            await asyncio.sleep(random.uniform(EARLIEST, LATEST))
            await drill.kill()
        await drill.begin(-1)
        async with asyncio.timeout(SETTLES_WITHIN):
            while drill.emitted - set(ledger.seen):
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)  # a lease that is still held ends, and what it holds comes once more
        await drill.kill()
    finally:
        process.kill()
        await process.wait()
        await runner.cleanup()

    repeats = sum(count - 1 for count in ledger.seen.values())
    sys.stdout.write(f"{ROUNDS} kills, {len(drill.emitted)} emitted, {len(ledger.seen)} arrived, {repeats} repeats\n")
    assert len(drill.emitted) >= ROUNDS
    assert drill.emitted <= set(ledger.seen)
    assert all(len(bodies) == 1 for bodies in ledger.bodies.values())
    assert repeats <= (ROUNDS + 1) * PLACES
