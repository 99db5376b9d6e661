"""What a Django project adds so that its requests are counted by route, and its errors are seen.

Django keeps the route on its own request, and makes an answer of what a view raises before that gets out.

::

    MIDDLEWARE = ["custodes.asgi.django.tell_route", ...]
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, cast

from custodes.runtime.current import note_exception

#: From here on an answer says that the server has failed.
_SERVER_ERROR = 500

#: A converter of ``path()``: ``<int:year>``, ``<slug>``.
_CONVERTER = re.compile(r"<(?:[^<>:]+:)?([^<>:]+)>")


def tell_route(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Django middleware, for async and sync stacks: names the route of a request, and why it failed."""
    if iscoroutinefunction(get_response):
        answer = cast("Callable[[Any], Awaitable[Any]]", get_response)

        async def tell_async(request: Any) -> Any:
            response = await answer(request)
            _tell(request, response)
            return response

        tell_async.process_exception = _keep  # pyright: ignore[reportFunctionMemberAccess]
        return tell_async

    def tell(request: Any) -> Any:
        response = get_response(request)
        _tell(request, response)
        return response

    tell.process_exception = _keep  # pyright: ignore[reportFunctionMemberAccess]
    return tell


#: What Django asks of a middleware that is a function.
tell_route.sync_capable = True  # pyright: ignore[reportFunctionMemberAccess]
tell_route.async_capable = True  # pyright: ignore[reportFunctionMemberAccess]


def _keep(request: Any, exception: Exception) -> None:
    """What Django calls when a view has raised; some of that are answers, such as ``Http404``."""
    request.custodes_exception = exception


def _tell(request: Any, response: Any) -> None:
    error = getattr(request, "custodes_exception", None)
    if error is not None:
        del request.custodes_exception  # its frames hold the request
        if response.status_code >= _SERVER_ERROR:
            note_exception(error)
    scope, match = getattr(request, "scope", None), getattr(request, "resolver_match", None)
    if scope is not None and match is not None:
        scope["path_template"] = template_of(match.route)


def template_of(route: str) -> str:
    """Write a Django route as others do: ``users/<int:id>`` → ``/users/{id}``; a regular expression stays as it is."""
    if "(?P<" in route or "^" in route:
        return route if route.startswith("/") else "/" + route
    return "/" + _CONVERTER.sub(r"{\1}", route).lstrip("/")
