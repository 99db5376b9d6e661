"""How costs grow with the work: rules, keys, history. Nothing here has a peer or a target; the page shows the curves.

* One decision of the limiter in memory under 1, 10 and 100 rules that all hold for the request, and over 10³ to 10⁷
  subjects that come in turn; to 10⁶ where the machine has less than 8 GB to spare.
* The dashboard's question about all API calls of 30 days, on SQLite, with 10⁵ to 10⁸ requests behind it.

Processor time of this process; medians of interleaved rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil

from benchmarks.history.install import Size, fill
from custodes import Custodes
from custodes.kernel.clock import DAY

COMMAND = "python -m benchmarks curves"

RULES = (1, 10, 100)
KEYS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
HISTORY = (100_000, 1_000_000, 10_000_000, 100_000_000)

#: Memory that the last of them take, bytes: some 3 GB here and 2 GB in Redis, and others want to live.
ROOM = 8 * 2**30
FEWER_KEYS = 1_000_000

#: Decisions of one round, at least; rounds; times that the dashboard's question is asked.
DECISIONS = 2_000
ROUNDS = 5
TIMES = 10


def run() -> list[dict[str, Any]]:
    return [*asyncio.run(by_rules()), *by_keys(), *asyncio.run(by_history())]


async def by_rules() -> list[dict[str, Any]]:
    sides: dict[int, Custodes] = {}
    for rules in RULES:
        custodes = sides[rules] = Custodes("sqlite://")
        for number in range(rules):
            custodes.limit(f"{1_000_000 + number}/hour", by="ip", route="*", name=f"rule{number}")
    took: dict[int, list[float]] = {rules: [] for rules in RULES}
    for _ in range(ROUNDS):
        for rules, custodes in sides.items():
            began = time.process_time()
            for number in range(DECISIONS):
                await custodes.ratelimit.check_rate_limit(f"198.51.100.{number % 200}")
            took[rules].append((time.process_time() - began) / DECISIONS * 1e6)
    return [_row("one decision, by rules that hold", f"{rules:,}", took[rules], "µs") for rules in RULES]


def by_keys() -> list[dict[str, Any]]:
    limiter = Custodes("sqlite://").ratelimit
    rows: list[dict[str, Any]] = []
    for keys in keys_with_room():
        names = [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(keys)]
        hit = limiter.quota("1000/hour", max_subjects=2 * keys).hit
        _all(hit, names)  # they are known before the clock runs
        took: list[float] = []
        for _ in range(ROUNDS):
            began = time.process_time()
            _all(hit, names)
            took.append((time.process_time() - began) / keys * 1e6)
        rows.append(_row("one decision, by subjects that come in turn", f"{keys:,}", took, "µs"))
    return rows


def keys_with_room() -> list[int]:
    return [keys for keys in KEYS if keys <= FEWER_KEYS or psutil.virtual_memory().available > ROOM]


def _all(hit: Callable[[str], object], names: Sequence[str]) -> None:
    for name in names:
        hit(name)


async def by_history() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for requests in HISTORY:
        with tempfile.TemporaryDirectory() as folder:
            custodes = Custodes(f"sqlite:///{folder}/history.db")
            await custodes.open()
            await fill(custodes, Size(requests=requests, events=0, entries=0, only=("api_rollups",)))
            now = custodes.clock.now()
            took: list[float] = []
            for _ in range(TIMES):
                began = time.process_time()
                await custodes.traffic.get_api_analytics(now - 30 * DAY, now)
                took.append((time.process_time() - began) * 1e3)
            await custodes.close()
        rows.append(_row("API analytics of 30 days, by requests of history", f"{requests:,}", took, "ms"))
    return rows


def _row(of: str, at: str, took: list[float], unit: str) -> dict[str, Any]:
    return {
        "name": f"{of}: {at}",
        "curve": of,
        "at": at,
        "ours": statistics.median(took),
        "peer": None,
        "peer_name": "",
        "ratio": None,
        "unit": unit,
        "target": "shown",
        "met": True,
        "command": COMMAND,
    }
