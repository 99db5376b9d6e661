"""How many webhooks a second are taken in durably: event and job on the disk before the answer.

1. Into the store, 64 in flight, against the same rows with one commit each (SQLite, ``synchronous=FULL`` both).
2. Over HTTP, against a bare echo route of the same server: signed Stripe deliveries of 4 kB, 64 connections, the whole
   door (trace, client address, limit per address, signature, store). Handlers are not run meanwhile. The peer is there
   twice: as a Starlette route, which is the bar, and as an ASGI function without any framework, to see how far it is.
3. The same with the worker on, as in production: from the first delivery until the last is handled, and how long the
   senders wait for their answers meanwhile, beside a server whose worker is off.

Medians of several rounds, ours and the peer's in turns. The server and the load are processes of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import random
import select
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from custodes import Custodes
from custodes.asgi.standalone import Probes
from custodes.kernel.ids import uuid7
from custodes.planes.inbound.model import Arrival, Verdict, WebhookEvent
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.inbound import SqlEventStore
from custodes.storage.sql.inbound_accept import ACCEPT
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.storage.sql.tables import metadata
from custodes.testing.webhooks import signed_webhook

ROOT = Path(__file__).parents[1]
COMMAND = "python -m benchmarks accept"
SECRET = "whsec_benchmark"
IN_FLIGHT = 64
BODY_BYTES = 4_096
ROUNDS = 3
#: More over HTTP, where three processes share the machine.
HTTP_ROUNDS = 5
#: Deliveries of one round.
STORE_EVENTS = 12_000
HTTP_EVENTS = 12_000
HANDLED_EVENTS = 6_000
#: Longest that the worker may take for them, seconds.
HANDLED_SECONDS = 120
#: One commit each is slow; its rate needs fewer to be known.
SINGLE_EVENTS = 1_500


def run() -> list[dict[str, Any]]:
    return [into_the_store(), *over_http(), *until_handled()]


def row(name: str, ours: float, peer: float, peer_name: str, target: float) -> dict[str, Any]:
    ratio = ours / peer
    return {
        "name": name,
        "ours": round(ours),
        "peer": round(peer),
        "peer_name": peer_name,
        "ratio": round(ratio, 2),
        "unit": "events/s",
        "target": f">= {target:g} x",
        "met": ratio >= target,
        "command": COMMAND,
    }


# ── Into the store ───────────────────────────────────────────────────────────


def arrivals(count: int) -> list[Arrival]:
    """Make events as Stripe numbers them: ids that begin with the time."""
    bits = random.getrandbits
    body = os.urandom(BODY_BYTES)
    headers = json.dumps([["content-type", "application/json"], ["stripe-signature", "t=1,v1=" + "0" * 64]] * 4)
    made = []
    for number in range(count):
        now = time.time_ns() // 1_000
        event = f"evt_1{now:x}{number:06d}{bits(48):012x}"
        made.append(
            Arrival(
                "default", uuid7(now, bits), now, "stripe", event, "invoice.paid", event,
                Verdict.VERIFIED, f"{bits(128):032x}", "203.0.113.9", BODY_BYTES, headers, body,
            )
        )  # fmt: skip
    return made


async def grouped(folder: str, number: int) -> float:
    database = SqliteDatabase(f"sqlite:///{folder}/grouped{number}.db")
    await database.open()
    await database.write(lambda tx: metadata.create_all(connection_of(tx)))
    store = SqlEventStore(database)
    left = iter(arrivals(STORE_EVENTS))

    async def sender() -> None:
        for arrival in left:
            await store.accept(arrival)

    began = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(IN_FLIGHT)))
    took = time.perf_counter() - began
    await database.close()
    return STORE_EVENTS / took


async def one_by_one(folder: str, number: int) -> float:
    """The floor: the same statements on the same tables, straight on sqlite3, one commit for each event."""
    database = SqliteDatabase(f"sqlite:///{folder}/single{number}.db")
    await database.open()
    await database.write(lambda tx: metadata.create_all(connection_of(tx)))
    await database.close()
    connection = sqlite3.connect(f"{folder}/single{number}.db", isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    events = arrivals(SINGLE_EVENTS)
    began = time.perf_counter()
    for arrival in events:
        connection.execute("BEGIN IMMEDIATE")
        ACCEPT.sqlite(connection, [arrival])
        connection.execute("COMMIT")
    took = time.perf_counter() - began
    connection.close()
    return SINGLE_EVENTS / took


def into_the_store() -> dict[str, Any]:
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            peer.append(asyncio.run(one_by_one(folder, number)))
            ours.append(asyncio.run(grouped(folder, number)))
    name = f"durable accept, {IN_FLIGHT} in flight"
    return row(name, statistics.median(ours), statistics.median(peer), "one commit each", 4.0)


# ── Over HTTP ────────────────────────────────────────────────────────────────


def served() -> Any:
    """Make the app of the server: as ``custodes serve`` makes it, and beside it routes that give every body back."""
    places = int(os.environ["BENCH_PLACES"])
    custodes = Custodes(os.environ["BENCH_DATABASE"], webhook_ip_limit="1000000000/minute", webhook_concurrency=places)
    custodes.source("stripe", secrets=[SECRET])

    @custodes.webhook("stripe")
    async def handle(event: WebhookEvent) -> None:
        del event

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def echo_route(request: Request) -> Response:
        return Response(await request.body(), media_type="application/json")

    kept = SqlEventStore(custodes.database)
    mac = hmac.new(SECRET.encode(), digestmod="sha256")

    async def probe(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        signature = dict(scope["headers"])[b"stripe-signature"]
        signed = mac.copy()
        signed.update(signature[2:12] + b"." + body)
        assert hmac.compare_digest(signed.hexdigest().encode(), signature[-64:])
        event, now = json.loads(body), time.time_ns() // 1_000
        await kept.accept(
            Arrival(
                "probe", uuid7(now, random.getrandbits), now, "stripe", event["id"], event["type"], event["id"],
                Verdict.VERIFIED, "0" * 32, "127.0.0.1", len(body), "[]", body,
            )
        )  # fmt: skip
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    starlette = Starlette(routes=[Route("/route", echo_route, methods=["POST"])])
    ours = Probes(custodes, custodes.wrap(echo))
    peers = {"/echo": echo, "/route": starlette, "/probe": probe}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await peers.get(scope.get("path", ""), ours)(scope, receive, send)

    return app


def deliveries(path: str, port: int, count: int) -> list[bytes]:
    """Write whole HTTP requests, each a signed event of its own."""
    padding = "x" * (BODY_BYTES - 180)
    made = []
    for number in range(count):
        event = f"evt_1{time.time_ns() // 1_000:x}{number:06d}{random.getrandbits(48):012x}"
        body = json.dumps({"id": event, "object": "event", "type": "invoice.paid", "data": {"padding": padding}})
        signed = signed_webhook("stripe", body.ljust(BODY_BYTES).encode(), SECRET)
        head = [f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{port}", f"content-length: {len(signed.body)}"]
        head += [f"{name}: {value}" for name, value in signed.headers.items() if name.lower() != "host"]
        made.append("\r\n".join([*head, "", ""]).encode() + signed.body)
    return made


def fire(port: int, requests: list[bytes]) -> dict[str, Any]:
    """Send all requests over 64 connections, one under way on each."""
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    answers: dict[int, bytes] = {}
    sent: dict[int, float] = {}
    waits: list[float] = []
    for _ in range(IN_FLIGHT):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[connection.fileno()] = connection
        answers[connection.fileno()] = b""
        poll.register(connection.fileno(), select.EPOLLIN)
    left = iter(requests)
    answered = good = 0
    began_at, began = time.time(), time.perf_counter()
    for number, connection in sockets.items():
        sent[number] = time.perf_counter()
        connection.sendall(next(left))
    while answered < len(requests):
        for number, _ in poll.poll():
            answer = answers[number] + sockets[number].recv(65_536)
            if not is_whole(answer):
                answers[number] = answer
                continue
            answers[number] = b""
            answered += 1
            waits.append(time.perf_counter() - sent[number])
            good += answer.startswith(b"HTTP/1.1 2")
            following = next(left, None)
            if following is not None:
                sent[number] = time.perf_counter()
                sockets[number].sendall(following)
    took = time.perf_counter() - began
    for connection in sockets.values():
        connection.close()
    p99 = statistics.quantiles(waits, n=100)[98] * 1_000
    return {"rate": len(requests) / took, "good": good, "began_at": began_at, "p99_ms": p99}


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    at = head.index(b"content-length: ") + 16
    return len(body) >= int(head[at : at + 10].split(b"\r", 1)[0])


def load(path: str, port: int, count: int = HTTP_EVENTS) -> dict[str, Any]:
    """Be the sender: a process of its own."""
    return fire(port, deliveries(path, port, count))


def over_http() -> list[dict[str, Any]]:
    ours, route, function, least = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(HTTP_ROUNDS):
            with serving(f"sqlite:///{folder}/http{number}.db") as port:
                function.append(measure("/echo", port)["rate"])
                route.append(measure("/route", port)["rate"])
                least.append(measure("/probe", port)["rate"])
                ours.append(measure("/hooks/stripe", port)["rate"])
            counted = "SELECT count(*) FROM webhook_events WHERE tenant_id = 'default'"
            kept = sqlite3.connect(f"{folder}/http{number}.db").execute(counted).fetchone()
            assert kept == (HTTP_EVENTS,), kept
    name = f"durable accept over HTTP, signed {BODY_BYTES // 1024} kB, {IN_FLIGHT} connections"
    return [
        row(name, statistics.median(ours), statistics.median(route), "echo route of the same server (the bar)", 0.5),
        row(name, statistics.median(ours), statistics.median(function), "echo function without a framework", 0.5),
        {
            **row(name, statistics.median(ours), statistics.median(least), "the least that is a durable accept", 0),
            "target": "shown",
        },
        {
            **row(name, statistics.median(least), statistics.median(route), "echo route of the same server", 0),
            "name": "the least that is a durable accept, over HTTP",
            "target": "shown",
        },
    ]


def until_handled() -> list[dict[str, Any]]:
    handled, accepted, waits_on, waits_off = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            with serving(f"sqlite:///{folder}/off{number}.db") as port:
                off = measure("/hooks/stripe", port, HANDLED_EVENTS)
            with serving(f"sqlite:///{folder}/on{number}.db", places=16) as port:
                on = measure("/hooks/stripe", port, HANDLED_EVENTS)
                handled.append(HANDLED_EVENTS / (drained(f"{folder}/on{number}.db") - on["began_at"]))
            accepted.append(off["rate"])
            waits_on.append(on["p99_ms"])
            waits_off.append(off["p99_ms"])
    name = f"durable accept over HTTP with the worker on, {IN_FLIGHT} connections"
    ours, peer = statistics.median(handled), statistics.median(accepted)
    late, early = statistics.median(waits_on), statistics.median(waits_off)
    shown = {"target": "no target", "met": True, "command": COMMAND}
    return [
        {
            "name": f"{name}: until the last is handled", "ours": round(ours), "peer": round(peer),
            "peer_name": "accepted only, worker off", "ratio": round(ours / peer, 2), "unit": "events/s", **shown,
        },
        {
            "name": f"{name}: 99th percentile of the answers", "ours": round(late, 1), "peer": round(early, 1),
            "peer_name": "worker off", "ratio": round(late / early, 2), "unit": "ms", **shown,
        },
    ]  # fmt: skip


def drained(file: str) -> float:
    """Wait until every event is handled; returns when, seconds since the epoch."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        deadline = time.time() + HANDLED_SECONDS
        while database.execute("SELECT count(*) FROM custodes_jobs").fetchone()[0]:
            assert time.time() < deadline, "the worker has not handled all in time"
            time.sleep(0.02)
        now = time.time()
        done = database.execute("SELECT count(*) FROM webhook_events WHERE status = 'succeeded'").fetchone()
        assert done == (HANDLED_EVENTS,), done
    return now


def measure(path: str, port: int, count: int = HTTP_EVENTS) -> dict[str, Any]:
    code = f"import json; from benchmarks.accept import load; print(json.dumps(load({path!r}, {port}, {count})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout)
    assert result["good"] == count, result
    return result


@contextlib.contextmanager
def serving(database: str, places: int = 0) -> Iterator[int]:
    """Run the server in a process of its own."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    serve = f"from custodes.cli.serve import run_server; run_server('benchmarks.accept:served', '127.0.0.1', {port})"
    command = [sys.executable, "-c", serve]
    env = {**os.environ, "BENCH_DATABASE": database, "BENCH_PLACES": str(places)}
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    try:
        for _ in range(200):
            time.sleep(0.05)
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
        yield port
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    for result in run():
        print(
            f"{result['name']}: {result['ours']:,} {result['unit']}, {result['peer_name']} {result['peer']:,},"
            f" ratio {result['ratio']} ({result['target']}): {'met' if result['met'] else 'MISSED'}"
        )
