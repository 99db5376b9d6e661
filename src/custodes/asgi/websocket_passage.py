"""A WebSocket on its way through the middleware."""

from __future__ import annotations

from collections.abc import Awaitable

from custodes.asgi.passage import FIELDS, Dress, Message, Passage, Refusal

#: Codes of a WebSocket's end that mean the connection broke (RFC 6455 §7.4.1).
BROKEN = 1006


class WebSocketPassage(Passage):
    """A WebSocket: accepted is 101, closed before it was accepted is 403; the sizes are of all its messages."""

    __slots__ = FIELDS

    async def receive(self) -> Message:
        """Hand on what the client sends."""
        message = await self._receive()
        try:
            kind = message["type"]
            if kind == "websocket.receive":
                self.seen.request_bytes += _size(message)
            elif kind == "websocket.disconnect" and not self.seen.complete:
                self.seen.disconnected = message.get("code") == BROKEN
                self._over()
        except BaseException as error:
            if not self.door.absorbs("middleware", error):
                raise
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Hand on what the application sends."""
        try:
            self._see(message["type"], message)
        except BaseException as error:
            if not self.door.absorbs("middleware", error):
                raise
        return self._send(message)

    def _see(self, kind: str, message: Message) -> None:
        if kind == "websocket.send":
            self.seen.response_bytes += _size(message)
        elif kind == "websocket.accept":
            self._answered(101)
        elif kind == "websocket.close":
            if not self.seen.status:
                self._answered(403)  # what servers answer to a handshake that is closed
            self._over()
        elif kind == "websocket.http.response.start":
            self._answered(message["status"])
        elif kind == "websocket.http.response.body":
            self.seen.response_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._over()

    def _answered(self, status: int) -> None:
        self.seen.status = status
        self.seen.first = self.door.ticks()

    def _over(self) -> None:
        self.seen.complete = True
        self.seen.last = self.door.ticks()

    async def refuse(self, refusal: Refusal, _dress: Dress) -> None:
        """Refuse the handshake: with an answer where the server can send one, else by closing (policy violation)."""
        await self.receive()  # the connect, which servers want to be read first
        if "websocket.http.response" not in (self._scope.get("extensions") or {}):
            await self.send({"type": "websocket.close", "code": 1008, "reason": "rate limited"})
            return
        start = [(b"content-type", b"application/problem+json"), *refusal.headers]
        await self.send({"type": "websocket.http.response.start", "status": refusal.status, "headers": start})
        await self.send({"type": "websocket.http.response.body", "body": refusal.body})


def _size(message: Message) -> int:
    data = message.get("bytes")
    if data is not None:
        return len(data)
    text = message.get("text") or ""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
