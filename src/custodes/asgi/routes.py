"""Which route served a request: the template, never the path.

Read from what the framework left in the scope, after it has routed. Templates are kept few by construction: a route
that has no usable template, and a host that makes up new ones without end, fall into one bounded series each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlparse

from custodes.errors import InvalidInput
from custodes.kernel.redact import storable
from custodes.planes.ratelimit.paths import PathTrie

#: Most templates of one application; those beyond are counted under :data:`OTHER`.
MAX_TEMPLATES = 2_000

#: Longest template that is taken for one, characters.
MAX_TEMPLATE_LENGTH = 512

#: The series of templates beyond :data:`MAX_TEMPLATES`.
OTHER = "(other)"

#: How deep routers may be mounted in routers before the rest is not looked at.
MAX_DEPTH = 16

#: What :class:`starlette.routing.Mount` puts behind its own path.
_REST = "/{path}"


class Templates:
    """Resolves scopes to route templates, and remembers which there are."""

    __slots__ = ("_by_path", "_known", "of_route")

    def __init__(self) -> None:
        self._known: set[str] = set()
        #: The same, found by path.
        self._by_path: PathTrie[str] = PathTrie()
        #: By the id of a route: the route, which keeps that id from being anybody else's, and its template.
        self.of_route: dict[int, tuple[object, str | None]] = {}

    def resolve(self, scope: MutableMapping[str, Any]) -> str | None:
        """Return the template of the route that took a request; None when none did.

        Understands Starlette (routes, nested mounts), FastAPI (included routers too), Litestar and any framework that
        sets ``scope["path_template"]`` or a ``scope["route"]`` with a ``path``.
        """
        route = scope.get("route")
        if route is None or "fastapi" in scope or "app_root_path" in scope:  # more than the route makes the template
            return self._bounded(_template(scope))
        known = self.of_route.get(id(route))
        if known is None:
            if len(self.of_route) >= MAX_TEMPLATES:  # a host that makes a route for each request
                self.of_route.clear()
            known = self.of_route[id(route)] = (route, self._bounded(_template(scope)))
        return known[1]

    def _bounded(self, template: str | None) -> str | None:
        if template in self._known or template is None:
            return template
        if len(template) > MAX_TEMPLATE_LENGTH or len(self._known) >= MAX_TEMPLATES or storable(template) != template:
            return OTHER
        self._known.add(template)
        with suppress(InvalidInput):  # a regular expression: found by no path
            self._by_path.add(template, template)
        return template

    def likely(self, path: str) -> str | None:
        """Return the template that took such paths before; None when none did.

        For a request that was refused before the host could route it: an attack on ``/login`` shows there.
        """
        return next(self._by_path.find(path), None)


def _template(scope: MutableMapping[str, Any]) -> str | None:
    own = _own_template(scope)
    if "app_root_path" not in scope:  # set by mounts alone
        return own
    prefix = _mounted_at(scope)
    if own is None:
        return prefix + _REST if prefix else None
    return own if not prefix else prefix + own


def _own_template(scope: MutableMapping[str, Any]) -> str | None:
    """Return the template of the innermost route, as its own router knows it."""
    route = scope.get("route")
    if route is not None:
        included = scope.get("fastapi")
        if included:
            context = included.get("effective_route_context")
            if context is not None and context.original_route is route:
                return _path_of(context)
        return None if _is_mount(route) else _path_of(route)
    template = scope.get("path_template")
    if template is not None:
        return template if isinstance(template, str) else None
    endpoint = scope.get("endpoint")
    return None if endpoint is None else _template_of_endpoint(scope, endpoint)


def _path_of(route: Any) -> str | None:
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    return path if isinstance(path, str) else None


def _is_mount(route: Any) -> bool:
    return hasattr(route, "routes") and hasattr(route, "app")


def _template_of_endpoint(scope: MutableMapping[str, Any], endpoint: object) -> str | None:
    """Find a plain Starlette route inside FastAPI, which names the endpoint only."""
    path = path_below(scope["path"], scope.get("root_path", ""))
    for route in _candidates(getattr(scope.get("router"), "routes", ())):
        if getattr(route, "endpoint", None) is endpoint and route.path_regex.match(path):
            return _path_of(route)
    return None


def _candidates(routes: Iterable[Any], depth: int = 0) -> Iterable[Any]:
    """Yield routes, those of FastAPI's included routers with their prefix."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
        elif depth < MAX_DEPTH:
            for context in contexts():
                yield context.starlette_route or context


