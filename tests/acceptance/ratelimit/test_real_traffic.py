"""A day of real traffic through the limiter, held against an independent count."""

from __future__ import annotations

import asyncio
import csv
import inspect
from bisect import bisect_right
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from custodes import Custodes
from custodes.kernel.clock import MINUTE, SECOND
from custodes.testing.clock import FakeClock

LIMIT = 10


class Request:
    """A line of the access log."""

    __slots__ = ("api_key", "client_ip", "limited_by", "method", "path", "tenant", "trace_id", "user")

    def __init__(self, host: str, method: str, path: str) -> None:
        self.user = host
        self.method = method
        self.path = path
        self.client_ip = self.api_key = self.limited_by = ""
        self.tenant = "default"
        self.trace_id = "0" * 32


def read(shared_data: Path) -> list[tuple[int, str, str, str]]:
    with (shared_data / "nasa_ksc_19950801.tsv").open(encoding="latin-1", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        lines = [(int(row["time"]) * SECOND, row["host"], row["method"] or "GET", row["url"] or "/") for row in rows]
    return sorted(lines, key=lambda line: line[0])


def count(lines: list[tuple[int, str, str, str]]) -> tuple[int, Counter[str]]:
    """Count by hand: a request is admitted iff its host has fewer than LIMIT admitted ones in the minute before."""
    admitted: defaultdict[str, list[int]] = defaultdict(list)
    refused: Counter[str] = Counter()
    for at, host, _, _ in lines:
        times = admitted[host]
        if len(times) - bisect_right(times, at - MINUTE) < LIMIT:
            times.append(at)
        else:
            refused[host] += 1
    return sum(len(times) for times in admitted.values()), refused


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
async def test_a_day_of_real_requests_is_limited_as_a_count_by_hand_says(
    shared_data: Path, sqlite_url: str, clock: FakeClock, engine: str
):
    """Given 30,969 requests of 1995-08-01, when each host has 10 a minute, then exactly those over it are refused."""
    lines = read(shared_data)
    if engine == "sqlite":
        lines = lines[:6_000]
    clock.jump(lines[0][0] - clock.now())
    custodes = Custodes(sqlite_url, clock=clock, rate_limit_store=engine, rate_limit_deadline_ms=10_000)
    await custodes.open()
    custodes.limit(f"{LIMIT}/minute", by="user", name="host")

    refused: Counter[str] = Counter()
    for at, host, method, path in lines:
        clock.advance(at - clock.now())
        decision = custodes.ratelimit.check(Request(host, method, path))
        decision = await decision if inspect.isawaitable(decision) else decision
        refused[host] += not decision.allowed
    await custodes.ratelimit.flush()
    await asyncio.sleep(0)
    found = await custodes.ratelimit.get_rate_limit_analytics(since=0, until=clock.now() + MINUTE)
    await custodes.ratelimit.stop()
    await custodes.close()

    admitted, expected = count(lines)
    assert +refused == expected
    assert (found.allowed, found.refused) == (admitted, expected.total())
    assert expected.total() > 100, "the log does have hosts over the limit"
    assert found.identifiers[0].label == f"user:{expected.most_common(1)[0][0]}"
