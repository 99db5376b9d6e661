"""What can go wrong with a request that we send."""

from __future__ import annotations

import ssl
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
    #: TLS failed: the certificate is not valid for the name, or not trusted, or ours was not taken.
    TLS = "tls"
    #: It was not sent: what it is to prove itself with could not be had.
    CREDENTIALS = "credentials"
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


#: Alerts by which a receiver says what it thinks of our certificate (RFC 8446 §6.2), as OpenSSL spells them.
_CERTIFICATE_ALERTS = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
)


def tls_failure(error: ssl.SSLError) -> OutgoingFailed:
    """Say what was wrong with TLS, in words that help whoever set the endpoint up."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = "its certificate is not valid for the name, or not trusted"
    elif "ALERT" in reason and reason.endswith(_CERTIFICATE_ALERTS):
        text = "it refused our client certificate, or wants one and was shown none"
    elif "ALERT" in reason and reason.endswith("HANDSHAKE_FAILURE"):  # all that TLS 1.2 says of a missing one
        text = "it refused the TLS handshake: it wants a client certificate, or ciphers that we do not offer"
    else:
        text = "the TLS handshake failed"
    return OutgoingFailed(text, FailureKind.TLS)
