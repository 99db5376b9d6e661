"""A made-up world on loopback: 127.0.0.2 is a place that may be called, 127.0.0.1 and ::1 are places that may not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from tests.servers.canary import Canary
from tests.servers.names import NameServer

from custodes.kernel.destinations import Destinations
from custodes.runtime.outgoing.client import OutgoingClient
from custodes.runtime.outgoing.target import Policy

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PUBLIC = "127.0.0.2"


@pytest.fixture
def names():
    server = NameServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    made = Canary()
    await made.start()
    yield made
    await made.stop()


class Site:
    """A web server at the public place, at the canary's port: only the address tells them apart."""

    def __init__(self) -> None:
        self.got: list[web.Request] = []
        self.handler: Handler = self.greet
        self.port = 0

    async def greet(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text="hello")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.got.append(request)
        return await self.handler(request)


@pytest.fixture
async def site(canary: Canary) -> AsyncIterator[Site]:
    made = Site()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, PUBLIC, canary.port).start()
    made.port = canary.port
    yield made
    await runner.cleanup()


@pytest.fixture
async def client(names: NameServer) -> AsyncIterator[OutgoingClient]:
    policy = Policy(Destinations([f"{PUBLIC}/32"]), schemes=frozenset({"http", "https"}))
    made = OutgoingClient(policy, lookup=names.lookup)
    yield made
    await made.close()
