"""Redis is killed, frozen and flushed under a load of webhooks and of requests, all held against a limit in Redis.

The full count: ``CUSTODES_DRILL_ROUNDS=30 pytest -s tests/drills/redis``.
"""

from __future__ import annotations

import http.client
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from tests.counts import FULL
from tests.drills.inbound.load import Ledger, Servers, assert_nothing_lost, senders, tell
from tests.servers.programs import free_port, required
from tests.servers.redis import RedisServer

#: Of each sort of outage.
ROUNDS = max(1, int(os.environ.get("CUSTODES_DRILL_ROUNDS", "3")) // 3)

#: How long a request waits for Redis, milliseconds: in full the usual 20; else so long that a request that waited is
#: told from one that a busy machine held up.
DEADLINE_MS = 0 if FULL else 200

#: Longest until nobody waits for a Redis that does not answer, seconds; a second only where the machine is quiet.
OPENS_SECONDS = 1.0 if FULL else 30.0

#: What a request may take longer while Redis is known not to answer, seconds.
ADDED_SECONDS = 0.005 if FULL else 0.1

#: How long Redis stays away after nobody waits any more, and is well between two outages, seconds.
AWAY_SECONDS = WELL_SECONDS = 1.5 if FULL else 0.7

#: Visits from which on the slowest in a hundred tells of us, not of what else the machine does: from fewer, the median
#: must do. A request that waited for Redis took as long as its deadline, and the median would tell of that.
ENOUGH = 3_000

VISITORS = 4


class Visit(NamedTuple):
    """A page of the host app was asked for."""

    ended: float
    took: float
    #: Whether limits were decided in Redis.
    decided: bool


class Visits:
    """What visitors of the host app meet."""

    def __init__(self) -> None:
        self.all: list[Visit] = []
        self.errors: list[str] = []

    def first(self, since: float, *, decided: bool) -> float:
        """Wait for the first visit whose limits were decided in Redis, or were not; returns when it ended."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for visit in self.all[-200:]:
                if visit.decided is decided and visit.ended > since:
                    return visit.ended
            time.sleep(0.005)
        pytest.fail(f"no visit in which Redis {'answered' if decided else 'was known not to answer'}")


@contextmanager
def visitors(port: int) -> Iterator[Visits]:
    """Four that ask for a page fifty times a second each."""
    visits, stop = Visits(), threading.Event()

    def visit() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not stop.wait(0.02):
            began = time.monotonic()
            try:
                connection.request("GET", "/page")
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                visits.errors.append(repr(error))
                connection.close()
                continue
            ended = time.monotonic()
            if answer.status != 204:
                visits.errors.append(str(answer.status))
            visits.all.append(Visit(ended, ended - began, answer.headers["x-limits-decided"] == "1"))
        connection.close()

    threads = [threading.Thread(target=visit, daemon=True) for _ in range(VISITORS)]
    for thread in threads:
        thread.start()
    try:
        yield visits
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A server of its own."""
    made = cast("RedisServer", required(RedisServer))
    yield made
    made.remove()


@pytest.mark.drill
@pytest.mark.timeout(240 + 30 * ROUNDS)
def test_redis_comes_and_goes_and_nothing_is_lost_and_nobody_waits(redis: RedisServer, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/custodes.db"
    ledger, port = Ledger(), free_port()
    servers = Servers(url, port, redis=redis.url, deadline=DEADLINE_MS)
    opened: list[float] = []
    away: list[tuple[float, float]] = []
    try:
        # Given a server under a load of webhooks and of requests
        servers.serve()
        with senders(port, ledger, 0, pause=0.1) as first:
            assert first.wait(60), "no delivery was accepted"
            time.sleep(WELL_SECONDS)  # until everything has been done once
            with visitors(port) as visits:
                for goes, comes in [(redis.kill, redis.start), (redis.freeze, redis.thaw)] * ROUNDS:
                    time.sleep(WELL_SECONDS)
                    # When Redis is killed, or frozen, and comes back; when it forgets everything
                    lost = time.monotonic()
                    goes()
                    known = visits.first(lost, decided=False)
                    opened.append(known - lost)
                    time.sleep(AWAY_SECONDS)
                    away.append((known, time.monotonic()))
                    comes()
                    visits.first(time.monotonic(), decided=True)
                    redis.flush()
    finally:
        servers.close()

    # Then soon nobody waits for it, and what was accepted is there
    without = [one.took for one in visits.all if any(since < one.ended - one.took < until for since, until in away)]
    usual = [one.took for one in visits.all if one.decided]
    added = {
        "median": statistics.median(without) - statistics.median(usual),
        "p99": statistics.quantiles(without, n=100)[98] - statistics.quantiles(usual, n=100)[98],
    }
    tell(
        f"{ROUNDS} times Redis killed, frozen and flushed: {len(ledger.accepted)} webhooks accepted, 0 lost;"
        f" known after {max(opened) * 1_000:.0f} ms at most; {len(without)} of {len(visits.all)} visits without Redis:"
        f" median {added['median'] * 1_000:+.1f} ms, p99 {added['p99'] * 1_000:+.1f} ms; 0 errors"
    )
    assert_nothing_lost(url, ledger)
    assert not ledger.refused
    assert visits.errors == []
    assert max(opened) <= OPENS_SECONDS
    assert added["p99" if len(without) >= ENOUGH else "median"] <= ADDED_SECONDS
