"""Custodes in a FastAPI app, in a few lines. Run: uvicorn examples.fastapi_mount:app --no-proxy-headers."""

from __future__ import annotations

import os

from fastapi import FastAPI

from custodes import Custodes

app = FastAPI()

custodes = Custodes(os.environ.get("CUSTODES_DATABASE_URL", "sqlite:///custodes.db"))
custodes.install(app)
custodes.source("stripe", secrets=["whsec_only_for_this_example"])
custodes.limit("5/minute", by="ip", route="/login")

paid: list[str] = []


@custodes.webhook("stripe", "invoice.paid")
async def invoice_paid(event) -> None:
    paid.append(event.json()["id"])


@app.get("/hello/{name}")
async def hello(name: str) -> dict[str, str]:
    return {"hello": name}


@app.post("/login")
async def login() -> dict[str, bool]:
    return {"welcome": True}
