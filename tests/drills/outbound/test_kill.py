"""kill -9 of the sender at random moments: what was emitted arrives, repeats are few and carry the same id.

The full count: ``make drills ROUNDS=100``.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from sqlalchemy import Engine, create_engine, select, text
from tests.counts import rounds
from tests.drills.inbound.load import tell

from custodes.storage.sql.tables.jobs import jobs

#: Kills of the sender on each engine.
ROUNDS = {"sqlite": rounds(3), "postgresql": rounds(2)}
PLACES = 16
#: A round is killed at a random moment in this stretch after its first event, seconds.
EARLIEST, LATEST = 0.02, 0.4
#: Longest that what is left after the last kill may take to arrive, seconds.
SETTLES_WITHIN = 60


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/drill.db"
    return request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")


class Ledger:
    """What the receiver saw, outside of the sender."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = {}

    async def take(self, request: web.Request) -> web.Response:
        identifier = request.headers["webhook-id"]
        body = await request.read()
        self.seen[identifier] += 1
        self.bodies.setdefault(identifier, set()).add(body)
        # An answer on its way is the moment between send and record.
        await asyncio.sleep(random.random() * 0.01)
        return web.Response(status=204)


class Leases:
    """What each killed process had in its hands, as the store has it."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(url, isolation_level="AUTOCOMMIT")
        self.owners: set[str] = set()

    def of_the_killed(self) -> int:
        """Count the jobs that the process that has just been killed held."""
        with self.engine.connect() as connection:
            while self._alive(connection):
                time.sleep(0.01)  # what it had sent to the server before it was killed is being carried out
            held = Counter(connection.execute(select(jobs.c.lease_owner)).scalars())
        count = sum(count for owner, count in held.items() if owner and owner not in self.owners)
        self.owners |= {owner for owner in held if owner}
        return count

    def _alive(self, connection) -> bool:
        if connection.dialect.name == "sqlite":
            return False
        others = "datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return connection.execute(text(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")).scalar_one() > 0


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


@pytest.fixture
def leases(url: str) -> Iterator[Leases]:
    made = Leases(url)
    yield made
    made.engine.dispose()


@pytest.mark.drill
@pytest.mark.timeout(300 + 10 * ROUNDS["sqlite"])
async def test_every_event_arrives_and_repeats_are_few(url: str, leases: Leases) -> None:
    """Given a sender that is killed again and again, then every event that was emitted arrives, unchanged, and what
    arrives again is no more than the killed processes had in their hands."""
    random.seed(20261125)
    kills = ROUNDS["sqlite" if url.startswith("sqlite") else "postgresql"]
    ledger = Ledger()
    app = web.Application()
    app.router.add_post("/hooks", ledger.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environment = {
        **os.environ,
        "DRILL_URL": f"http://127.0.0.1:{runner.addresses[0][1]}/hooks",
        "DRILL_DATABASE": url,
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
    in_flight = list[int]()
    try:
        assert await drill.line() == "ready"
        for number in range(kills):
            await drill.begin(number)
            drill.note(await drill.line())
            await asyncio.sleep(random.uniform(EARLIEST, LATEST))
            await drill.kill()
            in_flight.append(await asyncio.to_thread(leases.of_the_killed))
        await drill.begin(-1)
        async with asyncio.timeout(SETTLES_WITHIN):
            while drill.emitted - set(ledger.seen):
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)  # a lease that is still held ends, and what it holds comes once more
        await drill.kill()
        in_flight.append(await asyncio.to_thread(leases.of_the_killed))
    finally:
        process.kill()
        await process.wait()
        await runner.cleanup()

    repeats = ledger.seen.total() - len(ledger.seen)
    tell(
        f"{kills} kills of the sender on {url.partition(':')[0]}: {len(drill.emitted)} emitted, "
        f"{len(drill.emitted - set(ledger.seen))} lost, {repeats} repeats of {sum(in_flight)} in flight at the kills, "
        f"{sum(len(bodies) > 1 for bodies in ledger.bodies.values())} altered"
    )
    assert len(drill.emitted) >= kills
    assert drill.emitted <= set(ledger.seen)
    assert all(len(bodies) == 1 for bodies in ledger.bodies.values())
    assert repeats <= sum(in_flight)
    assert max(in_flight) <= PLACES
