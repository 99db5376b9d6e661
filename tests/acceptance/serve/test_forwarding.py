"""``custodes serve`` beside an app in another language: what senders were told is kept reaches the app.

The full count: ``CUSTODES_DRILL_ROUNDS=50 pytest -m drill -s tests/acceptance/serve/test_forwarding.py``.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from tests.acceptance import plain
from tests.counts import rounds

from custodes.testing.webhooks import signed_webhook

pytestmark = pytest.mark.acceptance

SECRET = "a secret of the hub"
#: Kills on each engine.
ROUNDS = rounds(1)
#: Webhooks a round, at most: as many as come before the kill.
LOAD = 60


class App:
    """An app that knows nothing of Custodes: it notes what it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, bytes]] = []
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                got.append((self.headers["custodes-event"], self.headers["webhook-id"], body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a killed sender is no news here
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks"


@pytest.fixture
def app() -> Iterator[App]:
    made = App()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def deliver(url: str, first: int, accepted: dict[str, bytes], killed: threading.Event) -> None:
    """Deliver as GitHub does, until there is nobody; notes what was answered with 2xx."""
    with plain.Client(base_url=url) as client, contextlib.suppress(httpx2.TransportError):
        for number in range(first, first + LOAD):
            if killed.is_set():
                return
            webhook = signed_webhook("github", b'{"number": %d, "raw": "\xff"}' % number, SECRET)
            answer = client.post("/hooks/github", content=webhook.body, headers=webhook.headers)
            assert answer.status_code == 200, answer.text
            accepted[answer.json()["id"]] = webhook.body


@pytest.mark.drill
@pytest.mark.timeout(300 + 20 * ROUNDS)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_what_was_accepted_reaches_the_app_though_the_server_is_killed(
    start: Callable[..., Any],
    until: Callable[..., Any],
    app: App,
    request: pytest.FixtureRequest,
    engine: str,
) -> None:
    """Given nothing but settings and kill -9 under load, then every accepted webhook reaches the app, byte for byte;
    one that comes twice has the same ``webhook-id``."""
    env = {
        "GITHUB_WEBHOOK_SECRET": SECRET,
        "CUSTODES_OUTGOING_ALLOW_NETWORKS": "127.0.0.1/32",
        "CUSTODES_WEBHOOK_LEASE_SECONDS": "1",
        "CUSTODES_OUTBOUND_LEASE_SECONDS": "1",
        "CUSTODES_SECRET_KEY": "k" * 32,
    }
    if engine == "postgresql":
        url = request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")
        env["CUSTODES_DATABASE_URL"] = url
    accepted: dict[str, bytes] = {}
    choose = random.Random(20261126)
    for number in range(ROUNDS):
        server = start("--forward-to", f"github={app.url}", **env)
        server.client()
        killed = threading.Event()
        sender = threading.Thread(target=deliver, args=(server.url, number * LOAD, accepted, killed))
        sender.start()
        before = len(accepted)
        until(lambda before=before: len(accepted) > before, "a webhook is accepted")
        time.sleep(choose.uniform(0, 0.3))
        killed.set()
        server.stop(signal.SIGKILL)
        sender.join()

    server = start("--forward-to", f"github={app.url}", **env)
    server.client()
    until(lambda: {event for event, _, _ in list(app.got)} >= set(accepted), "everything reaches the app")

    bodies = {event: body for event, _, body in app.got}
    assert {event: bodies[event] for event in accepted} == accepted
    ids = Counter(event for event, _ in {(event, identifier) for event, identifier, _ in app.got})
    assert set(ids.values()) == {1}
    assert len(accepted) >= ROUNDS
    print(f"{engine}: {ROUNDS} kills, {len(accepted)} accepted, 0 lost, {len(app.got) - len(bodies)} sent twice")  # noqa: T201 - its figures
