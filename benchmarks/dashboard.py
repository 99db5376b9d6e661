"""How fast does the dashboard get its answers from an install with 100 million requests behind it?

An install is filled as it would be after so many requests (``benchmarks/history``: every level of rollups as far back
as it is kept, raw rows, a million audit entries, webhooks, limits, metrics). Then each question that the tabs ask is
asked again and again through the planes, in turn with all others, on a cache as warm as turns leave it. The garbage
collector is settled as in ``custodes serve``: else it looks at all that was imported now and then, 0.1 s at a time.

    python -m benchmarks.dashboard --requests 100000000 --times 100
    python -m benchmarks.dashboard --keep /tmp/history.db      # fill once, ask again later, as if it were still then
    python -m benchmarks.dashboard --postgresql                # on a throw-away server
    python -m benchmarks.dashboard --url postgresql+psycopg://user@host/database --times 100
    python -m benchmarks.dashboard --keep /tmp/history.db --times 40 --table      # of docs/howto/dashboard.md, minutes
    python -m benchmarks.dashboard --keep /tmp/history.db --record   # and keep it with the results of all benchmarks
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.history import metrics
from benchmarks.history.install import Filled, Size, fill, fold
from benchmarks.history.traffic import route
from custodes.app import Custodes
from custodes.errors import StorageUnavailable
from custodes.kernel.clock import DAY, HOUR
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.metrics.model import Kind, Query
from custodes.planes.traffic.model import CallFilter, GroupState
from custodes.runtime.garbage import settle
from custodes.runtime.system_clock import SystemClock

#: Slowest that 95 of 100 answers may be, milliseconds.
TARGET_MS = 100.0

#: Times that each question is asked: the 95th percentile of a hundred leaves five above it.
TIMES = 100

#: Ranges that the dashboard offers.
RANGES = {"1 h": HOUR, "24 h": DAY, "7 d": 7 * DAY, "30 d": 30 * DAY, "90 d": 90 * DAY}

#: Of the throw-away PostgreSQL: its documentation asks for a quarter of the memory. By itself it takes 128 MB;
#: what the tabs read does not fit in those.
SHARED_BUFFERS = "1GB"

COMMAND = "python -m benchmarks dashboard"

Ask = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the answers to one question took, milliseconds."""

    question: str
    p50: float
    p95: float
    #: Processor time of our process, which does not hold how long others had the processors; on PostgreSQL it does not
    #: hold the server's part either.
    processor_p50: float
    processor_p95: float


class HistoryClock(SystemClock):
    """Goes on from where the history of an install ends, however long ago it was filled."""

    behind = 0

    def now(self) -> int:
        """Wall clock of the install, microseconds."""
        return super().now() - self.behind


def questions(custodes: Custodes, now: int) -> dict[str, Ask]:
    """List what the tabs ask."""
    asked: dict[str, Ask] = {}
    for name, span in RANGES.items():
        asked |= _about(custodes, name, now - span, now)
    traffic, audit, limits = custodes.traffic, custodes.audit, custodes.ratelimit
    busiest = route(0)[0]
    asked |= {
        "API calls, first page": lambda: traffic.list_calls(limit=50),
        "API calls of a route": lambda: traffic.list_calls(CallFilter(route=busiest), limit=50),
        "API calls of an address": lambda: traffic.list_calls(CallFilter(client_ip="ip-7"), limit=50),
        "API calls with errors": lambda: traffic.list_calls(CallFilter(errors_only=True), limit=50),
        "API calls slower than 70 ms": lambda: traffic.list_calls(CallFilter(min_total_us=70_000), limit=50),
        "error groups, open": lambda: traffic.list_error_groups(state=GroupState.OPEN, since=now - DAY, limit=50),
        "webhook events, first page": lambda: custodes.inbound.list_events(limit=50),
        "audit entries, first page": lambda: audit.list_entries(AuditQuery(limit=50)),
        "audit entries of an actor": lambda: audit.list_entries(AuditQuery(actor="user:7", limit=50)),
        "rate-limit windows, first page": lambda: limits.list_windows(limit=50),
        "blocks": lambda: limits.get_blocked_identifiers(limit=50),
        "metrics, list": lambda: custodes.metrics.list_metrics(limit=50),
        "API health": traffic.get_health_status,
        "webhook health": custodes.inbound.get_health_status,
        "rate-limit health": limits.get_health_status,
        "audit health": audit.get_health_status,
        "overview: health of every system": custodes.health.check,
    }
    return asked


