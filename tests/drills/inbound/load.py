"""What the drills share: senders with a ledger of their own, servers that can be killed, and what is in the store."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from custodes.testing.webhooks import signed_webhook

SECRET = "whsec_of_the_drill"
SENDERS = 8


class Ledger:
    """What the senders know, outside of the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent: dict[str, bytes] = {}
        self.accepted: set[str] = set()
        #: Answers that were no 2xx: (status, whether it said when to come back).
        self.refused: Counter[tuple[int, bool]] = Counter()

    def send(self, event_id: str, body: bytes) -> None:
        with self._lock:
            self.sent[event_id] = body

    def accept(self, event_id: str) -> None:
        with self._lock:
            self.accepted.add(event_id)

    def refuse(self, status: int, retry_after: str | None) -> None:
        with self._lock:
            self.refused[status, retry_after is not None] += 1


@contextmanager
def senders(port: int, ledger: Ledger, seed: int, pause: float = 0) -> Iterator[threading.Event]:
    """Eight senders that deliver until told to stop, each with a pause of so many seconds between two deliveries.

    The event is set at the first 2xx.
    """
    first, stop = threading.Event(), threading.Event()

    def deliver(number: int) -> None:
        choose = random.Random(seed * 100 + number)
        count = 0
        while not stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
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
                        stop.wait(pause)
                    else:
                        ledger.refuse(answer.status, answer.headers.get("retry-after"))
                        stop.wait(0.05)
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
            thread.join(60)


class Servers:
    """Servers on one database, one after the other, each a process of its own; see served.py.

    Args:
        url: of the database.
        port: of the server.
        lease: seconds after which a killed server's jobs are taken over.
        redis: URL of the Redis that limits are decided in; empty for none, and no limits.
        deadline: how long a request waits for Redis, milliseconds; 0 for the usual.
    """

    def __init__(self, url: str, port: int, lease: int = 1, redis: str = "", deadline: int = 0) -> None:
        environment = {
            **os.environ,
            "DRILL_DATABASE": url,
            "DRILL_SECRET": SECRET,
            "DRILL_PORT": str(port),
            "DRILL_LEASE": str(lease),
            "DRILL_REDIS": redis,
            "DRILL_DEADLINE": str(deadline),
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
        self._makes.wait(60)
        self._makes.stdout.close()

    def _line(self) -> str:
        assert self._makes.stdout is not None
        line = self._makes.stdout.readline()
        while line and line.strip() != "gone" and not line.strip().isdigit():
            line = self._makes.stdout.readline()
        return line.strip()


def stored(url: str) -> dict[str, tuple[bytes, str]]:
    """Read what is in the store, past the server: sender's id → (bytes, status)."""
    query = "SELECT e.event_id, p.body, e.status FROM webhook_events e JOIN webhook_payloads p ON p.event_id = e.id"
    rows = [(event_id, bytes(body), status) for event_id, body, status in rows_of(url, query)]
    assert len({row[0] for row in rows}) == len(rows), "an event is stored twice"
    return {event_id: (body, status) for event_id, body, status in rows}


def rows_of(url: str, query: str) -> list[tuple]:
    """Ask the database itself."""
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute(query.encode()).fetchall()


def assert_nothing_lost(url: str, ledger: Ledger) -> None:
    """Everything that was answered with 2xx is there, unchanged, once, and nothing that nobody sent."""
    kept = stored(url)
    assert not ledger.accepted - kept.keys(), "accepted events were lost"
    assert all(ledger.sent[event_id] == body for event_id, (body, _) in kept.items()), "bytes were changed"


def open_events(url: str) -> set[str]:
    """Name the events that nobody has handled yet."""
    return {event_id for (event_id,) in rows_of(url, "SELECT event_id FROM webhook_events WHERE status <> 'succeeded'")}


def tell(figure: str) -> None:
    """Print a figure; pytest shows it with ``-s``."""
    sys.stdout.write(f"\n{figure}\n")
