"""Who never ends its headers is hung up on, and nobody else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from custodes.cli.heads import MAX_HEAD, BoundedHeads

HEAD = b"POST /hooks HTTP/1.1\r\nhost: x\r\n"
PIECE = b"a" * 1_000


class Transport(asyncio.Transport):
    """Notes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""


async def _app(_scope: Any, _receive: Any, _send: Any) -> None:
    await asyncio.Event().wait()


@pytest.fixture
async def connected():
    transport = Transport()
    protocol = BoundedHeads(Config(_app), ServerState(), {})
    protocol.connection_made(transport)
    yield protocol, transport
    for task in protocol.tasks:
        task.cancel()


@pytest.mark.parametrize("begun", [b"GET /", HEAD + b"x-long: ", HEAD + b"x-"], ids=["target", "value", "name"])
async def test_a_head_without_end(connected, begun: bytes):
    """Given a target, a name or a value that goes on and on, then the answer is 431, and that is the end of it."""
    protocol, transport = connected
    protocol.data_received(begun)
    sent = 0
    while not transport.closed:
        protocol.data_received(PIECE)
        sent += len(PIECE)

    head, _, body = transport.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert (b"application/problem+json" in head, json.loads(body)["status"]) == (True, 431)
    assert sent <= MAX_HEAD + len(PIECE)


async def test_headers_without_end(connected):
    protocol, transport = connected
    protocol.data_received(HEAD)
    for number in range(100):
        protocol.data_received(b"x-%d: " % number + PIECE + b"\r\n")
        if transport.closed:
            break

    assert transport.written.startswith(b"HTTP/1.1 431 ")


async def test_trailers_without_end(connected):
    """Given trailers behind a body that go on and on, then nothing is written into the answer that is under way."""
    protocol, transport = connected
    protocol.data_received(HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-long: ")
    for _ in range(100):
        if not transport.closed:
            protocol.data_received(PIECE)

    assert (transport.closed, transport.written) == (True, b"")


async def test_a_long_body_in_small_pieces_is_no_head(connected):
    protocol, transport = connected
    protocol.data_received(HEAD + b"content-length: 200000\r\n\r\n")
    for _ in range(200):
        protocol.data_received(PIECE)

    assert (transport.closed, len(protocol.cycle.body), protocol.cycle.more_body) == (False, 200_000, False)
