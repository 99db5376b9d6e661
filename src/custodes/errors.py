"""Every error Custodes raises on purpose.

::

    CustodesError                     base; carries code, message, remedy
    ├── ConfigurationError            a setting or an argument is wrong; raised at start
    ├── InvalidInput                  a value from outside is not acceptable (HTTP 400 or 422)
    │   ├── PayloadTooLarge           larger than the limit of this source or route (HTTP 413)
    │   └── MalformedPayload          not the format it claims to be (HTTP 400)
    ├── NotFound                      no such thing, or not for this tenant (HTTP 404)
    ├── Conflict                      the thing is not in the state the action needs (HTTP 409)
    ├── AuthenticationFailed          who you are is not proven (HTTP 401)
    ├── PermissionDenied              who you are may not do this (HTTP 403)
    ├── SignatureRefused              a webhook's signature does not hold (HTTP 401)
    ├── RateLimited                   over a limit or blocked (HTTP 429)
    ├── StorageUnavailable            the store cannot take it now; try again (HTTP 503)
    └── Permanent                     raised by a webhook handler: trying this event again is no use

``code`` is stable and machine-readable; ``message`` says what happened and which value; ``remedy`` says how to fix it.
None of them ever carries a secret or a payload.
"""

from __future__ import annotations

from typing import ClassVar


class CustodesError(Exception):
    """Base of all errors of Custodes."""

    #: Stable, machine-readable name; also the last part of the RFC 9457 problem type.
    code: ClassVar[str] = "error"
    #: HTTP status that answers it at the doors.
    status: ClassVar[int] = 500
    #: Short title, the same for every occurrence (RFC 9457 ``title``).
    title: ClassVar[str] = "Error"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


class ConfigurationError(CustodesError):
    """A setting or an argument is wrong."""

    code = "configuration"
    title = "Configuration error"


class InvalidInput(CustodesError):
    """A value from outside is not acceptable."""

    code = "invalid-input"
    status = 422
    title = "Invalid input"


class PayloadTooLarge(InvalidInput):
    """The body is larger than the limit."""

    code = "payload-too-large"
    status = 413
    title = "Payload too large"


class MalformedPayload(InvalidInput):
    """The body is not the format it claims to be."""

    code = "malformed-payload"
    status = 400
    title = "Malformed payload"


class NotFound(CustodesError):
    """No such thing, or not for this tenant."""

    code = "not-found"
    status = 404
    title = "Not found"


class Conflict(CustodesError):
    """The thing is not in the state the action needs."""

    code = "conflict"
    status = 409
    title = "Conflict"


class AuthenticationFailed(CustodesError):
    """Who you are is not proven."""

    code = "unauthenticated"
    status = 401
    title = "Authentication required"


class SessionEnded(AuthenticationFailed):
    """Who you are was proven, and the session that it was proven for is over."""

    code = "session-ended"
    title = "The session has ended"

    def __init__(self, message: str, *, remedy: str = "", session_id: str, revoked: bool) -> None:
        super().__init__(message, remedy=remedy)
        #: Which session.
        self.session_id = session_id
        #: Whether somebody ended it, rather than time.
        self.revoked = revoked


class TokenExpired(AuthenticationFailed):
    """An issuer's token was good, and its time is over."""

    code = "token-expired"
    title = "The token has expired"


class PermissionDenied(CustodesError):
    """Who you are may not do this."""

    code = "forbidden"
    status = 403
    title = "Forbidden"


class SignatureRefused(CustodesError):
    """A webhook's signature does not hold.

    ``reason`` says why, for the log and the counters: ``missing-signature``, ``malformed-header``,
    ``timestamp-too-old``, ``timestamp-in-future`` or ``no-match``. The sender is not told.
    """

    code = "signature-refused"
    status = 401
    title = "Signature refused"

    def __init__(self, message: str, *, reason: str = "no-match", remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.reason = reason


class RateLimited(CustodesError):
    """Over a limit, or blocked."""

    code = "rate-limited"
    status = 429
    title = "Too many requests"


class StorageUnavailable(CustodesError):
    """The store cannot take it now."""

    code = "storage-unavailable"
    status = 503
    title = "Storage unavailable"


class Permanent(CustodesError):
    """Raised by a webhook handler: trying this event again is no use; it goes to the dead letters at once."""

    code = "permanent"
    title = "Given up"
