"""Custodes around any ASGI app. Run: uvicorn examples.any_asgi_app:app --no-proxy-headers."""

from __future__ import annotations

import os

from custodes import Custodes


async def host(scope, receive, send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"hello"})


custodes = Custodes(os.environ.get("CUSTODES_DATABASE_URL", "sqlite:///custodes.db"))
app = custodes.wrap(host)
