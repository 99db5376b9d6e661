"""The app of ``custodes serve``: Custodes alone, or around the app named by ``CUSTODES_APP``."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any

from custodes.app import Custodes
from custodes.errors import ConfigurationError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def create_app() -> ASGIApp:
    """Make the app that a server runs; settings come from the environment."""
    named = os.environ.get("CUSTODES_APP", "")
    custodes = Custodes()
    inner = custodes.wrap(load_app(named) if named else nothing_here)
    return Probes(custodes, inner)


def load_app(name: str) -> ASGIApp:
    """Import ``module:attribute``.

    Raises:
        ConfigurationError: no such module or attribute.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute or "app")
    except (ImportError, AttributeError) as error:
        msg = f"The app {name!r} cannot be loaded: {error}"
        raise ConfigurationError(
            msg, remedy="Name it as module:attribute, importable from the working directory"
        ) from error
    return found


class Probes:
    """Answers ``/healthz`` (the process runs) and ``/readyz`` (it can do its work); everything else passes through."""

    def __init__(self, custodes: Custodes, app: ASGIApp) -> None:
        self._custodes = custodes
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            if scope["path"] == "/healthz":
                await answer(send, 200, {"status": "ok"})
                return
            if scope["path"] == "/readyz":
                ready = await self._custodes.is_ready()
                await answer(send, 200 if ready else 503, {"status": "ready" if ready else "not ready"})
                return
        await self._app(scope, receive, send)


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 404 to whatever is not one of Custodes' own routes."""
    del receive
    if scope["type"] == "http":
        problem = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "Nothing is served here"}
        await answer(send, 404, problem, b"application/problem+json")
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})


async def answer(send: Send, status: int, body: dict[str, Any], media_type: bytes = b"application/json") -> None:
    """Send a small JSON answer."""
    content = json.dumps(body).encode()
    headers = [
        (b"content-type", media_type),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
