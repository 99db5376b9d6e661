"""What limits on Redis cost as there are more of them: memory of a subject, decisions over many subjects and workers.

* Bytes that Redis takes for one subject under one limit, with the key: ``used_memory`` of 10,000 subjects less what it
  was before, by algorithm and by what the subject has used.
* Processor time of one decision, this process's and the server's together, with 10³ to 10⁷ subjects in Redis of which
  the ones that come are drawn by lot; to 10⁶ where the machine has less than 8 GB to spare.
* Processor time that the server takes for one decision while 1, 2, 4 and 8 workers ask, 64 tasks each. It is what all
  workers share: a thousand divided by it is how many thousand decisions a second one server has room for.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from typing import Any

from tests.servers.redis import RedisServer

from benchmarks.curves import keys_with_room
from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.kernel.window import (
    CalendarQuota,
    CalendarUnit,
    Concurrency,
    Gcra,
    Meter,
    Outcome,
    SlidingLog,
    SubWindows,
)
from custodes.runtime.system_clock import SystemClock
from custodes.storage.redis.cells import RedisCells
from custodes.storage.redis.windows import RedisWindows

COMMAND = "python -m benchmarks curves_redis"

#: Subjects whose memory is measured together.
MEASURED = 10_000

#: Limits by name, and how many units each subject has used.
KINDS: tuple[tuple[str, Meter, int], ...] = (
    ("bucket (GCRA)", Gcra(100, HOUR, 100), 1),
    ("calendar quota", CalendarQuota(1_000, CalendarUnit.DAY), 1),
    ("5 slots, 1 held", Concurrency(5, HOUR), 1),
    ("window of 100, 1 used", SlidingLog(100, HOUR), 1),
    ("window of 100, 100 used", SlidingLog(100, HOUR), 100),
    ("window of 4,096, 1 used", SlidingLog(4_096, HOUR), 1),
    ("window of 4,096, 1,000 used", SlidingLog(4_096, HOUR), 1_000),
    ("sub-windows, 1 used", SubWindows(100_000, DAY), 1),
)

WORKERS = (1, 2, 4, 8)

#: Decisions that are measured; asked at once, so that they share calls.
DECISIONS = 12_800
TOGETHER = 64

clock = SystemClock()


def limiter(url: str) -> RedisWindows:
    return RedisWindows(url, b"benchmark", monotonic=clock.monotonic, deadline=60 * SECOND)


async def ask(windows: RedisWindows, cells: RedisCells, subjects: list[int], cost: int = 1) -> None:
    """Ask about subjects, some at a time."""
    for first in range(0, len(subjects), TOGETHER):
        answers = [
            windows.decide([(cells, f"10.{number}", cost)], clock.now())
            for number in subjects[first : first + TOGETHER]
        ]
        for answer in answers:
            if not isinstance(answer, Outcome):
                await answer


async def memory(server: RedisServer) -> list[dict[str, Any]]:
    windows = limiter(server.url)
    await windows.start()
    rows: list[dict[str, Any]] = []
    # Once for what the server takes for itself: the script, the connections, the table of the keys.
    await ask(windows, windows.cells("warm", KINDS[0][1]), list(range(MEASURED)))
    with server.client() as client:
        for name, meter, used in KINDS:
            client.flushall()
            before = client.info("memory")["used_memory"]
            await ask(windows, windows.cells(name, meter), list(range(MEASURED)), used)
            taken = client.info("memory")["used_memory"] - before
            rows.append(_row("memory of a subject in Redis, by algorithm", name, taken / MEASURED, "B"))
        client.flushall()
    await windows.stop()
    return rows


async def by_keys(server: RedisServer) -> list[dict[str, Any]]:
    windows, rng = limiter(server.url), random.Random(3)
    await windows.start()
    cells = windows.cells("keys", SlidingLog(1_000, DAY))
    rows: list[dict[str, Any]] = []
    there = 0
    for keys in keys_with_room():
        await ask(windows, cells, list(range(there, keys)))
        there = keys
        drawn = [rng.randrange(keys) for _ in range(DECISIONS)]
        begun = time.process_time() + worked(server)
        await ask(windows, cells, drawn)
        took = time.process_time() + worked(server) - begun
        rows.append(_row("one decision on Redis, by subjects there", f"{keys:,}", took / DECISIONS * 1e6, "µs"))
    await windows.stop()
    server.flush()
    return rows


def by_workers(server: RedisServer) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for workers in WORKERS:
        begun = worked(server)
        asking = [
            subprocess.Popen([sys.executable, "-m", "benchmarks.curves_redis", server.url, str(number)])
            for number in range(workers)
        ]
        if any(one.wait(300) for one in asking):
            raise SystemExit("a worker failed")
        took = (worked(server) - begun) / (workers * DECISIONS)
        rows.append(_row("the server's part of one decision, by workers", str(workers), took * 1e6, "µs"))
    return rows


async def work(url: str, name: str) -> None:
    windows = limiter(url)
    await windows.start()
    subjects = [number % 1_000 for number in range(DECISIONS)]
    await ask(windows, windows.cells(name, SlidingLog(100, HOUR)), subjects)
    await windows.stop()


def worked(server: RedisServer) -> float:
    """Processor time of the server so far, seconds."""
    with server.client() as client:
        told = client.info("cpu")
    return told["used_cpu_user"] + told["used_cpu_sys"]


def _row(of: str, at: str, ours: float, unit: str) -> dict[str, Any]:
    return {
        "name": f"{of}: {at}",
        "curve": of,
        "at": at,
        "ours": ours,
        "peer": None,
        "peer_name": "",
        "ratio": None,
        "unit": unit,
        "target": "shown",
        "met": True,
        "command": COMMAND,
    }


def run() -> list[dict[str, Any]]:
    """Run everything; about two minutes."""
    server = RedisServer()
    try:
        return [*asyncio.run(memory(server)), *asyncio.run(by_keys(server)), *by_workers(server)]
    finally:
        server.remove()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2]))
