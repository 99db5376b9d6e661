"""An app with handlers that never end, each in a way of its own."""

import asyncio
import os
import threading
from pathlib import Path

from custodes import Custodes, WebhookEvent
from custodes.asgi import drain

SECRET = "whsec_of_these_tests"

custodes = Custodes()
custodes.source("stripe", secrets=[SECRET])


drain.END_SECONDS = 0.5


def begun(event: WebhookEvent) -> None:
    Path(os.environ["HANDLED"]).write_text(event.event_id)


@custodes.webhook("stripe", "in.a_thread")
def in_a_thread(event: WebhookEvent) -> None:
    begun(event)
    threading.Event().wait()


@custodes.webhook("stripe", "in.a_pool")
async def in_a_pool(event: WebhookEvent) -> None:
    begun(event)
    await asyncio.to_thread(threading.Event().wait)


@custodes.webhook("stripe", "in.spite_of_all")
async def in_spite_of_all(event: WebhookEvent) -> None:
    begun(event)
    while True:
        try:
            await asyncio.Event().wait()
        except:  # noqa: E722 - as loops are written that shall go on whatever comes
            continue


async def nothing(scope, receive, send) -> None:
    raise ValueError


app = custodes.wrap(nothing)
