"""What does the whole middleware add to one request, beside prometheus-fastapi-instrumentator?

Both wrap the same host, in process, as a server would call it: one ASGI call for each request, a fresh scope, nine
request headers. Ours does all it does by default: mount, trace context, client address behind a trusted proxy, three
limit rules that hold for every request and never refuse, measures, the raw row in its buffer, and folding the rows into
histograms, which happens every 256 requests within the rounds. What is written to disk later is not in it (see the
benchmark ``ingest``); neither is the peer's scrape.

Time is processor time of the thread that serves, so that other programs of the machine count for nobody. What is
reported is the median over the rounds of *wrapped minus bare* of the same round; rounds of all contestants alternate,
and take turns in coming first.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_fastapi_instrumentator.middleware import PrometheusInstrumentatorMiddleware
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from custodes import Custodes

#: Requests in a round, and rounds.
REQUESTS = 500
ROUNDS = 40

#: Added µs, and share of what the peer adds.
TARGET_US = 12.0
TARGET_RATIO = 0.3

COMMAND = "python -m benchmarks middleware"

HEADERS = [
    (b"host", b"api.example.com"),
    (
        b"user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    ),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-language", b"en-GB,en;q=0.9"),
    (b"authorization", b"Bearer 0123456789abcdef0123456789abcdef"),
    (b"content-type", b"application/json"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
]

#: Clients that take turns, each within its limits.
CLIENTS = [f"203.0.{number >> 8}.{number & 255}".encode() for number in range(200)]


def scopes(start: int) -> list[dict[str, Any]]:
    return [
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/items/{number}",
            "raw_path": b"/items/%d" % number,
            "query_string": b"",
            "root_path": "",
            "headers": [*HEADERS, (b"x-forwarded-for", CLIENTS[(start + number) % len(CLIENTS)])],
            "client": ("10.0.0.1", 40_000 + number),
            "server": ("10.0.0.2", 8_000),
            "state": {},
        }
        for number in range(REQUESTS)
    ]


def fastapi_host() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    return app


def starlette_host() -> Starlette:
    async def item(request: Request) -> JSONResponse:
        return JSONResponse({"id": request.path_params["item_id"]})

    return Starlette(routes=[Route("/items/{item_id:int}", item)])


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Any) -> None:
    assert message.get("status", 200) == 200


async def timed(app: Any, start: int) -> float:
    """Serve one round; µs a request."""
    prepared = scopes(start)
    began = time.thread_time_ns()
    for scope in prepared:
        await app(scope, receive, send)
    return (time.thread_time_ns() - began) / REQUESTS / 1_000


def watched(custodes: Custodes, host: Any) -> Any:
    custodes.install(host)
    return host


def instrumented(host: Any) -> Any:
    if isinstance(host, FastAPI):
        Instrumentator(registry=CollectorRegistry()).instrument(host)
    else:
        host.add_middleware(PrometheusInstrumentatorMiddleware, registry=CollectorRegistry())
    return host


async def compare(name: str, make_host: Callable[[], Any], custodes: Custodes) -> dict[str, Any]:
    hosts = {"bare": make_host(), "ours": watched(custodes, make_host()), "peer": instrumented(make_host())}
    order = list(hosts)
    added: dict[str, list[float]] = {"ours": [], "peer": []}
    for round_ in range(ROUNDS + 2):
        start = round_ * REQUESTS
        of_round = {contestant: await timed(hosts[contestant], start) for contestant in order}
        order.append(order.pop(0))
        if round_ >= 2:  # the first rounds warm up
            for contestant, values in added.items():
                values.append(of_round[contestant] - of_round["bare"])
        await custodes.traffic.flush()
        gc.collect()
    assert not any(custodes.shield.failures.values()), custodes.shield.failures
    ours_us, peer_us = (statistics.median(added[contestant]) for contestant in ("ours", "peer"))
    return {
        "name": name,
        "ours": ours_us,
        "peer": peer_us,
        "peer_name": "prometheus-fastapi-instrumentator",
        "ratio": ours_us / peer_us,
        "unit": "µs added",
        "target": f"≤ {TARGET_US:g} µs and ≤ {TARGET_RATIO:g} ×",
        "met": ours_us <= TARGET_US and ours_us / peer_us <= TARGET_RATIO,
        "command": COMMAND,
    }


async def measure(directory: Path) -> list[dict[str, Any]]:
    custodes = Custodes(f"sqlite:///{directory}/custodes.db", trusted_proxies="10.0.0.0/8")
    custodes.limit("1000/minute", by="ip")
    custodes.limit("100/second", by="ip", route="/items/{item_id}")
    custodes.limit("2000/hour", by="ip", name="hourly")
    await custodes.start()
    try:
        return [
            await compare("middleware around FastAPI", fastapi_host, custodes),
            await compare("middleware around Starlette", starlette_host, custodes),
        ]
    finally:
        await custodes.stop()


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(measure(Path(directory)))


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']:32} {row['ours']:6.2f} µs, {row['peer_name']} {row['peer']:6.2f} µs, "
            f"ratio {row['ratio']:.2f}, to reach {row['target']}: {'met' if row['met'] else 'MISSED'}"
        )
