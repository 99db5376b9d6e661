"""An app that knows nothing of Custodes."""

import asyncio
import json
import os
from pathlib import Path


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/slow":
        Path(os.environ["BEGUN"]).touch()
        await asyncio.sleep(1.5)
    if scope["path"] == "/held":
        Path(os.environ["BEGUN"]).touch()
        while not Path(os.environ["RELEASED"]).exists():
            await asyncio.sleep(0.02)
    body = json.dumps({"path": scope["path"], "pid": os.getpid()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


class Broken:
    """Fails when it starts."""

    async def __call__(self, scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no coffee"})


broken = Broken()
nothing = 42
