"""One value, one text: RFC 8785."""

import json
import struct
from enum import IntEnum, StrEnum

import pytest

from custodes.errors import InvalidInput
from custodes.kernel.canonical import MAX_DEPTH, MAX_EXACT, canonical

#: RFC 8785, Appendix B: the bits of a double, and how it is written.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_doubles_are_written_as_ecmascript_does(bits: str, text: str):
    (value,) = struct.unpack(">d", bytes.fromhex(bits))

    assert canonical(value) == text


def test_members_are_sorted_by_utf16_code_units():
    # RFC 8785 §3.2.3: the smiley (a surrogate pair) sorts before U+FB33, though its code point is higher
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }

    order = list(json.loads(canonical(value)))

    assert order == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_texts_are_escaped_as_little_as_possible():
    # RFC 8785 §3.2.2.2
    value = "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/"

    assert canonical(value) == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


def test_structures_have_no_white_space():
    value = {"b": [1, True, None, {}], "a": {"y": [], "x": (1.5, "ö")}}

    assert canonical(value) == '{"a":{"x":[1.5,"ö"],"y":[]},"b":[1,true,null,{}]}'


def test_enumerations_are_written_as_their_values():
    colour = StrEnum("colour", {"RED": "red"})
    size = IntEnum("size", {"BIG": 3})

    assert canonical([colour["RED"], size["BIG"]]) == '["red",3]'


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), MAX_EXACT + 1, -MAX_EXACT - 1, "\ud800", {"\udfff": 1}, {1: 2}, b"x", object()],
    ids=[
        "nan",
        "infinity",
        "too large",
        "too small",
        "half a pair",
        "half a pair as key",
        "number as key",
        "bytes",
        "object",
    ],
)
def test_what_json_readers_would_not_keep_is_refused(value: object):
    with pytest.raises(InvalidInput):
        canonical(value)


def test_too_deep_is_refused_and_not_a_recursion_error():
    value: list[object] = []
    for _ in range(MAX_DEPTH + 1):
        value = [value]

    with pytest.raises(InvalidInput, match="deeper"):
        canonical(value)
