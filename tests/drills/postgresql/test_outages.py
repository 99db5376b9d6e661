"""PostgreSQL is stopped, restarted and killed under a steady load of webhooks.

The full count: ``CUSTODES_DRILL_ROUNDS=30 pytest -s tests/drills/postgresql``.
"""

from __future__ import annotations

import http.client
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest
from tests.counts import FULL, rounds
from tests.drills.inbound.load import (
    Ledger,
    Servers,
    assert_nothing_lost,
    open_events,
    senders,
    tell,
)
from tests.servers.postgresql import PostgresServer
from tests.servers.programs import free_port, required

#: Outages.
ROUNDS = rounds(2)

#: Longest until the first 2xx after the database is back, seconds; five only where the machine is quiet.
BACK_SECONDS = 5.0 if FULL else 60.0

#: How long the database stays away, seconds; 0: it is started again at once.
AWAY = (0.0, 1.5, 0.5)

#: Lease of a job, seconds: in full that of the usual settings.
LEASE = 10 if FULL else 2

#: Longest until a killed worker's jobs are done, seconds; as above.
RETAKEN_SECONDS = LEASE + (5.0 if FULL else 60.0)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of its own, whose commits reach the disk."""
    made = cast("PostgresServer", required(lambda: PostgresServer(durable=True)))
    yield made
    made.remove()


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.url(server.new_database()).replace("postgresql:", "postgresql+psycopg:")


class Visits:
    """What somebody meets who uses the host app meanwhile."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.errors: list[str] = []


@contextmanager
def visitor(port: int) -> Iterator[Visits]:
    """Ask for a page of the host app, fifty times a second."""
    visits, stop = Visits(), threading.Event()

    def visit() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not stop.wait(0.02):
            began = time.perf_counter()
            try:
                connection.request("GET", "/page")
                answer = connection.getresponse()
                answer.read()
                if answer.status != 204:
                    visits.errors.append(str(answer.status))
            except (OSError, http.client.HTTPException) as error:
                visits.errors.append(repr(error))
                connection.close()
            visits.took.append(time.perf_counter() - began)
        connection.close()

    thread = threading.Thread(target=visit, daemon=True)
    thread.start()
    try:
        yield visits
    finally:
        stop.set()
        thread.join(60)


@pytest.mark.drill
@pytest.mark.timeout(240 + 30 * ROUNDS)
def test_nothing_accepted_is_lost_while_the_database_comes_and_goes(server: PostgresServer, url: str):
    ledger, choose, port = Ledger(), random.Random(20261125), free_port()
    servers = Servers(url, port)
    ways: list[Callable[[], None]] = [server.stop, server.kill]
    waited: list[float] = []
    try:
        # Given a server under load, and somebody who uses the host app
        servers.serve()
        with senders(port, ledger, 0) as first:
            assert first.wait(60), "no delivery was accepted"
            with visitor(port) as visits:
                for number in range(ROUNDS):
                    # When the database goes, cleanly or as in a crash, and comes back
                    time.sleep(choose.uniform(0.2, 0.8))
                    ways[(number + 1) % 2]()
                    time.sleep(AWAY[number % len(AWAY)])
                    server.start()
                    # Then webhooks are accepted again in time
                    waited.append(seconds_until_the_next_is_accepted(ledger))
                    assert waited[-1] <= BACK_SECONDS

        # And what was accepted is there; the others were told to come back; the host app has noticed nothing
        assert_nothing_lost(url, ledger)
        assert set(ledger.refused) <= {(503, True)}, ledger.refused
        assert visits.errors == []
        until(lambda: not open_events(url), LEASE + 60, "what was accepted is handled")
    finally:
        servers.close()
    told, visited = sum(ledger.refused.values()), len(visits.took)
    tell(
        f"{ROUNDS} outages of PostgreSQL: {len(ledger.accepted)} accepted, 0 lost, {told} told to come back (503);"
        f" first 2xx after {max(waited):.1f} s at most; host app: {visited} visits, 0 errors,"
        f" median {statistics.median(visits.took) * 1_000:.1f} ms, worst {max(visits.took) * 1_000:.0f} ms"
    )


@pytest.mark.drill
def test_a_killed_worker_s_jobs_are_taken_over_in_time(url: str):
    # Given two processes on one database, both handling
    ledger, ports = Ledger(), (free_port(), free_port())
    doomed, other = (Servers(url, port, lease=LEASE) for port in ports)
    try:
        other.serve()
        with senders(ports[1], ledger, 1) as first:
            assert first.wait(60)
        doomed.serve()
        with senders(ports[0], ledger, 2) as first:
            assert first.wait(60)
            time.sleep(0.5)
            # When one is killed with jobs in its hands
            doomed.kill()
            killed = time.monotonic()
        left = open_events(url)

        # Then the other has done them in time
        until(lambda: not left & open_events(url), RETAKEN_SECONDS + 5, "the jobs are done")
        took = time.monotonic() - killed
    finally:
        doomed.close()
        other.close()
    assert left, "it was killed with nothing in its hands"
    assert took <= RETAKEN_SECONDS
    assert_nothing_lost(url, ledger)
    tell(f"a worker killed with {len(left)} jobs open: all done by the other after {took:.1f} s")


def seconds_until_the_next_is_accepted(ledger: Ledger) -> float:
    began, before = time.monotonic(), len(ledger.accepted)
    until(lambda: len(ledger.accepted) > before, BACK_SECONDS + 5, "webhooks are accepted again")
    return time.monotonic() - began


def until(promise: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not promise():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
