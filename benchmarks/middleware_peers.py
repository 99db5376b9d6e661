"""What further peers add to one request, beside ours: slowapi, OpenTelemetry's ASGI middleware, Sentry's.

The host, the requests and the way of counting are those of the benchmark ``middleware``. Each peer does a part of what
ours does: slowapi three limits, OpenTelemetry and Sentry traces (every request sampled; what they record is dropped
instead of sent). The bar is that benchmark's; here is how far the others are.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
from collections.abc import Callable
from typing import Any

import sentry_sdk
from fastapi import FastAPI
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sentry_sdk.transport import Transport
from slowapi import Limiter
from slowapi.middleware import SlowAPIASGIMiddleware

from benchmarks.middleware import REQUESTS, fastapi_host, timed, watched
from custodes import Custodes

#: Rounds; the first two warm up.
ROUNDS = 20

LIMITS = ["1000/minute", "100/second", "2000/hour"]

COMMAND = "python -m benchmarks middleware_peers"


class Dropped(SpanExporter):
    """Sends nothing."""

    def export(self, spans: Any) -> SpanExportResult:
        """Drop spans."""
        return SpanExportResult.SUCCESS


class Nowhere(Transport):
    """Sends nothing."""

    def capture_envelope(self, envelope: Any) -> None:
        """Drop it."""


def slowapi(host: FastAPI) -> Any:
    host.state.limiter = Limiter(key_func=lambda request: request.headers["x-forwarded-for"], default_limits=LIMITS)
    host.add_middleware(SlowAPIASGIMiddleware)
    return host


def opentelemetry(host: FastAPI) -> Any:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Dropped()))
    return OpenTelemetryMiddleware(host, tracer_provider=provider, meter_provider=MeterProvider())


def sentry(host: FastAPI) -> Any:
    # Without its integrations, which would change the other hosts of this process too.
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=Nowhere,
        traces_sample_rate=1.0,
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    return SentryAsgiMiddleware(host)


PEERS: dict[str, Callable[[FastAPI], Any]] = {
    "slowapi": slowapi,
    "OpenTelemetry ASGI": opentelemetry,
    "Sentry ASGI": sentry,
}


async def measure(folder: str) -> list[dict[str, Any]]:
    custodes = Custodes(f"sqlite:///{folder}/custodes.db", trusted_proxies="10.0.0.0/8")
    for number, limit in enumerate(LIMITS):
        custodes.limit(limit, by="ip", name=f"limit{number}")
    await custodes.start()
    try:
        hosts = {"bare": fastapi_host(), "ours": watched(custodes, fastapi_host())}
        hosts |= {name: wrap(fastapi_host()) for name, wrap in PEERS.items()}
        order = list(hosts)
        added: dict[str, list[float]] = {name: [] for name in hosts if name != "bare"}
        for round_ in range(ROUNDS + 2):
            of_round = {name: await timed(hosts[name], round_ * REQUESTS) for name in order}
            order.append(order.pop(0))
            if round_ >= 2:
                for name, values in added.items():
                    values.append(of_round[name] - of_round["bare"])
            await custodes.traffic.flush()
            gc.collect()
    finally:
        await custodes.stop()
    ours = statistics.median(added["ours"])
    return [_row(name, ours, statistics.median(added[name])) for name in PEERS]


def _row(peer: str, ours: float, theirs: float) -> dict[str, Any]:
    return {
        "name": f"middleware around FastAPI, beside {peer}",
        "ours": ours,
        "peer": theirs,
        "peer_name": peer,
        "ratio": ours / theirs,
        "unit": "µs added",
        "target": "shown",
        "met": True,
        "command": COMMAND,
    }


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(folder))
