"""kill -9 at random moments under load: what was answered with 2xx is there afterwards, unchanged, and gets handled.

The full count: ``CUSTODES_DRILL_ROUNDS=300 pytest -s tests/drills/inbound``.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.counts import rounds
from tests.drills.inbound.load import (
    Ledger,
    Servers,
    assert_nothing_lost,
    open_events,
    rows_of,
    senders,
    tell,
)
from tests.servers.programs import free_port

#: Kills of the server on each engine.
ROUNDS = {"sqlite": rounds(5), "postgresql": rounds(2)}
#: A round is killed at a random moment in this stretch after the first answer, seconds.
EARLIEST, LATEST = 0.05, 0.6
#: Longest that nothing may be done of what was left open, seconds: the drill's server has a lease of one.
RESUMED_WITHIN = 60


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/custodes.db"
    return request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def servers(url: str, port: int) -> Iterator[Servers]:
    made = Servers(url, port)
    yield made
    made.close()


@pytest.mark.drill
@pytest.mark.timeout(240 + 5 * ROUNDS["sqlite"])
def test_kill_dash_nine_under_load(servers: Servers, url: str, port: int):
    kills = ROUNDS["sqlite" if url.startswith("sqlite") else "postgresql"]
    ledger, choose = Ledger(), random.Random(20261123)
    killed_with_open_jobs = 0
    for number in range(kills):
        # Given a server under load
        servers.serve()
        with senders(port, ledger, number) as first:
            assert first.wait(60), "no delivery was accepted"
            time.sleep(choose.uniform(EARLIEST, LATEST))
            # When it is killed
            servers.kill()
        # Then everything that was answered with 2xx is there, unchanged, once, and nothing that nobody sent
        assert_nothing_lost(url, ledger)
        killed_with_open_jobs += bool(open_events(url))

    # And a server that comes up handles all that was left open
    servers.serve()
    left, moved_at = open_events(url), time.monotonic()
    while left:  # how long all of it takes depends on the rounds and on the machine; that it goes on does not
        time.sleep(0.1)
        still_open = open_events(url)
        if still_open < left:
            left, moved_at = still_open, time.monotonic()
        assert time.monotonic() < moved_at + RESUMED_WITHIN, f"{len(left)} open jobs were not resumed"
    servers.kill()
    assert killed_with_open_jobs > 0, "no round was killed in the middle of something"
    if url.startswith("sqlite"):
        assert rows_of(url, "PRAGMA integrity_check") == [("ok",)]
    assert rows_of(url, "SELECT count(*) FROM custodes_jobs") == [(0,)]
    assert len(ledger.accepted) > kills, f"{kills} kills, {len(ledger.accepted)} accepted of {len(ledger.sent)} sent"
    tell(f"{kills} kills: {len(ledger.accepted)} accepted, 0 lost, {killed_with_open_jobs} in the middle of something")
