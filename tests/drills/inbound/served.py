"""The servers of the kill drill. One process imports everything once; each line on its input makes a server of it.

A server is a fork: a process with connections, threads and files of its own, which begins as a fresh one does (it opens
the file, recovers what its predecessor left, starts its worker) and can be killed like one, without importing for
seconds before.
"""

import asyncio
import os
import random
import sys

import uvicorn

from custodes import Custodes, WebhookEvent


async def handle(event: WebhookEvent) -> None:
    await asyncio.sleep(random.random() * 0.02)
    event.json()


def host_of(custodes: Custodes):
    """Make a host app; each answer tells whether limits are decided where they are meant to be."""

    async def host(scope, receive, send):
        assert scope["type"] == "http"
        decided = b"1" if custodes.ratelimit._windows.available else b"0"
        await send({"type": "http.response.start", "status": 204, "headers": [(b"x-limits-decided", decided)]})
        await send({"type": "http.response.body", "body": b""})

    return host


def install(database: str, redis: str = "") -> Custodes:
    custodes = Custodes(
        database,
        webhook_lease_seconds=int(os.environ["DRILL_LEASE"]),
        webhook_ip_limit="",
        enterprise_monitoring_enabled=False,
        redis_url=redis,
        rate_limit_deadline_ms=int(os.environ["DRILL_DEADLINE"]),
    )
    if redis:
        custodes.limit("1_000_000/minute", by="ip")
    custodes.source("stripe", secrets=[os.environ["DRILL_SECRET"]])
    custodes.webhook("stripe")(handle)
    return custodes


def server(custodes: Custodes) -> uvicorn.Server:
    config = uvicorn.Config(
        custodes.wrap(host_of(custodes)), host="127.0.0.1", port=int(os.environ["DRILL_PORT"]), log_level="error"
    )
    config.load()
    return uvicorn.Server(config)


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def import_everything() -> None:
    """Have an install start and stop once, in memory: what it needs is then imported, and nothing of it is left."""
    custodes = install("sqlite://", "redis://127.0.0.1:1/0" if os.environ["DRILL_REDIS"] else "")
    server(custodes)
    await custodes.start()
    await custodes.stop()


if __name__ == "__main__":
    asyncio.run(import_everything())
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            server(install(os.environ["DRILL_DATABASE"], os.environ["DRILL_REDIS"])).run()
            os._exit(0)
        tell(str(pid))
        os.waitpid(pid, 0)
        tell("gone")
