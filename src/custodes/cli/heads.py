"""A bound on what stands before and between bodies: heads, trailers and extensions of chunks.

httptools keeps a header until it is complete, and uvicorn all of them until the head is, however long: one client that
never ends its header would have the process keep what it sends. uvicorn has a bound for h11 only.
"""

from __future__ import annotations

import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Most of it, bytes, as h11 has it in uvicorn; nginx takes 32 kB. One read more may pass: reads are not looked into.
MAX_HEAD = 65_536

_PROBLEM = json.dumps({
    "type": "about:blank",
    "status": 431,
    "title": "Request Header Fields Too Large",
    "detail": f"The request line and the headers have more than {MAX_HEAD} bytes. Send fewer, or shorter ones",
}).encode()  # fmt: skip

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_PROBLEM), _PROBLEM)
)


class BoundedHeads(HttpToolsProtocol):
    """The protocol of uvicorn, which hangs up on who sends more than :data:`MAX_HEAD` without getting anywhere."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        #: Bytes since anything was complete: a head, a piece of a body, a request.
        self._pending = 0

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._pending += len(data)
        super().data_received(data)
        if self._pending > MAX_HEAD and not self.transport.is_closing():
            cycle: Any = self.cycle  # None before the first request
            if cycle is None or cycle.response_complete:  # else an answer is under way
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._pending = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._pending = 0
        super().on_message_complete()
