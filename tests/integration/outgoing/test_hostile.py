"""Receivers that mean harm: every one costs a bounded time and a bounded space."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme
from tests.integration.outgoing.conftest import PUBLIC
from tests.servers.names import NameServer

from custodes.kernel.destinations import Destinations
from custodes.runtime.outgoing.client import Limits, OutgoingClient, tls_context
from custodes.runtime.outgoing.failure import FailureKind, OutgoingFailed
from custodes.runtime.outgoing.target import Policy

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
LIMITS = Limits(total_seconds=0.5, answer_bytes=4_096)
#: Where it is not time that ends a request: a machine under load may take a while.
PATIENT = Limits(total_seconds=20, answer_bytes=4_096)


class Receiver:
    """A raw server: what it does with each connection is up to the test."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = silent
        self.port = 0
        self.sent = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await self.behaviour(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def flood(self, writer: asyncio.StreamWriter, chunk: bytes, most: int = 100_000_000) -> None:
        while self.sent < most:
            writer.write(chunk)
            await writer.drain()
            self.sent += len(chunk)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del writer
    await reader.read()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, PUBLIC, 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


async def drip_head(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in HEAD + b"x: y\r\n" * 1_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.01)


async def drip_body(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"content-length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("behaviour", [silent, drip_head, drip_body])
async def test_who_drips_or_never_answers_is_left_at_the_deadline(
    names: NameServer, receiver: Receiver, client: OutgoingClient, behaviour: Behaviour
) -> None:
    names.names["slow.example"] = [PUBLIC]
    receiver.behaviour = behaviour
    # How punctual it is, depends on the machine here; the drill of hostile receivers measures it.
    async with asyncio.timeout(60):
        with pytest.raises(OutgoingFailed) as failed:
            await client.request("POST", f"http://slow.example:{receiver.port}/", body=b"x", limits=LIMITS)
    assert failed.value.kind is FailureKind.TIMEOUT
    assert failed.value.timing.total >= 500_000


async def test_of_an_endless_answer_only_the_limit_is_read(
    names: NameServer, receiver: Receiver, client: OutgoingClient
) -> None:
    """Given a receiver that sends for ever, then the answer is there at once, cut, and the memory used is small."""
    names.names["endless.example"] = [PUBLIC]

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        await receiver.flood(writer, b"10000\r\n" + b"x" * 65_536 + b"\r\n")

    receiver.behaviour = endless
    tracemalloc.start()
    answer = await client.request(
        "POST", f"http://endless.example:{receiver.port}/", limits=Limits(total_seconds=10, answer_bytes=4_096)
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(answer.body), answer.truncated) == (4_096, True)
    assert receiver.sent < 20_000_000
    assert peak < 4_000_000


async def test_a_gzip_bomb_is_not_unpacked(names: NameServer, receiver: Receiver, client: OutgoingClient) -> None:
    names.names["bomb.example"] = [PUBLIC]
    packed = gzip.compress(b"\0" * 20_000_000)

    async def bomb(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = f"content-length: {len(packed)}\r\n\r\n".encode()
        writer.write(HEAD + b"content-encoding: gzip\r\n" + length + packed)
        await writer.drain()

    receiver.behaviour = bomb
    answer = await client.request("GET", f"http://bomb.example:{receiver.port}/", limits=PATIENT)
    assert answer.body == packed[:4_096]
    assert answer.truncated


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"", FailureKind.BROKEN),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", FailureKind.BROKEN),
        (b"not http at all\r\n\r\n", FailureKind.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_000 + b"\r\n", FailureKind.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", FailureKind.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", FailureKind.PROTOCOL),
    ],
)
async def test_what_is_no_answer_is_a_failure_of_a_kind(
    names: NameServer, receiver: Receiver, client: OutgoingClient, said: bytes, kind: FailureKind
) -> None:
    names.names["odd.example"] = [PUBLIC]

    async def odd(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()

    receiver.behaviour = odd
    with pytest.raises(OutgoingFailed) as failed:
        await client.request("GET", f"http://odd.example:{receiver.port}/", limits=PATIENT)
    assert failed.value.kind is kind


async def test_a_dead_port_and_an_unknown_name_are_failures_of_their_kinds(
    names: NameServer, client: OutgoingClient
) -> None:
    names.names["dead.example"] = [PUBLIC]
    for url, kind in (("http://dead.example:9999/", FailureKind.CONNECT), ("http://no.example/", FailureKind.DNS)):
        with pytest.raises(OutgoingFailed) as failed:
            await client.request("GET", url, limits=PATIENT)
        assert failed.value.kind is kind


async def test_an_idle_connection_that_is_being_closed_is_not_a_failure(
    names: NameServer, receiver: Receiver, client: OutgoingClient
) -> None:
    """Given a receiver that hangs up after each answer without saying so, when a second request follows, then it is
    sent again on a new connection."""
    names.names["short.example"] = [PUBLIC]

    async def once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"content-length: 2\r\n\r\nok")
        await writer.drain()

    receiver.behaviour = once
    for _ in range(5):
        assert (await client.request("POST", f"http://short.example:{receiver.port}/", body=b"x")).body == b"ok"


class TestTls:
    async def test_sni_and_certificate_are_those_of_the_name(self, names: NameServer) -> None:
        """Given a certificate of its name, then a server is reached by that name, timed, and by no other name."""
        authority = trustme.CA()
        asked: list[str | None] = []
        context = trustme_server(authority, "hooks.example")
        context.sni_callback = lambda _ssl, name, _context: asked.append(name)
        server = await asyncio.start_server(_greet, PUBLIC, 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        names.names |= {"hooks.example": [PUBLIC], "other.example": [PUBLIC]}
        trust = tls_context(authority.cert_pem.bytes().decode())
        client = OutgoingClient(Policy(Destinations([f"{PUBLIC}/32"])), lookup=names.lookup, trust=trust)
        try:
            answer = await client.request("GET", f"https://hooks.example:{port}/")
            assert (answer.body, asked) == (b"ok", ["hooks.example"])
            assert answer.timing.tls > 0
            assert answer.timing.connect > 0
            with pytest.raises(OutgoingFailed) as failed:
                await client.request("GET", f"https://other.example:{port}/")
            assert failed.value.kind is FailureKind.TLS
        finally:
            await client.close()
            server.close()


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"content-length: 2\r\nconnection: close\r\n\r\nok")
    await writer.drain()
    writer.close()


def trustme_server(authority: trustme.CA, name: str):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context
