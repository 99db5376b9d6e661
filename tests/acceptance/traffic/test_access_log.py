"""A real day's traffic: 30,969 requests of an access log, replayed and held against an independent count of the file.

Given the log of NASA's web server of 1 August 1995, when every request of it passes through the real middleware around
a Starlette app that answers as the log says, then every figure is what plain counting of the file says, before and
after folding, and every percentile is what sorting says.
"""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route

from custodes import Custodes
from custodes.asgi.middleware import Middleware
from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.kernel.histogram import MAX_RELATIVE_ERROR
from custodes.planes.traffic.monitor import ApiMonitor
from custodes.planes.traffic.ranking import QUANTILES
from custodes.planes.traffic.rollup import OTHER, UNMATCHED
from custodes.testing.clock import FakeClock

#: Folders of the site that get a route; the rest of the paths is matched by none.
FOLDERS = ("images", "shuttle", "history", "software", "facilities", "icons")


@dataclass(frozen=True)
class Line:
    at: int
    host: str
    method: str
    path: str
    status: int
    size: int
    ttfb: int
    total: int

    @property
    def route(self) -> str | None:
        folder = self.path.split("/")[1] if self.path.startswith("/") else ""
        return f"/{folder}/{{name}}" if folder in FOLDERS and self.path.count("/") > 1 else None


@cache
def read(file: Path) -> tuple[Line, ...]:
    """Read the log; it has no durations, so each request gets some of a seeded draw, and begins when the one before
    has ended if that is later than the whole second that the log says: time never runs backwards."""
    chance = random.Random(1995)
    lines: list[Line] = []
    free_at = 0
    addresses: dict[str, str] = {}
    with file.open(encoding="latin-1", newline="") as text:
        rows = csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        for row in sorted(rows, key=lambda row: int(row["time"])):
            number = len(addresses)
            ip = addresses.setdefault(row["host"], f"198.18.{number // 256}.{number % 256}")
            total = int(chance.lognormvariate(8, 1.4))
            size = int(row["bytes"]) if row["bytes"].isdigit() else 0
            at = max(free_at, int(row["time"]) * SECOND)
            free_at = at + total
            lines.append(
                Line(
                    at,
                    ip,
                    row["method"],
                    row["url"].split("?")[0],
                    int(row["response"]),
                    size,
                    total // 3,
                    total,
                )
            )
    return tuple(lines)


@pytest.fixture
def log(shared_data: Path) -> tuple[Line, ...]:
    return read(shared_data / "nasa_ksc_19950801.tsv")


@pytest.fixture
async def custodes(sqlite_url: str, log: tuple[Line, ...]) -> AsyncIterator[Custodes]:
    made = Custodes(
        sqlite_url,
        clock=FakeClock(log[0].at),
        random_bits=random.Random(7).getrandbits,
        rate_limiting_enabled=False,
    )
    await made.database.open()
    yield made
    await made.database.close()


# ── The way in ───────────────────────────────────────────────────────────────

Replay = Callable[[Line], Awaitable[None]]


def through_the_middleware(custodes: Custodes) -> Replay:
    clock = custodes.clock
    assert isinstance(clock, FakeClock)

    async def body(line: Line) -> AsyncIterator[bytes]:
        yield b"x" * (line.size // 2)
        clock.advance(line.total - line.ttfb)
        yield b"x" * (line.size - line.size // 2)

    async def answer(request: Request) -> Response:
        line: Line = request.scope["line"]
        clock.advance(line.ttfb)
        return StreamingResponse(body(line), status_code=line.status)

    routes = [
        Mount(f"/{folder}", routes=[Route("/{name:path}", answer, methods=["GET", "HEAD", "POST"])])
        for folder in FOLDERS
    ]
    site = Starlette(routes=routes)
    site.router.redirect_slashes = False  # the log's answers, not Starlette's
    site.router.default = lambda scope, receive, send: _answer(answer, scope, receive, send)
    app = Middleware(site, custodes)

    async def replay(line: Line) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            pass

        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.0",
            "method": line.method,
            "scheme": "http",
            "path": line.path,
            "raw_path": line.path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"ksc.nasa.gov")],
            "client": (line.host, 40_000),
            "server": ("ksc.nasa.gov", 80),
            "line": line,
        }
        await app(scope, receive, send)

    return replay


async def _answer(handler: Any, scope: Any, receive: Any, send: Any) -> None:
    response = await handler(Request(scope, receive))
    await response(scope, receive, send)


async def replayed(custodes: Custodes, log: tuple[Line, ...]) -> ApiMonitor:
    clock = custodes.clock
    assert isinstance(clock, FakeClock)
    replay = through_the_middleware(custodes)
    for number, line in enumerate(log, 1):
        clock.advance(max(0, line.at - clock.now()))
        await replay(line)
        if number % 2_500 == 0:
            await custodes.traffic.flush()
            await custodes.leader.campaign()
            await custodes.traffic.fold()
    return custodes.traffic


