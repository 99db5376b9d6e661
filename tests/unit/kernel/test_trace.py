"""Trace context, header by header; the rules of W3C Trace Context level 2."""

import random

import pytest

from custodes.kernel.trace import Trace, new_ids, open_trace, parse_state, read_parent, reopen_trace

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
bits = random.Random(7).getrandbits


def opened(parent: str | None, *states: str) -> Trace:
    return open_trace(
        None if parent is None else parent.encode("latin-1"), [state.encode("latin-1") for state in states], bits
    )


def test_a_well_formed_parent_is_continued():
    trace = opened(f"00-{TRACE}-{SPAN}-01")

    assert (trace.trace_id, trace.parent_id, trace.flags) == (TRACE, SPAN, "01")
    assert trace.span_id != SPAN


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "rubbish",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01more",
        f"0x-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 600,
        "\xff" * 55,
    ],
)
def test_a_malformed_parent_starts_the_trace_anew(parent: str):
    trace = opened(parent, "foo=1")

    assert trace.trace_id != TRACE
    assert trace.parent_id == ""
    assert trace.state == ""  # what belonged to another trace is not carried into this one


@pytest.mark.parametrize("tail", ["", "-", "-what-the-future-brings"])
def test_a_later_version_is_read_as_far_as_we_know_it_and_passed_on_as_ours(tail: str):
    trace = opened(f"cc-{TRACE}-{SPAN}-01{tail}")

    assert trace.trace_id == TRACE
    assert trace.headers()["traceparent"].startswith(f"00-{TRACE}-")


def test_unknown_flags_are_dropped_and_known_ones_kept():
    assert opened(f"00-{TRACE}-{SPAN}-ff").headers()["traceparent"].endswith("-03")
    assert opened(f"00-{TRACE}-{SPAN}-02").headers()["traceparent"].endswith("-02")
    assert opened(f"00-{TRACE}-{SPAN}-00").headers()["traceparent"].endswith("-00")


def test_a_new_trace_says_that_it_is_sampled_and_random():
    assert opened(None).headers()["traceparent"].endswith("-03")


def test_ids_are_never_all_zero_even_if_randomness_is():
    trace_id, span_id = new_ids(lambda count: 0)

    assert read_parent(f"00-{trace_id}-{span_id}-01".encode()) is not None


def test_each_outgoing_call_has_an_id_of_its_own():
    trace = opened(f"00-{TRACE}-{SPAN}-01")
    parents = {trace.headers()["traceparent"].split("-")[2] for _ in range(50)}

    assert len(parents) == 50
    assert not parents & {SPAN, trace.span_id}


def test_the_response_header_names_our_span():
    trace = opened(f"00-{TRACE}-{SPAN}-01")

    assert trace.traceresponse == f"00-{TRACE}-{trace.span_id}-01"


def test_state_keeps_leading_blanks_of_a_value_and_drops_those_around_a_member():
    assert parse_state([b"foo=  1 \t, \tbar=2 "]) == "foo=  1,bar=2"


@pytest.mark.parametrize(
    "state",
    [b"foo", b"=1", b"foo=", b"Foo=1", b"foo=a\xe9", b"foo=a\x01", b"a=1,a=2", b"x" * 257 + b"=1", b"x=" + b"1" * 257],
)
def test_a_malformed_state_is_dropped_as_a_whole(state: bytes):
    assert parse_state([b"good=1", state]) == ""


def test_a_state_of_any_length_costs_little():
    assert parse_state([b"a=1," * 100_000]) == ""


def test_what_was_kept_of_a_trace_goes_on_later():
    trace = opened(f"00-{TRACE}-{SPAN}-fc", "rojo=1", " congo=2")

    later = reopen_trace(trace.trace_id, trace.context, bits).headers()

    assert trace.context == "00 rojo=1,congo=2"
    assert later["traceparent"].startswith(f"00-{TRACE}-")
    assert later["traceparent"].endswith("-00")
    assert later["tracestate"] == "rojo=1,congo=2"


def test_of_what_older_versions_kept_the_trace_goes_on_as_sampled():
    assert set(headers := reopen_trace(TRACE, "", bits).headers()) == {"traceparent"}
    assert headers["traceparent"].endswith("-01")


def test_of_a_long_tracestate_whole_members_are_kept_the_long_ones_go_first():
    long = "long=" + "x" * 200
    short = [f"k{number}=" + "v" * 90 for number in range(8)]

    kept = opened(f"00-{TRACE}-{SPAN}-01", ",".join([long, *short])).context

    assert kept == "01 " + ",".join(short[:5])
