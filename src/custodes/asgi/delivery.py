"""One webhook on its way through the ingress: where it comes from, and which trace it belongs to.

What a :class:`~custodes.asgi.passage.HttpPassage` is to a request of the host, without what nobody asks of a delivery:
it is not measured, and nobody calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.trace import NEW_FLAGS, Trace, new_span_id, read_parent

if TYPE_CHECKING:
    from custodes.kernel.address import Addresses

#: Forwarding headers that may come in several lines, which are one list (RFC 9110 §5.3).
_LISTS = (b"x-forwarded-for", b"forwarded", b"tracestate")


class Delivery:
    """What the limiter asks of a request, and what :mod:`custodes.runtime.current` finds.

    A delivery without a ``traceparent`` begins a trace, which is numbered as the event will be: its id is the event's
    UUIDv7 without hyphens. So the index of traces grows at its end, where a random id would change a page of its own
    with each event: a fifth less work for SQLite on an empty table, and more on a large one. The right-most seven bytes
    are random, as the flag of a new trace says (W3C Trace Context level 2).
    """

    __slots__ = (
        "_found",
        "_parent",
        "_random_bits",
        "_trace",
        "api_key",
        "client_ip",
        "event_id",
        "limited_by",
        "method",
        "path",
        "release",
        "tenant",
        "trace_id",
        "user",
        "user_agent",
    )

    def __init__(self, path: str, tenant: str, now: int, random_bits: RandomBits) -> None:
        #: Path below the app's root path.
        self.path = path
        #: Whose source it is for.
        self.tenant = tenant
        #: Deliveries are posted.
        self.method = "POST"
        #: A webhook has no caller to name.
        self.user = self.api_key = ""
        #: Nor does its program matter.
        self.user_agent = ""
        #: Rule that refused it; set by the limiter.
        self.limited_by = ""
        #: Address of the sender as text; empty when unknown.
        self.client_ip = ""
        #: Id that the event will have in Custodes.
        self.event_id = uuid7(now, random_bits)
        #: Trace that it belongs to, 32 hex digits.
        self.trace_id = self.event_id.replace("-", "")
        #: Gives back to the limiter what the delivery holds; None when it holds nothing.
        self.release: Callable[[], object] | None = None
        self._random_bits = random_bits
        self._found: dict[bytes, bytes] = {}
        self._parent: tuple[str, str, str] | None = None
        self._trace: Trace | None = None

    def read(self, scope: Any, found: dict[bytes, bytes], addresses: Addresses) -> None:
        """Read who sent it and which trace it belongs to.

        Args:
            scope: its ASGI scope.
            found: its headers; of those that came several times the last.
            addresses: finds the sender behind proxies.
        """
        raw = scope["headers"]
        parent = found.get(b"traceparent")
        if len(found) < len(raw):
            parent = _join_lines(raw, found)
        self._found = found
        if parent is not None:
            self._parent = read_parent(parent)
            if self._parent is not None:
                self.trace_id = self._parent[0]
        client = scope.get("client")
        peer: str = client[0] if client else ""
        known = addresses.direct.get(peer)
        self.client_ip = known or addresses.client(peer, found.get(addresses.header, b""))

    @property
    def trace(self) -> Trace:
        """Where it stands in its trace."""
        if self._trace is None:
            _, parent_id, flags = self._parent or ("", "", NEW_FLAGS)
            state = self._found.get(b"tracestate") if self._parent else None
            span_id = new_span_id(self._random_bits)
            states = (state,) if state else ()
            self._trace = Trace(self.trace_id, span_id, parent_id, flags, states, self._random_bits)
        return self._trace

    def name_caller(self, user: str, api_key: str, tenant: str) -> None:
        """A webhook has no caller to name."""

    def note_exception(self, error: Exception) -> None:
        """What a handler raises is an attempt that failed, and no answer."""


def _join_lines(raw: list[tuple[bytes, bytes]], found: dict[bytes, bytes]) -> bytes | None:
    """Make one value of the lines of a list that came in several; two parents are none."""
    for name in _LISTS:
        if name in found:
            found[name] = b",".join(value for key, value in raw if key == name)
    parents = [value for key, value in raw if key == b"traceparent"]
    return parents[0] if len(parents) == 1 else None