# ── The independent count ────────────────────────────────────────────────────


def within(estimate: float, ordered: list[int], q: float) -> bool:
    exact = ordered[max(1, ceil(q * len(ordered))) - 1]
    return abs(estimate - exact) <= MAX_RELATIVE_ERROR * exact


async def test_a_day_of_real_traffic(custodes: Custodes, log: tuple[Line, ...]):
    monitor = await replayed(custodes, log)

    await every_figure_is_that_of_the_file(monitor, log)
    await every_request_is_there_as_a_row(monitor, log)
    await nothing_changes_when_the_day_is_folded(custodes, log)


async def every_figure_is_that_of_the_file(monitor: ApiMonitor, log: tuple[Line, ...]) -> None:
    begin, end = log[0].at, log[-1].at + 1
    found = await monitor.get_api_analytics(begin, end, step_seconds=3_600, endpoints=500)

    assert len(log) == 30_969
    assert found.totals.count == len(log)
    assert found.totals.response_bytes == sum(line.size for line in log)
    assert found.totals.client_errors == sum(400 <= line.status < 500 for line in log)
    assert found.totals.server_errors == sum(line.status >= 500 for line in log)
    assert dict(found.statuses) == Counter(line.status for line in log)

    # By hour.
    by_hour = Counter(line.at // HOUR * HOUR for line in log)
    assert {point.at: point.stats.count for point in found.series} == by_hour
    bytes_by_hour: Counter[int] = Counter()
    for line in log:
        bytes_by_hour[line.at // HOUR * HOUR] += line.size
    assert {point.at: point.stats.response_bytes for point in found.series} == +bytes_by_hour

    # By endpoint and method.
    by_endpoint = Counter((line.method, line.route or UNMATCHED) for line in log)
    assert {(one.method, one.route): one.stats.count for one in found.endpoints} == by_endpoint

    # Times: totals, one hour, one endpoint.
    some_hour = max(by_hour)
    some_route = FOLDERS[0]
    for stats, lines in (
        (found.totals, log),
        (found.series[-1].stats, [line for line in log if line.at // HOUR * HOUR == some_hour]),
        (
            next(
                one.stats for one in found.endpoints if one.route.startswith(f"/{some_route}") and one.method == "GET"
            ),
            [line for line in log if line.route and line.route.startswith(f"/{some_route}") and line.method == "GET"],
        ),
    ):
        assert stats.timed == len(lines)
        assert stats.max_us == max(line.total for line in lines)
        assert stats.min_us == min(line.total for line in lines)
        assert stats.mean_us == sum(line.total for line in lines) / len(lines)
        totals, ttfbs = sorted(line.total for line in lines), sorted(line.ttfb for line in lines)
        for name, q in QUANTILES.items():
            assert within(getattr(stats.total, name), totals, q), name
            assert within(getattr(stats.ttfb, name), ttfbs, q), name

    # By address: no more than there were, and at most what "(other)" holds is missing.
    by_address = Counter(line.host for line in log)
    shown = {one.name: one.count for one in found.consumers["ip"]}
    others = shown.pop(OTHER)
    assert len(shown) == 10
    for address, count in shown.items():
        assert count <= by_address[address] <= count + others


async def every_request_is_there_as_a_row(monitor: ApiMonitor, log: tuple[Line, ...]) -> None:
    await monitor.flush()
    kept: Counter[tuple[Any, ...]] = Counter()
    cursor = None
    while True:
        page = await monitor.list_calls(limit=500, cursor=cursor)
        kept.update(
            (call.started_at, call.client_ip, call.method, call.route, call.path, call.status, call.response_bytes)
            for call in page.items
        )
        cursor = page.next_cursor
        if cursor is None:
            break

    assert kept == Counter(
        (line.at, line.host, line.method, line.route, line.path, line.status, line.size) for line in log
    )


async def nothing_changes_when_the_day_is_folded(custodes: Custodes, log: tuple[Line, ...]) -> None:
    monitor = custodes.traffic
    dawn = log[0].at // DAY * DAY
    before = await monitor.get_api_analytics(dawn, dawn + 2 * DAY, step_seconds=86_400, endpoints=500)
    await monitor.flush()
    assert isinstance(custodes.clock, FakeClock)
    custodes.clock.advance(2 * DAY)
    await custodes.leader.campaign()
    assert await monitor.fold() > 0
    after = await monitor.get_api_analytics(dawn, dawn + 2 * DAY, step_seconds=86_400, endpoints=500)

    assert after.totals == before.totals
    assert after.series == before.series
    assert after.endpoints == before.endpoints
    assert after.statuses == before.statuses
