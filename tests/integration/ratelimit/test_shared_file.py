"""Limits shared by the workers of one host through a SQLite file: exact, and never in the host's way."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from custodes import Custodes
from custodes.errors import StorageUnavailable
from custodes.kernel.clock import HOUR, MILLISECOND, MINUTE, SECOND
from custodes.kernel.window import Concurrency, SlidingLog
from custodes.storage.sql.ratelimit_windows import SqliteWindows

START = 1_790_000_000 * SECOND

WORKER = """
import asyncio, json, sys
from pathlib import Path
from custodes.kernel.window import Gcra, SlidingLog
from custodes.runtime.system_clock import SystemClock
from custodes.storage.sql.ratelimit_windows import SqliteWindows

async def main():
    clock, windows = SystemClock(), SqliteWindows(Path(sys.argv[1]), deadline=20_000_000)
    log = windows.cells("log", SlidingLog(200, 3_600_000_000))
    bucket = windows.cells("bucket", Gcra(1, 3_600_000_000, 150))
    admitted = {"log": 0, "bucket": 0}
    async def one(name, cells):
        outcome = await windows.decide([(cells, "somebody", 1)], clock.now())
        admitted[name] += not outcome.refused
    both = [("log", log), ("bucket", bucket)] * 30
    for _ in range(10):
        await asyncio.gather(*(one(name, cells) for name, cells in both))
    await windows.stop()
    print(json.dumps(admitted))

