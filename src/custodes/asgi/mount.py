"""Mounting: one ASGI app around the host, which finds the door for each request.

Webhooks go to the ingress, the admin API and its pages to the admin app, everything else through the middleware to the
host. All paths are below the ``root_path`` that the server or an outer mount gives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from custodes.asgi.ingress import Ingress
from custodes.asgi.lifespan import Life
from custodes.asgi.middleware import ASGIApp, Middleware
from custodes.asgi.passage import Receive, Scope, Send
from custodes.asgi.public_keys import PLACE, PublicKeys
from custodes.errors import ConfigurationError
from custodes.kernel.compiled import twin

if TYPE_CHECKING:
    from custodes.app import Custodes

#: Where the dashboard is.
DASHBOARD = "/dashboard/admin/enterprise"

#: Where the admin API, its pages and the customer portal live.
ADMIN_PATHS = ("/api/admin/enterprise", DASHBOARD, "/portal/webhooks")

#: What paths of ours begin with; a request that begins otherwise is the host's and is not looked at further.
OWN_PREFIXES = ("/api/", "/hooks/", "/dashboard/", "/portal/", PLACE)


_twin = twin("custodes.asgi._passage")


class Mounted(Middleware):
    """A host with Custodes around it; the ASGI app to serve.

    Args:
        custodes: the install.
        host: the application; may be given later as ``app``.
    """

    def __init__(self, custodes: Custodes, host: ASGIApp | None = None) -> None:
        super().__init__(host or _not_yet, custodes, divert=self._find_door)
        self.custodes = custodes
        self._life = Life(custodes)
        if _twin is not None:
            self._divert = _twin.Doorkeeper(self._life, OWN_PREFIXES, self._find_door)
        self._ingress = Ingress(custodes)
        self._public_keys = PublicKeys(custodes)
        self._admin = Middleware(self._serve_admin, custodes, own=True)
        self._admin_app: ASGIApp | None = None
        self._loading: asyncio.Task[ASGIApp] | None = None

    def _find_door(self, scope: Scope) -> ASGIApp | None:
        """Find which door of ours a connection is for; None: it is the host's."""
        try:
            kind = scope["type"]
            if kind == "lifespan":
                return self._serve_lifespan
            if not self._life.running:
                self._life.rouse()
            path: str = scope["path"]
            if scope.get("root_path"):
                path = path.removeprefix(scope["root_path"])
            return self._own_door(path) if path.startswith(OWN_PREFIXES) and kind == "http" else None
        except BaseException as error:
            if not self.absorbs("mount", error):
                raise
            return None

    def _own_door(self, path: str) -> ASGIApp | None:
        if self._ingress.handles(path):
            return self._ingress
        if self._public_keys.handles(path):
            return self._public_keys
        return self._admin if any(path == place or path.startswith(place + "/") for place in ADMIN_PATHS) else None

    async def _serve_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._life.serve(self.app, scope, receive, send)

    async def _serve_admin(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._admin_app is None:
            self._admin_app = await self._load_admin()
        await self._admin_app(scope, receive, send)

    async def _load_admin(self) -> ASGIApp:
        """Load it, which takes seconds, in one thread for all who wait: the host's requests and its threads go on."""
        if self._loading is None or (self._loading.done() and not _succeeded(self._loading)):
            self._loading = asyncio.create_task(asyncio.to_thread(lambda: self.custodes.admin_app))
        return await asyncio.shield(self._loading)


def _succeeded(task: asyncio.Task[ASGIApp]) -> bool:
    return not task.cancelled() and task.exception() is None


def wrap(custodes: Custodes, app: ASGIApp) -> ASGIApp:
    """Return an ASGI app that serves the host with Custodes around it."""
    return Mounted(custodes, app)


def install(custodes: Custodes, app: Any) -> None:
    """Mount Custodes in a Starlette or FastAPI app, outside of all its middleware, whenever that is added.

    Raises:
        ConfigurationError: the app is none of these, or Custodes is in it already.
    """
    build: Callable[[], ASGIApp] | None = getattr(app, "build_middleware_stack", None)
    if build is None:
        msg = f"A {type(app).__name__} cannot be changed in place"
        raise ConfigurationError(msg, remedy="Serve what wrap returns: app = custodes.wrap(app)")
    if isinstance(getattr(build, "__self__", None), _Outermost):
        msg = "Custodes is installed in this app already"
        raise ConfigurationError(msg, remedy="Call install once for an app")
    mounted = Mounted(custodes)
    app.build_middleware_stack = _Outermost(build, mounted).build
    if getattr(app, "middleware_stack", None) is not None:  # it has served already, so the stack stands
        mounted.app = app.middleware_stack
        app.middleware_stack = mounted


def install_in(app: object) -> Custodes | None:
    """Find the install that an app carries already; None when it carries none."""
    builder: object = getattr(getattr(app, "build_middleware_stack", None), "__self__", None)
    mounted = builder.mounted if isinstance(builder, _Outermost) else app
    return mounted.custodes if isinstance(mounted, Mounted) else None


class _Outermost:
    """Builds the host's middleware stack as the host does, and stands around it."""

    def __init__(self, build: Callable[[], ASGIApp], mounted: Mounted) -> None:
        self._build = build
        self.mounted = mounted

    def build(self) -> ASGIApp:
        self.mounted.app = self._build()
        return self.mounted


def _not_yet(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """Stand in for a host that is not known yet."""
    msg = f"no application to serve {scope['type']} with"
    raise RuntimeError(msg)
