"""Fetching keys from a real server: bounded in time and size, and never sent elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from custodes.admin.auth.fetch import FetchFailed, GuardedFetcher, check_url
from custodes.admin.auth.jwks import MIN_INTERVAL
from custodes.admin.auth.tokens import TokenVerifier, oidc_issuer
from custodes.errors import AuthenticationFailed
from custodes.runtime.outgoing.target import Policy
from custodes.testing.clock import FakeClock
from custodes.testing.issuer import FakeIssuer


class Server:
    """A loopback web server of an issuer; ``answer`` may be replaced."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.answer: Callable[[web.Request], Any] = self.not_found

    async def not_found(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        return await self.answer(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    found.url = f"http://127.0.0.1:{port}"
    yield found
    await runner.cleanup()


def publish(server: Server, issuer: FakeIssuer) -> None:
    """Have the server answer as the issuer would."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response(await issuer.fetch(f"{server.url}{request.path}"))
        except FetchFailed:
            return web.Response(status=503)

    issuer.url = server.url
    server.answer = answer


async def test_tokens_are_verified_by_the_keys_of_a_real_server(server: Server, clock: FakeClock) -> None:
    """Discovery, keys, rotation and an outage, over HTTP."""
    issuer = FakeIssuer(clock, "")
    publish(server, issuer)
    verifier = TokenVerifier([oidc_issuer(server.url, "custodes")], GuardedFetcher(Policy()), clock)

    assert (await verifier.verify(issuer.token("ann"))).subject == "ann"
    assert server.asked == ["/.well-known/openid-configuration", "/.well-known/jwks.json"]

    issuer.add_key("RS256", "key-2")
    clock.advance(MIN_INTERVAL)
    assert (await verifier.verify(issuer.token("ann", kid="key-2"))).subject == "ann"

    issuer.reachable = False
    clock.advance(MIN_INTERVAL)
    assert (await verifier.verify(issuer.token("bob", kid="key-2"))).subject == "bob"


async def test_a_server_that_never_answers_costs_a_bounded_wait(server: Server, clock: FakeClock) -> None:
    """Given a hung issuer and ten sign-ins at once; then all are refused after one time limit, by one fetch."""
    released = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    server.answer = hang
    issuer = FakeIssuer(clock, server.url)
    verifier = TokenVerifier(
        [oidc_issuer(server.url, "custodes")], GuardedFetcher(Policy(), timeout_seconds=0.2), clock
    )

    async with asyncio.timeout(60):
        results = await asyncio.gather(
            *(verifier.verify(issuer.token(f"user-{number}")) for number in range(10)), return_exceptions=True
        )

    released.set()
    assert {type(result) for result in results} == {AuthenticationFailed}
    assert len(server.asked) <= 1, "at the limit it may not have been asked yet: the machine is busy"


async def test_a_server_that_drips_costs_a_bounded_wait(server: Server) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.02)
        except (ConnectionError, asyncio.CancelledError):
            return response

    server.answer = drip
    async with asyncio.timeout(60):
        with pytest.raises(FetchFailed, match="too long"):
            await GuardedFetcher(Policy(), timeout_seconds=0.3)(server.url)


async def test_a_document_beyond_the_limit_is_not_read_to_its_end(server: Server) -> None:
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(2_000):
                await response.write(b" " * 65_536)
                sent += 65_536
        except ConnectionError:
            pass
        return response

    server.answer = flood
    with pytest.raises(FetchFailed, match="more than 1000 bytes"):
        await GuardedFetcher(Policy(), max_bytes=1_000)(server.url)
    assert sent < 2_000 * 65_536


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(server: Server, status: int) -> None:
    async def away(request: web.Request) -> web.StreamResponse:
        if request.path == "/elsewhere":
            return web.json_response({"keys": []})
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    server.answer = away
    with pytest.raises(FetchFailed, match=str(status)):
        await GuardedFetcher(Policy())(f"{server.url}/keys")
    assert server.asked == ["/keys"]


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"5", b"{", b"[" * 100_000, b"\xff\xff"])
async def test_what_is_not_a_json_object_is_refused(server: Server, body: bytes) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    server.answer = answer
    with pytest.raises(FetchFailed):
        await GuardedFetcher(Policy())(server.url)


async def test_a_server_that_is_not_there_is_an_error_of_ours() -> None:
    with pytest.raises(FetchFailed):
        await GuardedFetcher(Policy(), timeout_seconds=1)("http://127.0.0.1:9")


@pytest.mark.parametrize(
    "url",
    ["http://issuer.example.com", "http://169.254.169.254/", "http://127.0.0.1.evil.example.com", "ftp://127.0.0.1",
     "file:///etc/passwd", "https://", "", "https://user:secret@issuer.example.com", "//issuer.example.com",
     "https://[", "https://[::1/keys", "https://\u2100.example.com"],
)  # fmt: skip
def test_only_https_or_this_machine(url: str) -> None:
    with pytest.raises(FetchFailed) as caught:
        check_url(url)
    assert "secret" not in str(caught.value)
    assert json.dumps(caught.value.message)


@pytest.mark.parametrize("url", ["https://10.0.0.7/keys", "https://[fd00::7]/keys", "https://192.168.1.1/keys"])
async def test_a_private_address_is_reached_by_exception_only(url: str) -> None:
    with pytest.raises(FetchFailed, match="not allowed"):
        await GuardedFetcher(Policy())(url)


@pytest.mark.parametrize("url", ["http://localhost/keys", "https://127.0.0.1/keys", "http://[::1]:6379/"])
def test_an_issuer_elsewhere_cannot_send_us_to_this_machine(url: str) -> None:
    assert check_url(url, issuer="http://localhost:8080") == url
    with pytest.raises(FetchFailed, match="names this machine"):
        check_url(url, issuer="https://issuer.example.com")
