"""JSON from strangers, within bounds: size, depth, count of values and digits of integers.

Size, depth and count are checked before anything is built.

Stricter than ``json.loads`` where that is looser than RFC 8259 (``NaN``, ``Infinity``, UTF-16, a byte order mark), and
than the RFC where stores and other readers would choke (half surrogate pairs, ``1e400``). A name that is there twice
keeps its last value, as in the reader that the verifiers of webhooks use.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NoReturn

from custodes.errors import MalformedPayload, PayloadTooLarge


@dataclass(frozen=True, slots=True)
class JsonBounds:
    """How much JSON is read."""

    #: Bytes of the whole text.
    size: int = 25 * 1024 * 1024
    #: Levels of nesting: ``[1]`` has one.
    depth: int = 64
    #: Values of any kind, at all levels together; one takes up to 100 bytes of memory.
    nodes: int = 1_000_000
    #: Digits of one integer; conversion takes time quadratic in it (CVE-2020-10735).
    digits: int = 400


BOUNDS = JsonBounds()

#: A string, also one that never ends, so that each byte is looked at once.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*+(?:"|\\?\Z)', re.DOTALL)

#: All bytes but the brackets.
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

#: What a bracket does to the depth.
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

#: An escape of one half of a surrogate pair: only then can a string be no text.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(body: bytes, bounds: JsonBounds = BOUNDS) -> Any:
    """Read one JSON text.

    Raises:
        PayloadTooLarge: more bytes than ``bounds.size``.
        MalformedPayload: not JSON, or beyond another bound; the message says which, and never shows the text.
    """
    if len(body) > bounds.size:
        msg = f"The JSON text has {len(body)} bytes, more than the {bounds.size} that are read"
        raise PayloadTooLarge(msg, remedy="Raise the bound or read the raw bytes")
    _check_bounds(body, bounds)
    value = _decoded(body, bounds)
    if _SURROGATE.search(body):
        _check_text(value)
    return value


def plain_json(value: object) -> Any:
    """Return a value as whoever reads its JSON gets it: a list where a tuple was, a text where the name was a number.

    Raises:
        MalformedPayload: it cannot be written as JSON that every reader and every store takes.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        _refuse("cannot be written: it holds another type, NaN, half of a surrogate pair or too many levels")
    return parse_json(text)


def _check_bounds(body: bytes, bounds: JsonBounds) -> None:
    """Check the shape, first with everything in strings counted too: most texts are small enough even so."""
    if _openings(body) <= bounds.depth and _values(body) <= bounds.nodes:
        return
    # Each string leaves one quotation mark.
    skeleton = _STRING.sub(b'"', body)
    if _values(skeleton) > bounds.nodes:
        _refuse(f"has more than {bounds.nodes} values")
    if _depth(skeleton, bounds.depth) > bounds.depth:
        _refuse(f"is nested deeper than {bounds.depth} levels")


def _openings(text: bytes) -> int:
    return text.count(b"[") + text.count(b"{")


def _values(text: bytes) -> int:
    """Return the number of values, at most: each but the outermost is the first of its container or follows a comma."""
    return text.count(b",") + _openings(text) + 1


def _depth(skeleton: bytes, enough: int) -> int:
    """Return the greatest depth, or the first above ``enough``."""
    steps = (_STEP[bracket] for bracket in skeleton.translate(None, _NO_BRACKETS))
    greatest = 0
    for depth in accumulate(steps):
        if depth > greatest:
            greatest = depth
            if greatest > enough:
                break
    return greatest


def _decoded(body: bytes, bounds: JsonBounds) -> Any:
    def integer(text: str) -> int:
        if len(text) > bounds.digits:
            _refuse(f"has an integer of more than {bounds.digits} digits")
        return int(text)

    try:
        return json.loads(body.decode("utf-8"), parse_int=integer, parse_float=_finite, parse_constant=_not_a_number)
    except UnicodeDecodeError as error:
        _refuse(f"is not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        _refuse(f"breaks off at character {error.pos}: {error.msg}")
    except RecursionError:
        _refuse("is nested deeper than the stack that is left")


def _check_text(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        _refuse("has half of a surrogate pair in a string")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _refuse("has a number beyond the range of a double")
    return number


def _not_a_number(name: str) -> NoReturn:
    _refuse(f"has {name} where a number belongs")


def _refuse(why: str) -> NoReturn:
    msg = f"The JSON text {why}"
    # Without the cause: JSONDecodeError carries the whole text into logs and error trackers.
    raise MalformedPayload(msg, remedy="Look at the raw bytes") from None