def path_below(path: str, root: str) -> str:
    """Return what of a path is below a mount point; the whole path when it is not below it.

    Args:
        path: the scope's path.
        root: the scope's ``root_path``.
    """
    below = path.removeprefix(root)
    return below if len(below) < len(path) and (not below or below[0] == "/") else path


def path_below_anywhere(path: str, root: str) -> str:
    """As :func:`path_below`, as Litestar does it: it cuts off everything up to the first occurrence of the root.

    A server that names a root without putting it in front of the path would otherwise let ``/x/api/login`` reach
    ``/login`` past the limits of ``/login``.
    """
    return "/" + path.partition(root)[2].lstrip("/") if root in path else path


def path_behind(path: str, root: str) -> str:
    """As :func:`path_below`, as Quart does it: for ``/api``, ``/apilogin`` is ``/login``.

    Of a path that does not begin with a slash it takes what ``urlparse`` makes of it: ``http://host/api/login``.
    """
    if not path.startswith("/"):
        with suppress(ValueError):
            path = urlparse(path).path
    return "/" + path.removeprefix(root).lstrip("/")


def path_as_it_is(path: str, _root: str) -> str:
    """Return the whole path: Falcon and Sanic know the root, and route by the path without asking for it."""
    return path


#: How a framework finds the path that it routes by, by its package; all others as :func:`path_below`.
_CUTS = {"litestar": path_below_anywhere, "quart": path_behind, "falcon": path_as_it_is, "sanic": path_as_it_is}


def cut_of(app: object) -> Callable[[str, str], str]:
    """Return how an application finds the path that it routes by, from a scope's path and ``root_path``.

    Looks through middleware that names what it wraps ``app``, as is the custom, and at whose method it is
    (``quart_app.asgi_app``). A project's own class of an application is of the framework that it is made of.
    """
    for _ in range(MAX_DEPTH):
        app = getattr(app, "__self__", app)
        for each in type(app).__mro__:
            cut = _CUTS.get(each.__module__.partition(".")[0])
            if cut is not None:
                return cut
        app = getattr(app, "app", None)
    return path_below


def _mounted_at(scope: MutableMapping[str, Any]) -> str:
    """Return the template of the mounts that a request went through, outermost first."""
    outer: str = scope["app_root_path"]
    inner: str = scope.get("root_path", "")
    mounted = inner[len(outer) :]
    if not mounted:
        return ""
    prefix = _follow(getattr(scope.get("router"), "routes", ()), mounted + "/", 0)
    return prefix if prefix is not None else _without_values(mounted, scope.get("path_params") or {})


def _follow(routes: Iterable[Any], path: str, depth: int) -> str | None:
    """Walk down the mounts that a path goes through; None when it is not mounts alone."""
    for route in _candidates(routes):
        if not _is_mount(route):
            continue
        found = route.path_regex.match(path)
        if found is None:
            continue
        prefix: str = route.path_format.removesuffix(_REST)
        rest = "/" + found["path"]
        if rest == "/" or depth == MAX_DEPTH:
            return prefix
        below = _follow(route.routes, rest, depth + 1)
        return None if below is None else prefix + below
    return None


def _without_values(mounted: str, path_params: Mapping[str, object]) -> str:
    """Put names back where a mount's parameters stand, when its routes cannot be walked."""
    parts = mounted.split("/")
    for name, value in path_params.items():
        text = str(value)
        if text in parts:
            parts[len(parts) - 1 - parts[::-1].index(text)] = f"{{{name}}}"
    return "/".join(parts)
