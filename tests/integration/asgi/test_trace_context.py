"""The rules that the W3C's trace-context test suite holds a service to, all 41 cases of it, as scenarios of our own.

A host behind the middleware calls onward, as often as it is asked to, with the headers that ``current_trace()`` gives;
what arrives there is what these scenarios look at. Names of cases follow the suite's (github.com/w3c/trace-context,
test/test.py at strict level 2, specification level 2), so that one can be held beside the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from custodes import current_trace
from custodes.app import Custodes
from custodes.testing.asgi import Conversation, converse, http_scope

TRACE = "12345678901234567890123456789012"
PARENT = "1234567890123456"
VALID = f"00-{TRACE}-{PARENT}-00"
WELL_FORMED = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

Lines = list[tuple[str, str]]


@dataclass
class Call:
    """One call that the host made onward."""

    trace_id: str
    parent_id: str
    flags: int
    state: dict[str, str]


class Host:
    """A service that calls another one ``calls`` times for each request it gets."""

    def __init__(self, custodes: Custodes, calls: int = 1) -> None:
        self.app = custodes.wrap(self._serve)
        self.calls = calls
        self.arrived: list[Call] = []

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        for _ in range(self.calls):
            trace = current_trace()
            assert trace is not None
            await converse(self._onward, http_scope("/onward", headers=trace.headers()))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _onward(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
        parents = [value for name, value in headers if name == "traceparent"]
        assert len(parents) == 1
        found = WELL_FORMED.fullmatch(parents[0])
        assert found, parents[0]
        state = ",".join(value for name, value in headers if name == "tracestate")
        members = dict(member.split("=", 1) for member in state.split(",") if member)
        self.arrived.append(Call(found[1], found[2], int(found[3], 16), members))

    async def asked(self, lines: Lines) -> list[Call]:
        """Send a request with these header lines, names in lower case as every ASGI server hands them on."""
        self.arrived = []
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in lines]
        answer: Conversation = await converse(self.app, http_scope("/", "POST", headers=headers))
        assert answer.error is None
        assert len(self.arrived) == self.calls
        return self.arrived


@pytest.fixture
def host(custodes: Custodes) -> Host:
    return Host(custodes)


def parent(value: str) -> Lines:
    return [("traceparent", value)]


def state(*values: str) -> Lines:
    return [("traceparent", VALID), *(("tracestate", value) for value in values)]


#: Each case: the header lines of its requests. The first character says what is expected of each:
#: ``=`` the trace goes on, ``!`` it starts anew.
PARENT_CASES: dict[str, list[tuple[str, Lines]]] = {
    "both_traceparent_and_tracestate_missing": [("!", [])],
    "traceparent_included_tracestate_missing": [("=", parent(f"00-{TRACE}-{PARENT}-01"))],
    "traceparent_duplicated": [
        ("!", parent(f"00-{TRACE[:-1]}1-{PARENT}-01") + parent(f"00-{TRACE}-{PARENT}-01")),
        ("!", parent(VALID) + parent(VALID)),
    ],
    "traceparent_header_name": [("!", [("trace-parent", VALID)]), ("!", [("trace.parent", VALID)])],
    "traceparent_header_name_valid_casing": [
        ("=", [(name, VALID)]) for name in ("TraceParent", "TrAcEpArEnT", "TRACEPARENT")
    ],
    "traceparent_version_0x00": [("!", parent(VALID + tail)) for tail in (".", "-what-the-future-will-be-like")],
    "traceparent_version_0xcc": [
        ("=", parent(f"cc-{TRACE}-{PARENT}-01")),
        ("=", parent(f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like")),
        ("!", parent(f"cc-{TRACE}-{PARENT}-01.what-the-future-will-be-like")),
    ],
    "traceparent_version_0xff": [("!", parent(f"ff-{TRACE}-{PARENT}-01"))],
    "traceparent_version_illegal_characters": [
        ("!", parent(f"{version}-{TRACE}-{PARENT}-01")) for version in (".0", "0.")
    ],
    "traceparent_version_too_long": [("!", parent(f"{zeros}-{TRACE}-{PARENT}-01")) for zeros in ("000", "0000")],
    "traceparent_version_too_short": [("!", parent(f"0-{TRACE}-{PARENT}-01"))],
    "traceparent_trace_id_all_zero": [("!", parent(f"00-{'0' * 32}-{PARENT}-01"))],
    "traceparent_trace_id_illegal_characters": [
        ("!", parent(f"00-.{TRACE[1:]}-{PARENT}-01")),
        ("!", parent(f"00-{TRACE[:-1]}.-{PARENT}-01")),
    ],
    "traceparent_trace_id_too_long": [("!", parent(f"00-{TRACE}3-{PARENT}-01"))],
    "traceparent_trace_id_too_short": [("!", parent(f"00-{TRACE[:-1]}-{PARENT}-01"))],
    "traceparent_parent_id_all_zero": [("!", parent(f"00-{TRACE}-{'0' * 16}-01"))],
    "traceparent_parent_id_illegal_characters": [
        ("!", parent(f"00-{TRACE}-.{PARENT[1:]}-01")),
        ("!", parent(f"00-{TRACE}-{PARENT[:-1]}.-01")),
    ],
    "traceparent_parent_id_too_long": [("!", parent(f"00-{TRACE}-{PARENT}7-01"))],
    "traceparent_parent_id_too_short": [("!", parent(f"00-{TRACE}-{PARENT[:-1]}-01"))],
    "traceparent_trace_flags_illegal_characters": [
        ("!", parent(f"00-{TRACE}-{PARENT}-{flags}")) for flags in (".0", "0.")
    ],
    "traceparent_trace_flags_too_long": [("!", parent(f"00-{TRACE}-{PARENT}-001"))],
    "traceparent_trace_flags_too_short": [("!", parent(f"00-{TRACE}-{PARENT}-1"))],
    "traceparent_ows_handling": [
        ("=", parent(value)) for value in (" " + VALID, "\t" + VALID, VALID + " ", VALID + "\t", f"\t {VALID} \t")
    ],
}

ALL_CHARACTERS = "".join(map(chr, range(0x20, 0x7F))).replace(",", "").replace("=", "")
ALL_OF_A_KEY = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
THIRTY_TWO = [",".join(f"bar{n:02}={n:02}" for n in range(first, min(first + 10, 33))) for first in (1, 11, 21, 31)]

#: Each case: the header lines of its requests, and the members that are passed on.
STATE_CASES: dict[str, list[tuple[Lines, dict[str, str]]]] = {
    "tracestate_included_traceparent_missing": [
        ([("tracestate", "foo=1")], {}),
        ([("tracestate", "foo=1,bar=2")], {}),
    ],
    "tracestate_included_traceparent_included": [(state("foo=1,bar=2"), {"foo": "1", "bar": "2"})],
    "tracestate_header_name": [
        ([("traceparent", VALID), ("trace-state", "foo=1")], {}),
        ([("traceparent", VALID), ("trace.state", "foo=1")], {}),
    ],
    "tracestate_header_name_valid_casing": [
        ([("traceparent", VALID), (name, "foo=1")], {"foo": "1"}) for name in ("TraceState", "TrAcEsTaTe", "TRACESTATE")
    ],
    "tracestate_empty_header": [
        (state(""), {}),
        (state("foo=1", ""), {"foo": "1"}),
        (state("", "foo=1"), {"foo": "1"}),
    ],
    "tracestate_multiple_headers_different_keys": [
        (
            state("foo=1,bar=2", "rojo=1,congo=2", "baz=3"),
            {"foo": "1", "bar": "2", "rojo": "1", "congo": "2", "baz": "3"},
        )
    ],
    "tracestate_duplicated_keys": [
        (lines, {})
        for lines in (state("foo=1,foo=1"), state("foo=1,foo=2"), state("foo=1", "foo=1"), state("foo=1", "foo=2"))
    ],
    "tracestate_all_allowed_characters": [
        (state(f"{key}={ALL_CHARACTERS}"), {key: ALL_CHARACTERS})
        for key in (ALL_OF_A_KEY, ALL_OF_A_KEY + "@a-z0-9_-*/")
    ],
    "tracestate_ows_handling": [
        (state("foo=1 \t , \t bar=2, \t baz=3"), {"foo": "1", "bar": "2", "baz": "3"}),
        (state("foo=1\t \t,\t \tbar=2,\t \tbaz=3"), {"foo": "1", "bar": "2", "baz": "3"}),
        *((state(value), {"foo": "1"}) for value in (" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t")),
    ],
    "tracestate_key_illegal_characters": [(state(value), {}) for value in ("foo =1", "FOO=1", "foo.bar=1")],
    # Level 2 lets the at sign stand anywhere in a key but at its start; level 1 knew it between tenant and vendor only
    "tracestate_key_illegal_vendor_format": [(state("@foo=1,bar=2"), {})],
    "tracestate_member_count_limit": [
        (state(*THIRTY_TWO), {f"bar{n:02}": f"{n:02}" for n in range(1, 33)}),
        (state(*THIRTY_TWO[:-1], THIRTY_TWO[-1] + ",bar33=33"), {}),
    ],
    "tracestate_key_length_limit": [
        (state("foo=1", f"{'z' * 256}=1"), {"foo": "1", "z" * 256: "1"}),
        (state("foo=1", f"{'z' * 257}=1"), {}),
        (state("foo=1", f"{'t' * 241}@{'v' * 14}=1"), {"foo": "1", f"{'t' * 241}@{'v' * 14}": "1"}),
    ],
    "tracestate_value_illegal_characters": [(state(value), {}) for value in ("foo=bar=baz", "foo=,bar=3")],
}


def test_no_case_of_the_suite_is_missing():
    advanced, level_2 = 3, 1

    assert len(PARENT_CASES) + len(STATE_CASES) == 37
    assert len(PARENT_CASES) + len(STATE_CASES) + advanced + level_2 == 41


@pytest.mark.parametrize("rule", PARENT_CASES)
async def test_the_parent_is_continued_or_the_trace_starts_anew(host: Host, rule: str):
    for expected, lines in PARENT_CASES[rule]:
        (call,) = await host.asked(lines)
        sent = [value.split("-") for name, value in lines if len(value.split("-")) > 2]

        assert (call.trace_id == TRACE) == (expected == "="), lines
        assert all(call.trace_id not in fields for fields in sent) == (expected == "!"), lines
        assert call.parent_id != PARENT


@pytest.mark.parametrize("rule", STATE_CASES)
async def test_the_state_is_passed_on_whole_or_not_at_all(host: Host, rule: str):
    for lines, members in STATE_CASES[rule]:
        (call,) = await host.asked(lines)

        assert (call.trace_id == TRACE) == (("traceparent", VALID) in lines)
        assert call.state == members, lines
        assert list(call.state) == list(members)  # in their order


async def test_multiple_requests_with_valid_traceparent(custodes: Custodes):
    calls = await Host(custodes, calls=3).asked(parent(VALID))

    assert {call.trace_id for call in calls} == {TRACE}
    assert len({call.parent_id for call in calls}) == 3


async def test_multiple_requests_without_traceparent(custodes: Custodes):
    calls = await Host(custodes, calls=3).asked([])

    assert len({call.parent_id for call in calls}) == 3


async def test_multiple_requests_with_illegal_traceparent(custodes: Custodes):
    calls = await Host(custodes, calls=3).asked(parent(f"00-{'0' * 32}-{PARENT}-01"))

    assert "0" * 32 not in {call.trace_id for call in calls}
    assert len({call.parent_id for call in calls}) == 3


async def test_propagates_random_flag(host: Host):
    for flags, random in (("02", True), ("03", True), ("00", False), ("01", False)):
        (call,) = await host.asked(parent(f"00-{TRACE}-{PARENT}-{flags}"))

        assert call.trace_id == TRACE
        assert bool(call.flags & 0x02) == random
