"""How fast do API calls reach the disk, from the middleware's ``record`` to committed rows?

The floor is bare ``sqlite3.executemany`` of the very same finished tuples into the very same table (same columns, same
indexes, same journal mode, same rows a transaction). Ours does besides: fold every call into histograms, count the
consumers, make the ids, build the tuples, write the rollups. Rounds alternate, so that both see the same machine.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy.schema import CreateIndex, CreateTable

from custodes.kernel.clock import SECOND
from custodes.kernel.histogram import Histogram, bucket_of
from custodes.planes.traffic.batch import seal
from custodes.planes.traffic.flusher import CALLS_A_BATCH
from custodes.planes.traffic.model import Exchange
from custodes.planes.traffic.monitor import ApiMonitor
from custodes.planes.traffic.recorder import Recorder
from custodes.runtime.bus import Bus
from custodes.runtime.randomness import fast_bits
from custodes.runtime.system_clock import SystemClock
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.storage.sql.tables import metadata
from custodes.storage.sql.tables.traffic import api_monitoring
from custodes.storage.sql.traffic import CALL_COLUMNS, SqlTrafficStore
from custodes.testing.traffic import exchange

#: Calls in one round: two transactions of what a flush writes at once.
CALLS = 2 * CALLS_A_BATCH

#: Clients in ten seconds, each with an address and a user of its own.
CLIENTS = 2_500

ROUNDS = 15

COMMAND = "python -m benchmarks ingest"


def calls(round_: int) -> list[Exchange]:
    chance = random.Random(round_)
    begin = 1_790_000_000 * SECOND + round_ * 10 * SECOND
    return [
        exchange(
            started_at=begin + number * 1_000,
            route=f"/api/v1/resource{number % 40}/{{id}}",
            path=f"/api/v1/resource{number % 40}/{chance.randrange(10**6)}",
            status=chance.choices((200, 201, 304, 404, 500), (80, 8, 6, 5, 1))[0],
            total_us=int(chance.lognormvariate(9, 1.2)),
            client_ip=f"198.51.{(client := chance.randrange(CLIENTS)) // 250}.{client % 250}",
            user=f"user-{client}",
            trace_id=f"{chance.getrandbits(128):032x}",
            span_id=f"{chance.getrandbits(64):016x}",
        )
        for number in range(CALLS)
    ]


def tuples(exchanges: list[Exchange]) -> list[tuple[Any, ...]]:
    recorder = Recorder()
    for one in exchanges:
        recorder.record(one)
    return seal("floor", recorder.take(), fast_bits).calls


def floor_connection(path: Path, *, indexes: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA cache_size=-16384")
    from sqlalchemy.dialects import sqlite

    connection.execute(str(CreateTable(api_monitoring).compile(dialect=sqlite.dialect())))
    if indexes:
        for index in api_monitoring.indexes:
            connection.execute(str(CreateIndex(index).compile(dialect=sqlite.dialect())))
    return connection


def insert(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> float:
    statement = f"INSERT INTO api_monitoring ({', '.join(CALL_COLUMNS)}) VALUES ({', '.join('?' * len(CALL_COLUMNS))})"
    began = time.perf_counter()
    for begin in range(0, len(rows), CALLS_A_BATCH):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, rows[begin : begin + CALLS_A_BATCH])
        connection.execute("COMMIT")
    return time.perf_counter() - began


async def measure(folder: Path) -> tuple[list[float], list[float], list[float]]:
    database = SqliteDatabase(f"sqlite:///{folder}/ours.db")
    await database.open()
    await database.write(lambda tx: metadata.create_all(connection_of(tx)))
    monitor = ApiMonitor(SqlTrafficStore(database), clock=SystemClock(), random_bits=fast_bits, bus=Bus())
    floor = floor_connection(folder / "floor.db", indexes=True)
    plain = floor_connection(folder / "plain.db", indexes=False)
    ours, same, bare = [], [], []
    for round_ in range(ROUNDS):
        exchanges = calls(round_)
        rows = tuples(exchanges)
        began = time.perf_counter()
        for one in exchanges:
            monitor.record(one)
        await monitor.flush()
        ours.append(time.perf_counter() - began)
        same.append(insert(floor, rows))
        bare.append(insert(plain, rows))
    own = monitor.own_figures()
    assert (own.shed_calls, own.shed_requests, own.waiting_calls) == (0, 0, 0), own
    stored = await database.read(
        lambda tx: connection_of(tx).exec_driver_sql("SELECT count(*) FROM api_monitoring").scalar()
    )
    assert stored == ROUNDS * CALLS, stored
    await database.close()
    return ours, same, bare


def record_cost() -> float:
    exchanges = calls(0)
    best = 1e9
    for _ in range(9):
        recorder = Recorder()
        began = time.perf_counter()
        for one in exchanges:
            recorder.record(one)
        best = min(best, (time.perf_counter() - began) / CALLS)
    return best * 1e6


def histogram_cost() -> float:
    chance = random.Random(1)
    values = [int(chance.lognormvariate(9, 1.2)) for _ in range(CALLS)]
    best = 1e9
    for _ in range(9):
        counts = Histogram().counts
        began = time.perf_counter()
        for value in values:
            counts[bucket_of(value)] += 1
        best = min(best, (time.perf_counter() - began) / CALLS)
    return best * 1e6


def row(name: str, ours: float, peer: float | None, peer_name: str, unit: str, target: str, *, met: bool) -> dict:
    ratio = ours / peer if peer else None
    return {
        "name": name,
        "ours": ours,
        "peer": peer,
        "peer_name": peer_name,
        "ratio": ratio,
        "unit": unit,
        "target": target,
        "met": met,
        "command": COMMAND,
    }


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        ours, same, bare = asyncio.run(measure(Path(folder)))
    rate, floor, plain = (CALLS / statistics.median(times) for times in (ours, same, bare))
    record, histogram = record_cost(), histogram_cost()
    return [
        row(
            "API calls to committed rows",
            rate,
            floor,
            "bare executemany, same table and indexes",
            "rows/s",
            "≥ 0.5 × floor",
            met=rate >= 0.5 * floor,
        ),
        row(
            "API calls to committed rows, against a table without indexes",
            rate,
            plain,
            "bare executemany, primary key only",
            "rows/s",
            "shown",
            met=True,
        ),
        row("record one call", record, None, "", "µs", "≤ 3 µs", met=record <= 3),
        row("count into a histogram", histogram, None, "", "µs", "≤ 0.4 µs", met=histogram <= 0.4),
    ]
