"""The same questions on PostgreSQL: API calls to committed rows, and webhooks taken in durably.

1. API calls from the middleware's ``record`` to committed rows, against bare COPY of the very same finished tuples into
   a table with the same columns, indexes and pieces, in transactions of the same size.
2. Webhooks into the store (event, payload and job), 64 in flight, against the same statement with one commit each, on
   64 connections at once: the server itself shares its flushes among them.

The server is a throw-away one with ``fsync`` and ``full_page_writes`` on. Rounds alternate; medians count.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import psycopg
from tests.servers.postgresql import PostgresServer

from benchmarks.accept import IN_FLIGHT, arrivals
from benchmarks.ingest import CALLS, calls, tuples
from custodes.app import Custodes
from custodes.kernel.clock import SECOND
from custodes.planes.traffic.flusher import CALLS_A_BATCH
from custodes.planes.traffic.monitor import ApiMonitor
from custodes.runtime.bus import Bus
from custodes.runtime.randomness import fast_bits
from custodes.runtime.system_clock import SystemClock
from custodes.storage.sql.inbound import SqlEventStore
from custodes.storage.sql.inbound_accept import _ACCEPT_POSTGRESQL
from custodes.storage.sql.traffic import CALL_COLUMNS, SqlTrafficStore

COMMAND = "python -m benchmarks postgresql"

#: Rounds of each side, and events of one round.
ROUNDS = 7
SHIFT = time.time_ns() // 1_000 - 1_790_000_000 * SECOND
EVENTS = 4_000


async def opened(server: PostgresServer) -> tuple[Custodes, str]:
    """Make an install in a database of its own."""
    url = server.url(server.new_database())
    custodes = Custodes(url.replace("postgresql:", "postgresql+psycopg:"))
    await custodes.open()
    return custodes, url


async def ingest(server: PostgresServer) -> dict[str, Any]:
    custodes, _ = await opened(server)
    bare, url = await opened(server)
    monitor = ApiMonitor(SqlTrafficStore(custodes.database), clock=SystemClock(), random_bits=fast_bits, bus=Bus())
    ours, floor = [], []
    with psycopg.connect(url) as connection:
        for number in range(ROUNDS):
            exchanges = calls(number)
            for one in exchanges:  # now, when there are pieces for them
                one.started_at += SHIFT
            rows = tuples(exchanges)
            began = time.perf_counter()
            for one in exchanges:
                monitor.record(one)
            await monitor.flush()
            ours.append(CALLS / (time.perf_counter() - began))
            floor.append(CALLS / await asyncio.to_thread(copy, connection, rows))
        [(kept,)] = connection.execute("SELECT count(*) FROM api_monitoring").fetchall()
    assert kept == ROUNDS * CALLS, kept
    await custodes.close()
    await bare.close()
    rate, peer = statistics.median(ours), statistics.median(floor)
    return row("API calls to committed rows, PostgreSQL", rate, peer, "bare COPY, same table", "rows/s", 0.5)


def copy(connection: psycopg.Connection[Any], rows: list[tuple[Any, ...]]) -> float:
    began = time.perf_counter()
    for begin in range(0, len(rows), CALLS_A_BATCH):
        statement = f"COPY api_monitoring ({', '.join(CALL_COLUMNS)}) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as into:
            for one in rows[begin : begin + CALLS_A_BATCH]:
                into.write_row(one)
        connection.commit()
    return time.perf_counter() - began


async def accept(server: PostgresServer) -> dict[str, Any]:
    custodes, _ = await opened(server)
    bare, url = await opened(server)
    store = SqlEventStore(custodes.database)
    connections = [await psycopg.AsyncConnection.connect(url) for _ in range(IN_FLIGHT)]

    async def one_commit_each(connection: psycopg.AsyncConnection[Any], left: Any) -> None:
        for arrival in left:
            await connection.execute(_ACCEPT_POSTGRESQL.encode(), [[value] for value in arrival])
            await connection.commit()

    async def grouped(left: Any) -> None:
        for arrival in left:
            await store.accept(arrival)

    ours, floor = [], []
    for _ in range(ROUNDS):
        left = iter(arrivals(EVENTS))
        began = time.perf_counter()
        await asyncio.gather(*(one_commit_each(connection, left) for connection in connections))
        floor.append(EVENTS / (time.perf_counter() - began))
        left = iter(arrivals(EVENTS))
        began = time.perf_counter()
        await asyncio.gather(*(grouped(left) for _ in range(IN_FLIGHT)))
        ours.append(EVENTS / (time.perf_counter() - began))
    for connection in connections:
        await connection.close()
    await custodes.close()
    await bare.close()
    rate, peer = statistics.median(ours), statistics.median(floor)
    name = f"durable accept, {IN_FLIGHT} in flight, PostgreSQL"
    return row(name, rate, peer, f"one commit each, {IN_FLIGHT} connections", "events/s", 2.0)


def row(name: str, ours: float, peer: float, peer_name: str, unit: str, target: float) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours),
        "peer": round(peer),
        "peer_name": peer_name,
        "ratio": round(ours / peer, 2),
        "unit": unit,
        "target": f">= {target:g} x",
        "met": ours / peer >= target,
        "command": COMMAND,
    }


def run() -> list[dict[str, Any]]:
    server = PostgresServer(durable=True)
    try:
        return [asyncio.run(ingest(server)), asyncio.run(accept(server))]
    finally:
        server.remove()


if __name__ == "__main__":
    for one in run():
        print(one)
