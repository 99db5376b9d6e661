"""JSON from strangers is read within bounds, and nothing but our own errors comes out."""

import json
import sys
import time

import msgspec
import pytest

from custodes.errors import MalformedPayload, PayloadTooLarge
from custodes.kernel.json_bounds import JsonBounds, parse_json


@pytest.mark.parametrize(
    "text",
    [
        b"0", b"-0", b"1e5", b"1E-5", b"true", b"null", b'""', b"[]", b"{}", b" [ 1 , 2 ] \r\n\t", b'{"":0}',
        b'"\\u0000"', b'"\\ud83d\\ude00"', b'"\xf0\x9f\x98\x80"', b'{"a":{"b":[1,{"c":null}]}}', b'"\xe2\x80\xa8"',
        b'"\\\\u0061"', b'"\x7f"', b"[" * 64 + b"]" * 64, b"9" * 400, b'"\\ud83d\\ude00\\\\ud800"',
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_json_is_read_as_json_reads_it(text):
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"[1,]", b"[,1]", b"{'a':1}", b'{"a"}', b'{"a":}', b'{"a":1,}', b"[1 2]", b"01", b"+1", b".5", b"1.",
        b"0x1", b"1e", b"NaN", b"Infinity", b"-Infinity", b"nul", b"True", b'"', b'"\\', b'"\\x41"', b'"\\u12"',
        b'"\x00"', b'"\n"', b'"\t"', b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), b'"\xff"', b'"\xc0\x80"',
        b'"\xed\xa0\x80"', b"[1]]", b"[1]x", b"{}{}", b"// x\n1", b"/* */1", b"[1\x0c]", b"\xa0[]", b"]", b"}{",
        b'"\\ud800"', b'"\\udc00\\ud800"', b'{"\\ud800":1}', b'["\\uD83D \\uDE00"]', b"1e400", b"-1e999", b"9" * 401,
        b"-" + b"9" * 5_000, b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65, b'"abc', b"[" * 100_000,
    ],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
def test_what_is_not_is_refused_with_our_error_only(text):
    with pytest.raises(MalformedPayload) as caught:
        parse_json(text)

    # And the error carries nothing of the text into logs and error trackers
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "hostile",
    [
        b"[" * 100_000, b'{"a":' * 100_000, b"[[]," * 100_000, b'"' * 100_001, b'["' + b'\\"' * 100_000,
        b"9" * 100_000, b"[" + b"{}," * 100_000, b'"' + b"\\ud800" * 20_000, b"\\" * 100_000, b"[]" * 100_000,
    ],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
def test_a_hostile_text_is_refused_in_no_time(hostile):
    took: list[float] = []
    for _ in range(3):
        begin = time.process_time()
        with pytest.raises(MalformedPayload):
            parse_json(hostile)
        took.append(time.process_time() - begin)

    # 50 ms is the bar; processor time, and the best of three, so that a busy machine does not count
    assert min(took) < 0.05


def test_the_count_of_values_is_bounded():
    bounds = JsonBounds(nodes=4)

    assert parse_json(b"[1,2,3]", bounds) == [1, 2, 3]
    with pytest.raises(MalformedPayload, match="more than 4 values"):
        parse_json(b"[1,2,3,4]", bounds)
    # Commas and brackets in strings are no values
    assert parse_json(b'["a,b,c,d,e", "[[[{{{", "\\",\\","]', bounds) == ["a,b,c,d,e", "[[[{{{", '",",']


def test_brackets_in_strings_are_no_depth():
    assert parse_json(b'["' + b"[" * 1_000 + b'"]') == ["[" * 1_000]


def test_closing_brackets_in_strings_do_not_hide_depth():
    text = b'["]",' * 70 + b"1" + b"]" * 70

    with pytest.raises(MalformedPayload, match="deeper than 64"):
        parse_json(text)


def test_size_is_bounded_before_anything_is_looked_at():
    with pytest.raises(PayloadTooLarge, match="has 11 bytes"):
        parse_json(b"x" * 11, JsonBounds(size=10))


def test_a_small_stack_is_no_traceback():
    """Deep but allowed JSON in a host that is itself deep in its stack."""
    text = b"[" * 64 + b"]" * 64

    def deep(levels):
        if levels:
            return deep(levels - 1)
        try:
            return parse_json(text)
        except (MalformedPayload, RecursionError) as error:
            return error

    results = [deep(levels) for levels in range(0, sys.getrecursionlimit() - 200, 50)]

    assert not any(isinstance(result, RecursionError) for result in results)


@pytest.mark.parametrize("text", [b'{"id":"a","id":"b"}', b'{"id":"a","\\u0069d":"b"}', b'{"\\u0069d":"a","id":"b"}'])
def test_a_name_that_is_there_twice_means_the_same_to_the_verifier_and_to_the_handler(text):
    """Where two readers differ, one event is verified and another is handled."""

    class Event(msgspec.Struct):
        id: str

    assert parse_json(text)["id"] == msgspec.json.decode(text, type=Event).id == "b"
