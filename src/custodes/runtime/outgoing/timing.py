"""Where the time of a request goes."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the parts of one request took, microseconds; 0 for a part that did not happen.

    On a connection that was open already, DNS, connect and TLS did not happen.
    """

    #: Looking the name up.
    dns: int = 0
    #: Connecting (TCP).
    connect: int = 0
    #: The TLS handshake.
    tls: int = 0
    #: From the start until the head of the answer was there.
    first_byte: int = 0
    #: From the start until the end.
    total: int = 0


class Stopwatch:
    """Takes the times of one request; handed to those who connect by :data:`running`."""

    __slots__ = ("dns", "opened", "socket", "started", "tls")

    def __init__(self, started: float) -> None:
        self.started = started
        #: Time spent on names, seconds.
        self.dns = 0.0
        #: When the last socket was made, when TLS began on it, when it was ready; loop time, 0 when it was not.
        self.socket = 0.0
        self.tls = 0.0
        self.opened = 0.0

    def read(self, now: float, answered: float = 0.0) -> Timing:
        """Tell the times, now that the request has ended."""
        ready = self.opened or now
        secured = self.tls or ready
        return Timing(
            dns=_micros(self.dns),
            connect=_micros(secured - self.socket) if self.socket else 0,
            tls=_micros(ready - self.tls) if self.tls else 0,
            first_byte=_micros(answered - self.started) if answered else 0,
            total=_micros(now - self.started),
        )


def _micros(seconds: float) -> int:
    return max(0, int(seconds * 1_000_000))


#: The watch of the request that this context works for.
running: ContextVar[Stopwatch | None] = ContextVar("custodes_outgoing_watch", default=None)
