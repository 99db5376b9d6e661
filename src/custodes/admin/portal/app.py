"""The app of the portal: mounted beside the admin API, with nothing of it inside.

Its routes know one way in, the cookie of an opened link, and its cookie goes to its own paths only: no route of the
admin API is reached with it, and no session of the dashboard lets anybody in here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from fastapi import Depends, FastAPI, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute

from custodes.admin import openapi
from custodes.admin.dashboard import Dashboard
from custodes.admin.dependencies import CustodesDep
from custodes.admin.pace import Pace
from custodes.admin.pages.pages import icon
from custodes.admin.parameters import only_known_parameters
from custodes.admin.portal import routes
from custodes.admin.portal.session import COOKIE, CustomerDep, PortalRefusals, place_of
from custodes.admin.problems import PROBLEMS
from custodes.admin.serving import new_router, served_app, worked_out
from custodes.app import Custodes
from custodes.planes.outbound.portal import PLACE

#: Where its API is, below the portal.
API = "/api"

_SCHEMES = {
    "portal": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "An opened link. Requests that change something also carry `X-CSRF-Token`, as `GET session` "
        "tells it.",
    }
}

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class NoReferrer:
    """ASGI middleware: no address of the portal is told to anybody, whatever is answered.

    The portal has no forms, and a ``fetch`` names its origin whatever the policy (Fetch standard, "append a request
    Origin header").
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"referrer-policy", b"no-referrer")]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, told)


def create_portal_app(custodes: Custodes) -> FastAPI:
    """Make the app that serves the portal."""
    app = _bare_app()
    app.state.custodes = custodes
    app.state.pace = Pace(custodes.clock)
    app.state.refusals = PortalRefusals(custodes)
    built = files("custodes").joinpath("_web", "portal")
    app.state.page = Dashboard(random.SystemRandom().getrandbits, built)
    app.add_middleware(NoReferrer)
    app.openapi = _document
    return app


def _bare_app() -> FastAPI:
    """Make the app with its routes, which serves no install yet."""
    return served_app(
        "Custodes customer portal",
        "The endpoints of one customer, what was sent to them and what came of it.",
        _routes(),
    )


@lru_cache(maxsize=1)
def _routes() -> tuple[BaseRoute, ...]:
    router = new_router()
    router.include_router(
        routes.router,
        prefix=API,
        tags=["portal"],
        responses=PROBLEMS,
        dependencies=[Depends(only_known_parameters)],
    )
    router.add_api_route(f"{API}/openapi.json", _openapi_document, include_in_schema=False)
    router.add_api_route("/icon.svg", icon, include_in_schema=False)
    router.add_api_route("/assets/{name}", show_asset, include_in_schema=False)
    for path in ("/", "/endpoints/{id}"):
        router.add_api_route(path, show_portal, include_in_schema=False)
    return worked_out(router)


async def show_portal(request: Request, custodes: CustodesDep) -> Response:
    """Show the page; what it shows it asks for itself, once the link is opened."""
    page: Dashboard = request.app.state.page
    base, settings = place_of(request), custodes.settings
    return page.render({"base": base, "name": settings.portal_name, "colour": settings.portal_colour}, base)


async def show_portal_without_slash(request: Request) -> Response:
    """Go to where the portal is; browsers take the fragment along."""
    return RedirectResponse(f"{place_of(request)}{PLACE}/", status_code=308, headers={"Referrer-Policy": "no-referrer"})


async def show_asset(name: str, request: Request) -> Response:
    """Serve a script or a style sheet of the page; there is nothing secret in it."""
    page: Dashboard = request.app.state.page
    return page.asset(name, request)


async def _openapi_document(_customer: CustomerDep) -> JSONResponse:
    return JSONResponse(await asyncio.to_thread(_document))


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    """Write the OpenAPI document: once for all apps of a process, as their routes are."""
    return openapi.document(_bare_app(), _SCHEMES)
