"""An app that has Custodes in it: limited, taking webhooks, writing down what it handled."""

import os
from pathlib import Path

from fastapi import FastAPI

from custodes import Custodes, WebhookEvent

#: Requests that the limited route admits in a minute.
LIMIT = 25

SECRET = "whsec_of_these_tests"

app = FastAPI()
custodes = Custodes()
custodes.install(app)
custodes.source("stripe", secrets=[SECRET])
custodes.limit(f"{LIMIT}/minute", by="ip", route="/limited")


@custodes.webhook("stripe", "invoice.paid")
def handle(event: WebhookEvent) -> None:
    with Path(os.environ["HANDLED"]).open("a") as file:
        file.write(f"{event.event_id} {os.getpid()}\n")


@app.get("/pid")
@app.get("/limited")
async def pid() -> int:
    return os.getpid()
