"""How deliveries prove who sends them, on the wire: tokens and client certificates, to real TLS servers."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
from aiohttp import web

from custodes import Custodes
from custodes.errors import InvalidInput
from custodes.kernel.clock import MINUTE
from custodes.planes.outbound import credentials
from custodes.planes.outbound.model import AuthKind, Delivery, DeliveryStatus, Options
from custodes.runtime.outgoing.client import Limits, system_trust
from custodes.testing.clock import FakeClock

OAUTH2 = Options(auth=AuthKind.OAUTH2)
MTLS = Options(auth=AuthKind.MTLS)
SECRET = "s3cret/with:odd%characters"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system trusts the authority of this test, as it would one of its operator's."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    system_trust.cache_clear()
    yield
    system_trust.cache_clear()


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@asynccontextmanager
async def served(handler: Handler, context: ssl.SSLContext) -> AsyncIterator[str]:
    """A web server with TLS on loopback; gives its URL."""
    app = web.Application()
    app.router.add_post("/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class Issuer:
    """Gives out tokens, ``token-1`` and on; answers otherwise as it is told."""

    url: str = ""
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    refusal: tuple[int, str] | None = None
    silent: bool = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.headers["authorization"], parse_qs(await request.text())))
        if self.silent:
            await asyncio.sleep(60)
        if self.refusal is not None:
            status, text = self.refusal
            return web.Response(status=status, text=text)
        return web.json_response({"access_token": f"token-{len(self.asked)}", "expires_in": 3_600})


@dataclass
class Endpoint:
    """Takes deliveries; remembers what they carried."""

    url: str = ""
    status: int = 204
    tokens: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(request.headers.get("authorization", ""))
        return web.Response(status=self.status)


@pytest.fixture
async def world(authority: trustme.CA) -> AsyncIterator[tuple[Endpoint, Issuer]]:
    """An endpoint and an issuer of tokens, both with TLS."""
    endpoint, issuer = Endpoint(), Issuer()
    context = server_context(authority)
    async with served(endpoint.handle, context) as endpoint.url, served(issuer.handle, context) as issuer.url:
        yield endpoint, issuer


def client_credentials(issuer: Issuer, **more: str) -> dict[str, str]:
    return {"token_url": f"{issuer.url}/token", "client_id": "custodes", "client_secret": SECRET, **more}


async def deliver(custodes: Custodes) -> Delivery:
    """Emit an event and have it delivered; returns what became of it."""
    message = await custodes.outbound.emit("x", {})
    await custodes.outbound.worker.run_due()
    found = await custodes.outbound.list_deliveries()
    return next(one for one in found.items if one.message_id == message.id)


class TestClientCredentials:
    async def test_one_token_is_fetched_for_all_and_carried_to_the_endpoint(
        self, custodes: Custodes, world: tuple[Endpoint, Issuer]
    ) -> None:
        """Given an endpoint that wants a token, when many events go out, then one is asked for, as RFC 6749 says, and
        each delivery carries it."""
        endpoint, issuer = world
        values = client_credentials(issuer, scope="hooks:write", audience="https://api.example.com")
        await custodes.outbound.create_endpoint(endpoint.url, options=OAUTH2, credentials=values)
        for _ in range(3):
            assert (await deliver(custodes)).status is DeliveryStatus.SUCCEEDED

        [(proof, form)] = issuer.asked
        plain = base64.b64decode(proof.removeprefix("Basic ")).decode()
        assert plain == "custodes:s3cret%2Fwith%3Aodd%25characters"  # §2.3.1: form-encoded, then joined
        assert form == {
            "grant_type": ["client_credentials"],
            "scope": ["hooks:write"],
            "audience": ["https://api.example.com"],
        }
        assert endpoint.tokens == ["Bearer token-1"] * 3

    async def test_a_token_that_ends_or_is_not_taken_is_replaced(
        self, custodes: Custodes, world: tuple[Endpoint, Issuer], clock: FakeClock
    ) -> None:
        endpoint, issuer = world
        await custodes.outbound.create_endpoint(endpoint.url, options=OAUTH2, credentials=client_credentials(issuer))
        await deliver(custodes)
        clock.advance(59 * MINUTE + 31_000_000)  # half a minute before it ends
        await deliver(custodes)
        endpoint.status = 401
        await deliver(custodes)
        endpoint.status = 204
        clock.advance(MINUTE)
        await custodes.outbound.worker.run_due()

        assert endpoint.tokens == ["Bearer token-1", "Bearer token-2", "Bearer token-2", "Bearer token-3"]

    @pytest.mark.parametrize(
        ("refusal", "told"),
        [
            ((401, '{"error": "invalid_client"}'), "it answered 401 invalid_client"),
            ((400, f'{{"error": "odd", "error_description": "{SECRET}"}}'), "it answered 400"),
            ((503, SECRET), "it answered 503"),
            ((302, ""), "it answered 302"),
            ((200, f"<html>{SECRET}</html>"), "there is no access_token in its answer"),
            ((200, '["access_token"]'), "there is no access_token in its answer"),
            ((200, '{"access_token": "a\\nb"}'), "there is no access_token in its answer"),
            ((200, '{"access_token": "a", "expires_in": "soon"}'), "expires_in of its answer is no number of seconds"),
        ],
    )
    async def test_a_token_url_that_refuses_is_told_from_an_endpoint_that_fails(
        self, custodes: Custodes, world: tuple[Endpoint, Issuer], clock: FakeClock, refusal: tuple[int, str], told: str
    ) -> None:
        """Given a token URL that gives no token, then the attempt says so and why, never with the secret; the endpoint
        is not called; when there are tokens again, the delivery arrives."""
        endpoint, issuer = world
        issuer.refusal = refusal
        await custodes.outbound.create_endpoint(endpoint.url, options=OAUTH2, credentials=client_credentials(issuer))
        delivery = await deliver(custodes)

        assert delivery.status is DeliveryStatus.PENDING
        assert delivery.error == f"credentials: no token could be had from the token URL: {told}"
        _, attempts = await custodes.outbound.get_delivery(delivery.id)
        assert not [attempt for attempt in attempts if SECRET in repr(attempt) or "odd" in repr(attempt)]
        assert endpoint.tokens == []

        issuer.refusal = None
        clock.advance(MINUTE)
        await custodes.outbound.worker.run_due()
        assert endpoint.tokens == ["Bearer token-2"]

    async def test_a_token_url_that_cannot_be_reached_says_where_it_ended(
        self, custodes: Custodes, world: tuple[Endpoint, Issuer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        endpoint, issuer = world
        monkeypatch.setattr(credentials, "TOKEN_LIMITS", Limits(total_seconds=0.2))
        issuer.silent = True
        cases = {
            f"{issuer.url}/token": "timeout: it took too long",
            "https://127.0.0.1:9/token": "refused: the port is not allowed",
            "https://10.1.2.3/token": "refused: the address is not allowed",
            f"{issuer.url.replace('127.0.0.1', '127.0.0.2')}/token": "connect: nobody took the connection",
        }
        for token_url, told in cases.items():
            values = client_credentials(issuer) | {"token_url": token_url}
            made = await custodes.outbound.create_endpoint(endpoint.url, options=OAUTH2, credentials=values)
            delivery = await deliver(custodes)
            assert delivery.error == f"credentials: no token could be had from the token URL: {told}"
            await custodes.outbound.delete_endpoint(made.endpoint.id)
        assert endpoint.tokens == []

    async def test_who_waits_for_a_token_that_does_not_come_waits_once(
        self, custodes: Custodes, world: tuple[Endpoint, Issuer], clock: FakeClock
    ) -> None:
        """Given an endpoint that has proven itself, when tokens are refused, then all deliveries that are under way
        share one question and its refusal."""
        endpoint, issuer = world
        await custodes.outbound.create_endpoint(endpoint.url, options=OAUTH2, credentials=client_credentials(issuer))
        for _ in range(4):  # each success doubles how many may be under way
            await deliver(custodes)
        clock.advance(60 * MINUTE)
        issuer.refusal = (503, "")
        for _ in range(4):
            await custodes.outbound.emit("x", {})
        await custodes.outbound.worker.run_due()

        found = await custodes.outbound.list_deliveries()
        assert sum("no token" in one.error for one in found.items) == 4
        assert len(issuer.asked) == 2
        assert len(endpoint.tokens) == 4

    @pytest.mark.parametrize("token_url", ["ftp://a.example/", "https://u:p@a.example/", "a.example", "https://"])
    async def test_what_is_no_token_url_is_refused_at_once(self, custodes: Custodes, token_url: str) -> None:
        values = {"token_url": token_url, "client_id": "a", "client_secret": SECRET}
        with pytest.raises(InvalidInput, match="The token URL") as refused:
            await custodes.outbound.create_endpoint("https://a.example/", options=OAUTH2, credentials=values)
        assert SECRET not in str(refused.value)


class Strict:
    """A server that takes nobody without a certificate of its own authority, and says so before it hangs up.

    Sockets that block, as most servers of OpenSSL's have them: those of asyncio tear a connection down whose handshake
    fails, and the alert with it.
    """

    def __init__(self, authority: trustme.CA, version: ssl.TLSVersion) -> None:
        self._context = server_context(authority)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.minimum_version = self._context.maximum_version = version
        authority.configure_trust(self._context)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        #: What an attempt says that showed no certificate: TLS 1.2 has no word of its own for that.
        self.wants_one = (
            "tls: it refused our client certificate, or wants one and was shown none"
            if version is ssl.TLSVersion.TLSv1_3
            else "tls: it refused the TLS handshake: it wants a client certificate, or ciphers that we do not offer"
        )
        #: Paths that were asked for, and names in the certificates of those who asked.
        self.asked: list[tuple[str, str]] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            with self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as connection:
                try:
                    connection.do_handshake()
                except ssl.SSLError:
                    connection.shutdown(socket.SHUT_WR)  # the alert is on its way
                    while connection.recv(65_536):
                        pass
                else:
                    self._answer(connection)

    def _answer(self, connection: ssl.SSLSocket) -> None:
        request = b""
        while not request.endswith(b"}"):
            request += connection.recv(65_536)
        certificate: Any = connection.getpeercert()
        name = dict(certificate["subjectAltName"])["DNS"]
        self.asked.append((request.split(b" ")[1].decode(), name))
        connection.sendall(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def strict(authority: trustme.CA, request: pytest.FixtureRequest) -> Iterator[Strict]:
    made = Strict(authority, request.param)
    yield made
    made.close()


class TestClientCertificates:
    async def test_ours_is_shown_to_the_endpoint_that_it_is_for_and_to_no_other(
        self, custodes: Custodes, authority: trustme.CA, strict: Strict
    ) -> None:
        """Given two endpoints of one receiver, one of them with a certificate, then the other is refused, on a
        connection of its own, and its attempts say what the receiver wants."""
        values = certificate(authority, "sender.example")
        await custodes.outbound.create_endpoint(f"{strict.url}/mine", options=MTLS, credentials=values, tenant="mine")
        none = await custodes.outbound.create_endpoint(f"{strict.url}/none", tenant="none")
        for tenant in ("mine", "none", "mine"):
            await custodes.outbound.emit("x", {}, tenant=tenant)
            await custodes.outbound.worker.run_due()

        assert strict.asked == [("/mine", "sender.example")] * 2
        found = await custodes.outbound.list_deliveries()
        assert {(one.endpoint_id == none.endpoint.id, one.error) for one in found.items} == {
            (False, ""),
            (True, strict.wants_one),
        }

    async def test_one_that_the_receiver_does_not_trust_is_said_to_be_refused(
        self, custodes: Custodes, strict: Strict
    ) -> None:
        values = certificate(trustme.CA(), "stranger.example")
        await custodes.outbound.create_endpoint(strict.url, options=MTLS, credentials=values)

        delivery = await deliver(custodes)

        assert delivery.error == "tls: it refused our client certificate, or wants one and was shown none"
        assert strict.asked == []

    async def test_a_receiver_that_hangs_up_in_the_handshake_is_told_from_one_that_is_not_there(
        self, custodes: Custodes, authority: trustme.CA
    ) -> None:
        context = server_context(authority)
        context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2
        async with served(Endpoint().handle, context) as url:
            await custodes.outbound.create_endpoint(url)
            delivery = await deliver(custodes)
        assert delivery.error == "tls: the connection ended during the TLS handshake"

    async def test_a_receiver_whose_own_certificate_is_not_trusted_gets_nothing(self, custodes: Custodes) -> None:
        receiver = Endpoint()
        async with served(receiver.handle, server_context(trustme.CA())) as url:
            await custodes.outbound.create_endpoint(url)
            delivery = await deliver(custodes)
        assert delivery.error == "tls: its certificate is not valid for the name, or not trusted"
        assert receiver.tokens == []


def certificate(authority: trustme.CA, name: str) -> dict[str, str]:
    made = authority.issue_cert(name)
    chain = "".join(blob.bytes().decode() for blob in made.cert_chain_pems)
    return {"certificate": chain, "private_key": made.private_key_pem.bytes().decode()}
