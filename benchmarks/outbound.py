"""How many events go from ``emit`` to a receiver that has answered, and how long does one take?

One process emits and delivers on SQLite (``synchronous=FULL``); the receiver is another process that counts by
``webhook-id``, so that loss and repeats are known. There is no peer to run beside it: Svix and Convoy are servers of
other languages that need services of their own; what they publish is in the targets.

First everything is emitted as fast as it goes (throughput), then at a pace below that (latency of each event).
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

from aiohttp import web
from sqlalchemy import event

from custodes import Custodes
from custodes.planes.outbound.model import DeliveryStatus, Options
from custodes.planes.outbound.ports import DeliveryFilter

#: Events of the throughput run, and how many are on their way into the store at once.
EVENTS = 3_000
EMITTERS = 64

#: Events a second of the latency run, and how long it lasts, seconds.
PACE = 100
SECONDS = 8

ENDPOINTS = 4

COMMAND = "python -m benchmarks outbound"


def receive(told: Connection) -> None:
    """Count what arrives; tells when it is asked."""
    seen: Counter[str] = Counter()
    late: list[float] = []

    async def take(request: web.Request) -> web.Response:
        seen[request.headers["webhook-id"]] += 1
        sent = json.loads(await request.read())["data"]["sent"]
        late.append(time.time() - sent)
        return web.Response(status=204)

    async def ask(_request: web.Request) -> web.Response:
        answer = web.json_response({"arrived": len(seen), "repeats": seen.total() - len(seen), "late": late[:]})
        seen.clear()
        late.clear()
        return answer

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/hooks/{n}", take)
        app.router.add_get("/told", ask)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())


async def measure(custodes: Custodes, base: str) -> dict[str, float]:
    await custodes.start()
    for number in range(ENDPOINTS):
        options = Options(concurrency=32)
        await custodes.outbound.create_endpoint(f"{base}/hooks/{number}", event_types=[f"t{number}"], options=options)
    statements = 0

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal statements
        statements += "SAVEPOINT" not in statement

    event.listen(custodes.database._writer_engine, "before_cursor_execute", count)
    left = iter(range(EVENTS))

    async def emit() -> None:
        for number in left:
            await custodes.outbound.emit(f"t{number % ENDPOINTS}", {"sent": time.time(), "text": "x" * 500})

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(emit() for _ in range(EMITTERS)))
    emitted = time.perf_counter() - began
    done = DeliveryFilter(statuses=(DeliveryStatus.SUCCEEDED,))
    while await custodes.database.read(lambda tx: custodes.outbound._deliveries.count(tx, done)) < EVENTS:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    delivered, used = time.perf_counter() - began, time.process_time() - cpu
    first = await told(custodes, base)
    for number in range(PACE * SECONDS):
        await custodes.outbound.emit(f"t{number % ENDPOINTS}", {"sent": time.time()})
        await asyncio.sleep(max(0.0, began + delivered + (number + 1) / PACE - time.perf_counter()))
    await asyncio.sleep(1)
    second = await told(custodes, base)
    await custodes.stop()
    late = sorted(second["late"])
    return {
        "emitted": EVENTS / emitted,
        "delivered": EVENTS / delivered,
        "cpu_ms": used / EVENTS * 1_000,
        "statements": statements / EVENTS,
        "lost": EVENTS + PACE * SECONDS - first["arrived"] - second["arrived"],
        "repeats": first["repeats"] + second["repeats"],
        "p50": statistics.median(late) * 1_000,
        "p99": late[int(len(late) * 0.99)] * 1_000,
    }


async def told(custodes: Custodes, base: str) -> dict[str, Any]:
    answer = await custodes.outgoing.request("GET", f"{base}/told")
    assert not answer.truncated
    return json.loads(answer.body)


def row(name: str, value: float, unit: str, target: str = "no target", met: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "ours": value,
        "peer": None,
        "peer_name": "",
        "ratio": None,
        "unit": unit,
        "target": target,
        "met": met,
        "command": COMMAND,
    }


def run() -> list[dict[str, Any]]:
    ours, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    base = f"http://127.0.0.1:{ours.recv()}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder)}/bench.db"
            custodes = Custodes(url, outbound_allow_http=True, outgoing_allow_networks="127.0.0.0/8")
            found = asyncio.run(measure(custodes, base))
    finally:
        receiver.kill()
        receiver.join()
    return [
        row("outbound: events emitted, durable (SQLite)", found["emitted"], "events/s"),
        row("outbound: events emitted and delivered (SQLite)", found["delivered"], "events/s"),
        row("outbound: processor time an event", found["cpu_ms"], "ms"),
        row("outbound: SQL statements an event", found["statements"], "", "at most 6", found["statements"] <= 6),
        row("outbound: events lost", found["lost"], "", "0", found["lost"] == 0),
        row("outbound: events delivered twice", found["repeats"], "", "0", found["repeats"] == 0),
        row(f"outbound: emit to received at {PACE}/s, median", found["p50"], "ms"),
        row(f"outbound: emit to received at {PACE}/s, p99", found["p99"], "ms", "below 2000", found["p99"] < 2_000),
    ]


if __name__ == "__main__":
    for each in run():
        print(f"{each['name']}: {each['ours']:.2f} {each['unit']}")
