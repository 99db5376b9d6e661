"""How many events go from ``emit`` to a receiver that has answered, and how long does one take?

The receiver is another process that counts by ``webhook-id``, so that loss and repeats are known. There is no peer to
run beside it: Svix and Convoy are servers of other languages that need services of their own; what they publish is in
the targets.

- SQLite (``synchronous=FULL``), one process emits and delivers: first everything is emitted as fast as it goes
  (throughput), then at a pace below that (latency of each event).
- PostgreSQL (``fsync`` on), one process emits at a steady pace and another delivers, as an app and ``custodes serve``
  do, both on uvloop; statements are counted by the server itself (``pg_stat_statements``).
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg
import uvloop
from sqlalchemy import event
from tests.servers.postgresql import PostgresServer

from custodes import Custodes
from custodes.planes.outbound.model import DeliveryStatus, Options
from custodes.planes.outbound.ports import DeliveryFilter

#: Events of the throughput run, and how many are on their way into the store at once.
EVENTS = 3_000
EMITTERS = 64

#: Events a second of the latency run, and how long it lasts, seconds.
PACE = 100
SECONDS = 8

#: The same on PostgreSQL.
POSTGRESQL_PACE = 1_000
POSTGRESQL_SECONDS = 15

#: Longest that what is left may take to arrive, seconds.
SETTLES_WITHIN = 120

ENDPOINTS = 4

COMMAND = "python -m benchmarks outbound"

LOOPBACK = {"outbound_allow_http": True, "outgoing_allow_networks": "127.0.0.0/8", "secret_key": "b" * 32}


class Receiver(asyncio.Protocol):
    """Answers 204 and counts; cheap, since it runs on the same cores. ``GET /told`` tells, ``/reset`` begins anew."""

    def __init__(self, seen: Counter[str], late: list[float]) -> None:
        self.seen = seen
        self.late = late
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Take what came; answer every request that is whole."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            method, path, *_ = self._read[:end].split(b" ", 2)
            lines = [line.partition(b":") for line in self._read[:end].split(b"\r\n")[1:]]
            headers = {name.lower(): value.strip() for name, _, value in lines}
            whole = end + 4 + int(headers.get(b"content-length", b"0"))
            if len(self._read) < whole:
                return
            body, self._read = self._read[end + 4 : whole], self._read[whole:]
            self._transport.write(self._answer(method, path, headers, body))

    def _answer(self, method: bytes, path: bytes, headers: dict[bytes, bytes], body: bytes) -> bytes:
        if method == b"POST":
            self.seen[headers[b"webhook-id"].decode()] += 1
            self.late.append(time.time() - json.loads(body)["data"]["sent"])
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        late = sorted(self.late) or [0.0]
        told = json.dumps(
            {
                "arrived": len(self.seen),
                "repeats": self.seen.total() - len(self.seen),
                "p50": statistics.median(late) * 1_000,
                "p99": late[int(len(late) * 0.99)] * 1_000,
                "worst": late[-1] * 1_000,
            }
        ).encode()
        if path == b"/reset":
            self.seen.clear()
            self.late.clear()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(told), told)


def receive(told: Connection) -> None:
    """Run the receiver; tells its port."""

    async def serve() -> None:
        seen, late = Counter[str](), list[float]()
        server = await asyncio.get_running_loop().create_server(lambda: Receiver(seen, late), "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def add_endpoints(custodes: Custodes, base: str) -> None:
    for number in range(ENDPOINTS):
        options = Options(concurrency=32)
        await custodes.outbound.create_endpoint(f"{base}/hooks/{number}", event_types=[f"t{number}"], options=options)


async def emit(custodes: Custodes, number: int) -> None:
    await custodes.outbound.emit(f"t{number % ENDPOINTS}", {"sent": time.time(), "text": "x" * 500})


async def at_pace(custodes: Custodes, pace: int, seconds: int) -> None:
    """Emit at a steady pace, whether or not the emit before has ended."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as emits:
        for number in range(pace * seconds):
            emits.create_task(emit(custodes, number))
            await asyncio.sleep(max(0.0, began + (number + 1) / pace - time.perf_counter()))


