"""kill -9 at random moments under load: what was answered with 2xx is there afterwards, unchanged, and gets handled."""

import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from custodes.testing.webhooks import signed_webhook

SECRET = "whsec_of_the_drill"
ROUNDS = int(os.environ.get("CUSTODES_DRILL_ROUNDS", "30"))
SENDERS = 8
#: A round is killed at a random moment in this stretch after the first answer, seconds.
EARLIEST, LATEST = 0.05, 0.6
#: Lease of the drill's server and the slack that a takeover may need, seconds.
RESUMED_WITHIN = 1 + 5


class Ledger:
    """What the senders know, outside of the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent: dict[str, bytes] = {}
        self.accepted: set[str] = set()

    def send(self, event_id: str, body: bytes) -> None:
        with self._lock:
            self.sent[event_id] = body

    def accept(self, event_id: str) -> None:
        with self._lock:
            self.accepted.add(event_id)


@contextmanager
def senders(port: int, ledger: Ledger, seed: int) -> Iterator[threading.Event]:
    """Eight senders that deliver without a pause until told to stop; the event is set at the first 2xx."""
    first, stop = threading.Event(), threading.Event()

    def deliver(number: int) -> None:
        choose = random.Random(seed * 100 + number)
        count = 0
        while not stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                while not stop.is_set():
                    count += 1
                    event_id = f"evt_{seed}_{number}_{count}"
                    padding = choose.randbytes(choose.randrange(3_000)).hex()
                    body = json.dumps({"id": event_id, "type": "invoice.paid", "padding": padding}).encode()
                    signed = signed_webhook("stripe", body, SECRET)
                    ledger.send(event_id, body)
                    connection.request("POST", "/hooks/stripe", body=body, headers=signed.headers)
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status == 200:
                        ledger.accept(event_id)
                        first.set()
            except (OSError, http.client.HTTPException):
                stop.wait(0.005)
            finally:
                connection.close()

    threads = [threading.Thread(target=deliver, args=(number,), daemon=True) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield first
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


class Servers:
    """Servers on one file, one after the other, each a process of its own; see served.py."""

    def __init__(self, database: Path, port: int) -> None:
        environment = {
            **os.environ,
            "DRILL_DATABASE": f"sqlite:///{database}",
            "DRILL_SECRET": SECRET,
            "DRILL_PORT": str(port),
        }
        self._makes = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("served.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self._server = 0

    def serve(self) -> None:
        """Have a new server begin."""
        assert not self._server
        assert self._makes.stdin is not None
        self._makes.stdin.write("\n")
        self._makes.stdin.flush()
        self._server = int(self._line())

    def kill(self) -> None:
        """Kill the server, and wait until it is no more."""
        server, self._server = self._server, 0
        os.kill(server, signal.SIGKILL)
        assert self._line() == "gone"

    def close(self) -> None:
        if self._server:
            self.kill()
        assert self._makes.stdin is not None
        assert self._makes.stdout is not None
        self._makes.stdin.close()
        self._makes.wait(10)
        self._makes.stdout.close()

    def _line(self) -> str:
        assert self._makes.stdout is not None
        line = self._makes.stdout.readline()
        while line and line.strip() != "gone" and not line.strip().isdigit():
            line = self._makes.stdout.readline()
        return line.strip()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def stored(database: Path) -> dict[str, tuple[bytes, str]]:
    """Read what is in the store, past the server: sender's id → (bytes, status)."""
    query = "SELECT e.event_id, p.body, e.status FROM webhook_events e JOIN webhook_payloads p ON p.event_id = e.id"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(query).fetchall()
    assert len({row[0] for row in rows}) == len(rows), "an event is stored twice"
    return {event_id: (body, status) for event_id, body, status in rows}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "custodes.db"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def servers(database: Path, port: int) -> Iterator[Servers]:
    made = Servers(database, port)
    yield made
    made.close()


@pytest.mark.drill
@pytest.mark.timeout(240)
def test_kill_dash_nine_under_load(servers: Servers, database: Path, port: int):
    ledger, choose = Ledger(), random.Random(20261123)
    killed_with_open_jobs = 0
    for number in range(ROUNDS):
        # Given a server under load
        servers.serve()
        with senders(port, ledger, number) as first:
            assert first.wait(30), "no delivery was accepted"
            time.sleep(choose.uniform(EARLIEST, LATEST))
            # When it is killed
            servers.kill()
        # Then everything that was answered with 2xx is there, unchanged, once, and nothing that nobody sent
        kept = stored(database)
        assert not ledger.accepted - kept.keys(), "accepted events were lost"
        assert all(ledger.sent[event_id] == body for event_id, (body, _) in kept.items()), "bytes were changed"
        killed_with_open_jobs += any(status != "succeeded" for _, status in kept.values())

    # And a server that comes up handles all that was left open
    servers.serve()
    waited_until = time.monotonic() + RESUMED_WITHIN + 10  # the backlog itself takes a while too
    while any(status != "succeeded" for _, status in stored(database).values()):
        assert time.monotonic() < waited_until, "open jobs were not resumed"
        time.sleep(0.1)
    servers.kill()
    assert killed_with_open_jobs > 0, "no round was killed in the middle of something"
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM custodes_jobs").fetchone() == (0,)
    assert len(ledger.accepted) > ROUNDS, f"{ROUNDS} kills, {len(ledger.accepted)} accepted of {len(ledger.sent)} sent"
