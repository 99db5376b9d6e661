"""``GET /.well-known/webhooks/{endpoint}/jwks.json``: what receivers verify ``v1a`` signatures with. Raw ASGI.

Public by nature: a key that verifies tells nothing, and the id of the endpoint is known to who receives its webhooks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from custodes.errors import CustodesError, NotFound

if TYPE_CHECKING:
    from custodes.app import Custodes

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Where the keys are found.
PLACE = "/.well-known/webhooks/"

#: How long a receiver may remember them, seconds: well below the overlap of a rotation.
MAX_AGE = 300

_PATH = re.compile(re.escape(PLACE) + r"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})/jwks\.json")


class PublicKeys:
    """Serves the key sets of endpoints."""

    def __init__(self, custodes: Custodes) -> None:
        self._custodes = custodes

    def handles(self, path: str) -> bool:
        """Tell whether a path is that of a key set; others are left to the host."""
        return _PATH.fullmatch(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one key set."""
        del receive
        path = scope["path"].removeprefix(scope.get("root_path") or "")
        found = _PATH.fullmatch(path)
        keys: list[dict[str, str]] = []
        status = 404
        if scope["method"] not in ("GET", "HEAD"):
            status = 405
        elif found:
            try:
                keys = await self._custodes.outbound.public_keys(found[1])
                status = 200 if keys else 404
            except NotFound:
                pass
            except CustodesError:
                status = 503
        raw = json.dumps({"keys": keys}).encode()
        headers = [
            (b"content-type", b"application/jwk-set+json"),
            (b"content-length", str(len(raw)).encode()),
            (b"cache-control", f"public, max-age={MAX_AGE}".encode() if status == 200 else b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else raw})
