"""Talking ASGI without a server: send an app exactly these messages, see exactly what it answers.

For tests of anything between a server and an application, where a client library would hide what matters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Message = MutableMapping[str, Any]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


def http_scope(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    """Make the scope of an HTTP request as uvicorn would; ``headers`` may be a mapping of texts."""
    return _scope({"type": "http", "method": method, "scheme": "http", "http_version": "1.1"}, path, more)


def websocket_scope(path: str = "/", **more: Any) -> dict[str, Any]:
    """Make the scope of a WebSocket as uvicorn would."""
    return _scope({"type": "websocket", "scheme": "ws", "http_version": "1.1", "subprotocols": []}, path, more)


def _scope(kind: dict[str, Any], path: str, more: dict[str, Any]) -> dict[str, Any]:
    headers: Mapping[str, str] | list[tuple[bytes, bytes]] = more.pop("headers", {})
    if isinstance(headers, Mapping):
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    path, _, query = path.partition("?")
    return {
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "path": path,
        "raw_path": path.encode("ascii", "replace"),
        "query_string": query.encode("ascii", "replace"),
        "root_path": "",
        "headers": [(b"host", b"testserver"), *headers],
        "client": ("203.0.113.7", 52_000),
        "server": ("testserver", 80),
        "state": {},
        **kind,
        **more,
    }


def body(*chunks: bytes) -> list[Message]:
    """Make the messages of a request body."""
    last = len(chunks) - 1
    return [
        {"type": "http.request", "body": chunk, "more_body": number < last} for number, chunk in enumerate(chunks)
    ] or [{"type": "http.request", "body": b"", "more_body": False}]


@dataclass
class Conversation:
    """What was said."""

    #: Messages that the app sent, in order.
    sent: list[Message] = field(default_factory=list[Message])
    #: Exception that left the app; None when none did.
    error: BaseException | None = None

    @property
    def status(self) -> int:
        """Status of the answer; 0 when there was none."""
        return next((message["status"] for message in self.sent if message["type"].endswith(".start")), 0)

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Headers of the answer."""
        starts = (message for message in self.sent if message["type"].endswith(".start"))
        return dict(next(starts, {"headers": ()})["headers"])

    @property
    def body(self) -> bytes:
        """Body of the answer."""
        return b"".join(message.get("body", b"") for message in self.sent)


async def converse(
    app: ASGIApp,
    scope: MutableMapping[str, Any],
    messages: Iterable[Message] = (),
    *,
    leaves_after: int | None = None,
    breaks_after: int | None = None,
    seconds: float = 10.0,
) -> Conversation:
    """Hold one conversation with an app.

    Args:
        app: the app.
        scope: its connection.
        messages: what the client sends; one empty body when none is given for HTTP. Then it stays silent.
        leaves_after: the client disconnects after it has got this many messages.
        breaks_after: sending fails with ``OSError`` after this many messages, as ASGI 2.4 has it.
        seconds: time limit, so that a test never hangs.
    """
    said = Conversation()
    pending = list(messages) or (body() if scope["type"] == "http" else [{"type": "websocket.connect"}])
    gone = asyncio.Event()
    if leaves_after == 0:
        gone.set()

    async def receive() -> Message:
        if pending:
            return pending.pop(0)
        await gone.wait()
        code = {"code": 1006} if scope["type"] == "websocket" else {}
        return {"type": f"{scope['type']}.disconnect", **code}

    async def send(message: Message) -> None:
        if breaks_after is not None and len(said.sent) >= breaks_after:
            msg = "the client has left"
            raise OSError(msg)
        said.sent.append(message)
        if leaves_after is not None and len(said.sent) >= leaves_after:
            gone.set()

    try:
        async with asyncio.timeout(seconds):
            await app(scope, receive, send)
    except TimeoutError:
        raise
    except Exception as error:  # noqa: BLE001 - what leaves the app is what is asked for
        said.error = error
    return said
