"""Custodes in a Starlette app. Run: uvicorn examples.starlette_mount:app --no-proxy-headers."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from custodes import Custodes


async def hello(request: Request) -> JSONResponse:
    return JSONResponse({"hello": request.path_params["name"]})


async def login(request: Request) -> JSONResponse:
    return JSONResponse({"welcome": request.method == "POST"})


app = Starlette(
    routes=[
        Route("/hello/{name}", hello),
        Route("/login", login, methods=["POST"]),
        Mount("/v1", routes=[Route("/hello/{name}", hello)]),
    ]
)

custodes = Custodes(os.environ.get("CUSTODES_DATABASE_URL", "sqlite:///custodes.db"))
custodes.install(app)
custodes.source("stripe", secrets=["whsec_only_for_this_example"])
custodes.limit("5/minute", by="ip", route="/login")

paid: list[str] = []


@custodes.webhook("stripe", "invoice.paid")
async def invoice_paid(event) -> None:
    paid.append(event.json()["id"])