def _about(custodes: Custodes, name: str, since: int, until: int) -> dict[str, Ask]:
    """List what is asked about a range of time."""
    traffic = custodes.traffic
    template, method = route(0)

    def metric(kind: Kind, aggregation: str) -> Ask:
        query = Query(metrics.name_of(kind, 1), aggregation, since, until)
        return lambda: custodes.metrics.query(query)

    return {
        f"API analytics, {name}": lambda: traffic.get_api_analytics(since, until),
        f"API analytics of an endpoint, {name}": lambda: traffic.get_api_analytics(
            since, until, route=template, method=method
        ),
        f"slow endpoints by p95, {name}": lambda: traffic.get_slow_endpoints(since, until),
        f"webhook analytics, {name}": lambda: custodes.inbound.get_webhook_analytics(since=since, until=until),
        f"rate-limit analytics, {name}": lambda: custodes.ratelimit.get_rate_limit_analytics(since=since, until=until),
        f"audit analytics, {name}": lambda: custodes.audit.get_audit_analytics(since, until),
        f"behaviour of the busiest actor, {name}": lambda: custodes.audit.get_actor_behaviour("user:0", since, until),
        f"compliance report, {name}": lambda: custodes.audit.get_compliance(since, until),
        f"metric: rate of a counter, {name}": metric(Kind.COUNTER, "rate"),
        f"metric: mean of a gauge, {name}": metric(Kind.GAUGE, "avg"),
        f"metric: p95 of a histogram, {name}": metric(Kind.HISTOGRAM, "p95"),
    }


async def ask(custodes: Custodes, times: int, only: str = "") -> list[Timing]:
    """Ask everything in turns."""
    asked = {name: one for name, one in questions(custodes, custodes.clock.now()).items() if only in name}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    for _ in range(times):
        for name, one in asked.items():
            began, processor = time.perf_counter(), time.process_time()
            with contextlib.suppress(StorageUnavailable):  # given up after the time limit of reads: that long it took
                await one()
            took[name].append((time.perf_counter() - began, time.process_time() - processor))
    return [
        Timing(name, *(rank(column, q) for column in (wall, processor) for q in (0.5, 0.95)))
        for name, wall, processor in (
            (name, *([1_000 * each for each in column] for column in zip(*pairs, strict=True)))
            for name, pairs in took.items()
        )
    ]


def rank(values: Sequence[float], q: float) -> float:
    """Return the value that the share ``q`` of the values is not above (nearest rank)."""
    return sorted(values)[max(0, ceil(q * len(values)) - 1)]


def table(timings: Sequence[Timing]) -> str:
    """Write a table of the questions about ranges of time: of each p50 / p95 by the clock, and of processor time."""
    lines: dict[str, dict[str, str]] = {}
    for timing in timings:
        question, _, span = timing.question.rpartition(", ")
        if span in RANGES:
            clock, processor = (timing.p50, timing.p95), (timing.processor_p50, timing.processor_p95)
            for measured, (p50, p95) in (("", clock), (", processor", processor)):
                lines.setdefault(question + measured, {})[span] = f"{p50:.0f} / {p95:.0f}"
    rows = [f"| {name} | {' | '.join(cells.get(span, '') for span in RANGES)} |" for name, cells in lines.items()]
    return "\n".join((f"| milliseconds | {' | '.join(RANGES)} |", f"|{' --- |' * (len(RANGES) + 1)}", *rows))


