"""The admin app: FastAPI, one router a plane, locked by default."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from custodes import __version__
from custodes.admin import openapi
from custodes.admin.dependencies import require_admin
from custodes.admin.problems import PROBLEMS, install_problem_handlers
from custodes.admin.routes import session
from custodes.admin.shell import Shell
from custodes.app import Custodes

#: Where the admin API lives, below the mount point.
API = "/api/admin/enterprise"

#: Where the pages live, below the mount point.
DASHBOARD = "/dashboard/admin/enterprise"

#: One line a plane, in alphabetical order: its tag and its module in ``admin/routes``. Admins and owners only.
PLANES: tuple[tuple[str, ModuleType], ...] = ()


def create_admin_app(custodes: Custodes) -> FastAPI:
    """Make the app that serves the admin API and its pages.

    Args:
        custodes: the install to administer.
    """
    app = FastAPI(
        title="Custodes admin API",
        version=__version__,
        summary="Webhooks, API performance, rate limits, the audit trail and system metrics of one install.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.custodes = custodes
    app.add_middleware(Shell, random_bits=custodes.random_bits)
    install_problem_handlers(app)
    app.include_router(session.router, prefix=API, tags=["session"], responses=PROBLEMS)
    for plane, module in PLANES:
        app.include_router(
            module.router, prefix=API, tags=[plane], responses=PROBLEMS, dependencies=[Depends(require_admin)]
        )
    app.openapi = lambda: _document(app)
    return app


def _operation_id(route: APIRoute) -> str:
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = openapi.document(app)
    return app.openapi_schema
