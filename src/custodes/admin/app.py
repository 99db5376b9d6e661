"""The admin app: FastAPI, one router a plane, locked by default."""

from __future__ import annotations

import asyncio
import random
import secrets
from functools import lru_cache
from types import ModuleType
from typing import Any

from fastapi import Depends, FastAPI
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from custodes.admin import openapi
from custodes.admin.auth.csrf import origin_of
from custodes.admin.auth.fetch import GuardedFetcher, HttpFetcher
from custodes.admin.auth.gate import Gate
from custodes.admin.auth.oidc import OidcLogin
from custodes.admin.auth.tokens import Issuer, TokenVerifier, clerk_issuer, oidc_issuer
from custodes.admin.dashboard import Dashboard
from custodes.admin.dependencies import Admin, require_admin
from custodes.admin.pace import Pace
from custodes.admin.pages import elsewhere, pages
from custodes.admin.parameters import only_known_parameters
from custodes.admin.portal.app import create_portal_app, show_portal_without_slash
from custodes.admin.problems import PROBLEMS
from custodes.admin.reads import Reads
from custodes.admin.refusals import Refusals
from custodes.admin.routes import (
    alerts,
    audit,
    audit_report,
    audit_reviews,
    catalogue,
    identity,
    inbound,
    inbound_completeness,
    inbound_figures,
    ingest,
    live,
    metrics,
    outbound,
    outbound_figures,
    overview,
    portal_links,
    ratelimit,
    ratelimit_access,
    retention,
    saved_views,
    session,
    traces,
    traffic,
    trials,
)
from custodes.admin.serving import new_router, served_app, worked_out
from custodes.admin.shell import Shell
from custodes.app import Custodes
from custodes.errors import ConfigurationError
from custodes.planes.outbound.portal import PLACE as PORTAL
from custodes.runtime.log import get_logger

#: Where the admin API lives, below the mount point.
API = "/api/admin/enterprise"

_log = get_logger("custodes.admin")

#: Where the pages live, below the mount point.
DASHBOARD = "/dashboard/admin/enterprise"

#: A plane a line, or a part of one, in alphabetical order: its tag and a module in ``admin/routes``. Admins and owners
#: only.
PLANES: tuple[tuple[str, ModuleType], ...] = (
    ("alerts", alerts),
    ("audit", audit),
    ("audit", audit_report),
    ("audit", audit_reviews),
    ("identity", identity),
    ("identity", saved_views),
    ("inbound", inbound),
    ("inbound", inbound_figures),
    ("inbound", inbound_completeness),
    ("live", live),
    ("metrics", metrics),
    ("outbound", outbound),
    ("outbound", outbound_figures),
    ("outbound", catalogue),
    ("outbound", portal_links),
    ("outbound", trials),
    ("overview", overview),
    ("ratelimit", ratelimit),
    ("ratelimit", ratelimit_access),
    ("retention", retention),
    ("traces", traces),
    ("traffic", traffic),
)


def create_admin_app(custodes: Custodes, *, fetch: HttpFetcher | None = None) -> FastAPI:
    """Make the app that serves the admin API and its pages.

    Args:
        custodes: the install to administer.
        fetch: fetches the documents of token issuers.

    Raises:
        ConfigurationError: issuers are configured without an audience.
    """
    app = _bare_app()
    app.state.custodes = custodes
    fetch = fetch or GuardedFetcher(custodes.outgoing_policy)
    app.state.oidc_login = _oidc_login(custodes, fetch)
    app.state.pace = Pace(custodes.clock)
    app.state.gate = Gate(custodes, TokenVerifier(_issuers(custodes), fetch, custodes.clock))
    app.state.reads = Reads(custodes.clock)
    app.state.refusals = Refusals(custodes)
    app.state.dashboard = Dashboard(random.SystemRandom().getrandbits)
    app.add_middleware(Shell, addresses=custodes.addresses, random_bits=custodes.trace_bits)
    app.mount(PORTAL, create_portal_app(custodes))
    app.openapi = _document
    return app


def _bare_app() -> FastAPI:
    """Make the app with its routes, which serves no install yet."""
    app = served_app(
        "Custodes admin API",
        "Webhooks, API performance, rate limits, the audit trail and system metrics of one install.",
        _routes(),
    )
    app.state.required_roles = _required_roles()
    app.state.whole_install = _whole_install()
    return app


@lru_cache(maxsize=1)
def _routes() -> tuple[BaseRoute, ...]:
    router = new_router()
    router.include_router(session.router, prefix=API, tags=["session"], responses=PROBLEMS)
    router.include_router(ingest.router, prefix=API, tags=["ingest"], responses=PROBLEMS)
    for plane, module in PLANES:
        router.include_router(
            module.router,
            prefix=API,
            tags=[plane],
            responses=PROBLEMS,
            dependencies=[Depends(require_admin), Depends(only_known_parameters)],
        )
    router.include_router(elsewhere.router, prefix=DASHBOARD, include_in_schema=False)
    router.include_router(pages.router, prefix=DASHBOARD, include_in_schema=False)
    router.add_api_route(f"{API}/openapi.json", _openapi_document, include_in_schema=False)
    router.add_api_route(PORTAL, show_portal_without_slash, include_in_schema=False)
    return worked_out(router)


@lru_cache(maxsize=1)
def _required_roles() -> dict[str, str]:
    roles = openapi.required_roles(session.router, "session", least="none")
    roles |= openapi.required_roles(ingest.router, "ingest", least="none")
    for plane, module in PLANES:
        roles |= openapi.required_roles(module.router, plane, least="admin")
    return roles


@lru_cache(maxsize=1)
def _whole_install() -> frozenset[str]:
    return frozenset(name for plane, module in PLANES for name in openapi.whole_install(module.router, plane))


def _issuers(custodes: Custodes) -> list[Issuer]:
    settings = custodes.settings
    issuers = [
        oidc_issuer(url, settings.oidc_audience or settings.oidc_client_id, settings.oidc_authorized_parties)
        for url in settings.oidc_issuers
    ]
    if settings.clerk_issuer:
        own = (origin_of(settings.public_url),) if settings.public_url else ()
        parties = settings.clerk_authorized_parties or own
        issuers.append(clerk_issuer(settings.clerk_issuer, parties))
    return issuers


def _oidc_login(custodes: Custodes, fetch: HttpFetcher) -> OidcLogin | None:
    settings = custodes.settings
    if not (settings.oidc_issuers and settings.oidc_client_id):
        return None
    return OidcLogin(
        settings.oidc_issuers[0],
        settings.oidc_client_id,
        settings.oidc_client_secret.get_secret_value(),
        fetch=fetch,
        sender=GuardedFetcher(custodes.outgoing_policy),
        clock=custodes.clock,
        random_bits=random.SystemRandom().getrandbits,
        key=_attempt_key(custodes),
    )


def _attempt_key(custodes: Custodes) -> bytes:
    """Derive what signs attempts to sign in; without a secret key of the install, each process takes one of its own."""
    try:
        return custodes.sealer.derive(b"sign-ins under way", 32)
    except ConfigurationError:
        _log.warning("sign_ins_of_this_process_only", remedy="Set CUSTODES_SECRET_KEY where several processes serve")
        return secrets.token_bytes(32)


async def _openapi_document(_admin: Admin) -> JSONResponse:
    return JSONResponse(await asyncio.to_thread(_document))


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    """Write the OpenAPI document, which takes seconds: once for all apps of a process, as their routes are."""
    return openapi.document(_bare_app())
