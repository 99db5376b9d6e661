"""Sinks against a real HTTP receiver on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from custodes.errors import ConfigurationError
from custodes.kernel.destinations import Destinations
from custodes.planes.alerts.apprise_sink import AppriseSink
from custodes.planes.alerts.evaluation import trial_message
from custodes.planes.alerts.model import News, Notification
from custodes.planes.alerts.sink_urls import sinks_of
from custodes.planes.alerts.sinks import LogSink, SinkFailed, WebhookSink, sink_name
from custodes.runtime.outgoing.client import OutgoingClient
from custodes.runtime.outgoing.target import Policy
from custodes.runtime.system_clock import SystemClock
from custodes.testing.clock import FakeClock

# On Python below 3.13 apprise itself imports a deprecated module of the standard library.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver:
    """A small HTTP server that remembers what it got and answers as it is told."""

    port: int = 0
    status: int = 204
    delay: asyncio.Event | None = None
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((request.path, {k.lower(): v for k, v in request.headers.items()}, await request.read()))
        if self.delay is not None:
            await self.delay.wait()
        headers = {"location": f"http://127.0.0.1:{self.port}/elsewhere"} if self.status in (301, 307) else {}
        return web.Response(status=self.status, headers=headers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alerts?token=s3cr3t"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    if made.delay is not None:
        made.delay.set()
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[OutgoingClient]:
    made = OutgoingClient(Policy(Destinations(["127.0.0.0/8"])))
    yield made
    await made.close()


def notification(news: News = News.FIRING) -> Notification:
    return Notification(
        id="0190f5c8-0000-7000-8000-000000000001",
        tenant="acme",
        incident_id="0190-1",
        sink="x",
        news=news,
        payload={
            "news": str(news),
            "name": "The queue is deep",
            "severity": "critical",
            "summary": "150 — größer als 100",
        },
        created_at=1,
        due_at=1,
    )


class TestWebhook:
    async def test_the_message_arrives_signed_for_an_independent_verifier(
        self, receiver: Receiver, client: OutgoingClient
    ):
        sink = WebhookSink(receiver.url, SECRET, client=client, clock=SystemClock())
        await sink.send(notification())
        await sink.close()

        [(path, headers, body)] = receiver.got
        verified = Webhook(SECRET).verify(body, headers)
        assert verified == notification().payload
        assert (path, headers["webhook-id"]) == ("/alerts", notification().id)

    async def test_without_a_secret_nothing_pretends_to_be_signed(
        self, receiver: Receiver, client: OutgoingClient, clock: FakeClock
    ):
        sink = WebhookSink(receiver.url, client=client, clock=clock)
        await sink.send(notification())
        await sink.close()

        assert "webhook-signature" not in receiver.got[0][1]

    @pytest.mark.parametrize(
        ("status", "permanent"), [(400, False), (401, False), (404, True), (410, True), (429, False), (503, False)]
    )
    async def test_refusals_say_whether_to_try_again(
        self, receiver: Receiver, client: OutgoingClient, clock: FakeClock, status: int, permanent: bool
    ):
        receiver.status = status
        sink = WebhookSink(receiver.url, SECRET, client=client, clock=clock)

        with pytest.raises(SinkFailed, match=f"It answered {status}") as failed:
            await sink.send(notification())
        await sink.close()
        assert failed.value.permanent is permanent

    @pytest.mark.parametrize("status", [301, 307])
    async def test_a_redirect_is_a_failure_and_not_followed(
        self, receiver: Receiver, client: OutgoingClient, clock: FakeClock, status: int
    ):
        receiver.status = status
        sink = WebhookSink(receiver.url, SECRET, client=client, clock=clock)

        with pytest.raises(SinkFailed):
            await sink.send(notification())
        await sink.close()
        assert [path for path, *_ in receiver.got] == ["/alerts"]

    async def test_a_receiver_that_never_answers_is_left(
        self, receiver: Receiver, client: OutgoingClient, clock: FakeClock
    ):
        receiver.delay = asyncio.Event()
        sink = WebhookSink(receiver.url, SECRET, client=client, clock=clock, timeout_seconds=0.1)

        with pytest.raises(SinkFailed, match="could not be reached") as failed:
            await sink.send(notification())
        await sink.close()
        assert not failed.value.permanent

    async def test_no_secret_of_the_url_is_ever_told(self, client: OutgoingClient, clock: FakeClock):
        """Given a URL with a password and a token at a dead port, then neither name nor error show them."""
        url = "http://ada:hunter2@127.0.0.1:9/T0K3N?token=s3cr3t"
        sink = WebhookSink(url, SECRET, client=client, clock=clock, timeout_seconds=1)
        with pytest.raises(SinkFailed) as failed:
            await sink.send(notification())
        await sink.close()

        told = f"{sink.name} {failed.value!r} {failed.value.__cause__!r}"
        assert sink.name.startswith("webhook:127.0.0.1#")
        for secret in ("hunter2", "T0K3N", "s3cr3t", SECRET):
            assert secret not in told

    @pytest.mark.parametrize(
        ("url", "secret"),
        [
            ("ftp://x", ""),
            ("https://", ""),
            ("http://[::1", ""),
            ("https://x", "not base64!"),
            ("https://x", "whsec_"),
            ("https://x", "foo"),
            ("https://x", "whsec_" + base64.b64encode(bytes(23)).decode()),
            ("https://x", "whsec_" + base64.b64encode(bytes(65)).decode()),
        ],
    )
    def test_a_wrong_url_or_secret_is_refused_at_the_start(
        self, client: OutgoingClient, clock: FakeClock, url: str, secret: str
    ):
        with pytest.raises(ConfigurationError):
            WebhookSink(url, secret, client=client, clock=clock)


class TestApprise:
    async def test_the_message_arrives_through_apprise(self, receiver: Receiver):
        sink = AppriseSink(f"json://127.0.0.1:{receiver.port}/apprise")
        receiver.status = 200
        await sink.send(notification())
        await sink.send(notification(News.RESOLVED))
        await sink.send(trial_message("0190-2", "acme", "user:ann", 1))
        await sink.close()

        told = [json.loads(body) for _, _, body in receiver.got]
        assert [(one["title"], one["type"]) for one in told] == [
            ("[Critical] The queue is deep", "failure"),
            ("[Resolved] The queue is deep", "success"),
            ("[Test] Test notice", "info"),
        ]
        assert told[0]["message"] == "150 — größer als 100"

    async def test_a_service_that_refuses_is_a_failure_to_be_tried_again(self, receiver: Receiver):
        receiver.status = 500
        sink = AppriseSink(f"json://127.0.0.1:{receiver.port}/apprise")

        with pytest.raises(SinkFailed) as failed:
            await sink.send(notification())
        await sink.close()
        assert not failed.value.permanent

    async def test_a_service_that_hangs_holds_neither_us_nor_a_second_thread(self, receiver: Receiver):
        receiver.delay = asyncio.Event()
        sink = AppriseSink(f"json://127.0.0.1:{receiver.port}/apprise", timeout_seconds=0.2)

        with pytest.raises(SinkFailed, match="did not take it within"):
            await sink.send(notification())
        with pytest.raises(SinkFailed, match="still busy"):
            await sink.send(notification())
        receiver.delay.set()
        await sink.close()

    def test_a_url_that_apprise_does_not_know_is_refused_without_showing_it(self, caplog: pytest.LogCaptureFixture):
        with pytest.raises(ConfigurationError) as refused:
            AppriseSink("nonsense://T0K3N")

        assert "T0K3N" not in str(refused.value) + caplog.text

    def test_without_apprise_the_error_names_the_extra(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(sys.modules, "apprise", None)

        with pytest.raises(ConfigurationError, match=r"custodes\[alerts\]"):
            AppriseSink("slack://a/b/c")


def test_sinks_are_made_from_urls(client: OutgoingClient, clock: FakeClock):
    made = sinks_of(["https://ops.example.com/x", "json://localhost/y"], SECRET, clock, client)

    assert [type(one) for one in made] == [LogSink, WebhookSink, AppriseSink]
    assert [one.name.split("#")[0] for one in made] == ["log", "webhook:ops.example.com", "apprise:json"]


def test_two_urls_of_one_host_have_two_names():
    assert sink_name("webhook", "https://a/1") != sink_name("webhook", "https://a/2")
