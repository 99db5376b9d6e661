"""An app with a handler that never ends."""

import os
import threading
from pathlib import Path

from custodes import Custodes, WebhookEvent

SECRET = "whsec_of_these_tests"

custodes = Custodes()
custodes.source("stripe", secrets=[SECRET])


@custodes.webhook("stripe")
def handle(event: WebhookEvent) -> None:
    Path(os.environ["HANDLED"]).write_text(event.event_id)
    threading.Event().wait()


async def nothing(scope, receive, send) -> None:
    raise ValueError


app = custodes.wrap(nothing)
