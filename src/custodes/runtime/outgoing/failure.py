"""What can go wrong with a request that we send."""

from __future__ import annotations

from enum import StrEnum

from custodes.errors import CustodesError
from custodes.runtime.outgoing.timing import Timing


class FailureKind(StrEnum):
    """Where a request that we sent ended, when there was no answer."""

    #: It was not sent: it may not go there.
    REFUSED = "refused"
    #: The name could not be looked up.
    DNS = "dns"
    #: Nobody took the connection.
    CONNECT = "connect"
    #: The TLS handshake failed: the certificate is not valid for the name, or not trusted.
    TLS = "tls"
    #: It took too long.
    TIMEOUT = "timeout"
    #: The connection ended before the answer did.
    BROKEN = "broken"
    #: What came is not HTTP, or has headers beyond all measure.
    PROTOCOL = "protocol"


class OutgoingFailed(CustodesError):
    """There was no answer. The message tells nothing of addresses or of what is behind them."""

    code = "outgoing-failed"
    status = 502
    title = "No answer"

    def __init__(self, message: str, kind: FailureKind, timing: Timing | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        #: How far it came, as far as it is known.
        self.timing = timing or Timing()
