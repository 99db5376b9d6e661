"""API calls that somebody else saw: an app in another language, a gateway, a batch job."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, MINUTE, to_iso
from custodes.kernel.tenant import valid_tenant
from custodes.planes.traffic.model import Exchange

#: How far back and ahead of now a reported call may have begun, microseconds: late reports, and clocks that differ.
MAX_AGE = DAY
MAX_AHEAD = 5 * MINUTE

#: Longest time and largest size that a report may state: a day in microseconds, a tebibyte.
MAX_DURATION = DAY
MAX_BYTES = 1 << 40

#: Longest text fields of a report, characters.
MAX_ROUTE = 512
MAX_PATH = 2_048
MAX_IDENTIFIER = 256
MAX_USER_AGENT = 256
MAX_MESSAGE = 1_000

_METHOD = re.compile(r"[A-Z][A-Z_-]{0,31}")
_TRACE = re.compile(r"[0-9a-f]{32}")
_SPAN = re.compile(r"[0-9a-f]{16}")
_ERROR_TYPE = re.compile(r"[^\W\d][\w.:$<>/\\-]{0,127}")

#: Free texts, and how long they may be.
_TEXTS = (
    ("route", MAX_ROUTE),
    ("path", MAX_PATH),
    ("user", MAX_IDENTIFIER),
    ("api_key", MAX_IDENTIFIER),
    ("client_ip", MAX_IDENTIFIER),
    ("user_agent", MAX_USER_AGENT),
    ("error_message", MAX_MESSAGE),
)

#: Texts of one shape.
_NAMES = (
    ("trace_id", _TRACE, "32 lower-case hex digits"),
    ("span_id", _SPAN, "16 lower-case hex digits"),
    ("parent_id", _SPAN, "16 lower-case hex digits"),
    ("error_type", _ERROR_TYPE, "the name of a type, at most 128 characters"),
)

#: Numbers that may be left out.
_MAY_BE_NONE = frozenset({"ttfb_us", "started_at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """One API call, as reported."""

    #: Upper-case method.
    method: str
    #: Route template such as ``/items/{id}``, not the path; None when no route matched.
    route: str | None
    #: Answer's status, 100–599; 0 when the client left before there was one.
    status: int
    #: Until the last byte of the answer, microseconds.
    total_us: int
    #: Until the first byte of the answer, microseconds; None: as :attr:`total_us`.
    ttfb_us: int | None = None
    #: First byte of the request, microseconds since the epoch; None: :attr:`total_us` ago.
    started_at: int | None = None
    #: Path as requested; empty: as the route.
    path: str = ""
    #: Body bytes received and sent.
    request_bytes: int = 0
    response_bytes: int = 0
    #: User, id of the API key, tenant, client address, user agent; empty, or None, when unknown.
    user: str = ""
    api_key: str = ""
    tenant: str = ""
    client_ip: str = ""
    user_agent: str = ""
    #: Trace and span ids, lower-case hex; empty when there are none.
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    #: Type and message of the exception; the type makes the error group. Empty when there was none.
    error_type: str = ""
    error_message: str = ""


class ReportedError(Exception):
    """An exception of another program: a name and a message, without a traceback."""


def exchange_of(report: CallReport, now: int, default_tenant: str) -> Exchange:
    """Check a report and turn it into an exchange.

    Raises:
        InvalidInput: a field is out of bounds; names the first one.
    """
    _check_types(report)
    started_at = now - report.total_us if report.started_at is None else report.started_at
    _check(report, started_at, now)
    exchange = Exchange()
    exchange.kind = "http"
    exchange.method = report.method
    exchange.route = report.route
    exchange.path = report.path or report.route or ""
    exchange.status = report.status
    exchange.started_at = started_at
    exchange.total_us = report.total_us
    exchange.ttfb_us = report.total_us if report.ttfb_us is None else report.ttfb_us
    exchange.background_us = 0
    exchange.request_bytes = report.request_bytes
    exchange.response_bytes = report.response_bytes
    exchange.client_ip = report.client_ip or ""
    exchange.user = report.user or ""
    exchange.api_key = report.api_key or ""
    exchange.tenant = report.tenant or default_tenant
    exchange.ids = (report.trace_id or "", report.span_id or "", report.parent_id or "", "")
    exchange.user_agent = report.user_agent or ""
    exchange.error = _error_of(report)
    exchange.disconnected = report.status == 0
    exchange.limited_by = ""
    return exchange


def _error_of(report: CallReport) -> BaseException | None:
    """Make an exception of the reported type's name, so that its kind is told like any other."""
    if not report.error_type:
        return None
    kind: Any = type(report.error_type, (ReportedError,), {"__module__": "builtins"})
    return kind(report.error_message or "")


def _check_types(report: CallReport) -> None:
    """Whatever the annotations say: a value that cannot be written takes all that is written with it along."""
    for name in ("status", "total_us", "request_bytes", "response_bytes", "ttfb_us", "started_at"):
        value: object = getattr(report, name)
        _demand(isinstance(value, int) or (value is None and name in _MAY_BE_NONE), name, "a whole number")
    for name in ("method", *(name for name, _ in _TEXTS), "tenant", *(name for name, _, _ in _NAMES)):
        value = getattr(report, name)
        _demand(isinstance(value, str) or (value is None and name != "method"), name, "a text")


def _check(report: CallReport, started_at: int, now: int) -> None:
    _demand(_METHOD.fullmatch(report.method), "method", "an upper-case method of 1 to 32 letters, such as GET")
    _demand(report.status == 0 or 100 <= report.status <= 599, "status", "100 to 599, or 0 for a client that left")
    _demand(not report.tenant or valid_tenant(report.tenant), "tenant", "a tenant id")
    for name, most in (("total_us", MAX_DURATION), ("ttfb_us", MAX_DURATION)):
        _demand(0 <= (getattr(report, name) or 0) <= most, name, f"0 to {most} µs")
    ages = f"between {to_iso(max(0, now - MAX_AGE))} and {to_iso(now + MAX_AHEAD)}"
    _demand(now - MAX_AGE <= started_at <= now + MAX_AHEAD, "started_at", ages)
    _demand((report.ttfb_us or 0) <= report.total_us, "ttfb_us", "at most total_us")
    for name in ("request_bytes", "response_bytes"):
        _demand(0 <= getattr(report, name) <= MAX_BYTES, name, f"0 to {MAX_BYTES} bytes")
    _check_texts(report)


def _check_texts(report: CallReport) -> None:
    for name, most in _TEXTS:
        text = getattr(report, name) or ""
        _demand(len(text) <= most and "\0" not in text, name, f"at most {most} characters, without NUL")
        _demand(text.isascii() or _encodes(text), name, "text that can be written as UTF-8")
    for name, pattern, shape in _NAMES:
        text = getattr(report, name)
        _demand(not text or pattern.fullmatch(text), name, shape)


def _demand(holds: object, name: str, shape: str) -> None:
    if not holds:
        msg = f"The field {name} of the call is not acceptable"
        raise InvalidInput(msg, remedy=f"It must be {shape}")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
