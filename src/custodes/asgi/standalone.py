"""The app of ``custodes serve``: Custodes alone, or around the app named by ``CUSTODES_APP``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any, cast
from urllib.parse import urlsplit

from custodes.app import Custodes
from custodes.asgi import drain
from custodes.asgi.drain import Drain
from custodes.asgi.mount import DASHBOARD, install_in
from custodes.errors import ConfigurationError
from custodes.runtime.garbage import settle
from custodes.runtime.log import log_to_stderr

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Names the app to mount Custodes around, as ``module:attribute``; how the command tells its workers.
APP_VARIABLE = "CUSTODES_APP"


def create_app() -> ASGIApp:
    """Make the app that a server runs; settings come from the environment."""
    custodes, app = load()
    log_to_stderr()
    return Probes(custodes, app)


def load() -> tuple[Custodes, ASGIApp]:
    """Make the install and the app around which it stands; an app that has Custodes in it already keeps its own.

    Raises:
        ConfigurationError: the app that ``CUSTODES_APP`` names cannot be loaded, or a setting is wrong.
    """
    named = os.environ.get(APP_VARIABLE, "")
    app = load_app(named) if named else nothing_here
    custodes = install_in(app)
    if custodes is not None:
        return custodes, app
    custodes = Custodes()
    wrapped = custodes.wrap(app)
    below = urlsplit(custodes.settings.public_url).path.rstrip("/")
    # An app of somebody else's knows by itself what it is below of.
    return custodes, wrapped if named or not below else Below(below, wrapped)


def load_app(name: str) -> ASGIApp:
    """Import ``module:attribute``, from the working directory too; the attribute is ``app`` when none is named.

    Raises:
        ConfigurationError: no such module or attribute, or it is no app.
    """
    here = os.getcwd()  # noqa: PTH109 - sys.path holds texts
    if here not in sys.path:
        sys.path.insert(0, here)
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute or "app")
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"The app {name!r} cannot be loaded: {error}"
        raise ConfigurationError(
            msg, remedy="Name it as module:attribute, importable from the working directory"
        ) from error
    if not callable(found):
        msg = f"The app {name!r} is a {type(found).__name__}, which cannot be called"
        raise ConfigurationError(msg, remedy="Name an ASGI app as module:attribute")
    return cast("ASGIApp", found)


class Below:
    """Serves an app below the path of ``CUSTODES_PUBLIC_URL``, whether the proxy in front takes that path away or not.

    Args:
        root: the path, without a slash at its end.
        app: the app.
    """

    def __init__(self, root: str, app: ASGIApp) -> None:
        self._root = root
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection: by the ASGI specification its path includes what it is below of."""
        if scope["type"] in {"http", "websocket"} and not scope.get("root_path"):
            path: str = scope["path"]
            scope = {**scope, "root_path": self._root}
            if path != self._root and not path.startswith(f"{self._root}/"):
                scope["path"] = self._root + path
                if scope.get("raw_path") is not None:
                    scope["raw_path"] = self._root.encode() + scope["raw_path"]
        await self._app(scope, receive, send)


class Probes:
    """Answers ``/healthz`` (the process runs) and ``/readyz`` (it can do its work); everything else passes through."""

    def __init__(self, custodes: Custodes, app: ASGIApp) -> None:
        self._custodes = custodes
        self._app = app
        self._drain = Drain(custodes.settings.drain_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            send = self._watching(send)
        elif scope["type"] == "http":
            if self._drain.begun:
                send = _closing(send)
            if scope["method"] in {"GET", "HEAD"}:
                if scope["path"] == "/healthz":
                    await answer(send, 200, {"status": "ok"})
                    return
                if scope["path"] == "/readyz":
                    status = await self._status()
                    await answer(send, 200 if status == "ready" else 503, {"status": status})
                    return
        await self._app(scope, receive, send)

    async def _status(self) -> str:
        if self._drain.begun:
            return "draining"
        return "ready" if await self._custodes.is_ready() else "not ready"

    def _watching(self, send: Send) -> Send:
        """Once everything has started: be ready for SIGTERM, and settle the garbage collector of this process.

        Once everything has stopped because of it: see to it that the process ends.
        """

        async def watch(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._drain.watch()
                settle()
            elif message["type"].startswith("lifespan.shutdown.") and self._drain.begun:
                drain.end_within(drain.END_SECONDS)
            await send(message)

        return watch


def _closing(send: Send) -> Send:
    """Ask the client to come back on a new connection, which another process gets."""

    async def close(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return close


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """Lead ``/`` to the dashboard, and answer 404 to whatever else is not one of Custodes' own routes."""
    root = scope.get("root_path", "")
    if scope["type"] == "http" and scope["path"].removeprefix(root) in {"", "/"}:
        location = f"{root}{DASHBOARD}".encode()
        headers = [(b"location", location), (b"content-length", b"0"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
    elif scope["type"] == "http":
        problem = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "Nothing is served here"}
        await answer(send, 404, problem, b"application/problem+json")
    elif scope["type"] == "websocket":
        await receive()  # the connect, which servers want to be read first
        await send({"type": "websocket.close", "code": 1000})
    else:
        msg = f"no {scope['type']} is served here"
        raise ValueError(msg)  # by the ASGI specification: this app does not know the protocol


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
