"""A listener that nobody may ever reach."""

from __future__ import annotations

import asyncio


class Canary:
    """Listens on loopback, IPv4 and IPv6, and counts who comes; any connection at all is one too many."""

    def __init__(self) -> None:
        self.visits = 0
        self.port = 0
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        first = await asyncio.start_server(self._visited, "127.0.0.1", 0)
        self.port = first.sockets[0].getsockname()[1]
        second = await asyncio.start_server(self._visited, "::1", self.port)
        self._servers = [first, second]

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()

    async def _visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        self.visits += 1
        writer.close()