async def measure(url: str, size: Size, times: int, only: str = "") -> tuple[Filled, list[Timing]]:
    """Fill an install, unless it is filled already, and ask."""
    clock = HistoryClock()
    custodes = Custodes(url, clock=clock, enterprise_monitoring_enabled=False)
    await custodes.open()
    try:
        filled = Filled()
        if newest := (await custodes.traffic.list_calls(limit=1)).items:
            clock.behind = clock.now() - newest[0].started_at
            await fold(custodes)  # where a version that knew fewer figures filled it
        else:
            filled = await fill(custodes, size, lambda line: print(f"  {line}", flush=True))
        settle()
        return filled, await ask(custodes, times, only)
    finally:
        await custodes.close()


@contextlib.contextmanager
def throw_away(engine: str) -> Iterator[str]:
    """Make an empty database; yields its URL."""
    if engine == "SQLite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/history.db"
        return
    from tests.servers.postgresql import PostgresServer

    server = PostgresServer(settings=[f"shared_buffers={SHARED_BUFFERS}"])
    try:
        yield server.url(server.new_database()).replace("postgresql:", "postgresql+psycopg:")
    finally:
        server.remove()


def run() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for engine in ("SQLite", "PostgreSQL"):
        with throw_away(engine) as url:
            _, timings = asyncio.run(measure(url, Size(), TIMES))
        rows += [_row(timing, engine) for timing in timings]
    return rows


def record(timings: Sequence[Timing], engine: str) -> None:
    """Keep figures of one engine with the results of all benchmarks, beside those of the other."""
    from benchmarks.__main__ import LATEST, keep

    known: list[dict[str, Any]] = json.loads(LATEST.read_text()) if LATEST.exists() else []
    others = [row for row in known if row["benchmark"] == "dashboard" and not row["name"].endswith(f", {engine}")]
    keep("dashboard", [*others, *(_row(timing, engine) for timing in timings)])


def _row(timing: Timing, engine: str) -> dict[str, Any]:
    return {
        "name": f"{timing.question}, {engine}",
        "ours": timing.p95,
        "peer": None,
        "peer_name": "",
        "ratio": None,
        "unit": "ms (p95)",
        "target": f"< {TARGET_MS:g} ms",
        "met": timing.p95 < TARGET_MS,
        "command": COMMAND,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=TIMES)
    parser.add_argument("--keep", type=Path, help="file to fill, or one that is filled already")
    parser.add_argument("--url", help="database to fill, or one that is filled already")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL")
    parser.add_argument("--table", action="store_true", help="print a table by range of time, in Markdown")
    parser.add_argument("--record", action="store_true", help="keep the figures with the results of all benchmarks")
    parser.add_argument("--only", default="", help="ask only questions with this in their name")
    given = parser.parse_args()
    size = Size(requests=given.requests, days=given.days, entries=given.entries)
    url = f"sqlite:///{given.keep}" if given.keep else given.url
    with contextlib.nullcontext(url) if url else throw_away("PostgreSQL" if given.postgresql else "SQLite") as url:
        filled, timings = asyncio.run(measure(url, size, given.times, given.only))
    if given.record:
        record(timings, "SQLite" if url.startswith("sqlite") else "PostgreSQL")
    if given.table:
        print(table(timings))
        return
    if filled.rows:
        print(f"{filled.requests:,} requests, {sum(filled.rows.values()):,} rows in {filled.seconds:.0f} s")
    for timing in timings:
        verdict = "" if timing.p95 < TARGET_MS else "  ≥ 100 ms"
        print(
            f"{timing.question:45} p50 {timing.p50:8.1f} ms   p95 {timing.p95:8.1f} ms"
            f"   processor p50 {timing.processor_p50:8.1f} ms   p95 {timing.processor_p95:8.1f} ms{verdict}"
        )
    sys.exit(any(timing.p95 >= TARGET_MS for timing in timings))


if __name__ == "__main__":
    main()
