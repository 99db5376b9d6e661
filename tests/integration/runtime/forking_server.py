"""A server that imports an app, which mounts us, and then forks its workers; each says what it has come to.

Run as ``python forking_server.py DATABASE_URL``. Prints, as JSON: what the workers are called, which of them lead while
all live, and how many webhooks the figures have of those that they received.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from custodes import Custodes
from custodes.testing import signed_webhook

WORKERS = 2
WEBHOOKS = 3

custodes = Custodes(sys.argv[1], secret_key="k" * 32)
custodes.source("stripe", ["whsec_test"])


@custodes.webhook("stripe")
async def handle(_event: Any) -> None: ...


@custodes.metrics.timed("job.seconds")
def job() -> None: ...


async def host(
    _scope: Any, _receive: Callable[[], Awaitable[Any]], _send: Callable[[Any], Awaitable[None]]
) -> None: ...


custodes.wrap(host)
called_at_import = custodes.process_name()


async def work(number: int) -> dict[str, Any]:
    """Receive some, count them, and stand for election."""
    await custodes.open()
    for one in range(WEBHOOKS):
        event = {"id": f"evt_{number}_{one}", "type": "invoice.paid"}
        signed = signed_webhook("stripe", event, "whsec_test", now=custodes.clock.now())
        source = custodes.inbound.source("stripe")
        await custodes.inbound.receive(source, signed.request, trace_id="", client_ip="203.0.113.9")
    await custodes.inbound.flush()
    for _ in range(2):
        await custodes.leader.campaign()
    return {"name": custodes.process_name(), "leads": custodes.leader.is_leader}


async def worker(number: int, said: int, heard: int) -> None:
    """Live until the server says that it is over."""
    done = await work(number)
    os.write(said, json.dumps(done).encode() + b"\n")
    os.read(heard, 1)  # the lease is not given back while another stands
    done["leads"] = await custodes.leader.campaign()
    os.write(said, json.dumps(done).encode() + b"\n")
    await custodes.close()


async def figures() -> int:
    """Tell how many webhooks the figures have."""
    await custodes.open()
    now = custodes.clock.now()
    found = await custodes.inbound.get_webhook_analytics(since=now - 3_600_000_000, until=now + 1)
    await custodes.close()
    return found.total.received


workers: list[tuple[int, Any, int]] = []
for each in range(WORKERS):
    (reads, said), (heard, says) = os.pipe(), os.pipe()
    if not (child := os.fork()):
        asyncio.run(worker(each, said, heard))
        os._exit(0)
    os.close(said)
    answers = os.fdopen(reads)
    answers.readline()  # one after the other: they do not wait for the one writer of a file
    workers.append((child, answers, says))
came: list[dict[str, Any]] = []
for child, answers, says in workers:
    os.write(says, b".")
    came.append(json.loads(answers.readline()))
    os.waitpid(child, 0)
sys.stdout.write(
    json.dumps(
        {
            "names": [called_at_import, *(one["name"] for one in came)],
            "leads": [one["leads"] for one in came],
            "received": asyncio.run(figures()),
        }
    )
)