asyncio.run(main())
"""


async def test_two_processes_together_admit_exactly_the_limit(tmp_path: Path):
    """Given two processes that ask 600 times in all, at once, then 200 and 150 are admitted, whoever asked."""
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, str(tmp_path / "limits"), stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    told = [json.loads((await worker.communicate())[0]) for worker in workers]

    assert sum(one["log"] for one in told) == 200
    assert sum(one["bucket"] for one in told) == 150


async def test_concurrent_decisions_share_a_transaction(tmp_path: Path):
    windows = SqliteWindows(tmp_path / "limits", deadline=10 * SECOND)
    cells = windows.cells("a", SlidingLog(4_000, HOUR))
    await asyncio.gather(*(windows.decide([(cells, number, 1)], START) for number in range(400)))
    writer = windows._writer
    assert writer is not None

    assert writer.payloads == 400
    assert writer.groups < 40
    await windows.stop()


async def test_a_locked_file_delays_nobody_beyond_the_deadline(tmp_path: Path):
    """Given another process that holds the file, then a decision fails at the deadline and the next one after works."""
    windows = SqliteWindows(tmp_path / "limits", deadline=50 * MILLISECOND)
    cells = windows.cells("a", SlidingLog(5, MINUTE))
    await windows.decide([(cells, "x", 1)], START)
    blocker = sqlite3.connect(tmp_path / "limits", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageUnavailable):
        await windows.decide([(cells, "x", 1)], START)
    blocker.execute("ROLLBACK")
    blocker.close()
    windows._deadline = 10  # what is held still waits in SQLite's own steps, and a busy machine is not what is tried
    outcome = await windows.decide([(cells, "x", 1)], START)

    assert (windows.failures, bool(outcome.refused)) == (1, False)
    await windows.stop()


async def test_slots_taken_by_a_decision_that_came_too_late_are_given_back(tmp_path: Path):
    """Given a decision made after its deadline, and one whose asker has left, then neither holds a slot."""
    windows = SqliteWindows(tmp_path / "limits", deadline=10 * SECOND)
    cells = windows.cells("a", Concurrency(2, HOUR))
    windows._deadline = 0

    with pytest.raises(StorageUnavailable):
        await windows.decide([(cells, "x", 1)], START)
    windows._deadline = 10
    left = asyncio.ensure_future(windows.decide([(cells, "x", 1)], START))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    await windows.decide([(cells, "y", 1)], START)  # behind those two
    await asyncio.gather(*windows._releases)

    assert (await windows.decide([(cells, "x", 2)], START)).refused == ()
    await windows.stop()


async def test_what_cannot_be_decided_goes_by_the_failure_mode_and_is_counted(tmp_path: Path, install, call):
    for closed in (False, True):
        custodes: Custodes = install(rate_limit_store="sqlite", rate_limit_failure_mode="closed" if closed else "open")
        await custodes.open()
        custodes.limit("1/hour")
        (tmp_path / "custodes.db-limits").unlink(missing_ok=True)
        (tmp_path / "custodes.db-limits").mkdir()
        decision = await custodes.ratelimit.check(call())
        health = await custodes.ratelimit.get_health_status()
        (tmp_path / "custodes.db-limits").rmdir()

        assert decision.allowed is not closed
        assert health.figures["undecided"] == 1
        assert health.reasons
        if closed:
            assert decision.problem[0] == 503


async def test_a_damaged_file_is_made_anew(tmp_path: Path):
    path = tmp_path / "limits"
    path.write_bytes(b"this is no database" * 100)
    windows = SqliteWindows(path, deadline=10 * SECOND)
    cells = windows.cells("a", SlidingLog(5, MINUTE))

    with pytest.raises(StorageUnavailable):
        await windows.decide([(cells, "x", 1)], START)
    outcome = await windows.decide([(cells, "x", 1)], START)

    assert outcome.views == [(4, MINUTE)]
    await windows.stop()


async def test_states_survive_a_restart_and_dead_ones_are_cleaned_up(tmp_path: Path):
    path = tmp_path / "limits"
    windows = SqliteWindows(path, deadline=10 * SECOND)
    cells = windows.cells("a", SlidingLog(1, MINUTE))
    for number in range(50):
        await windows.decide([(cells, number, 1)], START)
    await windows.stop()

    again = SqliteWindows(path, deadline=10 * SECOND)
    cells = again.cells("a", SlidingLog(1, MINUTE))
    refused = await again.decide([(cells, 7, 1)], START + SECOND)
    for late in range(2, 5):
        await again.decide([(cells, "late", 1)], START + late * MINUTE)
    await again.stop()
    with sqlite3.connect(path) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM states").fetchone()
    connection.close()

    assert refused.refused
    assert rows <= 2


async def test_a_file_that_is_full_has_new_subjects_share_states(tmp_path: Path):
    windows = SqliteWindows(tmp_path / "limits", deadline=10 * SECOND, max_bytes=1)
    cells = windows.cells("a", SlidingLog(2, HOUR))
    await windows.decide([(cells, "known", 1)], START)
    await windows.decide([(cells, "known", 1)], START + 2 * SECOND)

    admitted = 0
    for _ in range(5):
        admitted += not (await windows.decide([(cells, "new", 1)], START + 3 * SECOND)).refused

    assert admitted == 2, "sharing gives nobody more"
    assert (await windows.decide([(cells, "known", 1)], START + 4 * SECOND)).refused, "who is known keeps its state"
    assert windows.overflowed == 5
    await windows.stop()


async def test_no_address_is_in_the_file_in_clear(tmp_path: Path):
    windows = SqliteWindows(tmp_path / "limits", deadline=10 * SECOND)
    cells = windows.cells("a", SlidingLog(5, MINUTE))
    await windows.decide([(cells, "203.0.113.199", 1)], START)
    await windows.stop()

    assert all(b"203.0.113.199" not in file.read_bytes() for file in tmp_path.iterdir())


async def test_a_new_file_is_nobody_elses_to_read(tmp_path: Path):
    windows = SqliteWindows(tmp_path / "limits", deadline=20 * SECOND)
    await windows.decide([(windows.cells("log", SlidingLog(5, MINUTE)), "203.0.113.9", 1)], START)

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    await windows.stop()

    assert modes == dict.fromkeys(("limits", "limits-wal", "limits-shm"), 0o600)
