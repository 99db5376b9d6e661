"""Trace context: W3C Trace Context level 2, in and out.

One trace id joins a request, the calls it makes, the webhooks it sends and the audit entries it leaves. This module
reads ``traceparent`` and ``tracestate``, starts or restarts a trace where the specification says so, and writes the
headers of outgoing calls. What is wrong in a header never fails a request: the trace starts anew.

Source: https://www.w3.org/TR/trace-context-2/
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from custodes.kernel.ids import RandomBits

#: Flag bit: the caller may have recorded this trace.
SAMPLED = 0x01

#: Flag bit (level 2): the right-most seven bytes of the trace id are random.
RANDOM = 0x02

#: Bits that this version of the specification defines; the others are dropped.
_KNOWN_FLAGS = SAMPLED | RANDOM

#: Most members of a ``tracestate``; more and all of it is dropped (§3.3.1.1).
MAX_STATE_MEMBERS = 32

#: Longest combined ``tracestate`` that is looked at, bytes: 32 members of the longest key and value, with white space.
MAX_STATE_LENGTH = 20_000

#: Characters of a ``tracestate`` that are kept with a webhook: as many as the specification asks for (§3.3.1.5).
#: Whoever calls writes it, and servers that refuse long headers would refuse the webhook.
MAX_KEPT_STATE = 512

#: Longer members than this, characters, go first where not all can be kept (§3.3.1.5).
_LONG_MEMBER = 128

#: Longest ``traceparent`` that is looked at, bytes: a later version may be longer than our 55, not without end.
MAX_PARENT_LENGTH = 512

_IDS = r"(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"

#: A trace id that may stand in a header.
_TRACE_ID = re.compile("(?!0{32})[0-9a-f]{32}").fullmatch

#: Version 00: exactly these four fields.
_VERSION_00 = re.compile("00-" + _IDS).fullmatch

#: A later version: the same four fields, then the end or a dash and whatever that version adds; ff is no version.
_LATER = re.compile("(?!00|ff)[0-9a-f]{2}-" + _IDS + "(?:-.*)?").fullmatch

_KEY = r"[a-z0-9][a-z0-9_\-*/@]{0,255}"
_VALUE = r"[ -+\--<>-~]{0,255}[!-+\--<>-~]"
_MEMBER = re.compile(f"({_KEY})=({_VALUE})").fullmatch

#: Flags of a trace that starts here: sampled, and random all through.
NEW_FLAGS = "03"

#: One bit in the trace id and one in the span id, both far from the bytes that must be random: an id is never all zero.
_NOT_ZERO = 1 << 191 | 1 << 63
_SPAN_NOT_ZERO = 1 << 63


class Trace:
    """Where a request stands in its trace.

    Treat it as a value: nothing changes after it was opened. ``tracestate`` is read only when asked for.
    """

    __slots__ = ("_random_bits", "_states", "flags", "parent_id", "span_id", "trace_id")

    #: Trace id, 32 hex digits; shared by all that belongs to this trace.
    trace_id: str
    #: Id of the work on this request, 16 hex digits.
    span_id: str
    #: Caller's span id, 16 hex digits; empty when the trace starts here.
    parent_id: str
    #: Flags as two hex digits, as the caller sent them or, for a trace that starts here, :data:`NEW_FLAGS`.
    flags: str

    def __init__(
        self,
        trace_id: str,
        span_id: str,
        parent_id: str,
        flags: str,
        states: Sequence[bytes],
        random_bits: RandomBits,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.flags = flags
        self._states = states
        self._random_bits = random_bits

    @property
    def state(self) -> str:
        """Combined ``tracestate`` to pass on; empty when there is none or it is not well formed."""
        return parse_state(self._states) if self._states else ""

    @property
    def context(self) -> str:
        """What is kept, beside the trace id, with what goes on later: flags, and after a blank the ``tracestate``."""
        return f"{self._known_flags:02x} {_short_state(self.state)}".rstrip()

    @property
    def traceresponse(self) -> str:
        """Value of a ``traceresponse`` header (editor's draft): tells the caller our span."""
        return f"00-{self.trace_id}-{self.span_id}-{self._known_flags:02x}"

    @property
    def _known_flags(self) -> int:
        return int(self.flags, 16) & _KNOWN_FLAGS

    def headers(self) -> dict[str, str]:
        """Headers for one outgoing call: same trace, our span's fresh child as the parent.

        Call it once for each call that goes out, so that each has an id of its own.
        """
        child = new_span_id(self._random_bits)
        headers = {"traceparent": f"00-{self.trace_id}-{child}-{self._known_flags:02x}"}
        state = self.state
        if state:
            headers["tracestate"] = state
        return headers


def new_span_id(random_bits: RandomBits) -> str:
    """Make a span id: 16 hex digits, never all zero."""
    return (random_bits(64) | _SPAN_NOT_ZERO).to_bytes(8, "big").hex()


def new_ids(random_bits: RandomBits) -> tuple[str, str]:
    """Make the ids of a trace that starts here: trace id and span id."""
    ids = (random_bits(192) | _NOT_ZERO).to_bytes(24, "big").hex()
    return ids[:32], ids[32:]


def is_trace_id(text: str) -> bool:
    """Tell whether a text is a trace id of W3C: 32 small hex digits, not all zero."""
    return _TRACE_ID(text) is not None


def read_parent(parent: bytes) -> tuple[str, str, str] | None:
    """Read a ``traceparent`` header.

    Returns:
        Trace id, parent id and flags, all in hex; None when the trace has to start anew.
    """
    found = _VERSION_00(parent.decode("latin-1")) or _read_leniently(parent)
    return None if found is None else (found[1], found[2], found[3])


def _read_leniently(parent: bytes) -> re.Match[str] | None:
    """Read a header with white space around it, or of a later version."""
    if len(parent) > MAX_PARENT_LENGTH:
        return None
    text = parent.strip(b" \t").decode("latin-1")
    return _VERSION_00(text) or _LATER(text)


def open_trace(parent: bytes | None, states: Sequence[bytes], random_bits: RandomBits) -> Trace:
    """Continue the caller's trace, or start one where its header cannot be used.

    Args:
        parent: value of the ``traceparent`` header; None when there is none or more than one.
        states: values of all ``tracestate`` headers, in order.
        random_bits: source of randomness.
    """
    found = None if parent is None else read_parent(parent)
    if found is None:
        trace_id, span_id = new_ids(random_bits)
        return Trace(trace_id, span_id, "", NEW_FLAGS, (), random_bits)
    trace_id, parent_id, flags = found
    return Trace(trace_id, new_span_id(random_bits), parent_id, flags, states, random_bits)


def reopen_trace(trace_id: str, context: str, random_bits: RandomBits) -> Trace:
    """Continue a trace later, from what was kept of it.

    Args:
        trace_id: of W3C, 32 hex digits.
        context: :attr:`Trace.context`; empty, as with what older versions kept: sampled.
        random_bits: source of randomness.
    """
    flags, _, state = (context or f"{SAMPLED:02x}").partition(" ")
    return Trace(trace_id, new_span_id(random_bits), "", flags, (state.encode(),) if state else (), random_bits)


def _short_state(state: str) -> str:
    """Shorten a combined ``tracestate`` by whole members: the long ones first, then from the end (§3.3.1.5)."""
    if len(state) <= MAX_KEPT_STATE:
        return state
    members = [member for member in state.split(",") if len(member) <= _LONG_MEMBER]
    while len(",".join(members)) > MAX_KEPT_STATE:
        members.pop()
    return ",".join(members)


def parse_state(states: Sequence[bytes]) -> str:
    """Combine ``tracestate`` headers into one value.

    Returns:
        The members in their order, without white space around them; empty when any of them is malformed, a key comes
        twice or there are more than 32: a list that cannot be trusted as a whole is not passed on at all.
    """
    if sum(map(len, states)) > MAX_STATE_LENGTH:
        return ""
    members = [member for member in _members(states) if member]
    if len(members) > MAX_STATE_MEMBERS:
        return ""
    keys: set[str] = set()
    for member in members:
        found = _MEMBER(member)
        if found is None or found[1] in keys:
            return ""
        keys.add(found[1])
    return ",".join(members)


def _members(states: Sequence[bytes]) -> list[str]:
    return [member.strip(" \t") for member in b",".join(states).decode("latin-1").split(",")]
