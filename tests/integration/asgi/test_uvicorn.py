"""The same over a real server: what goes over the wire is the same to the byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from custodes import current_trace
from custodes.app import Custodes

TRACE = "12345678901234567890123456789012"


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """Serve an app on a free port of the loopback."""
    config = uvicorn.Config(
        app, port=0, lifespan="on", date_header=False, server_header=False, log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def asked(port: int, request: bytes) -> bytes:
    """Send these bytes, read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def request(method: str, path: str, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: test", b"Connection: close", *headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


REQUESTS = [
    request("GET", "/items/5"),
    request("GET", "/items/five"),
    request("HEAD", "/items/5"),
    request("DELETE", "/items/5"),
    request("GET", "/nowhere"),
    request("GET", "/boom"),
    request("GET", "/background"),
    request("GET", "/stream"),
    request("GET", "/stream-boom"),
    request("GET", "/nothing"),
    request("GET", "/unchanged"),
    request("GET", "/file"),
    request("GET", "/v1/outer/inner/x"),
    request("GET", "/sub/deep/x"),
    request("POST", "/upload", b"x" * 300_000),
]


async def test_over_a_real_server_every_byte_is_the_same(custodes: Custodes, cases: list[Any]):
    make_host = next(case.host for case in cases if case.name == "json")
    async with served(make_host()) as port:
        bare = [await asked(port, one) for one in REQUESTS]

    async with served(custodes.wrap(make_host())) as port:
        watched = [await asked(port, one) for one in REQUESTS]

    assert watched == bare
    assert not any(custodes.shield.failures.values())


@pytest.mark.parametrize(
    "line",
    [
        b"TraceParent: 00-%b-1234567890123456-01",
        b"TRACEPARENT:\t 00-%b-1234567890123456-01 \t",
        b"traceparent:00-%b-1234567890123456-01",
    ],
)
async def test_over_a_real_server_names_in_any_case_and_blanks_are_understood(custodes: Custodes, line: bytes):
    async def tells(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            trace = current_trace()
            assert trace is not None
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": trace.trace_id.encode()})

    async with served(custodes.wrap(tells)) as port:
        answer = await asked(port, request("GET", "/", b"", line % TRACE.encode()))

    assert TRACE.encode() in answer
