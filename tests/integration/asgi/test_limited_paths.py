"""No way around a limit by path: whatever spelling of a path a host serves, the rule of that path has seen it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import APIRouter, FastAPI
from litestar import Litestar, Router, post
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from custodes import Custodes
from custodes.testing.asgi import ASGIApp, converse, http_scope

IN = b"you are in"


def fastapi_host() -> ASGIApp:
    async def login() -> str:
        return IN.decode()

    app, router, mounted = FastAPI(), APIRouter(prefix="/in"), FastAPI()
    for place in (app, router, mounted):
        place.post("/login")(login)
    app.include_router(router)
    app.mount("/sub", mounted)
    return app


def starlette_host() -> ASGIApp:
    async def login(_request: object) -> PlainTextResponse:
        return PlainTextResponse(IN)

    route = Route("/login", login, methods=["POST"])
    return Starlette(
        routes=[route, Mount("/in", routes=[route]), Mount("/sub", routes=[Mount("/deep", routes=[route])])]
    )


def litestar_host() -> ASGIApp:
    @post("/login", status_code=200)
    async def login() -> str:
        return IN.decode()

    return Litestar([login, Router("/in", route_handlers=[login])])


def wrapped_litestar_host() -> ASGIApp:
    class Plain:
        """Middleware as anybody writes it."""

        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)

    return Plain(litestar_host())


def spellings(path: str) -> Iterator[str]:
    """Yield how somebody may write a path who would like not to be counted."""
    yield from (path, path + "/", "/" + path, path.replace("/", "//"), path + "/api", path + "/.", path + ";x")
    yield from (path.upper(), path.replace("/login", "/%6cogin"), path.replace("/login", "%2Flogin"))
    yield from (path.replace("/login", "/./login"), path.replace("/login", "/x/../login"), path.replace("/", "%5C"))
    yield from (path + end for end in ("%0A", "%0A%0A", "%0D", "%00", "%20", "%09", "%3Fx", "%23", "%C2%85"))
    yield from (start + path for start in ("/api", "/api/", "/x/api", "/apix/api", "/login/api", "/api/api"))
    yield "/api" + path[1:]


@pytest.mark.parametrize("host", [fastapi_host, starlette_host, litestar_host, wrapped_litestar_host])
async def test_nobody_gets_in_past_the_rule_of_a_path(host: Callable[[], ASGIApp], custodes: Custodes):
    """Given servers that put the root path before the path, and servers that do not."""
    paths = ["/login", "/in/login", "/sub/login", "/sub/deep/login"]
    for path in paths:
        custodes.limit("100000/minute", by="ip", route=path, methods="POST")
    app = custodes.wrap(host())
    await custodes.open()

    inside, unseen = 0, []
    for root, before in (("", ""), ("/api", "/api"), ("/api", ""), ("/api/", "")):
        for raw in (spelling for path in paths for spelling in spellings(path)):
            scope = {**http_scope(method="POST", root_path=root), "path": before + unquote(raw)}
            answer = await converse(app, scope)
            if IN in answer.body:
                inside += 1
                if b"ratelimit" not in answer.headers:
                    unseen.append((root, before, raw))

    assert inside > 20
    assert unseen == []
