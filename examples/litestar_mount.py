"""Custodes around a Litestar app. Run: uvicorn examples.litestar_mount:app --no-proxy-headers."""

from __future__ import annotations

import os

from litestar import Litestar, Request, get, post

from custodes import Custodes


@get("/hello/{name:str}")
async def hello(request: Request) -> dict[str, str]:
    return {"hello": request.path_params["name"]}


@post("/login", status_code=200)
async def login() -> dict[str, bool]:
    return {"welcome": True}


custodes = Custodes(os.environ.get("CUSTODES_DATABASE_URL", "sqlite:///custodes.db"))
custodes.source("stripe", secrets=["whsec_only_for_this_example"])
custodes.limit("5/minute", by="ip", route="/login")

paid: list[str] = []


@custodes.webhook("stripe", "invoice.paid")
async def invoice_paid(event) -> None:
    paid.append(event.json()["id"])


app = custodes.wrap(Litestar([hello, login]))
