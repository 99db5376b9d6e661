"""An install that delivers to receivers on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from custodes import Custodes
from custodes.kernel.clock import Clock
from custodes.testing.clock import FakeClock

Answer = Callable[["Receiver", web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Got:
    """One request that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server that remembers what it got; answers with its status, or as told."""

    url: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)
    answer: Answer | None = None
    #: Set when something has arrived.
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append(Got(request.path, headers, await request.read()))
        self.arrived.set()
        if self.answer is not None:
            return await self.answer(self, request)
        return web.Response(status=self.status, headers=self.headers, text="thanks" if self.status == 200 else None)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


#: What lets an install reach receivers on loopback.
LOOPBACK = {"outbound_allow_http": True, "outgoing_allow_networks": "127.0.0.0/8"}


@pytest.fixture
def engine() -> str:
    """SQLite, unless a test asks for both engines: ``pytest.mark.parametrize("engine", ENGINES)``."""
    return "sqlite"


#: What a test that runs on both asks for.
ENGINES = ("sqlite", "postgresql")


@pytest.fixture
def database_url(engine: str, request: pytest.FixtureRequest) -> str:
    if engine == "sqlite":
        return request.getfixturevalue("sqlite_url")
    return request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")


@asynccontextmanager
async def opened(database_url: str, clock: Clock | None = None) -> AsyncIterator[Custodes]:
    """An install, opened, with nothing running: deliver with ``custodes.outbound.worker.run_due()``."""
    key = {} if database_url.startswith("sqlite") else {"secret_key": "k" * 32}
    made = Custodes(database_url, clock=clock, **LOOPBACK, **key)
    await made.open()
    try:
        yield made
    finally:
        await made.outgoing.close()
        await made.close()


@pytest.fixture
async def custodes(database_url: str, clock: FakeClock) -> AsyncIterator[Custodes]:
    """An install whose clock stands still."""
    async with opened(database_url, clock) as made:
        yield made
