"""An HTTP request on its way through the middleware."""

from __future__ import annotations

from collections.abc import Awaitable

from custodes.asgi.passage import Dress, Message, Passage, Refusal

#: Messages that carry a part of an answer, other than its body in bytes.
_PARTS = frozenset({"http.response.pathsend", "http.response.trailers", "http.response.zerocopysend"})


class HttpPassage(Passage):
    """An HTTP request."""

    __slots__ = ()

    async def receive(self) -> Message:
        """Hand on what the client sends."""
        message = await self._receive()
        try:
            kind = message["type"]
            if kind == "http.request":
                self.seen.request_bytes += len(message.get("body", b""))
            elif kind == "http.disconnect" and not self.seen.complete:
                self.seen.disconnected = True
        except BaseException as error:
            if not self.door.absorbs("middleware", error):
                raise
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Hand on what the application answers.

        A plain function: what the server's ``send`` returns is awaited by the application itself, so that an answer in
        one piece costs no coroutine of ours.
        """
        try:
            kind = message["type"]
            seen = self.seen
            if kind == "http.response.start":
                if not seen.disconnected:  # an answer to a client that has left is none
                    seen.status = int(message["status"])
                self._answer = message
                seen.first = self.door.ticks()
                if self._headers is not None:
                    # A copy: the list belongs to the host, which may answer with the same one again.
                    message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            elif kind == "http.response.body":
                seen.response_bytes += len(message.get("body", b""))
                more = message.get("more_body", False)
                if more or seen.last:
                    return self._part(message, more)
                seen.complete = True
                seen.last = self.door.ticks()  # nothing was written before, so nothing holds up this write
            elif kind in _PARTS:
                return self._part(message, self._count_part(kind, message))
        except BaseException as error:
            if not self.door.absorbs("middleware", error):
                raise
        return self._send(message)

    async def _part(self, message: Message, more: bool) -> None:
        """Send a part of an answer in several, and see when it was taken: the client may be slow, or gone."""
        try:
            await self._send(message)
        except OSError:
            self.seen.disconnected = True  # ASGI 2.4: sending to a client that has left
            raise
        try:
            self.seen.last = self.door.ticks()
            if not more:
                self.seen.complete = True
        except BaseException as error:
            if not self.door.absorbs("middleware", error):
                raise

    def _count_part(self, kind: str, message: Message) -> bool:
        """Count a part that is not in the message itself; tell whether more will follow."""
        if kind == "http.response.trailers":
            return message.get("more_trailers", False)
        if kind == "http.response.zerocopysend":
            self.seen.response_bytes += message.get("count") or 0
            return message.get("more_body", False)
        for name, value in (self._answer or {}).get("headers", ()):  # pathsend: the answer is a file
            if name == b"content-length":
                self.seen.response_bytes += int(value)
        return False

    async def refuse(self, refusal: Refusal, dress: Dress) -> None:
        """Answer in the application's place."""
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(refusal.body)).encode("ascii")),
            *refusal.headers,
        ]
        body = b"" if self.seen.method == "HEAD" else refusal.body
        start: Message = {"type": "http.response.start", "status": refusal.status, "headers": headers}
        for message in await dress([start, {"type": "http.response.body", "body": body}]):
            await self.send(message)