async def ask(custodes: Custodes, base: str, path: str = "told") -> dict[str, Any]:
    return json.loads((await custodes.outgoing.request("GET", f"{base}/{path}")).body)


async def arrived(custodes: Custodes, base: str, count: int) -> None:
    """Wait until so many have arrived, or the time is over: what is missing then is lost."""
    until = time.monotonic() + SETTLES_WITHIN
    while (await ask(custodes, base))["arrived"] < count and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.1)


# ── SQLite ───────────────────────────────────────────────────────────────────


async def measure(custodes: Custodes, base: str) -> dict[str, float]:
    await custodes.start()
    await add_endpoints(custodes, base)
    statements = 0

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal statements
        statements += "SAVEPOINT" not in statement

    event.listen(custodes.database._writer_engine, "before_cursor_execute", count)
    left = iter(range(EVENTS))

    async def emit_all() -> None:
        for number in left:
            await emit(custodes, number)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(emit_all() for _ in range(EMITTERS)))
    emitted = time.perf_counter() - began
    done = DeliveryFilter(statuses=(DeliveryStatus.SUCCEEDED,))
    while await custodes.database.read(lambda tx: custodes.outbound._deliveries.count(tx, done)) < EVENTS:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    delivered, used = time.perf_counter() - began, time.process_time() - cpu
    counted = statements
    first = await ask(custodes, base, "reset")
    await at_pace(custodes, PACE, SECONDS)
    await arrived(custodes, base, PACE * SECONDS)
    second = await ask(custodes, base, "reset")
    await custodes.stop()
    return {
        "emitted": EVENTS / emitted,
        "delivered": EVENTS / delivered,
        "cpu_ms": used / EVENTS * 1_000,
        "statements": counted / EVENTS,
        "lost": EVENTS + PACE * SECONDS - first["arrived"] - second["arrived"],
        "repeats": first["repeats"] + second["repeats"],
        "p50": second["p50"],
        "p99": second["p99"],
    }


# ── PostgreSQL ───────────────────────────────────────────────────────────────


def emit_from_another_process(url: str, told: Connection) -> None:
    """Be the app: emit at the pace when told to, then tell how much processor time that took."""

    async def run() -> None:
        custodes = Custodes(url, outbound_concurrency=0, webhook_concurrency=0, **LOOPBACK)
        await custodes.start()
        told.send("ready")
        await asyncio.to_thread(told.recv)
        cpu = time.process_time()
        await at_pace(custodes, POSTGRESQL_PACE, POSTGRESQL_SECONDS)
        told.send(time.process_time() - cpu)
        await custodes.stop()

    uvloop.run(run())


async def measure_postgresql(url: str, base: str) -> dict[str, float]:
    custodes = Custodes(url, webhook_concurrency=0, **LOOPBACK)
    await custodes.start()
    await add_endpoints(custodes, base)
    ours, theirs = multiprocessing.Pipe()
    # Spawned: a fork would take threads and locks of this process with it.
    spawn = multiprocessing.get_context("spawn")
    app = spawn.Process(target=emit_from_another_process, args=(url, theirs), daemon=True)
    app.start()
    await asyncio.to_thread(ours.recv)
    count = POSTGRESQL_PACE * POSTGRESQL_SECONDS
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset()")
        began, cpu = time.perf_counter(), time.process_time()
        ours.send("go")
        emitting = await asyncio.to_thread(ours.recv)
        emitted = time.perf_counter() - began
        await arrived(custodes, base, count)
        delivered, sending = time.perf_counter() - began, time.process_time() - cpu
        query = """
            SELECT sum(calls) FILTER (WHERE NOT control), sum(calls) FILTER (WHERE control)
            FROM (SELECT calls, query ~* '^(begin|commit|rollback|savepoint|release|set) ?' AS control
                  FROM pg_stat_statements JOIN pg_database ON dbid = pg_database.oid
                  WHERE datname = current_database()) AS counted
        """
        [(statements, control)] = connection.execute(query).fetchall()
    told = await ask(custodes, base, "reset")
    await custodes.stop()
    app.join(30)
    return {
        "rate": count / delivered,
        "emitted": count / emitted,
        "emit_ms": emitting / count * 1_000,
        "send_ms": sending / count * 1_000,
        "statements": float(statements) / count,
        "control": float(control) / count,
        "lost": count - told["arrived"],
        "repeats": told["repeats"],
        "p50": told["p50"],
        "p99": told["p99"],
    }


