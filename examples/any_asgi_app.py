"""Custodes around any ASGI app. Run: uvicorn examples.any_asgi_app:app --no-proxy-headers."""

from __future__ import annotations

import json
import os

from custodes import Custodes


async def host(scope, receive, send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    _, _, name = scope["path"].partition("/hello/")
    if name:
        scope["path_template"] = "/hello/{name}"  # a framework of your own may say so
    body = json.dumps({"welcome": True} if scope["path"] == "/login" else {"hello": name}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


custodes = Custodes(os.environ.get("CUSTODES_DATABASE_URL", "sqlite:///custodes.db"))
custodes.source("stripe", secrets=["whsec_only_for_this_example"])
custodes.limit("5/minute", by="ip", route="/login")

paid: list[str] = []


@custodes.webhook("stripe", "invoice.paid")
async def invoice_paid(event) -> None:
    paid.append(event.json()["id"])


app = custodes.wrap(host)
