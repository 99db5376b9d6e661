"""The server of the kill drill: imports everything, waits for a line on its input, then serves until it is killed."""

import asyncio
import os
import random
import sys

import uvicorn

from custodes import Custodes, WebhookEvent

custodes = Custodes(
    os.environ["DRILL_DATABASE"],
    webhook_lease_seconds=1,
    webhook_ip_limit="",
    enterprise_monitoring_enabled=False,
)
custodes.source("stripe", secrets=[os.environ["DRILL_SECRET"]])


@custodes.webhook("stripe")
async def handle(event: WebhookEvent) -> None:
    await asyncio.sleep(random.random() * 0.02)
    event.json()


async def host(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


sys.stdin.readline()
uvicorn.run(custodes.wrap(host), host="127.0.0.1", port=int(os.environ["DRILL_PORT"]), log_level="error")