# ── Rows ─────────────────────────────────────────────────────────────────────


def row(name: str, value: float, unit: str, target: str = "no target", met: bool = True) -> dict[str, Any]:
    return {
        "name": f"outbound: {name}",
        "ours": value,
        "peer": None,
        "peer_name": "",
        "ratio": None,
        "unit": unit,
        "target": target,
        "met": met,
        "command": COMMAND,
    }


def rows_of_sqlite(found: dict[str, float]) -> list[dict[str, Any]]:
    return [
        row("events emitted, durable (SQLite)", found["emitted"], "events/s"),
        row("events emitted and delivered (SQLite)", found["delivered"], "events/s"),
        row("processor time an event (SQLite)", found["cpu_ms"], "ms"),
        row("SQL statements an event (SQLite)", found["statements"], "", "at most 6", found["statements"] <= 6),
        row("events lost (SQLite)", found["lost"], "", "0", found["lost"] == 0),
        row("events delivered twice (SQLite)", found["repeats"], "", "0", found["repeats"] == 0),
        row(f"emit to received at {PACE}/s (SQLite), median", found["p50"], "ms"),
        row(f"emit to received at {PACE}/s (SQLite), p99", found["p99"], "ms", "below 2000", found["p99"] < 2_000),
    ]


def rows_of_postgresql(found: dict[str, float]) -> list[dict[str, Any]]:
    pace = f"{POSTGRESQL_PACE:,}/s offered (PostgreSQL)"
    least = POSTGRESQL_PACE * 0.95  # the last events arrive after the last was offered
    return [
        row(f"{pace}, emitted", found["emitted"], "events/s", f"at least {least:g}", found["emitted"] >= least),
        row(f"{pace}, delivered", found["rate"], "events/s", f"at least {least:g}", found["rate"] >= least),
        row(f"{pace}, emit to received, median", found["p50"], "ms"),
        row(f"{pace}, emit to received, p99", found["p99"], "ms", "below 2000", found["p99"] < 2_000),
        row(f"{pace}, SQL statements an event", found["statements"], "", "at most 6", found["statements"] <= 6),
        row(f"{pace}, BEGIN, COMMIT and SET an event", found["control"], ""),
        row(f"{pace}, processor time an event to emit", found["emit_ms"], "ms"),
        row(f"{pace}, processor time an event to deliver", found["send_ms"], "ms"),
        row(f"{pace}, events lost", found["lost"], "", "0", found["lost"] == 0),
        row(f"{pace}, events delivered twice", found["repeats"], "", "0", found["repeats"] == 0),
    ]


def run() -> list[dict[str, Any]]:
    ours, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    base = f"http://127.0.0.1:{ours.recv()}"
    server = PostgresServer(durable=True, settings=["shared_preload_libraries=pg_stat_statements"])
    try:
        with tempfile.TemporaryDirectory() as folder:
            custodes = Custodes(f"sqlite:///{Path(folder)}/bench.db", **LOOPBACK)
            rows = rows_of_sqlite(asyncio.run(measure(custodes, base)))
        url = server.url(server.new_database()).replace("postgresql:", "postgresql+psycopg:")
        return rows + rows_of_postgresql(uvloop.run(measure_postgresql(url, base)))
    finally:
        server.remove()
        receiver.kill()
        receiver.join()


if __name__ == "__main__":
    for each in run():
        print(f"{each['name']}: {each['ours']:.2f} {each['unit']}")
