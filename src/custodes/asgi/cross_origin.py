"""Refusals that a page of another origin can read.

We stand outside of the host's CORS middleware, which so never sees what we refuse with. Without its headers a browser
keeps the answer from the page that asked (WHATWG Fetch, "CORS protocol"): a fault of CORS, it says, and no 429 with a
``Retry-After``. So a refusal goes through a copy of that middleware, with the host's own settings.
"""

from __future__ import annotations

import copy
import sys
from typing import Any

from custodes.asgi.passage import Message, Receive, Scope, Send

#: Deepest that a host's middleware is looked through.
_MAX_DEPTH = 32


def comes_from_a_page(scope: Scope) -> bool:
    """Tell whether a browser asks on behalf of a page, which it then names."""
    return scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"])


async def as_the_host_allows(app: object, scope: Scope, answer: list[Message]) -> list[Message]:
    """Return an answer with what the host's CORS middleware adds to it; as it is where the host has none.

    A preflight is answered by that middleware itself: the page then asks what it wanted to, and is told.
    """
    cors = _cors_in(app)
    if cors is None:
        return answer
    told: list[Message] = []

    async def answering(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in answer:
            await send(message)

    async def nothing() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def note(message: Message) -> None:
        told.append(message)

    cors.app = answering
    await cors(scope, nothing, note)
    return told


def _cors_in(app: Any) -> Any:
    """Make a copy of the CORS middleware that a host has; None when it has none of Starlette's."""
    module = sys.modules.get("starlette.middleware.cors")  # which whoever uses it has imported
    for _ in range(_MAX_DEPTH if module is not None else 0):
        if isinstance(app, module.CORSMiddleware):  # pyright: ignore[reportOptionalMemberAccess]
            return copy.copy(app)
        app = getattr(app, "app", None) or getattr(app, "middleware_stack", None)
    return None
