"""How the apps of the admin API and of the portal are made: with what is written down, and nothing of FastAPI's own."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from custodes.admin.problems import install_problem_handlers
from custodes.version import __version__


def new_router() -> APIRouter:
    """Make the router that takes in all routes of an app; an operation's id is ``<tag>_<name of its function>``."""
    return APIRouter(generate_unique_id_function=_operation_id)


def worked_out(router: APIRouter) -> tuple[BaseRoute, ...]:
    """Return the routes of a router, with what each takes and gives worked out.

    They know no install, so this is done once for all apps of a process. FastAPI puts it off until a request comes by,
    and would hold that up for the better part of a second.
    """
    for route in router.routes:
        route.matches({"type": "http", "method": "GET", "path": "/"})
    return tuple(router.routes)


def served_app(title: str, summary: str, routes: Sequence[BaseRoute]) -> FastAPI:
    """Make an app that serves no install yet.

    Args:
        title: of its OpenAPI document.
        summary: what it is about, in a sentence.
        routes: all that it serves.
    """
    app = FastAPI(
        title=title,
        version=__version__,
        summary=summary,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # They would name the host and the scheme that the request names: behind a proxy that ends TLS, a password would
        # be sent on to plain http.
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        routes=list(routes),
    )
    install_problem_handlers(app)
    return app


def _operation_id(route: APIRoute) -> str:
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name
